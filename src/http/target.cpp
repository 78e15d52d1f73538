#include "target.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>

namespace diastole::http {
namespace {

// How many bytes the UTF-8 sequence at the front has; 0 where there is none (RFC 3629: no overlong form, no surrogate).
std::size_t utf8_length(std::string_view text) {
  const auto at = [text](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto tail = [&at](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const std::uint8_t first = at(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return tail(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && at(1) < 0xA0;
    const bool surrogate = first == 0xED && at(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && at(1) < 0x90;
    const bool beyond = first == 0xF4 && at(1) > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    std::uint8_t byte = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
      return fail(ErrorCode::invalid_argument, "the target holds a % that two hexadecimal digits do not follow");
    }
    if (byte == 0) {
      return fail(ErrorCode::invalid_argument, "the target holds an encoded NUL");
    }
    decoded += static_cast<char>(byte);
    i += 2;
  }
  if (!valid_utf8(decoded)) {
    return fail(ErrorCode::invalid_argument, "the target is not UTF-8 once decoded");
  }
  return decoded;
}

// Cuts up to the separator off the front.
std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

Result<void> parse_query(std::string_view rest, std::map<std::string, std::string>& query) {
  while (!rest.empty()) {
    std::string_view pair = take_until(rest, '&');
    if (pair.empty()) {
      continue;
    }
    auto key = percent_decode(take_until(pair, '='));
    if (!key) {
      return std::unexpected(key.error());
    }
    auto value = percent_decode(pair);
    if (!value) {
      return std::unexpected(value.error());
    }
    if (!query.emplace(*key, std::move(*value)).second) {
      return fail(ErrorCode::invalid_argument, fmt::format("the query names {} more than once", *key));
    }
  }
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
  if (!target.starts_with('/')) {
    return fail(ErrorCode::invalid_argument, "the target must be a path that starts with /");
  }
  if (target.contains('#')) {
    return fail(ErrorCode::invalid_argument, "the target holds a fragment");
  }
  Target result;
  result.path.reserve(4);
  std::string_view query = target;
  std::string_view path = take_until(query, '?');
  for (bool more = path.size() > 1; more;) {
    path.remove_prefix(1);
    const std::size_t end = path.find('/');
    auto segment = percent_decode(path.substr(0, end));
    if (!segment) {
      return std::unexpected(segment.error());
    }
    result.path.push_back(std::move(*segment));
    more = end != std::string_view::npos;
    path.remove_prefix(more ? end : path.size());
  }
  if (auto parsed = parse_query(query, result.query); !parsed) {
    return std::unexpected(parsed.error());
  }
  return result;
}

}  // namespace diastole::http
