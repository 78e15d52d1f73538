// How much of the time a backfill may use, decided from what it does to the database: any signal wins.
//
//   load of the worst signal   0 ──────── 0.6 ──── 0.7 ──── 0.8 ──── 1 ────▶
//   while it works             grow        stay ──────────── shrink   hold
//   while it holds             begin again, gently │ hold ──────────────────
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"

namespace diastole::core {

enum class SignalKind {
  lock_waits,
  probe,
  replica_lag,
  replica_bytes,
  replica_gone,
  wal_archiving,
  vacuum,
  wraparound_vacuum,
  checkpoints,
  disk_free,
  query,
  schedule,
};
[[nodiscard]] std::string_view to_string(SignalKind kind);
[[nodiscard]] std::optional<SignalKind> signal_kind_from(std::string_view text);

struct Signal {
  SignalKind kind = SignalKind::lock_waits;
  double load = 0;     // what was measured over its limit: 1 is too much
  std::string detail;  // "standby1 replays 12s behind (limit 10s)"
  double least = 0;    // the share below which it does not push; 0: it can make the backfill hold

  friend bool operator==(const Signal&, const Signal&) = default;
};

struct Throttle {
  double share = 1;                // of the time that batches may take: 1 is back to back, 0 a hold
  double ceiling = 1;              // what share comes back to when no signal presses
  std::optional<Signal> reason;    // for a share under 1: what pressed last
  std::vector<std::string> notes;  // what could not be measured, and what else makes the backfill dear

  [[nodiscard]] bool holds() const { return share == 0; }
  friend bool operator==(const Throttle&, const Throttle&) = default;
};

// The throttle after `signals`, `since` after the one before; keeps before's notes. The ceiling grows and shrinks by a
// part of itself, with a band between in which it stays; below the ceiling the share falls in proportion as a load
// comes near 1. Simulated against standbys: without the proportional part, or with a growth by fixed steps, which are
// larger than all that a slow standby allows, backfill and standby swing between full speed and a hold.
[[nodiscard]] Throttle throttled(const Throttle& before, const std::vector<Signal>& signals, Milliseconds since);

// How long to rest after a batch that took so long. Only for a share over 0.
[[nodiscard]] Milliseconds pause_after(Milliseconds took, double share);

// A daily window, in minutes of the day in UTC: from <= t < to, over midnight where from > to.
struct Hours {
  int from = 0;
  int to = 0;

  [[nodiscard]] bool contains(WallTime time) const;
  friend bool operator==(const Hours&, const Hours&) = default;
};
// "22:00-06:00"
[[nodiscard]] std::string to_string(const Hours& hours);
[[nodiscard]] Result<Hours> parse_hours(std::string_view text);

}  // namespace diastole::core
