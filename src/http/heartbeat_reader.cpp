#include "heartbeat_reader.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

namespace diastole::http {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

constexpr std::size_t kMaxText = 128;
constexpr std::size_t kKeptCapacity = 256 * 1024;  // bytes of text that the parser keeps room for between requests

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

Result<std::string> visible_text(const json& object, const std::string& path, const char* key, bool required) {
  const auto found = object.find(key);
  if (found == object.end()) {
    if (required) return fail(ErrorCode::invalid_argument, fmt::format("'{}' is missing", key), path + "/" + key);
    return std::string();
  }
  if (found->is_string()) {
    auto text = found->get<std::string>();
    if (text.size() <= kMaxText && is_visible(text) && !(required && text.empty())) return text;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected text of 1 to {} characters without spaces", kMaxText),
              path + "/" + key);
}

Result<engine::Heartbeat> heartbeat_from(const json& value, const std::string& path) {
  if (!value.is_object()) {
    return fail(ErrorCode::invalid_argument, "expected {\"service\", \"instance\", \"version\", …}", path);
  }
  for (const auto& [key, unused] : value.items()) {
    constexpr std::string_view kKnown[] = {"service", "instance", "version", "incarnation", "sequence"};
    if (std::ranges::find(kKnown, key) == std::end(kKnown)) {
      return fail(ErrorCode::invalid_argument, "unknown key; known: service, instance, version, incarnation, sequence",
                  path + "/" + key);
    }
  }
  engine::Heartbeat heartbeat;
  auto service = visible_text(value, path, "service", true);
  if (!service) return std::unexpected(service.error());
  if (!is_service_name(*service)) {
    return fail(ErrorCode::invalid_argument, "expected 1 to 63 of a-z, 0-9 and -", path + "/service");
  }
  auto instance = visible_text(value, path, "instance", true);
  if (!instance) return std::unexpected(instance.error());
  auto version = visible_text(value, path, "version", true);
  if (!version) return std::unexpected(version.error());
  auto incarnation = visible_text(value, path, "incarnation", false);
  if (!incarnation) return std::unexpected(incarnation.error());
  if (const auto sequence = value.find("sequence"); sequence != value.end()) {
    const bool fits = sequence->is_number_unsigned() && *sequence <= std::numeric_limits<std::int64_t>::max();
    if (!fits)
      return fail(ErrorCode::invalid_argument, "expected a whole number that is not negative", path + "/sequence");
    heartbeat.sequence = sequence->get<std::int64_t>();
  }
  heartbeat.service = ServiceName(std::move(*service));
  heartbeat.instance = InstanceId(std::move(*instance));
  heartbeat.version = std::move(*version);
  heartbeat.incarnation = std::move(*incarnation);
  return heartbeat;
}

// The parts of a heartbeat that have been read, a bit each.
enum Part : unsigned { kService = 1, kInstance = 2, kVersion = 4, kIncarnation = 8, kSequence = 16 };

bool plain_text(const dom::element& value, bool required, std::string& out) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return false;
  if (text.size() > kMaxText || (required && text.empty()) || !is_visible(text)) return false;
  out.assign(text);
  return true;
}

bool plain_sequence(const dom::element& value, std::optional<std::int64_t>& out) {
  std::int64_t number = 0;
  if (value.get_int64().get(number) != simdjson::SUCCESS || number < 0) return false;
  out = number;
  return true;
}

bool plain_heartbeat(const dom::element& value, engine::Heartbeat& out) {
  dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return false;
  std::string service;
  std::string instance;
  unsigned seen = 0;
  for (const auto& [key, part] : object) {
    const auto take = [&](Part which, bool good) {
      const bool again = (seen & which) != 0;
      seen |= which;
      return good && !again;
    };
    bool good = false;
    if (key == "service") good = take(kService, plain_text(part, true, service));
    if (key == "instance") good = take(kInstance, plain_text(part, true, instance));
    if (key == "version") good = take(kVersion, plain_text(part, true, out.version));
    if (key == "incarnation") good = take(kIncarnation, plain_text(part, false, out.incarnation));
    if (key == "sequence") good = take(kSequence, plain_sequence(part, out.sequence));
    if (!good) return false;
  }
  constexpr unsigned kNeeded = kService | kInstance | kVersion;
  if ((seen & kNeeded) != kNeeded || !is_service_name(service)) return false;
  out.service = ServiceName(std::move(service));
  out.instance = InstanceId(std::move(instance));
  return true;
}

}  // namespace

Result<Heartbeats> read_heartbeats(const json& body) {
  Heartbeats out{.items = {}, .batch = body.is_array()};
  const auto count = out.batch ? body.size() : 1;
  out.items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto heartbeat = heartbeat_from(out.batch ? body[i] : body, out.batch ? fmt::format("/{}", i) : "");
    if (!heartbeat) return std::unexpected(std::move(heartbeat.error()));
    out.items.push_back(std::move(*heartbeat));
  }
  return out;
}

std::optional<Heartbeats> read_plain_heartbeats(std::string_view body) {
  // What it has allocated serves the next request too.
  thread_local dom::parser parser;
  if (parser.capacity() > kKeptCapacity && body.size() <= kKeptCapacity) parser = dom::parser();
  dom::element root;
  if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  Heartbeats out{.items = {}, .batch = root.is_array()};
  if (!out.batch) {
    if (!plain_heartbeat(root, out.items.emplace_back())) return std::nullopt;
    return out;
  }
  const dom::array all = root.get_array().value_unsafe();
  out.items.reserve(all.size());
  for (const auto one : all) {
    if (!plain_heartbeat(one, out.items.emplace_back())) return std::nullopt;
  }
  return out;
}

}  // namespace diastole::http
