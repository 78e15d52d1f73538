// The engine around a ghost database. Every call on the target is checked for its intent.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "diastole/core/command.hpp"
#include "diastole/engine/reconciler.hpp"
#include "support/fake_plan_store.hpp"
#include "support/fake_target.hpp"
#include "support/sample_plan.hpp"

namespace diastole::engine {

class ReconcilerTest : public ::testing::Test {
 protected:
  static constexpr Milliseconds kSecond{1'000};
  const PlanId plan_{"main.rename"};
  const StepId column_{"column"};
  const StepId copy_{"copy"};

  void SetUp() override {
    settings_.lock_retry_max = Milliseconds{1};
    journal_.on_change([this](const core::PlanState&) {
      if (reconciler_) reconciler_->wake();
    });
    target_.on_call = [this](const std::string& call, const ports::WorkId* work) { check_intent(call, work); };
  }
  void TearDown() override {
    stop();
    EXPECT_THAT(unintended_, testing::IsEmpty()) << log_.lines();
  }

  void start() {
    reconciler_ = std::make_unique<Reconciler>(journal_, fleet_, targets_, lease_, clock_, log_, settings_);
    reconciler_->start();
  }
  void stop(Milliseconds grace = Milliseconds{0}) {
    if (!reconciler_) return;
    reconciler_->stop(grace);
    reconciler_.reset();
  }
  static core::Plan plan_without_soak() {
    auto plan = test::sample_plan();
    plan.gate.soak = Milliseconds{0};
    return plan;
  }
  void submit(const core::Plan& plan = plan_without_soak()) {
    const auto submitted = journal_.submit(plan, "ann");
    ASSERT_TRUE(submitted) << submitted.error().message;
  }
  void ask(const core::Command& command) {
    const auto done =
        journal_.transact(plan_, [&](const core::PlanState& state) { return core::command(state, command); });
    ASSERT_TRUE(done) << done.error().message;
  }
  // As if a process that has ended had recorded it.
  void record(const PlanId& plan, const core::Event& event) {
    ASSERT_TRUE(journal_.transact(
        plan, [&](const core::PlanState&) -> Result<std::vector<core::Event>> { return std::vector{event}; }));
  }

  [[nodiscard]] core::PlanState state() const { return store_.stored(plan_); }
  void await(const std::string& what, const std::function<bool(const core::PlanState&)>& condition) {
    if (store_.await(plan_, condition)) return;
    std::string waiting;
    for (const auto& reason : state().waiting) waiting += " [" + reason.message + "]";
    GTEST_FAIL() << "waited for " << what << "; it is " << to_string(state().stage) << ", "
                 << to_string(state().condition) << waiting << "\n"
                 << log_.lines();
  }
  void await(core::Stage stage) {
    await(std::string(to_string(stage)), [=](const core::PlanState& state) { return state.stage == stage; });
  }
  void await_failed() {
    await("failed", [](const core::PlanState& state) { return state.condition == core::Condition::failed; });
  }
  static bool names(const std::vector<core::Reason>& reasons, core::ReasonKind kind) {
    return std::ranges::find(reasons, kind, &core::Reason::kind) != reasons.end();
  }
  static bool waits_for(const core::PlanState& state, core::ReasonKind kind) { return names(state.waiting, kind); }
  void await_waiting(core::ReasonKind kind) {
    await(std::string(to_string(kind)), [=](const core::PlanState& state) { return waits_for(state, kind); });
  }
  // The loop has come round at least once, from beginning to end, since the call.
  void round() {
    for (int i = 0; i < 2; ++i) {
      const int asked = lease_.asked();
      reconciler_->wake();
      ASSERT_TRUE(lease_.await_asked(asked + 1));
    }
    // Whoever else asked for the lease meanwhile had something to do; the loop then has come round for that.
    const int asked = lease_.asked();
    reconciler_->wake();
    ASSERT_TRUE(lease_.await_asked(asked + 1));
  }
  void report(const std::string& version, const std::string& instance = "api-1") {
    ASSERT_TRUE(fleet_.report({ServiceName("api"), InstanceId(instance), version, "p1", {}}));
  }
  // Ten seconds, in which the target's sessions are looked at where a gate waits for that: the look is another
  // thread's, and must not fall behind a clock that runs faster than it does.
  template <typename Meanwhile>
  void tick(Meanwhile meanwhile) {
    const int looks = target_.calls("sessions");
    const auto stage = state().stage;
    clock_.advance(10 * kSecond);
    meanwhile();
    round();
    if (stage != core::Stage::backfilled && stage != core::Stage::contracting) return;
    for (int i = 0; i < 100 && target_.calls("sessions") == looks; ++i) std::this_thread::sleep_for(Milliseconds{3});
    round();
  }
  // Time goes by; the instances named go on reporting.
  void pass(Milliseconds time, const std::string& version = "2.0.0") {
    for (Milliseconds passed{0}; passed < time; passed += 10 * kSecond) tick([&] { report(version); });
  }
  void advance(Milliseconds time) {
    clock_.advance(time);
    reconciler_->wake();
  }
  // Up to the backfill's first batch, which is held.
  void reach_first_batch() {
    target_.hold("batch copy");
    start();
    submit();
    await(core::Stage::backfilling);
    pass(40 * kSecond);
    ASSERT_TRUE(target_.await_call("batch copy"));
  }
  // The only worker is held amid the plan's first step, and that of another plan waits for it.
  void reach_step_behind_held_step() {
    settings_.workers = 1;
    target_.hold("do column");
    submit();
    record(plan_, core::PhaseStarted{core::Phase::expand, false});
    auto second = test::sample_plan();
    second.name = "second";
    second.id = PlanId("main.second");
    second.steps.resize(1);
    second.steps.front().id = StepId("other");
    second.steps.front().statements.front().touches = {{.relation = "orders"}};
    ASSERT_TRUE(journal_.submit(second, "ann"));
    record(second.id, core::PhaseStarted{core::Phase::expand, false});
    start();
    ASSERT_TRUE(target_.await_call("do column"));
    ASSERT_TRUE(store_.await(second.id, [](const core::PlanState& state) {
      return state.steps.front().status == core::StepStatus::running;
    }));
  }
  void reach_backfilled(const core::Plan& plan = plan_without_soak()) {
    start();
    submit(plan);
    await(core::Stage::backfilling);
    pass(40 * kSecond);
    await(core::Stage::backfilled);
  }

  template <typename T>
  [[nodiscard]] std::vector<T> events() const {
    return store_.events_of<T>(plan_);
  }

  test::ManualClock clock_;
  // Read by the loop after it has read a plan and before it records its decision.
  test::HookedClock fleet_clock_{clock_};
  test::FakeLease lease_;
  test::CollectingLog log_;
  test::FakePlanStore store_;
  test::FakeFleetStore fleet_store_;
  test::FakeTarget target_;
  Targets targets_{{TargetName("main"), &target_}};
  EngineSettings settings_;
  FleetRegistry fleet_{fleet_store_, fleet_clock_, {}};
  Journal journal_{store_, lease_, clock_, log_};
  std::atomic<int> hooked_ = 0;  // of hooks, which may run until the engine stops, after the test's body
  std::unique_ptr<Reconciler> reconciler_;

 private:
  void check_intent(const std::string& call, const ports::WorkId* work) {
    if (!work) return;
    const auto status = store_.stored(work->plan).step(work->step).status;
    const bool undo = work->direction == ports::Direction::undo;
    if (status == (undo ? core::StepStatus::undoing : core::StepStatus::running)) return;
    const std::scoped_lock lock(unintended_mutex_);
    unintended_.push_back(call + " while the step is " + std::string(to_string(status)));
  }

  std::mutex unintended_mutex_;
  std::vector<std::string> unintended_;
};

}  // namespace diastole::engine
