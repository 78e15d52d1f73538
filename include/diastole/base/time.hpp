// Time is data: a function that needs the time takes it. Wall time is shown to people, monotonic time decides.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "diastole/base/result.hpp"

namespace diastole {

using Milliseconds = std::chrono::milliseconds;
using WallTime = std::chrono::sys_time<Milliseconds>;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Milliseconds>;

struct Now {
  WallTime wall;
  MonoTime mono;
};

// RFC 3339 in UTC with milliseconds: 2026-11-22T13:19:39.250Z
[[nodiscard]] std::string to_rfc3339(WallTime time);
[[nodiscard]] Result<WallTime> parse_rfc3339(std::string_view text);

// "250ms", "10s", "10m", "24h", "7d", sums of those ("1h30m"), or ISO 8601 ("PT10M"). Never negative.
[[nodiscard]] Result<Milliseconds> parse_duration(std::string_view text);
// The shortest form parse_duration reads back: 90'000 ms is "1m30s".
[[nodiscard]] std::string format_duration(Milliseconds duration);

}  // namespace diastole
