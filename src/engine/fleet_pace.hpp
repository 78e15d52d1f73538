// How often instances are asked to report, and so how long silence may be: both grow with the fleet.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "diastole/base/time.hpp"

namespace diastole::engine {

// Thread-safe.
class FleetPace {
 public:
  // `max_rate` in heartbeats a second.
  FleetPace(Milliseconds heartbeat, Milliseconds suspect_after, std::int64_t max_rate);

  // What a reply asks for in a fleet of so many members, before it is spread.
  [[nodiscard]] Milliseconds interval(std::int64_t members) const;
  // At least four of the longest intervals that anybody may still be keeping to.
  [[nodiscard]] Milliseconds suspect_after() const {
    return Milliseconds{suspect_after_.load(std::memory_order_relaxed)};
  }
  // How often a live member's last-seen is worth a write: in all at most 1,000 of them a second.
  [[nodiscard]] static Milliseconds last_seen_every(std::int64_t members);

  // The fleet has grown: to be called before anybody is told the longer interval.
  void grow(std::int64_t members);
  // To be called now and then, with the present number: the suspect time falls only when everybody who was told a
  // longer interval has had one suspect time to report.
  void settle(std::int64_t members, MonoTime now);

 private:
  [[nodiscard]] Milliseconds wanted(std::int64_t members) const;

  const Milliseconds heartbeat_;
  const Milliseconds configured_;
  const std::int64_t max_rate_;
  std::atomic<std::int64_t> suspect_after_;
  std::mutex mutex_;  // over changes of suspect_after_, and of what follows
  std::optional<MonoTime> lower_since_;
  Milliseconds highest_{};  // wanted since then
};

}  // namespace diastole::engine
