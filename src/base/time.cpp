#include "diastole/base/time.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace diastole {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 5> kUnits{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::int64_t kLongest = std::int64_t{3650} * 86'400'000;

std::unexpected<Error> bad_duration(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("'{}' is not a duration; write 250ms, 10s, 10m, 24h, 7d, 1h30m or PT10M", text));
}

// Reads digits at the front of text and removes them.
std::optional<std::int64_t> take_number(std::string_view& text) {
  if (text.starts_with('-')) return std::nullopt;  // from_chars would take -0
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::int64_t> add(std::int64_t total, std::int64_t count, std::int64_t unit) {
  if (count > kLongest / unit || total + count * unit > kLongest) return std::nullopt;
  return total + count * unit;
}

Result<Milliseconds> parse_iso(std::string_view text) {
  std::string_view rest = text.substr(1);
  bool time_part = false;
  std::optional<std::int64_t> total = 0;
  std::int64_t previous = std::numeric_limits<std::int64_t>::max();
  do {
    if (rest.starts_with('T') && !time_part) {
      time_part = true;
      rest.remove_prefix(1);
    }
    const auto count = take_number(rest);
    if (!count || rest.empty()) return bad_duration(text);
    std::int64_t unit = 0;
    switch (rest.front()) {
      case 'W': unit = time_part ? 0 : 7 * 86'400'000; break;
      case 'D': unit = time_part ? 0 : 86'400'000; break;
      case 'H': unit = time_part ? 3'600'000 : 0; break;
      case 'M': unit = time_part ? 60'000 : 0; break;
      case 'S': unit = time_part ? 1'000 : 0; break;
      default: break;
    }
    if (unit == 0 || unit >= previous) return bad_duration(text);
    previous = unit;
    rest.remove_prefix(1);
    total = add(*total, *count, unit);
    if (!total) return bad_duration(text);
  } while (!rest.empty());
  return Milliseconds{*total};
}

}  // namespace

std::string to_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a time like 2026-11-22T13:19:39.250Z", text));
  };
  const auto field = [&](std::size_t at, std::size_t length) -> std::optional<int> {
    if (at + length > text.size()) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(at, length)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    return value;
  };
  if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':') {
    return bad();
  }
  const auto year = field(0, 4), month = field(5, 2), day = field(8, 2);
  const auto hour = field(11, 2), minute = field(14, 2), second = field(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return bad();
  int ms = 0;
  if (text.size() > 20) {
    const auto fraction = text.substr(20, text.size() - 21);
    if (text[19] != '.' || fraction.empty() || fraction.size() > 9) return bad();
    int scale = 100;
    for (const char c : fraction) {
      if (c < '0' || c > '9') return bad();
      ms += (c - '0') * scale;
      scale /= 10;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return bad();
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
         std::chrono::seconds{*second} + Milliseconds{ms};
}

Result<Milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return bad_duration(text);
  if (text.front() == 'P') return parse_iso(text);
  std::string_view rest = text;
  std::optional<std::int64_t> total = 0;
  std::int64_t previous = std::numeric_limits<std::int64_t>::max();
  while (!rest.empty()) {
    const auto count = take_number(rest);
    if (!count) return bad_duration(text);
    const auto end = rest.find_first_of("0123456789");
    const auto name = rest.substr(0, end);
    std::int64_t unit = 0;
    for (const auto& candidate : kUnits) {
      if (candidate.name == name) unit = candidate.ms;
    }
    if (unit == 0 || unit >= previous) return bad_duration(text);
    previous = unit;
    total = add(*total, *count, unit);
    if (!total) return bad_duration(text);
    rest.remove_prefix(name.size());
  }
  return Milliseconds{*total};
}

std::string format_duration(Milliseconds duration) {
  if (duration.count() <= 0) return "0s";
  std::string out;
  std::int64_t rest = duration.count();
  for (const auto& unit : kUnits) {
    if (const auto count = rest / unit.ms; count > 0) {
      out += fmt::format("{}{}", count, unit.name);
      rest %= unit.ms;
    }
  }
  return out;
}

}  // namespace diastole
