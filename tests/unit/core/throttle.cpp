// The throttle step by step; throttle_simulation.cpp has its course.
#include "diastole/core/throttle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diastole::core {
namespace {

using ::testing::HasSubstr;

constexpr Milliseconds kSecond{1'000};

std::vector<Signal> signals(double load, SignalKind kind = SignalKind::replica_lag) {
  return {{.kind = kind, .load = load, .detail = "as measured"}};
}

Throttle at(double share) {
  return {.share = share, .ceiling = share, .reason = std::nullopt, .notes = {}};
}

TEST(ThrottleTest, BeginsWithoutRestraint) {
  EXPECT_EQ(throttled({}, {}, kSecond), Throttle{});
  EXPECT_EQ(throttled({}, signals(0.59), kSecond), Throttle{});
}

TEST(ThrottleTest, HoldsFromTheLimitOnAndBeginsAgainGently) {
  auto throttle = throttled({}, signals(1), kSecond);
  EXPECT_TRUE(throttle.holds());
  EXPECT_EQ(throttle.reason, signals(1).front());
  throttle = throttled(throttle, signals(0.7), kSecond);
  EXPECT_TRUE(throttle.holds()) << "not before it has fallen clearly below the limit";
  EXPECT_EQ(throttle.reason->load, 0.7) << "as it is now";
  throttle = throttled(throttle, signals(0.5), kSecond);
  EXPECT_DOUBLE_EQ(throttle.share, 0.1);
  throttle = throttled(throttle, signals(0.5), kSecond);
  EXPECT_GT(throttle.share, 0.1);
  EXPECT_EQ(throttle.reason, signals(0.5).front()) << "what it recovers from";
  for (int i = 0; i < 10; ++i) throttle = throttled(throttle, signals(0), kSecond);
  EXPECT_DOUBLE_EQ(throttle.share, 1);
  EXPECT_FALSE(throttle.reason);
}

TEST(ThrottleTest, ShrinksByHalfASecondFromFourFifthsOn) {
  EXPECT_DOUBLE_EQ(throttled(at(0.8), signals(0.8), kSecond).ceiling, 0.4);
  EXPECT_NEAR(throttled(at(0.8), signals(0.8), kSecond / 2).ceiling, 0.5657, 1e-4);
  EXPECT_DOUBLE_EQ(throttled(at(0.8), signals(0.79), kSecond).ceiling, 0.8);
  EXPECT_DOUBLE_EQ(throttled(at(0.8), signals(0.6), kSecond).ceiling, 0.8) << "nor does it grow there";
}

TEST(ThrottleTest, GrowsTheMoreTheLessPresses) {
  EXPECT_NEAR(throttled(at(0.4), {}, kSecond).share, 0.522, 1e-9);
  EXPECT_NEAR(throttled(at(0.4), signals(0.3), kSecond).share, 0.462, 1e-9);
  EXPECT_NEAR(throttled(at(0.4), signals(0.599), kSecond).share, 0.402, 1e-3);
}

TEST(ThrottleTest, AHoldBeginsLowerWhereTheCeilingWasLow) {
  EXPECT_DOUBLE_EQ(throttled(at(0.06), signals(1), kSecond).ceiling, 0.03);
  EXPECT_DOUBLE_EQ(throttled(at(0.02), signals(1), kSecond).ceiling, 0.02);
}

TEST(ThrottleTest, FallsInProportionTowardsTheLimit) {
  EXPECT_DOUBLE_EQ(throttled(at(0.8), signals(0.6), kSecond).share, 0.8);
  EXPECT_NEAR(throttled(at(0.8), signals(0.7), kSecond).share, 0.6, 1e-9);
  EXPECT_DOUBLE_EQ(throttled(at(0.02), signals(0.99), kSecond).share, 0.02) << "it always comes to an end";
}

TEST(ThrottleTest, AnySignalWins) {
  std::vector<Signal> several{{SignalKind::probe, 0.2, "", 0},
                              {SignalKind::replica_lag, 1.4, "worst", 0},
                              {SignalKind::lock_waits, 1.1, "", 0}};
  EXPECT_EQ(throttled({}, several, kSecond).reason->detail, "worst");
  several[1].load = 0.1;
  EXPECT_EQ(throttled({}, several, kSecond).reason->kind, SignalKind::lock_waits);
  several[2].load = 0.75;
  EXPECT_EQ(throttled({}, several, kSecond).reason->kind, SignalKind::lock_waits);
  several[2].load = 0.3;
  EXPECT_EQ(throttled({}, several, kSecond), Throttle{});
}

TEST(ThrottleTest, ASignalWithALeastNeverHolds) {
  const std::vector<Signal> vacuum{{SignalKind::vacuum, 5, "", 0.5}};
  auto throttle = Throttle{};
  for (int i = 0; i < 60; ++i) {
    throttle = throttled(throttle, vacuum, kSecond);
    EXPECT_DOUBLE_EQ(throttle.share, 0.5);
  }
  EXPECT_DOUBLE_EQ(throttled(at(0.2), vacuum, kSecond).share, 0.2) << "and raises nothing";
  auto both = vacuum;
  both.push_back({SignalKind::replica_lag, 0.95, "", 0});
  EXPECT_LT(throttled({}, both, kSecond).share, 0.2) << "one that stops early does not shield from the others";
  EXPECT_EQ(throttled({}, both, kSecond).reason->kind, SignalKind::replica_lag);
}

TEST(ThrottleTest, ALateMeasurementChangesNoMoreThanTwoSecondsDo) {
  EXPECT_EQ(throttled(at(0.1), signals(0), std::chrono::hours{1}), throttled(at(0.1), signals(0), 2 * kSecond));
  EXPECT_DOUBLE_EQ(throttled(at(1), signals(0.8), std::chrono::hours{1}).ceiling, 0.25);
  EXPECT_DOUBLE_EQ(throttled(at(0.5), signals(0), -kSecond).share, 0.5);
}

TEST(ThrottleTest, PausesInProportionToTheBatch) {
  EXPECT_EQ(pause_after(Milliseconds{20}, 1), Milliseconds{0});
  EXPECT_EQ(pause_after(Milliseconds{20}, 0.5), Milliseconds{20});
  EXPECT_EQ(pause_after(Milliseconds{20}, 0.1), Milliseconds{180});
}

TEST(SignalKindTest, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(SignalKind::schedule); ++i) {
    const auto kind = static_cast<SignalKind>(i);
    EXPECT_EQ(signal_kind_from(to_string(kind)), kind);
  }
  EXPECT_FALSE(signal_kind_from("invalid"));
}

WallTime on_a_day(int hour, int minute) {
  return std::chrono::sys_days{std::chrono::year{2026} / 11 / 25} + std::chrono::hours{hour} +
         std::chrono::minutes{minute} + Milliseconds{59'999};
}

TEST(HoursTest, MayCrossMidnight) {
  const auto night = parse_hours("22:00-06:00");
  ASSERT_TRUE(night);
  EXPECT_FALSE(night->contains(on_a_day(21, 59)));
  EXPECT_TRUE(night->contains(on_a_day(22, 0)));
  EXPECT_TRUE(night->contains(on_a_day(0, 0)));
  EXPECT_TRUE(night->contains(on_a_day(5, 59)));
  EXPECT_FALSE(night->contains(on_a_day(6, 0)));
  const auto day = parse_hours("09:30-17:05");
  ASSERT_TRUE(day);
  EXPECT_FALSE(day->contains(on_a_day(9, 29)));
  EXPECT_TRUE(day->contains(on_a_day(9, 30)));
  EXPECT_TRUE(day->contains(on_a_day(17, 4)));
  EXPECT_FALSE(day->contains(on_a_day(17, 5)));
  EXPECT_EQ(to_string(*day), "09:30-17:05");
}

TEST(HoursTest, RefusesWhatIsNoWindow) {
  for (const char* text : {"", "22:00", "22:00-22:00", "24:00-06:00", "22:60-06:00", "2:00-6:00", "22:00-06:0a",
                           "22:00 - 06:00", "-1:00-06:00", "22:00-06:00Z"}) {
    const auto hours = parse_hours(text);
    ASSERT_FALSE(hours) << text;
    EXPECT_THAT(hours.error().message, HasSubstr("22:00-06:00")) << text;
  }
}

}  // namespace
}  // namespace diastole::core
