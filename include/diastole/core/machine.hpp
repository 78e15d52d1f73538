// The plan's state machine: evolve folds events into a state, decide looks at a state and the world and says what comes
// next. Both pure; the shell appends the events and performs the action.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/core/event.hpp"
#include "diastole/core/gate.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::core {

//  accepted ─▶ expanding ─▶ expanded ─▶ backfilling ─▶ backfilled ─▶ contracting ─▶ completed
//     │            │           │             │             │             │
//     └────────────┴───────────┴─────────────┴─────────────┴─────────────┤ abort, until a destructive step has begun
//                                                                        ▼
//                                                                    aborting ─▶ aborted
//  A phase starts with phase_started (approvals there, preflight clean, for contract the gate open and what lies
//  behind it done: GateStage) and ends with phase_finished (every step of it done). A phase without steps starts and
//  finishes at once and needs neither approval nor gate. gate_fell_back leads from contracting to backfilled, as long
//  as nothing is destroyed: what contract has done is undone then.
enum class Stage { accepted, expanding, expanded, backfilling, backfilled, contracting, completed, aborting, aborted };
inline constexpr Stage kStages[] = {Stage::accepted,    Stage::expanding,  Stage::expanded,
                                    Stage::backfilling, Stage::backfilled, Stage::contracting,
                                    Stage::completed,   Stage::aborting,   Stage::aborted};
[[nodiscard]] std::string_view to_string(Stage stage);
[[nodiscard]] std::optional<Stage> stage_from(std::string_view text);
[[nodiscard]] bool terminal(Stage stage);

//  active ◀─resume/pause─▶ paused;   active, paused ─(step_failed, undo_failed)─▶ failed ─retry─▶ active;   any
//  ─abort─▶ active
enum class Condition { active, paused, failed };
[[nodiscard]] std::string_view to_string(Condition condition);
[[nodiscard]] std::optional<Condition> condition_from(std::string_view text);

//  pending ─▶ running ─▶ done                 undoing ◀── any step of which something is applied, in aborting
//     ▲  ▲       │ │                             │ │ │
//     │  └interrupted                       undone │ └interrupted─▶ (as before)
//     └retry── failed ◀                            └─▶ undo_failed ─retry─▶ (as before)
enum class StepStatus { pending, running, done, failed, undoing, undone, undo_failed };
[[nodiscard]] std::string_view to_string(StepStatus status);
[[nodiscard]] std::optional<StepStatus> step_status_from(std::string_view text);

struct StepState {
  StepStatus status = StepStatus::pending;
  Applied applied = Applied::none;  // while running: what was applied before this attempt
  int attempts = 0;
  Progress progress;
  std::optional<Walk> walk;  // of a backfill that has begun
  Pace pace;
  std::string paced_by;  // empty: nobody has
  Milliseconds duration{};
  std::string note;
  std::optional<Failure> failure;
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
  friend bool operator==(const StepState&, const StepState&) = default;
};

struct Approval {
  Phase phase = Phase::expand;
  std::string by;
  std::string note;
  WallTime at;
  friend bool operator==(const Approval&, const Approval&) = default;
};

struct PlanState {
  Plan plan;
  std::int64_t seq = 0;  // of the last event; 0: nothing has happened yet
  Stage stage = Stage::accepted;
  Condition condition = Condition::active;
  std::vector<StepState> steps;  // beside plan.steps
  std::vector<Approval> approvals;
  std::vector<Reason> waiting;
  std::string submitted_by;
  WallTime submitted_at;
  WallTime changed_at;
  std::string abort_reason;
  GateProgress gate;

  [[nodiscard]] const StepState& step(const StepId& id) const;
  [[nodiscard]] int approvals_given(Phase phase) const;
  // failed or paused where the condition says so, else the stage: what clients show as the state.
  [[nodiscard]] std::string_view state_text() const;
  // Something that a destructive step of contract removes is gone, or may be.
  [[nodiscard]] bool destroyed() const;
  // A destructive step of contract has begun: there is no way back.
  [[nodiscard]] bool past_return() const;
  friend bool operator==(const PlanState&, const PlanState&) = default;
};

// `at` is when the event was recorded. conflict where the event has no transition from this state, with both named.
[[nodiscard]] Result<PlanState> evolve(PlanState state, const Event& event, WallTime at);
[[nodiscard]] Result<PlanState> evolve(PlanState state, std::span<const Event> events, WallTime at);

// The floors that the plan holds now: from its fencing on, for as long as it is not lowered.
[[nodiscard]] std::vector<Floor> floors(const PlanState& state);
// The overrides that have effect: confirmed, not expired, of this epoch. Each of these instances counts as gone.
[[nodiscard]] std::vector<InstanceName> set_aside(const PlanState& state, WallTime now);
// What a backfill's `needs` ask, as a gate: with the fleet's roles, and without a soak of its own.
[[nodiscard]] GateSpec needs_gate(const Plan& plan, const Backfill& backfill);

// What the shell has seen.
struct Preflight {
  Phase phase = Phase::expand;
  MonoTime at;
  std::vector<Reason> reasons;
};
struct Observation {
  GateVerdict gate;                             // for contract
  std::map<StepId, GateVerdict> needs;          // for backfills that have needs
  std::optional<Preflight> preflight;           // the latest
  std::optional<Milliseconds> quarantined_for;  // by the target's clock, from a fresh scan
  std::vector<Reason> last_look;                // why the dropping transaction found the gate closed, and rolled back
  std::vector<Reason> drain_failed;             // sessions below the floor did not end within the budget
  bool step_in_hand = false;                    // a runner of this process is acting for this plan
  std::optional<Reason> hold;  // the shell asks to wait before the next act, and why (backoff, target away)
};

struct RunPreflight {
  Phase phase;
};
struct RunStep {
  StepId step;
};
struct UndoStep {
  StepId step;
};
// The step is marked running or undoing but nobody acts: prove the old session gone and read the ledger.
struct SettleStep {
  StepId step;
  bool undo = false;
};
// Each can be done again: the target knows what it has.
struct RaiseFence {};
struct Drain {};
struct Quarantine {};
struct LowerFence {};  // and end the quarantine first
using Action = std::variant<std::monostate, RunPreflight, RunStep, UndoStep, SettleStep, RaiseFence, Drain, Quarantine,
                            LowerFence>;

struct Decision {
  std::vector<Event> events;    // to be appended first
  Action action;                // to be performed after
  std::vector<Reason> waiting;  // why nothing more happens; also appended as plan_waits when the list has changed
};

// How long a preflight is good for; and one whose verification of a backfill failed, which may read a whole table.
inline constexpr Milliseconds kPreflightValid{5'000};
inline constexpr Milliseconds kVerificationValid{60'000};

[[nodiscard]] Decision decide(const PlanState& state, const Observation& observation, Now now);

}  // namespace diastole::core
