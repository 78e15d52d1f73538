// What people and pipelines ask for, as events or as the reason why not.
#include "diastole/core/command.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "stages.hpp"

namespace diastole::core {
namespace {

class Asked {
 public:
  using Events = Result<std::vector<Event>>;
  explicit Asked(const PlanState& state) : s_(state) {}

  Events operator()(const Approve& c) const {
    if (auto refusal = approvable(s_, c.phase)) return refuse("approve", *refusal);
    if (!c.by_submitter_allowed && c.by == s_.submitted_by) {
      return refuse("approve", fmt::format("{} submitted the plan; somebody else has to approve it", c.by));
    }
    const bool repeated = std::ranges::any_of(
        s_.approvals, [&](const Approval& approval) { return approval.phase == c.phase && approval.by == c.by; });
    if (repeated) return std::vector<Event>{};
    return one(PhaseApproved{c.phase, c.by, c.note});
  }

  Events operator()(const Pause& c) const {
    if (terminal(s_.stage)) return refuse("pause", "it is over");
    if (s_.condition == Condition::paused) return refuse("pause", "it is paused already");
    if (s_.condition == Condition::failed) return refuse("pause", "it has failed and does nothing; retry or abort it");
    return one(PlanPaused{c.by});
  }

  Events operator()(const Resume& c) const {
    if (terminal(s_.stage)) return refuse("resume", "it is over");
    if (s_.condition == Condition::failed) return refuse("resume", "it has failed; retry or abort it");
    if (s_.condition != Condition::paused) return refuse("resume", "it is not paused");
    return one(PlanResumed{c.by});
  }

  Events operator()(const Retry& c) const {
    if (terminal(s_.stage)) return refuse("retry", "it is over");
    if (s_.condition != Condition::failed) return refuse("retry", "nothing of it has failed");
    return one(RetryRequested{c.by});
  }

  Events operator()(const Abort& c) const {
    if (auto refusal = abortable(s_)) return refuse("abort", *refusal);
    return one(AbortRequested{c.by, c.reason});
  }

  Events operator()(const SetPace& c) const {
    if (auto refusal = paceable(s_, c.step)) return refuse("set the pace of", *refusal);
    if (s_.step(c.step).pace == c.pace) return std::vector<Event>{};
    return one(BackfillPaced{c.step, c.pace, c.by});
  }

  Events operator()(const HoldGate& c) const {
    if (auto refusal = holdable(s_)) return refuse("hold the gate of", *refusal);
    if (s_.gate.hold) return refuse("hold the gate of", fmt::format("{} holds it already", s_.gate.hold->by));
    return one(GateHeld{c.by, c.reason});
  }

  Events operator()(const ReleaseGate& c) const {
    if (terminal(s_.stage)) return refuse("release the gate of", "it is over");
    if (!s_.gate.hold) return refuse("release the gate of", "nobody holds it");
    return one(GateReleased{c.by});
  }

  Events operator()(const OverrideGate& c) const {
    if (auto refusal = holdable(s_)) return refuse("override the gate of", *refusal);
    const auto known = std::ranges::find_if(s_.gate.overrides, [&](const GateOverride& asked) {
      return asked.instances == c.instances && asked.gate_epoch == s_.gate.epoch && asked.expires > c.now;
    });
    if (known == s_.gate.overrides.end())
      return one(OverrideAsked{c.instances, c.reason, c.by, s_.gate.epoch, c.lasts});
    if (!known->confirmed_by.empty() || known->by == c.by) return std::vector<Event>{};
    return one(OverrideConfirmed{c.by});
  }

 private:
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view what, std::string_view why) const {
    return fail(ErrorCode::conflict,
                fmt::format("cannot {} plan {}, which is {}: {}", what, s_.plan.id.str(), s_.state_text(), why));
  }
  [[nodiscard]] static Events one(Event event) {
    std::vector<Event> events;
    events.push_back(std::move(event));
    return events;
  }

  const PlanState& s_;
};

}  // namespace

std::optional<std::string> approvable(const PlanState& state, Phase phase) {
  if (terminal(state.stage)) return "it is over";
  if (state.stage == Stage::aborting) return "it is being aborted";
  if (!state.plan.has(phase)) return fmt::format("it has no {} phase", to_string(phase));
  if (state.stage > stage_before(phase)) return fmt::format("its {} phase has begun", to_string(phase));
  return {};
}

std::optional<std::string> abortable(const PlanState& state) {
  if (terminal(state.stage)) return "it is over";
  if (state.stage == Stage::aborting) return "it is being aborted already";
  if (state.past_return()) {
    return "contract has begun to destroy what an abort would have to bring back; let it finish (retry, if it has "
           "failed), and "
           "submit a new plan that restores the old form";
  }
  return {};
}

std::optional<std::string> holdable(const PlanState& state) {
  if (terminal(state.stage)) return "it is over";
  if (state.stage == Stage::aborting) return "it is being aborted";
  if (!state.plan.has(Phase::contract)) return "it has no contract phase";
  if (state.past_return()) return "contract has begun to destroy";
  return {};
}

std::optional<std::string> paceable(const PlanState& state, const StepId& step) {
  if (terminal(state.stage)) return "it is over";
  if (state.stage == Stage::aborting) return "it is being aborted";
  const auto index = state.plan.index_of(step);
  if (!index) return fmt::format("it has no step {}", step.str());
  if (!state.plan.steps[*index].backfill) return fmt::format("step {} is no backfill", step.str());
  if (state.steps[*index].status == StepStatus::done) return fmt::format("step {} is done", step.str());
  return {};
}

Result<std::vector<Event>> command(const PlanState& state, const Command& command) {
  return std::visit(Asked{state}, command);
}

}  // namespace diastole::core
