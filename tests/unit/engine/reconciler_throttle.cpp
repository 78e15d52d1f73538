// A backfill that its throttle slows, holds and lets go on.
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ThrottleTest : public ReconcilerTest {
 protected:
  ThrottleTest() { settings_.look_every = Milliseconds{1}; }

  static core::Pressure waiting(Milliseconds time) {
    core::Pressure pressure;
    pressure.lock_wait = {.application = "api", .pid = 7, .time = time};
    return pressure;
  }
  // Two looks begun from now on have ended.
  void look() { ASSERT_TRUE(target_.await_call("pressure copy", target_.calls("pressure copy") + 3)); }
  // Up to its first look, by which it holds.
  void reach_hold(const core::Plan& plan = plan_without_soak()) {
    start();
    submit(plan);
    await(core::Stage::backfilling);
    pass(40 * kSecond);
    ASSERT_TRUE(target_.await_call("pressure copy", 2));
    EXPECT_EQ(target_.calls("batch copy"), 0);
  }
  [[nodiscard]] core::Throttle throttle() const { return state().step(copy_).progress.throttle; }
  void await_told_hold() {
    clock_.advance(kSecond);
    await("the hold to be told", [this](const auto& state) { return state.step(copy_).progress.throttle.holds(); });
  }
};

TEST_F(ThrottleTest, HoldsAndSaysWhyAndGoesOn) {
  target_.set_pressure(waiting(2 * settings_.throttle.lock_wait));
  reach_hold();
  await_told_hold();
  EXPECT_EQ(throttle().reason->kind, core::SignalKind::lock_waits);
  EXPECT_THAT(throttle().reason->detail, HasSubstr("session 7 (api) has waited 500ms"));
  EXPECT_EQ(target_.calls("batch copy"), 0);
  EXPECT_THAT(log_.lines(), HasSubstr("a backfill holds"));
  target_.set_pressure({});
  look();
  // Ten seconds to full speed; before, a batch's pause is as long as it took, which is no time here.
  await(core::Stage::backfilled);
  EXPECT_EQ(state().step(copy_).progress.rows, 2500);
  EXPECT_EQ(throttle(), core::Throttle{}) << "nothing slows what is over";
}

TEST_F(ThrottleTest, AHoldIsToldOnceAndThenEveryTenSeconds) {
  target_.set_pressure(waiting(kSecond));
  reach_hold();
  await_told_hold();
  const auto told = [this] { return events<core::StepProgressed>().size(); };
  EXPECT_EQ(told(), 1U);
  clock_.advance(9 * kSecond);
  look();
  EXPECT_EQ(told(), 1U) << "it may hold for hours";
  clock_.advance(kSecond);
  look();
  EXPECT_EQ(told(), 2U);
  core::Pressure other;
  other.hold_while = true;
  target_.set_pressure(other);
  look();
  EXPECT_EQ(told(), 2U) << "at most one a second";
  clock_.advance(kSecond);
  look();
  EXPECT_EQ(told(), 3U) << "for another reason";
  EXPECT_EQ(throttle().reason->kind, core::SignalKind::query);
}

TEST_F(ThrottleTest, APauseEndsAHoldAtOnce) {
  target_.set_pressure(waiting(kSecond));
  reach_hold();
  ask(core::Pause{"bob"});
  await("the copy to rest",
        [this](const auto& state) { return state.step(copy_).status == core::StepStatus::pending; });
  EXPECT_EQ(events<core::StepInterrupted>().back().why, "paused");
  const int looks = target_.calls("pressure copy");
  round();
  EXPECT_EQ(target_.calls("pressure copy"), looks) << "nobody looks any more";
  target_.set_pressure({});
  ask(core::Resume{"bob"});
  await(core::Stage::backfilled);
}

TEST_F(ThrottleTest, ALowShareRestsBetweenTheBatches) {
  core::Pressure pressure;
  pressure.hold_while = true;
  target_.set_pressure(pressure);
  target_.set_table(1'500);
  // Each batch takes a second of the clock.
  target_.on_call = [this](const std::string& call, const ports::WorkId*) {
    if (call == "batch copy") clock_.advance(kSecond);
  };
  reach_hold();
  pressure.hold_while = false;
  target_.set_pressure(pressure);
  ASSERT_TRUE(target_.await_call("batch copy"));
  look();
  EXPECT_THAT(target_.calls("batch copy"), 1) << "at a tenth or two it rests for several seconds, and none have passed";
  clock_.advance(10 * kSecond);
  ASSERT_TRUE(target_.await_call("batch copy", 2));
  clock_.advance(10 * kSecond);
  await(core::Stage::backfilled);
}

TEST_F(ThrottleTest, WhatCannotBeSeenStopsNothingAndIsSaid) {
  target_.fail_next("pressure copy", ErrorCode::unavailable, 50'000);
  target_.hold("batch copy");
  start();
  submit();
  await(core::Stage::backfilling);
  pass(40 * kSecond);
  ASSERT_TRUE(target_.await_call("batch copy"));
  clock_.advance(2 * kSecond);
  target_.release("batch copy");
  await(core::Stage::backfilled);
  const auto told = events<core::StepProgressed>().front().progress.throttle;
  EXPECT_DOUBLE_EQ(told.share, 1);
  EXPECT_THAT(told.notes, ElementsAre(HasSubstr("cannot be seen")));
}

TEST_F(ThrottleTest, ALookThatFailsLoosensNothing) {
  target_.set_pressure(waiting(kSecond));
  reach_hold();
  target_.fail_next("pressure copy", ErrorCode::unavailable, 50'000);
  look();
  clock_.advance(10 * kSecond);
  look();
  EXPECT_EQ(target_.calls("batch copy"), 0);
  target_.heal("pressure copy");
  target_.set_pressure({});
  await(core::Stage::backfilled);
}

TEST_F(ThrottleTest, WaitsForItsHours) {
  auto plan = plan_without_soak();
  const auto wall = clock_.now().wall;
  const auto minute = [&](Milliseconds after) {
    const auto at = wall + after;
    return static_cast<int>(
        std::chrono::floor<std::chrono::minutes>(at - std::chrono::floor<std::chrono::days>(at)).count());
  };
  plan.steps[test::kCopy].backfill->needs.clear();
  plan.steps[test::kCopy].backfill->hours =
      core::Hours{.from = minute(std::chrono::hours{2}), .to = minute(std::chrono::hours{3})};
  reach_hold(plan);
  await_told_hold();
  EXPECT_EQ(throttle().reason->kind, core::SignalKind::schedule);
  clock_.advance(std::chrono::hours{2});
  await(core::Stage::backfilled);
}

TEST_F(ThrottleTest, WhatIsUnreadableIsLoggedOnce) {
  core::Pressure pressure;
  pressure.unreadable = {"WAL archiving: permission denied"};
  pressure.hold_while = true;
  target_.set_pressure(pressure);
  reach_hold();
  look();
  await_told_hold();
  EXPECT_THAT(throttle().notes, ElementsAre("WAL archiving: permission denied"));
  const auto lines = log_.lines();
  const auto first = lines.find("permission denied");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(lines.find("permission denied", first + 1), std::string::npos);
}

}  // namespace
}  // namespace diastole::engine
