#include "endpoint_slices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace diastole::discovery {
namespace {

using nlohmann::json;

constexpr int kExpiredCode = 410;

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

// An array that may be absent, or null.
const json& list_at(const json& object, const char* key) {
  static const json kNone = json::array();
  if (!object.is_object()) throw std::runtime_error(fmt::format("something without {}", key));
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return kNone;
  if (!found->is_array()) throw std::runtime_error(fmt::format("{} that are no list", key));
  return *found;
}

std::uint16_t number_of(const std::string& text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : std::uint16_t{0};
}

// 0 where the slice does not say.
std::uint16_t port_in(const json& slice, const std::string& wanted) {
  if (const std::uint16_t number = number_of(wanted); number != 0) return number;
  const json& ports = list_at(slice, "ports");
  const auto is_wanted = [&](const json& port) { return wanted.empty() || text_at(port, "name") == wanted; };
  if (std::ranges::count_if(ports, is_wanted) != 1) return 0;
  const json& port = *std::ranges::find_if(ports, is_wanted);
  const auto found = port.find("port");
  return found != port.end() && found->is_number_unsigned() ? found->get<std::uint16_t>() : std::uint16_t{0};
}

Listing endpoints_in(const json& slice, const std::string& wanted) {
  const std::uint16_t port = port_in(slice, wanted);
  Listing listing;
  for (const json& item : list_at(slice, "endpoints")) {
    const json& addresses = list_at(item, "addresses");
    // All of them lead to the same endpoint.
    std::string host = addresses.empty() ? std::string() : addresses.front().get<std::string>();
    const auto target = item.find("targetRef");
    std::string name = target == item.end() || target->is_null() ? std::string() : text_at(*target, "name");
    if (name.empty()) name = port == 0 ? host : to_string(HostPort{host, port});
    if (name.empty()) continue;
    const bool known = !host.empty();
    listing.push_back({.instance = InstanceId(std::move(name)),
                       .at = {.host = std::move(host), .port = known ? port : std::uint16_t{0}}});
  }
  return listing;
}

template <typename Read>
auto reading(Read read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return fail(ErrorCode::unavailable, fmt::format("not what an API server sends: {}", error.what()));
  }
}

}  // namespace

Result<void> EndpointSlices::replace(std::string_view list) {
  using Read = std::pair<std::string, std::map<std::string, Listing>>;
  auto read = reading([&]() -> Read {
    const json document = json::parse(list);
    Read out{document.at("metadata").at("resourceVersion").get<std::string>(), {}};
    for (const json& slice : list_at(document, "items")) {
      out.second[slice.at("metadata").at("name").get<std::string>()] = endpoints_in(slice, port_);
    }
    return out;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  std::tie(version_, slices_) = std::move(*read);
  return {};
}

Result<EndpointSlices::Event> EndpointSlices::apply(std::string_view line) {
  return reading([&]() -> Event {
    const json event = json::parse(line);
    const auto type = event.at("type").get<std::string>();
    const json& object = event.at("object");
    if (type == "ERROR") {
      if (object.value("code", 0) == kExpiredCode) return Event::expired;
      throw std::runtime_error("the watch failed: " + text_at(object, "message"));
    }
    const json& metadata = object.at("metadata");
    auto version = metadata.at("resourceVersion").get<std::string>();
    Event outcome = Event::changed;
    if (type == "BOOKMARK") {
      outcome = Event::bookmark;
    } else if (type == "DELETED") {
      slices_.erase(metadata.at("name").get<std::string>());
    } else if (type == "ADDED" || type == "MODIFIED") {
      slices_[metadata.at("name").get<std::string>()] = endpoints_in(object, port_);
    } else {
      throw std::runtime_error("an event of the unknown type " + type);
    }
    version_ = std::move(version);
    return outcome;
  });
}

Listing EndpointSlices::listing() const {
  // A slice is of one family; where a pod has an address of each, it is one instance, asked at the IPv4 one.
  const auto rank = [](const Endpoint& endpoint) {
    return std::pair(endpoint.at.port == 0, endpoint.at.host.contains(':'));
  };
  std::map<InstanceId, Endpoint> best;
  for (const auto& [name, listing] : slices_) {
    for (const Endpoint& endpoint : listing) {
      const auto [found, fresh] = best.try_emplace(endpoint.instance, endpoint);
      if (!fresh && rank(endpoint) < rank(found->second)) found->second = endpoint;
    }
  }
  Listing out;
  for (auto& [instance, endpoint] : best) out.push_back(std::move(endpoint));
  return out;
}

}  // namespace diastole::discovery
