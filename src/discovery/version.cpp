#include "version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace diastole::discovery {
namespace {

constexpr std::size_t kLongest = 128;  // as of a heartbeat's

bool is_version(std::string_view text) {
  return !text.empty() && text.size() <= kLongest &&
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

}  // namespace

Result<std::string> version_in(std::string_view body, const std::string& pointer) {
  using nlohmann::json;
  const json document = json::parse(body, nullptr, false);
  if (document.is_discarded()) return fail(ErrorCode::unavailable, "it answers no JSON");
  const json::json_pointer place(pointer);
  if (!document.contains(place)) return fail(ErrorCode::unavailable, fmt::format("its answer has no {}", pointer));
  const json& found = document.at(place);
  if (found.is_number_integer()) return found.dump();
  if (!found.is_string()) {
    return fail(ErrorCode::unavailable, fmt::format("{} is of the kind {}, not a text", pointer, found.type_name()));
  }
  auto text = found.get<std::string>();
  if (!is_version(text)) {
    return fail(ErrorCode::unavailable,
                fmt::format("{} is no text of 1 to {} bytes without spaces", pointer, kLongest));
  }
  return text;
}

}  // namespace diastole::discovery
