// What a target's statistics say of the load on it, and what that means against the limits of the configuration.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/throttle.hpp"

namespace diastole::core {

// 0 (or false) switches a signal off.
struct ThrottleLimits {
  Milliseconds lock_wait{250};
  Milliseconds probe{100};
  Milliseconds replica_lag{10'000};
  std::int64_t replica_bytes = std::int64_t{256} << 20;
  Milliseconds replica_gone{300'000};  // how long a standby that has left is waited for, where no slot waits for it
  std::string ignored_standbys = {};   // their names, separated by spaces
  std::int64_t unarchived = std::int64_t{1} << 30;
  bool vacuum = true;
  Milliseconds checkpoint_gap{10'000};
  std::int64_t disk_free = std::int64_t{2} << 30;
};

// Raw measurements; empty where one was not asked for or could not be made.
struct Pressure {
  struct LockWait {
    std::string application;
    std::int64_t pid = 0;
    Milliseconds time{};
  };
  struct Standby {
    std::string id;  // the same over a reconnection
    std::string name;
    std::int64_t replayed = 0;        // its place in the log, in bytes from the beginning
    std::int64_t behind = 0;          // in bytes
    std::optional<Milliseconds> lag;  // as the server has it: none when idle, and the last one while it stalls
    std::string slot;                 // a physical slot that keeps the log for it, if one does
    bool connected = true;            // false: only the slot is there
  };
  struct Vacuum {
    std::string relation;
    bool wraparound = false;
  };
  struct Snapshot {
    std::string who;
    Milliseconds age{};
  };

  std::optional<LockWait> lock_wait;  // the longest wait for a session of this backfill
  std::optional<std::vector<Standby>> standbys;
  std::vector<Vacuum> vacuums;  // at work on the backfill's relations
  std::optional<Snapshot> oldest_snapshot;
  std::optional<std::int64_t> unarchived;          // bytes
  std::optional<std::int64_t> forced_checkpoints;  // so far
  std::optional<std::int64_t> disk_free;           // bytes
  std::optional<Milliseconds> probe;
  std::optional<bool> hold_while;
  std::string hold_while_error;         // why there is no answer
  std::vector<std::string> unreadable;  // what could not be measured, and why
};

// Turns measurements into signals; remembers what one measurement alone does not say. One for each run of a backfill.
class SignalReader {
 public:
  SignalReader(const ThrottleLimits& limits, std::optional<Hours> hours) : limits_(limits), hours_(hours) {}

  // None: nothing could be measured, so that everything counts as it was, but for the hour.
  [[nodiscard]] std::vector<Signal> read(const std::optional<Pressure>& pressure, Now now);

 private:
  struct Seen {
    Pressure::Standby standby;
    MonoTime moved;  // its replay, or it had nothing to replay
    MonoTime at;
    std::optional<double> replay = {};  // bytes a second, while it had some
  };
  struct Checkpoints {
    std::int64_t count = 0;
    std::optional<MonoTime> last;
    std::optional<Milliseconds> gap;  // between the last two
  };

  void read_standbys(const std::vector<Pressure::Standby>& standbys, MonoTime now);
  [[nodiscard]] bool ignores(const std::string& name) const;
  void read_standby(const Pressure::Standby& standby, MonoTime now);
  void read_lag(const Seen& seen, MonoTime now);
  void read_gone(MonoTime now);
  void read_probe(Milliseconds time);
  void read_checkpoints(std::int64_t forced, MonoTime now);
  void read_others(const Pressure& pressure);
  void add(SignalKind kind, double load, std::string detail, double least = 0);

  const ThrottleLimits limits_;
  const std::optional<Hours> hours_;
  std::vector<Signal> signals_;
  std::map<std::string, Seen> standbys_;
  std::deque<Milliseconds> probes_;
  std::optional<Checkpoints> checkpoints_;
};

// What makes a backfill dear without being a reason to slow it, and what could not be measured.
[[nodiscard]] std::vector<std::string> notes_of(const Pressure& pressure);

}  // namespace diastole::core
