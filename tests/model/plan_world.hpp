// The plan's state beside the truth that the machine cannot see: what is on the target, and what a runner is about to
// do to it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "diastole/core/command.hpp"
#include "model/exploration.hpp"

namespace diastole::test {

// What must hold.
inline constexpr auto kGateFirst = "contract begins only behind an open gate";
inline constexpr auto kApprovalsFirst = "a phase begins only with its approvals";
inline constexpr auto kNeedsFirst = "a backfill runs only while its needs hold";
inline constexpr auto kPreflightFirst = "a phase begins only after a clean, fresh preflight";
inline constexpr auto kIntentFirst = "nothing acts without its recorded intent";
inline constexpr auto kOneAtATime = "one act at a time, and none beside a session that may be alive";
inline constexpr auto kOnce = "nothing runs twice";
inline constexpr auto kInOrder = "steps run forwards, undo runs backwards";
inline constexpr auto kOnlyWhatRan = "an undo runs only for what is there";
inline constexpr auto kRecordTrue = "the record is what the target holds";
inline constexpr auto kAbortedEmpty = "aborted leaves nothing behind";
inline constexpr auto kNoReturn = "no abort once something may be destroyed";
inline constexpr auto kFenceFirst = "contract acts on the target only behind a raised fence, and after quarantine";
inline constexpr auto kFenceDown = "no fence and no quarantine outlives a gate that fell back, or an abort";
inline constexpr auto kFallsBack = "the gate falls back for bad evidence, and for that only";
inline constexpr auto kQuiet = "paused, failed or on hold, nothing new begins";
inline constexpr auto kDeterministic = "decide is deterministic";
inline constexpr auto kAccepted = "what decide, command and runner say is accepted";
inline constexpr auto kWayOn = "every state but completed and aborted has a way on";

inline const Now kNow{WallTime{Milliseconds{1'000'000}}, MonoTime{Milliseconds{1'000'000}}};

// The code under test; a mutant replaces one of them.
struct Rules {
  std::function<core::Decision(const core::PlanState&, const core::Observation&, Now)> decide = core::decide;
  std::function<Result<core::PlanState>(core::PlanState, const core::Event&, WallTime)> evolve =
      [](core::PlanState state, const core::Event& event, WallTime at) {
        return core::evolve(std::move(state), event, at);
      };
  std::function<Result<std::vector<core::Event>>(const core::PlanState&, const core::Command&)> command = core::command;
};

// What the daemon's runner, or a session that it left behind, is doing to one step.
enum class Hand {
  empty,
  begun,        // told to act, the target untouched
  finished,     // the target has it, not recorded yet
  failed,       // as much of it as the target shows, not recorded yet
  interrupted,  // likewise
  orphan,       // the daemon is gone; its session may still commit
};

// What the loop may do at the gate; in hand it stands in the place of a step, kGateStep or the one after.
enum class GateAct { raise, lower, drain, quarantine };
inline constexpr std::size_t kGateStep = 6;

struct World {
  core::PlanState plan;
  std::vector<core::Applied> target;
  bool fence = false;       // on the target
  bool quarantine = false;  // likewise
  Hand hand = Hand::empty;
  std::size_t step = 0;  // in hand
  bool undo = false;

  [[nodiscard]] bool at_gate() const { return hand != Hand::empty && step >= kGateStep; }
  [[nodiscard]] GateAct gate_act() const { return static_cast<GateAct>((step - kGateStep) * 2 + (undo ? 1 : 0)); }
  void take_gate_act(GateAct act) {
    step = kGateStep + static_cast<std::size_t>(act) / 2;
    undo = static_cast<int>(act) % 2 == 1;
  }
};

inline World new_world(const core::Plan& plan) {
  World world;
  world.plan.plan = plan;
  world.plan.seq = 1;
  world.plan.submitted_by = "ann";
  world.plan.steps.resize(plan.steps.size());
  world.target.resize(plan.steps.size());
  return world;
}

// What distinguishes two worlds: not times, attempts, notes, failures or the list of reasons, on which nothing may
// depend. At most six steps; one approval a phase, by bob.
inline Key pack(const World& world) {
  Key key = 0;
  const auto put = [&](auto value, unsigned bits) { key = key << bits | static_cast<Key>(value); };
  put(world.plan.stage, 4);
  put(world.plan.condition, 2);
  for (const auto phase : core::kPhases) put(world.plan.approvals_given(phase) > 0, 1);
  put(world.hand, 3);
  put(world.hand == Hand::empty ? 0 : world.step, 3);
  put(world.hand != Hand::empty && world.undo, 1);
  put(world.plan.gate.stage, 3);
  put(world.plan.gate.hold.has_value(), 1);
  put(world.fence, 1);
  put(world.quarantine, 1);
  for (std::size_t i = 0; i < world.target.size(); ++i) {
    put(world.plan.steps[i].status, 3);
    put(world.plan.steps[i].applied, 2);
    put(world.target[i], 2);
  }
  return key;
}

inline World unpack(const core::Plan& plan, Key key) {
  World world = new_world(plan);
  const auto take = [&]<typename T>(T& value, unsigned bits) {
    value = static_cast<T>(key & ((Key{1} << bits) - 1));
    key >>= bits;
  };
  for (std::size_t i = world.target.size(); i-- > 0;) {
    take(world.target[i], 2);
    take(world.plan.steps[i].applied, 2);
    take(world.plan.steps[i].status, 3);
  }
  take(world.quarantine, 1);
  take(world.fence, 1);
  bool held = false;
  take(held, 1);
  if (held) world.plan.gate.hold = core::GateHold{};
  take(world.plan.gate.stage, 3);
  take(world.undo, 1);
  take(world.step, 3);
  take(world.hand, 3);
  for (const auto phase : {core::Phase::contract, core::Phase::backfill, core::Phase::expand}) {
    bool given = false;
    take(given, 1);
    if (given) world.plan.approvals.push_back({phase, "bob", "", {}});
  }
  take(world.plan.condition, 2);
  take(world.plan.stage, 4);
  return world;
}

// Every event there is, with every argument that could matter in this plan.
inline std::vector<core::Event> any_event(const core::Plan& plan) {
  using namespace core;
  std::vector<Event> events{PlanSubmitted{plan, "ann"},
                            PlanPaused{"bob"},
                            PlanResumed{"bob"},
                            RetryRequested{"bob"},
                            AbortRequested{"bob", ""},
                            PlanAborted{},
                            PlanWaits{},
                            GateFencing{false},
                            GateFencing{true},
                            FenceRaised{},
                            GateDrained{},
                            QuarantineStarted{},
                            Quarantined{},
                            GateFellBack{},
                            FenceLowered{},
                            GateHeld{"bob", ""},
                            GateReleased{"bob"},
                            OverrideConfirmed{"bob"}};
  for (const std::int64_t epoch : {1, 2}) events.push_back(OverrideAsked{{}, "", "ann", epoch, Milliseconds{1'000}});
  for (const auto phase : kPhases) {
    events.insert(events.end(), {PhaseApproved{phase, "bob", ""}, PhaseStarted{phase, false}, PhaseStarted{phase, true},
                                 PhaseFinished{phase}});
  }
  auto ids = std::vector<StepId>{StepId("unheard-of")};
  for (const auto& step : plan.steps) ids.push_back(step.id);
  for (const auto& id : ids) {
    events.insert(events.end(),
                  {StepStarted{id, 1}, StepProgressed{id, {}}, LockWaited{id, 1, {}, {}}, StepFinished{id, 0, {}, ""},
                   UndoStarted{id}, UndoFinished{id, ""}, BackfillBegun{id, {}, 0}, BackfillPaced{id, {}, "bob"},
                   UndoFailed{id, {}}, UndoInterrupted{id, ""}});
    for (const auto applied : {Applied::none, Applied::partial, Applied::full}) {
      events.insert(events.end(), {StepFailed{id, applied, {}}, StepInterrupted{id, applied, ""}});
    }
  }
  return events;
}

inline std::string describe(const core::Event& event) {
  const auto* step = core::step_of(event);
  return std::string(core::kind(event)) + (step ? " " + step->str() : "");
}

}  // namespace diastole::test
