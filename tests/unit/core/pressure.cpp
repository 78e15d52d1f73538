// Measurements into signals.
#include "diastole/core/pressure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diastole::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Milliseconds kSecond{1'000};
constexpr std::int64_t kMiB = 1 << 20;

class PressureTest : public ::testing::Test {
 protected:
  // The signals after `passed` more.
  std::vector<Signal> look(const std::optional<Pressure>& pressure, Milliseconds passed = kSecond) {
    now_.wall += passed;
    now_.mono += passed;
    return reader_.read(pressure, now_);
  }
  static std::optional<Signal> find(const std::vector<Signal>& signals, SignalKind kind) {
    for (const auto& signal : signals) {
      if (signal.kind == kind) return signal;
    }
    return std::nullopt;
  }
  // The load of one kind; -1 where there is no such signal.
  static double load(const std::vector<Signal>& signals, SignalKind kind) {
    const auto signal = find(signals, kind);
    return signal ? signal->load : -1;
  }
  static Pressure with(const Pressure::Standby& standby) {
    Pressure pressure;
    pressure.standbys = {standby};
    return pressure;
  }
  static Pressure without_standbys() {
    Pressure pressure;
    pressure.standbys.emplace();
    return pressure;
  }

  Now now_{WallTime{Milliseconds{1'700'000'000'000}}, MonoTime{Milliseconds{5'000}}};
  ThrottleLimits limits_;
  SignalReader reader_{limits_, std::nullopt};
  Pressure::Standby standby_{
      .id = "a", .name = "standby1", .replayed = 1'000 * kMiB, .behind = 0, .lag = std::nullopt, .slot = ""};
};

TEST_F(PressureTest, NothingMeasuredIsNoSignal) {
  EXPECT_THAT(look(Pressure{}), IsEmpty());
  EXPECT_THAT(look(std::nullopt), IsEmpty());
}

TEST_F(PressureTest, AStandbyIsMeasuredInTimeAndBytes) {
  standby_.behind = 128 * kMiB;
  standby_.lag = Milliseconds{12'345};
  const auto signals = look(with(standby_));
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::replica_bytes), 0.5);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::replica_lag), 1.2345);
  EXPECT_EQ(find(signals, SignalKind::replica_lag)->detail, "standby1 replays 12s behind (limit 10s)");
  EXPECT_EQ(find(signals, SignalKind::replica_bytes)->detail, "standby1 is 128 MiB behind (limit 256 MiB)");
}

TEST_F(PressureTest, TheLagOfAStandbyThatHasCaughtUpIsOver) {
  standby_.lag = Milliseconds{9'000};
  standby_.behind = 100;
  EXPECT_EQ(load(look(with(standby_)), SignalKind::replica_lag), 0);
}

// The server goes on reporting the lag of what was replayed last.
TEST_F(PressureTest, AStandbyThatStallsLagsByTheClock) {
  standby_.behind = 2 * kMiB;
  standby_.lag = Milliseconds{5};
  (void)look(with(standby_));
  auto signals = look(with(standby_), 6 * kSecond);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::replica_lag), 0.6);
  EXPECT_THAT(find(signals, SignalKind::replica_lag)->detail, HasSubstr("standby1 has replayed nothing for 6s"));
  standby_.replayed += kMiB;
  signals = look(with(standby_));
  EXPECT_LT(load(signals, SignalKind::replica_lag), 0.3) << "it moves again";
}

// What the server reports is the age of what is replayed now, which was written before the queue grew.
TEST_F(PressureTest, ASlowStandbyLagsByWhatItHasStillToReplay) {
  standby_.behind = 100 * kMiB;
  standby_.lag = Milliseconds{1'500};
  (void)look(with(standby_));
  standby_.replayed += 10 * kMiB;
  standby_.behind = 120 * kMiB;
  auto signals = look(with(standby_));
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::replica_lag), 1.2);
  EXPECT_EQ(find(signals, SignalKind::replica_lag)->detail,
            "standby1 needs 12s to replay the 120 MiB that it is behind (limit 10s)");
  standby_.replayed += 120 * kMiB;
  standby_.behind = 0;
  EXPECT_EQ(load(look(with(standby_)), SignalKind::replica_lag), 0);
  standby_.replayed += kMiB;
  standby_.behind = 10 * kMiB;
  EXPECT_LT(load(look(with(standby_)), SignalKind::replica_lag), 0.3) << "a rate of when it had nothing to do is none";
}

TEST_F(PressureTest, AnIgnoredStandbyDoesNotCount) {
  limits_.ignored_standbys = "delayed standby1";
  SignalReader reader(limits_, std::nullopt);
  standby_.behind = 9'000 * kMiB;
  EXPECT_THAT(reader.read(with(standby_), now_), IsEmpty());
  now_.mono += kSecond;
  EXPECT_THAT(reader.read(without_standbys(), now_), IsEmpty()) << "nor is it missed";
  standby_.name = "standby";
  EXPECT_THAT(reader.read(with(standby_), now_), SizeIs(2)) << "only whole names";
}

TEST_F(PressureTest, AnIdleStandbyDoesNotStall) {
  (void)look(with(standby_));
  EXPECT_EQ(load(look(with(standby_), 3'600 * kSecond), SignalKind::replica_lag), 0);
}

TEST_F(PressureTest, AStandbyThatLeavesIsWaitedForButNotForEver) {
  (void)look(with(standby_));
  auto signals = look(without_standbys());
  EXPECT_EQ(load(signals, SignalKind::replica_gone), 1);
  EXPECT_EQ(find(signals, SignalKind::replica_gone)->detail, "standby1 is gone; it is waited for, 4m59s more at most");
  EXPECT_EQ(load(look(with(standby_)), SignalKind::replica_gone), -1) << "it is back";
  EXPECT_EQ(load(look(without_standbys(), limits_.replica_gone - kSecond), SignalKind::replica_gone), 1);
  EXPECT_EQ(load(look(without_standbys()), SignalKind::replica_gone), -1);
}

TEST_F(PressureTest, ASlotKeepsTheHoldUntilItIsReadOrDropped) {
  standby_.slot = "s1";
  auto empty_slot = standby_;
  empty_slot.name = "s1";
  empty_slot.connected = false;
  empty_slot.behind = 64 * kMiB;
  EXPECT_THAT(look(with(empty_slot)), IsEmpty()) << "nobody has read it since the backfill began";
  (void)look(with(standby_));
  const auto signals = look(with(empty_slot), 24 * 3'600 * kSecond);
  EXPECT_EQ(load(signals, SignalKind::replica_gone), 1);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::replica_bytes), 0.25);
  EXPECT_EQ(find(signals, SignalKind::replica_gone)->detail,
            "standby1 is gone, and its slot s1 keeps 64 MiB for it: bring it back or drop the slot");
  EXPECT_THAT(look(without_standbys()), IsEmpty()) << "the slot was dropped";
}

TEST_F(PressureTest, StandbysThatCannotBeReadAreNotGone) {
  (void)look(with(standby_));
  EXPECT_THAT(look(Pressure{}), IsEmpty());
  EXPECT_EQ(load(look(without_standbys()), SignalKind::replica_gone), 1);
}

TEST_F(PressureTest, WhatCannotBeSeenAtAllIsAsItWas) {
  standby_.lag = Milliseconds{15'000};
  standby_.behind = 200 * kMiB;
  const auto signals = look(with(standby_));
  EXPECT_EQ(look(std::nullopt), signals);
}

TEST_F(PressureTest, TheProbeIsJudgedByTheMedianOfFive) {
  Pressure pressure;
  for (const int time : {5'000, 20}) {
    pressure.probe = Milliseconds{time};
    EXPECT_EQ(load(look(pressure), SignalKind::probe), -1) << "two say nothing yet";
  }
  EXPECT_DOUBLE_EQ(load(look(pressure), SignalKind::probe), 0.2);
  pressure.probe = Milliseconds{120};
  EXPECT_DOUBLE_EQ(load(look(pressure), SignalKind::probe), 1.2) << "5000 20 20 120, the upper of the middle two";
  (void)look(pressure);
  (void)look(pressure);
  const auto signals = look(pressure);
  EXPECT_EQ(find(signals, SignalKind::probe)->detail, "the probe takes 120ms (median of 5, limit 100ms)");
  pressure.probe = Milliseconds{20};
  EXPECT_DOUBLE_EQ(load(look(pressure), SignalKind::probe), 1.2) << "one fast answer does not matter either";
}

TEST_F(PressureTest, ALockWaitNamesWhoWaits) {
  Pressure pressure;
  pressure.lock_wait = {.application = "api", .pid = 4711, .time = Milliseconds{500}};
  const auto signals = look(pressure);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::lock_waits), 2);
  EXPECT_EQ(signals.front().detail, "session 4711 (api) has waited 500ms for a batch (limit 250ms)");
}

TEST_F(PressureTest, VacuumsSlowAndThoseAgainstWraparoundHold) {
  Pressure pressure;
  pressure.vacuums = {{.relation = "users", .wraparound = false}};
  auto throttle = throttled({}, look(pressure), kSecond);
  EXPECT_DOUBLE_EQ(throttle.share, 0.5);
  pressure.vacuums.front().wraparound = true;
  throttle = throttled(throttle, look(pressure), kSecond);
  EXPECT_TRUE(throttle.holds());
  EXPECT_EQ(throttle.reason->kind, SignalKind::wraparound_vacuum);
}

TEST_F(PressureTest, CheckpointsCloseTogetherSlowUntilTheyAreApart) {
  Pressure pressure;
  const auto count = [&](std::int64_t forced, Milliseconds passed) {
    pressure.forced_checkpoints = forced;
    return load(look(pressure, passed), SignalKind::checkpoints);
  };
  EXPECT_EQ(count(70, kSecond), -1);
  EXPECT_EQ(count(71, kSecond), -1) << "how long after the one before is not known";
  EXPECT_DOUBLE_EQ(count(72, 8 * kSecond), 1.25);
  EXPECT_FALSE(throttled({}, look(pressure, Milliseconds{0}), kSecond).holds());
  EXPECT_DOUBLE_EQ(throttled({}, look(pressure, Milliseconds{0}), kSecond).share, 0.25);
  EXPECT_DOUBLE_EQ(count(72, 20 * kSecond), 0.5) << "none since";
  EXPECT_DOUBLE_EQ(count(76, 20 * kSecond), 1) << "four in forty seconds";
  EXPECT_EQ(count(3, kSecond), -1) << "the statistics were reset";
}

TEST_F(PressureTest, ArchiveDiskAndTheUsersQuery) {
  Pressure pressure;
  pressure.unarchived = 2'048 * kMiB;
  pressure.disk_free = 4'096 * kMiB;
  pressure.hold_while = false;
  auto signals = look(pressure);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::wal_archiving), 2);
  EXPECT_DOUBLE_EQ(load(signals, SignalKind::disk_free), 0.5);
  EXPECT_EQ(load(signals, SignalKind::query), 0);
  pressure.hold_while = true;
  pressure.disk_free = 0;
  signals = look(pressure);
  EXPECT_EQ(load(signals, SignalKind::query), 1);
  EXPECT_GT(load(signals, SignalKind::disk_free), 1);
}

TEST_F(PressureTest, AHoldWhileWithoutAnAnswerHolds) {
  Pressure pressure;
  pressure.hold_while_error = "relation \"flags\" does not exist";
  const auto signals = look(pressure);
  EXPECT_EQ(load(signals, SignalKind::query), 1);
  EXPECT_THAT(signals.front().detail, HasSubstr("flags"));
}

TEST_F(PressureTest, ZeroSwitchesASignalOff) {
  SignalReader off({.lock_wait = {},
                    .probe = {},
                    .replica_lag = {},
                    .replica_bytes = 0,
                    .replica_gone = {},
                    .unarchived = 0,
                    .vacuum = false,
                    .checkpoint_gap = {},
                    .disk_free = 0},
                   std::nullopt);
  Pressure pressure = with(standby_);
  pressure.lock_wait = Pressure::LockWait{.application = "", .pid = 1, .time = 9 * kSecond};
  pressure.vacuums = {{.relation = "users", .wraparound = true}};
  pressure.unarchived = pressure.disk_free = 1;
  for (int i = 0; i < 5; ++i) {
    pressure.probe = 9 * kSecond;
    pressure.forced_checkpoints = i;
    now_.mono += kSecond;
    EXPECT_THAT(off.read(pressure, now_), IsEmpty());
  }
  now_.mono += kSecond;
  EXPECT_THAT(off.read(without_standbys(), now_), IsEmpty());
}

TEST_F(PressureTest, OutsideItsHoursABackfillHolds) {
  SignalReader nightly(limits_, parse_hours("22:00-06:00").value());
  now_.wall = std::chrono::floor<std::chrono::days>(now_.wall) + std::chrono::hours{12};
  auto signals = nightly.read(std::nullopt, now_);
  EXPECT_EQ(load(signals, SignalKind::schedule), 1);
  EXPECT_EQ(signals.front().detail, "outside 22:00-06:00 UTC");
  now_.wall += std::chrono::hours{10};
  signals = nightly.read(std::nullopt, now_);
  EXPECT_THAT(signals, SizeIs(1));
  EXPECT_EQ(load(signals, SignalKind::schedule), 0) << "whatever else can be seen";
}

TEST_F(PressureTest, NotesTellOfOldSnapshotsAndOfWhatIsUnreadable) {
  Pressure pressure;
  pressure.unreadable = {"WAL archiving: permission denied"};
  pressure.oldest_snapshot = {.who = "session 12 (psql)", .age = Milliseconds{59'999}};
  EXPECT_THAT(notes_of(pressure), ::testing::ElementsAre("WAL archiving: permission denied"));
  pressure.oldest_snapshot->age = Milliseconds{90'500};
  EXPECT_THAT(notes_of(pressure), SizeIs(2));
  EXPECT_THAT(notes_of(pressure).back(), HasSubstr("session 12 (psql) has kept a snapshot for 1m30s"));
}

}  // namespace
}  // namespace diastole::core
