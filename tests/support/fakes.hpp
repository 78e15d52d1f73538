// Doubles of the small ports: time that a test moves, a lease it gives and takes, a fleet store that goes away.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "diastole/ports/clock.hpp"
#include "diastole/ports/fleet_store.hpp"
#include "diastole/ports/lease.hpp"
#include "diastole/ports/log.hpp"

namespace diastole::test {

// How long a test waits for what must happen, on a machine that does other things too. Never waited for in a good run.
inline constexpr std::chrono::seconds kPatience{60};

class ManualClock : public ports::Clock {
 public:
  [[nodiscard]] Now now() const override {
    const Milliseconds passed{passed_.load()};
    return {WallTime{Milliseconds{1'700'000'000'000}} + passed, MonoTime{Milliseconds{1'000'000}} + passed};
  }
  void advance(Milliseconds time) { passed_ += time.count(); }

 private:
  std::atomic<std::int64_t> passed_ = 0;
};

// Another clock's time, and a moment in which a test interferes.
class HookedClock : public ports::Clock {
 public:
  explicit HookedClock(const ports::Clock& clock) : clock_(clock) {}
  [[nodiscard]] Now now() const override {
    if (on_now) on_now();
    return clock_.now();
  }
  std::function<void()> on_now;  // set before other threads read the clock

 private:
  const ports::Clock& clock_;
};

class FakeLease : public ports::Lease {
 public:
  [[nodiscard]] Epoch epoch() const override {
    const std::scoped_lock lock(mutex_);
    ++asked_;
    changed_.notify_all();
    return epoch_;
  }
  void set(Epoch epoch) {
    const std::scoped_lock lock(mutex_);
    epoch_ = epoch;
  }
  // How often it was asked for: the engine's loop does so once a round.
  [[nodiscard]] int asked() const {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }
  [[nodiscard]] bool await_asked(int times) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return asked_ >= times; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int asked_ = 0;
  Epoch epoch_{1};
};

class CollectingLog : public ports::Log {
 public:
  void write(ports::LogLevel, std::string_view message, std::initializer_list<ports::LogField> fields) override {
    std::string line(message);
    for (const auto& field : fields) line += " " + std::string(field.key) + "=" + field.value;
    const std::scoped_lock lock(mutex_);
    lines_ += line + "\n";
  }
  // For the message of a test that fails.
  [[nodiscard]] std::string lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::string lines_;
};

class FakeFleetStore : public ports::FleetStore {
 public:
  using Key = std::tuple<ServiceName, InstanceId, std::string, core::Source>;
  static Key key_of(const ports::InstanceRecord& record) {
    return {record.service, record.instance, record.incarnation, record.source};
  }

  Result<void> flush(std::span<const ports::InstanceRecord> records, bool complete) override {
    const std::scoped_lock lock(mutex_);
    if (away_) return fail(ErrorCode::unavailable, "the state database is away");
    last_.assign(records.begin(), records.end());
    ++flushes_;
    complete_ += complete ? 1 : 0;
    for (const auto& record : records) {
      if (record.gone) {
        kept_.erase(key_of(record));
        if (!record.gone_reason.empty()) departures_.push_back(record);
      } else {
        kept_[key_of(record)] = record;
      }
    }
    return {};
  }
  // The record is as old as the test says.
  Result<ports::FleetRecord> load() override {
    const std::scoped_lock lock(mutex_);
    if (away_) return fail(ErrorCode::unavailable, "the state database is away");
    ports::FleetRecord out{.members = {}, .age = age_};
    for (const auto& [key, record] : kept_) out.members.push_back(record);
    return out;
  }

  void set_age(std::optional<Milliseconds> age) {
    const std::scoped_lock lock(mutex_);
    age_ = age;
  }
  [[nodiscard]] std::vector<ports::InstanceRecord> departures() const {
    const std::scoped_lock lock(mutex_);
    return departures_;
  }
  // Flushes that said that the record is complete.
  [[nodiscard]] int complete() const {
    const std::scoped_lock lock(mutex_);
    return complete_;
  }

  void set_away(bool away) {
    const std::scoped_lock lock(mutex_);
    away_ = away;
  }
  [[nodiscard]] std::map<Key, ports::InstanceRecord> kept() const {
    const std::scoped_lock lock(mutex_);
    return kept_;
  }
  [[nodiscard]] std::vector<ports::InstanceRecord> last() const {
    const std::scoped_lock lock(mutex_);
    return last_;
  }
  [[nodiscard]] int flushes() const {
    const std::scoped_lock lock(mutex_);
    return flushes_;
  }

 private:
  mutable std::mutex mutex_;
  bool away_ = false;
  int flushes_ = 0;
  int complete_ = 0;
  std::optional<Milliseconds> age_;
  std::vector<ports::InstanceRecord> departures_;
  std::map<Key, ports::InstanceRecord> kept_;
  std::vector<ports::InstanceRecord> last_;
};

}  // namespace diastole::test
