#include "diastole/core/pressure.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace diastole::core {
namespace {

constexpr std::size_t kProbes = 5;  // one slow answer among them is an accident, three are not
constexpr Milliseconds kOldSnapshot{60'000};
// Bytes behind that say nothing: where log is written and read differ by a little even when all is at rest.
constexpr std::int64_t kCaughtUp = 64 * 1024;
// What slows and never holds: the share it leaves.
constexpr double kBesideVacuum = 0.5;
constexpr double kBesideCheckpoints = 0.25;
constexpr double kSlowing = 0.9;  // a load that shrinks the share

template <typename T>
double ratio(T measured, T limit) {
  return static_cast<double>(measured) / static_cast<double>(limit);
}
double ratio(Milliseconds measured, Milliseconds limit) {
  return ratio(measured.count(), limit.count());
}

std::string size_text(std::int64_t bytes) {
  constexpr double kMiB = 1 << 20;
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / kMiB);
}

// "12s", "1m20s"; below a second in milliseconds.
std::string time_text(Milliseconds time) {
  return format_duration(time < Milliseconds{1'000} ? time : std::chrono::floor<std::chrono::seconds>(time));
}

double smoothed(std::optional<double> before, double now) {
  constexpr double kWeight = 0.3;
  return before ? *before + kWeight * (now - *before) : now;
}

Milliseconds median(std::deque<Milliseconds> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

}  // namespace

std::vector<Signal> SignalReader::read(const std::optional<Pressure>& pressure, Now now) {
  std::erase_if(signals_,
                [&](const Signal& signal) { return pressure.has_value() || signal.kind == SignalKind::schedule; });
  if (hours_)
    add(SignalKind::schedule, hours_->contains(now.wall) ? 0 : 1, fmt::format("outside {} UTC", to_string(*hours_)));
  if (!pressure) return signals_;
  if (pressure->standbys) read_standbys(*pressure->standbys, now.mono);
  if (pressure->probe && limits_.probe.count() > 0) read_probe(*pressure->probe);
  if (pressure->forced_checkpoints && limits_.checkpoint_gap.count() > 0)
    read_checkpoints(*pressure->forced_checkpoints, now.mono);
  read_others(*pressure);
  return signals_;
}

bool SignalReader::ignores(const std::string& name) const {
  return (" " + limits_.ignored_standbys + " ").contains(" " + name + " ");
}

void SignalReader::read_standbys(const std::vector<Pressure::Standby>& standbys, MonoTime now) {
  for (const auto& standby : standbys) {
    // A slot that nobody has read since this backfill began is somebody else's affair.
    if (!standby.connected && !standbys_.contains(standby.id)) continue;
    if (!ignores(standby.name)) read_standby(standby, now);
  }
  read_gone(now);
}

void SignalReader::read_standby(const Pressure::Standby& standby, MonoTime now) {
  auto [found, is_new] = standbys_.try_emplace(standby.id, Seen{.standby = standby, .moved = now, .at = now});
  auto& seen = found->second;
  const auto replayed = standby.replayed - seen.standby.replayed;
  const double seconds = std::chrono::duration<double>(now - seen.at).count();
  if (seen.standby.behind >= kCaughtUp && replayed > 0 && seconds > 0)
    seen.replay = smoothed(seen.replay, static_cast<double>(replayed) / seconds);
  if (standby.behind < kCaughtUp || replayed != 0) seen.moved = now;
  seen.at = now;
  // A slot does not know what it was called.
  const auto name = standby.connected ? standby.name : seen.standby.name;
  seen.standby = standby;
  seen.standby.name = name;
  if (limits_.replica_bytes > 0)
    add(SignalKind::replica_bytes, ratio(standby.behind, limits_.replica_bytes),
        fmt::format("{} is {} behind (limit {})", name, size_text(standby.behind), size_text(limits_.replica_bytes)));
  if (!standby.connected) {
    if (limits_.replica_gone.count() > 0)
      add(SignalKind::replica_gone, 1,
          fmt::format("{} is gone, and its slot {} keeps {} for it: bring it back or drop the slot", name, standby.slot,
                      size_text(standby.behind)));
    return;
  }
  if (limits_.replica_lag.count() > 0) read_lag(seen, now);
}

// The server's own figure tells of what was written long ago where a standby is slow, does not move while one stalls,
// and goes on for a while after it has caught up. So what counts besides is how long it has not moved, and how long it
// would need, at the rate of its replay, for what is written now.
void SignalReader::read_lag(const Seen& seen, MonoTime now) {
  const auto& standby = seen.standby;
  const Milliseconds stalled = now - seen.moved;
  Milliseconds reported{0};
  Milliseconds needed{0};
  if (standby.behind >= kCaughtUp) {
    reported = standby.lag.value_or(reported);
    constexpr double kLongest = 1e9;  // what fits, and is more than any limit
    if (seen.replay)
      needed = Milliseconds{
          static_cast<std::int64_t>(std::min(kLongest, static_cast<double>(standby.behind) / *seen.replay * 1'000.0))};
  }
  const auto lag = std::max({reported, needed, stalled});
  const auto limit = time_text(limits_.replica_lag);
  std::string detail;
  if (lag == reported)
    detail = fmt::format("{} replays {} behind (limit {})", standby.name, time_text(lag), limit);
  else if (lag == stalled)
    detail = fmt::format("{} has replayed nothing for {} and is {} behind (limit {})", standby.name, time_text(lag),
                         size_text(standby.behind), limit);
  else
    detail = fmt::format("{} needs {} to replay the {} that it is behind (limit {})", standby.name, time_text(lag),
                         size_text(standby.behind), limit);
  add(SignalKind::replica_lag, ratio(lag, limits_.replica_lag), std::move(detail));
}

// Those of which not even a slot is left: waited for, in case it is a restart, but not for ever.
void SignalReader::read_gone(MonoTime now) {
  std::erase_if(standbys_, [&](const auto& entry) {
    const auto& seen = entry.second;
    const Milliseconds away = now - seen.at;
    if (away.count() == 0) return false;
    if (away >= limits_.replica_gone || !seen.standby.connected) return true;
    add(SignalKind::replica_gone, 1,
        fmt::format("{} is gone; it is waited for, {} more at most", seen.standby.name,
                    time_text(limits_.replica_gone - away)));
    return false;
  });
}

void SignalReader::read_probe(Milliseconds time) {
  probes_.push_back(time);
  if (probes_.size() > kProbes) probes_.pop_front();
  if (probes_.size() < kProbes / 2 + 1) return;
  const auto middle = median(probes_);
  add(SignalKind::probe, ratio(middle, limits_.probe),
      fmt::format("the probe takes {} (median of {}, limit {})", time_text(middle), probes_.size(),
                  time_text(limits_.probe)));
}

// The gap between the last two, or since the last one where that is longer already.
void SignalReader::read_checkpoints(std::int64_t forced, MonoTime now) {
  auto& seen = checkpoints_;
  if (!seen || forced < seen->count) seen = Checkpoints{.count = forced, .last = std::nullopt, .gap = std::nullopt};
  if (forced > seen->count) {
    if (seen->last) seen->gap = Milliseconds{now - *seen->last} / (forced - seen->count);
    seen->last = now;
    seen->count = forced;
  }
  if (!seen->gap) return;
  const auto gap = std::max({*seen->gap, Milliseconds{now - *seen->last}, Milliseconds{1}});
  add(SignalKind::checkpoints, ratio(limits_.checkpoint_gap, gap),
      fmt::format("checkpoints are forced every {} (limit {}); a larger max_wal_size spaces them", time_text(gap),
                  time_text(limits_.checkpoint_gap)),
      kBesideCheckpoints);
}

void SignalReader::read_others(const Pressure& pressure) {
  if (const auto& wait = pressure.lock_wait; wait && limits_.lock_wait.count() > 0)
    add(SignalKind::lock_waits, ratio(wait->time, limits_.lock_wait),
        fmt::format("session {}{} has waited {} for a batch (limit {})", wait->pid,
                    wait->application.empty() ? "" : fmt::format(" ({})", wait->application), time_text(wait->time),
                    time_text(limits_.lock_wait)));
  if (pressure.unarchived && limits_.unarchived > 0)
    add(SignalKind::wal_archiving, ratio(*pressure.unarchived, limits_.unarchived),
        fmt::format("{} of WAL wait to be archived (limit {})", size_text(*pressure.unarchived),
                    size_text(limits_.unarchived)));
  for (const auto& vacuum : pressure.vacuums) {
    if (!limits_.vacuum) break;
    if (vacuum.wraparound)
      add(SignalKind::wraparound_vacuum, 1,
          fmt::format("a vacuum of {} to prevent wraparound is under way, which batches would draw out",
                      vacuum.relation));
    else
      add(SignalKind::vacuum, kSlowing, fmt::format("a vacuum of {} is under way", vacuum.relation), kBesideVacuum);
  }
  if (pressure.disk_free && limits_.disk_free > 0)
    add(SignalKind::disk_free, ratio(limits_.disk_free, std::max(*pressure.disk_free, std::int64_t{1})),
        fmt::format("{} are free on the database's disk (limit {})", size_text(*pressure.disk_free),
                    size_text(limits_.disk_free)));
  if (!pressure.hold_while_error.empty())
    add(SignalKind::query, 1, "hold_while gives no answer: " + pressure.hold_while_error);
  else if (pressure.hold_while)
    add(SignalKind::query, *pressure.hold_while ? 1 : 0, "the plan's hold_while says so");
}

void SignalReader::add(SignalKind kind, double load, std::string detail, double least) {
  signals_.push_back({.kind = kind, .load = load, .detail = std::move(detail), .least = least});
}

std::vector<std::string> notes_of(const Pressure& pressure) {
  auto notes = pressure.unreadable;
  if (const auto& oldest = pressure.oldest_snapshot; oldest && oldest->age >= kOldSnapshot)
    notes.push_back(
        fmt::format("{} has kept a snapshot for {}: until it ends, no page can be pruned and used again, so "
                    "the table and its indexes grow",
                    oldest->who, time_text(oldest->age)));
  return notes;
}

}  // namespace diastole::core
