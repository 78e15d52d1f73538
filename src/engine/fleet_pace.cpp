#include "fleet_pace.hpp"

#include <algorithm>

namespace diastole::engine {
namespace {

constexpr std::int64_t kIntervals = 4;  // one may be lost, one late by the spread, and there is one to spare
constexpr Milliseconds kLastSeen{60'000};
constexpr std::int64_t kLastSeenRate = 1'000;

Milliseconds spread_over(std::int64_t members, std::int64_t rate) {
  return Milliseconds{members * 1'000 / rate};
}

}  // namespace

FleetPace::FleetPace(Milliseconds heartbeat, Milliseconds suspect_after, std::int64_t max_rate)
    : heartbeat_(heartbeat),
      configured_(suspect_after),
      max_rate_(std::max<std::int64_t>(1, max_rate)),
      suspect_after_(suspect_after.count()) {}

Milliseconds FleetPace::interval(std::int64_t members) const {
  return std::max(heartbeat_, spread_over(members, max_rate_));
}

Milliseconds FleetPace::last_seen_every(std::int64_t members) {
  return std::max(kLastSeen, spread_over(members, kLastSeenRate));
}

// Only what grows the interval grows the suspect time: a configured pair is taken as it is.
Milliseconds FleetPace::wanted(std::int64_t members) const {
  const auto asked = interval(members);
  return asked > heartbeat_ ? std::max(configured_, kIntervals * asked) : configured_;
}

void FleetPace::grow(std::int64_t members) {
  const auto now_wanted = wanted(members);
  if (now_wanted <= suspect_after()) return;
  const std::scoped_lock lock(mutex_);
  if (now_wanted > suspect_after()) suspect_after_ = now_wanted.count();
}

void FleetPace::settle(std::int64_t members, MonoTime now) {
  const std::scoped_lock lock(mutex_);
  const auto now_wanted = wanted(members);
  if (now_wanted >= suspect_after()) {
    suspect_after_ = now_wanted.count();
    lower_since_.reset();
    return;
  }
  if (!lower_since_) {
    lower_since_ = now;
    highest_ = now_wanted;
  }
  highest_ = std::max(highest_, now_wanted);
  if (now - *lower_since_ < suspect_after()) return;
  suspect_after_ = highest_.count();
  lower_since_.reset();
}

}  // namespace diastole::engine
