// The throttle's course against what answers late, is slow, jumps, and makes noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <ostream>
#include <random>
#include <vector>

#include "diastole/core/pressure.hpp"
#include "diastole/core/throttle.hpp"

namespace diastole::core {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

constexpr Milliseconds kSecond{1'000};
constexpr double kMiB = 1 << 20;

std::vector<Signal> signals(double load) {
  return {{.kind = SignalKind::probe, .load = load, .detail = "", .least = 0}};
}

// A standby whose replay has a rate of its own, fed by a backfill that writes at another where nothing holds it back;
// in MiB a second. It is looked at once a second, as the server would show it.
struct Standby {
  double write = 90;
  double replay = 30;
  ThrottleLimits limits = {};
  double noise = 0;  // of both rates, from second to second

  struct Course {
    double worst_at_first = 0;  // load, in the first minute
    double worst = 0;           // from then on
    int holds = 0;
    double throughput = 0;  // of the lower of both rates
    double swing = 0;       // standard deviation of the share, in the last half
  };
  [[nodiscard]] Course run(int seconds) const;
};

void PrintTo(const Standby& standby, std::ostream* out) {
  *out << "writes " << standby.write << ", replays " << standby.replay << ", noise " << standby.noise;
}

class Queue {
 public:
  // A fraction of a second.
  void pass(double seconds, double write, double replay) {
    now_ += seconds;
    written_ += write * seconds;
    pieces_.push_back({now_, written_});
    replayed_ = std::min(written_, replayed_ + replay * seconds);
    while (!pieces_.empty() && pieces_.front().end <= replayed_ + 1e-9) {
      lag_ = now_ - pieces_.front().at;
      pieces_.pop_front();
    }
  }
  [[nodiscard]] Pressure shown() const {
    Pressure pressure;
    const auto bytes = [](double mib) { return static_cast<std::int64_t>(mib * kMiB); };
    pressure.standbys = {{.id = "a",
                          .name = "standby1",
                          .replayed = bytes(replayed_),
                          .behind = bytes(written_ - replayed_),
                          .lag = Milliseconds{static_cast<std::int64_t>(lag_ * 1'000)},
                          .slot = "",
                          .connected = true}};
    return pressure;
  }
  [[nodiscard]] double written() const { return written_; }

 private:
  struct Piece {
    double at;
    double end;
  };
  double now_ = 0;
  double written_ = 0;
  double replayed_ = 0;
  double lag_ = 0;
  std::deque<Piece> pieces_;
};

Standby::Course Standby::run(int seconds) const {
  constexpr int kTicks = 50;  // a second
  std::mt19937 random(42);    // NOLINT: the same course each time
  std::uniform_real_distribution<double> noisy(1 - noise, 1 + noise);
  Course course;
  Throttle throttle;
  Queue queue;
  SignalReader reader(limits, std::nullopt);
  Now now{};
  std::vector<double> shares;
  for (int second = 0; second < seconds; ++second) {
    const double writes = write * noisy(random) * throttle.share;
    const double replays = replay * noisy(random);
    for (int tick = 0; tick < kTicks; ++tick) queue.pass(1.0 / kTicks, writes, replays);
    now.mono += kSecond;
    const auto signals = reader.read(queue.shown(), now);
    const bool held = throttle.holds();
    throttle = throttled(throttle, signals, kSecond);
    course.holds += throttle.holds() && !held ? 1 : 0;
    for (const auto& signal : signals) {
      auto& worst = second < 60 ? course.worst_at_first : course.worst;
      worst = std::max(worst, signal.load);
    }
    if (second >= seconds / 2) shares.push_back(throttle.share);
  }
  course.throughput = queue.written() / (std::min(write, replay) * seconds);
  const double mean = std::accumulate(shares.begin(), shares.end(), 0.0) / static_cast<double>(shares.size());
  double squares = 0;
  for (const double share : shares) squares += (share - mean) * (share - mean);
  course.swing = std::sqrt(squares / static_cast<double>(shares.size()));
  return course;
}

ThrottleLimits limits(Milliseconds lag, double mib) {
  ThrottleLimits limits;
  limits.replica_lag = lag;
  limits.replica_bytes = static_cast<std::int64_t>(mib * kMiB);
  return limits;
}

TEST(ThrottleSimulation, AStandbyAtAThirdOfTheRateSettlesWithoutAHold) {
  const auto course = Standby{}.run(300);
  EXPECT_EQ(course.holds, 0);
  EXPECT_LT(course.worst_at_first, 1);
  EXPECT_LT(course.worst, 0.9);
  EXPECT_GE(course.throughput, 0.98);
  EXPECT_LT(course.swing, 0.01) << "no oscillation";
}

TEST(ThrottleSimulation, AStandbyThatKeepsUpCostsNothing) {
  const auto course = Standby{.write = 40, .replay = 60}.run(300);
  EXPECT_EQ(course.holds, 0);
  EXPECT_NEAR(course.throughput, 1, 1e-6);
}

class ThrottleOnStandby : public ::testing::TestWithParam<Standby> {};

TEST_P(ThrottleOnStandby, StaysBoundedAndBusy) {
  const auto course = GetParam().run(600);
  // Nothing is known of it when the backfill begins, at full speed.
  EXPECT_LT(course.worst_at_first, 2.2);
  EXPECT_LT(course.worst, 1);
  EXPECT_LE(course.holds, 2);
  EXPECT_THAT(course.throughput, AllOf(Ge(0.95), Le(1.05)));
  EXPECT_LT(course.swing, 0.1);
}

INSTANTIATE_TEST_SUITE_P(Plants, ThrottleOnStandby,
                         ::testing::Values(Standby{.noise = 0.2}, Standby{.write = 40, .noise = 0.1},
                                           Standby{.write = 90, .replay = 10, .noise = 0.1},
                                           Standby{.write = 300, .limits = limits(10 * kSecond, 1'024)},
                                           Standby{.write = 300, .replay = 100, .noise = 0.1},
                                           Standby{.limits = limits(2 * kSecond, 256)},
                                           Standby{.limits = limits(Milliseconds{0}, 256), .noise = 0.2},
                                           Standby{.limits = limits(10 * kSecond, 0), .noise = 0.2}));

TEST(ThrottleSimulation, NoiseBelowTheLimitHoldsNothing) {
  std::mt19937 random(7);  // NOLINT: the same course each time
  std::uniform_real_distribution<double> load(0.0, 0.95);
  Throttle throttle;
  double used = 0;
  for (int second = 0; second < 1'000; ++second) {
    throttle = throttled(throttle, signals(load(random)), kSecond);
    ASSERT_FALSE(throttle.holds());
    used += throttle.share;
  }
  EXPECT_GT(used, 100) << "and it goes on";
}

TEST(ThrottleSimulation, ARareSpikeCostsSecondsOnly) {
  Throttle throttle;
  int holds = 0;
  double used = 0;
  for (int second = 0; second < 600; ++second) {
    throttle = throttled(throttle, signals(second % 60 == 0 ? 3 : 0.1), kSecond);
    holds += throttle.holds() ? 1 : 0;
    used += throttle.share;
  }
  EXPECT_EQ(holds, 10) << "each for one look";
  EXPECT_GT(used, 600 * 0.85);
}

TEST(ThrottleSimulation, AStepUpHoldsOnceAndAStepDownRecoversInTenSeconds) {
  Throttle throttle;
  int changes = 0;
  const auto look = [&](double load) {
    const bool held = throttle.holds();
    throttle = throttled(throttle, signals(load), kSecond);
    changes += held != throttle.holds() ? 1 : 0;
  };
  for (int i = 0; i < 100; ++i) look(0.1);
  for (int i = 0; i < 100; ++i) look(1.5);
  EXPECT_EQ(changes, 1);
  for (int i = 0; i < 10; ++i) look(0);
  EXPECT_EQ(changes, 2);
  EXPECT_DOUBLE_EQ(throttle.share, 1);
}

TEST(ThrottleSimulation, ALoadThatHoversAtTheLimitDoesNotFlap) {
  Throttle throttle;
  int changes = 0;
  for (int i = 0; i < 600; ++i) {
    const bool held = throttle.holds();
    throttle = throttled(throttle, signals(i % 2 == 0 ? 1.05 : 0.8), kSecond);
    changes += held != throttle.holds() ? 1 : 0;
  }
  EXPECT_EQ(changes, 1);
}

}  // namespace
}  // namespace diastole::core
