#include "diastole/core/throttle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<SignalKind, 12> kSignalKinds{{{SignalKind::lock_waits, "lock_waits"},
                                              {SignalKind::probe, "probe"},
                                              {SignalKind::replica_lag, "replica_lag"},
                                              {SignalKind::replica_bytes, "replica_bytes"},
                                              {SignalKind::replica_gone, "replica_gone"},
                                              {SignalKind::wal_archiving, "wal_archiving"},
                                              {SignalKind::vacuum, "vacuum"},
                                              {SignalKind::wraparound_vacuum, "wraparound_vacuum"},
                                              {SignalKind::checkpoints, "checkpoints"},
                                              {SignalKind::disk_free, "disk_free"},
                                              {SignalKind::query, "query"},
                                              {SignalKind::schedule, "schedule"}}};

constexpr double kGrowBelow = 0.6;
constexpr double kGoOnBelow = 0.7;
constexpr double kShrinkFrom = 0.8;
constexpr double kHoldFrom = 1;
constexpr double kGrowth = 0.3;         // of the ceiling, a second, where nothing presses
constexpr double kLeastGrowth = 0.002;  // of the whole, likewise
constexpr double kShrink = 0.5;         // of the ceiling, a second
constexpr double kFirst = 0.1;          // the ceiling after a hold, at most
constexpr double kLeast = 0.02;         // below this a backfill would not come to an end
// A measurement that was long in coming says nothing of the time between.
constexpr Milliseconds kLongest{2'000};

bool can_hold(const Signal& signal) {
  return signal.least == 0;
}

bool holds(const Signal& signal, bool held) {
  return can_hold(signal) && signal.load >= (held ? kGoOnBelow : kHoldFrom);
}

// The less presses, the more; from the band on not at all.
double grown(double ceiling, const std::vector<Signal>& signals, double seconds) {
  double highest = 0;
  for (const auto& signal : signals) highest = std::max(highest, signal.load);
  if (highest >= kGrowBelow) return ceiling;
  return std::min(1.0, ceiling + seconds * (kGrowth * ceiling * (1 - highest / kGrowBelow) + kLeastGrowth));
}

// What a signal leaves of the ceiling and, below it, of the share.
struct Allowance {
  double ceiling = 1;
  double share = 1;
};

Allowance allowance(const Signal& signal, double ceiling, double seconds) {
  const double lowest = std::min(ceiling, std::max(signal.least, kLeast));
  const double allowed = signal.load < kShrinkFrom ? ceiling : std::max(lowest, ceiling * std::pow(kShrink, seconds));
  const double near = std::clamp((kHoldFrom - signal.load) / (kHoldFrom - kGrowBelow), 0.0, 1.0);
  return {.ceiling = allowed, .share = std::max(std::min(lowest, allowed), allowed * near)};
}

// The one that pressed last, as it is now.
std::optional<Signal> refreshed(const std::optional<Signal>& reason, const std::vector<Signal>& signals) {
  if (!reason) return reason;
  const Signal* now = nullptr;
  for (const auto& signal : signals) {
    if (signal.kind == reason->kind && (now == nullptr || signal.load > now->load)) now = &signal;
  }
  return now != nullptr ? *now : reason;
}

std::optional<int> minute_of_day(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  int hour = 0;
  int minute = 0;
  const auto read = [](std::string_view digits, int& value) {
    const auto* const end = std::to_address(digits.end());
    return std::from_chars(std::to_address(digits.begin()), end, value) == std::from_chars_result{end, std::errc{}} &&
           value >= 0;
  };
  if (!read(text.substr(0, 2), hour) || !read(text.substr(3), minute) || hour > 23 || minute > 59) return std::nullopt;
  return hour * 60 + minute;
}

}  // namespace

std::string_view to_string(SignalKind kind) {
  return name_of(kSignalKinds, kind);
}

std::optional<SignalKind> signal_kind_from(std::string_view text) {
  return value_of(kSignalKinds, text);
}

Throttle throttled(const Throttle& before, const std::vector<Signal>& signals, Milliseconds since) {
  const double seconds = std::chrono::duration<double>(std::clamp(since, Milliseconds{0}, kLongest)).count();
  Throttle next{.share = 1, .ceiling = before.ceiling, .reason = std::nullopt, .notes = before.notes};
  const Signal* holder = nullptr;
  for (const auto& signal : signals) {
    if (holds(signal, before.holds()) && (holder == nullptr || signal.load > holder->load)) holder = &signal;
  }
  if (holder != nullptr) {
    next.share = 0;
    if (!before.holds()) next.ceiling = std::clamp(before.ceiling / 2, kLeast, kFirst);
    next.reason = *holder;
    return next;
  }
  if (!before.holds()) next.ceiling = grown(before.ceiling, signals, seconds);
  const double ceiling = next.ceiling;
  next.share = ceiling;
  for (const auto& signal : signals) {
    if (signal.load < kGrowBelow) continue;
    const auto allowed = allowance(signal, ceiling, seconds);
    if (!next.reason || allowed.share < next.share) next.reason = signal;
    next.ceiling = std::min(next.ceiling, allowed.ceiling);
    next.share = std::min(next.share, allowed.share);
  }
  if (next.share == 1) {
    next.reason.reset();
  } else if (!next.reason) {
    next.reason = refreshed(before.reason, signals);
  }
  return next;
}

Milliseconds pause_after(Milliseconds took, double share) {
  return std::chrono::ceil<Milliseconds>(std::chrono::duration<double, std::milli>(took) * (1 - share) / share);
}

bool Hours::contains(WallTime time) const {
  const auto of_day = time - std::chrono::floor<std::chrono::days>(time);
  const auto minute = std::chrono::floor<std::chrono::minutes>(of_day).count();
  return from < to ? from <= minute && minute < to : from <= minute || minute < to;
}

std::string to_string(const Hours& hours) {
  return fmt::format("{:02}:{:02}-{:02}:{:02}", hours.from / 60, hours.from % 60, hours.to / 60, hours.to % 60);
}

Result<Hours> parse_hours(std::string_view text) {
  const auto dash = text.find('-');
  const auto from = minute_of_day(text.substr(0, dash));
  const auto to = dash == std::string_view::npos ? std::nullopt : minute_of_day(text.substr(dash + 1));
  if (!from || !to || from == to) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("expected two different times of the day in UTC, e.g. \"22:00-06:00\", found '{}'", text));
  }
  return Hours{.from = *from, .to = *to};
}

}  // namespace diastole::core
