#include "file_source.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

namespace diastole::discovery {
namespace {

constexpr std::size_t kLargestFile = 16 * 1024 * 1024;
constexpr std::size_t kLongestName = 128;
constexpr const char* kLabel = "diastole_instance";

struct Group {
  std::vector<std::string> targets;
  std::optional<std::string> instance;
};

// What is wrong, before it is known where.
struct BadFile {
  std::string what;
};

std::vector<Group> groups_of_json(const std::string& text) {
  using nlohmann::json;
  const json document = json::parse(text);
  if (!document.is_array()) throw BadFile{"expected a list of groups"};
  std::vector<Group> groups;
  for (const json& item : document) {
    Group& group = groups.emplace_back();
    group.targets = item.at("targets").get<std::vector<std::string>>();
    if (const auto labels = item.find("labels"); labels != item.end() && labels->contains(kLabel)) {
      group.instance = labels->at(kLabel).get<std::string>();
    }
  }
  return groups;
}

std::vector<Group> groups_of_yaml(const std::string& text) {
  const YAML::Node document = YAML::Load(text);
  if (!document.IsSequence()) throw BadFile{"expected a list of groups"};
  std::vector<Group> groups;
  for (const YAML::Node& item : document) {
    Group& group = groups.emplace_back();
    if (!item.IsMap() || !item["targets"]) throw BadFile{fmt::format("group {} has no targets", groups.size() - 1)};
    group.targets = item["targets"].as<std::vector<std::string>>();
    const YAML::Node labels = item["labels"];
    if (labels && labels[kLabel]) group.instance = labels[kLabel].as<std::string>();
  }
  return groups;
}

bool is_instance_name(const std::string& text) {
  return !text.empty() && text.size() <= kLongestName &&
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

Listing listing_of(const std::vector<Group>& groups) {
  Listing listing;
  std::set<std::string> named;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto& [targets, instance] = groups[i];
    if (instance && targets.size() != 1) {
      throw BadFile{
          fmt::format("group {}: {} names one instance, but there are {} targets", i, kLabel, targets.size())};
    }
    if (instance && !is_instance_name(*instance)) {
      throw BadFile{fmt::format("group {}: {} is not 1 to {} bytes without spaces", i, kLabel, kLongestName)};
    }
    if (instance && !named.insert(*instance).second) {
      throw BadFile{fmt::format("group {}: {} {} is there already", i, kLabel, *instance)};
    }
    for (const std::string& target : targets) {
      auto at = parse_host_port(target);
      if (!at) throw BadFile{fmt::format("group {}: {}", i, at.error().message)};
      Endpoint endpoint = endpoint_at(std::move(*at));
      if (instance) endpoint.instance = InstanceId(*instance);
      listing.push_back(std::move(endpoint));
    }
  }
  return listing;
}

// What changes whenever the file does.
using Stamp = std::array<std::int64_t, 4>;

Result<Stamp> stamp_of(const std::filesystem::path& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot read {}: {}", path.string(), std::generic_category().message(errno)));
  }
  return Stamp{static_cast<std::int64_t>(status.st_ino), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

Result<Listing> read_listing(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 16 * 1024> piece{};
  while (file.read(piece.data(), piece.size()), file.gcount() > 0 && text.size() <= kLargestFile) {
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) return fail(ErrorCode::unavailable, fmt::format("cannot read {}", path.string()));
  if (text.size() > kLargestFile) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} is longer than 16 MiB", path.string()));
  }
  auto listing = listing_from(text, path.extension() == ".json");
  if (!listing) listing.error().message = fmt::format("{}: {}", path.string(), listing.error().message);
  return listing;
}

}  // namespace

Result<Listing> listing_from(const std::string& text, bool json) {
  try {
    return listing_of(json ? groups_of_json(text) : groups_of_yaml(text));
  } catch (const BadFile& bad) {
    return fail(ErrorCode::invalid_argument, bad.what);
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument, fmt::format("not in the format of file_sd: {}", error.what()));
  }
}

Task<> follow_file(asio::io_context& io, std::filesystem::path path, Milliseconds check, Sink sink) {
  std::optional<Stamp> last;
  std::optional<Stamp> read;
  for (;;) {
    const auto stamp = stamp_of(path);
    if (!stamp) {
      sink.failed(stamp.error().message);
      last.reset();
      read.reset();
    } else {
      if (last == *stamp && read != *stamp) {
        auto listing = read_listing(path);
        if (!listing) {
          sink.failed(listing.error().message);
        } else if (const auto still = stamp_of(path); still && *still == *stamp) {
          sink.answered(std::move(*listing));
        }
        read = *stamp;
      }
      last = *stamp;
    }
    co_await pause(io, check);
  }
}

}  // namespace diastole::discovery
