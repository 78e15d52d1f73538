// Acts out one decision on a target and records how it ended.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "diastole/core/machine.hpp"
#include "diastole/engine/journal.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/ports/target.hpp"
#include "hand.hpp"

namespace diastole::engine {

// What the loop has to know beyond the events. `again_later`: the target or the state database could not be used; wait
// before the next act, and show why.
struct ActResult {
  std::optional<core::Reason> again_later = {};
  std::optional<core::Preflight> preflight = {};
  std::optional<core::SessionScan> scan = {};
  std::vector<core::Reason> last_look = {};  // as Observation has them
  std::vector<core::Reason> drain_failed = {};
};

// Why contract goes back where its target has lost the fence; `message` is the target's.
[[nodiscard]] core::Reason fence_lost(const std::string& message);

// The gate's verdict by this scan.
using Judge = std::function<core::GateVerdict(const core::PlanState&, const core::SessionScan&)>;

// Thread-safe: one per process, used by every worker.
class Runner {
 public:
  // `judge` is asked by acts of contract, on the thread that performs them.
  Runner(Journal& journal, Targets targets, const ports::Lease& lease, const ports::Clock& clock, ports::Log& log,
         const EngineSettings& settings, Judge judge);

  // The action's intent is durable by now. Returns when the outcome is recorded, or could not be: then the step stays
  // marked and is settled by a later act.
  [[nodiscard]] ActResult perform(const core::PlanState& state, const core::Action& action, Hand& hand);

  // The sessions of the plan's target, as it is now; needs no lease.
  [[nodiscard]] ports::TargetResult<core::SessionScan> scan(const core::Plan& plan) const;

  // What a backfill would do, by the target as it is now; nothing runs and nothing is recorded.
  [[nodiscard]] Result<ports::BackfillPreview> preview(const core::Plan& plan, const core::Step& step) const;

 private:
  friend class BackfillRun;
  struct Act {
    const core::PlanState& state;
    const core::Step& step;
    ports::Target& target;
    ports::WorkId id;
    Hand& hand;
  };

  [[nodiscard]] ActResult act_out(const core::PlanState& state, const core::Action& action, Hand& hand);
  [[nodiscard]] ActResult preflight(const core::PlanState& state, core::Phase phase, Hand& hand);
  // Before contract: what the verifications of the backfills find now, as obstacles.
  [[nodiscard]] ports::TargetResult<std::vector<core::Reason>> recheck(const core::PlanState& state,
                                                                       ports::Target& target, Hand& hand);
  [[nodiscard]] ActResult run(const Act& act);
  [[nodiscard]] ActResult undo(const Act& act);
  [[nodiscard]] ActResult settle(const Act& act);
  [[nodiscard]] ActResult backfill(const Act& act);

  // At the gate (gate_runner.cpp).
  [[nodiscard]] ActResult at_gate(const core::PlanState& state, const core::Action& action, Hand& hand);
  [[nodiscard]] ActResult raise_fence(const core::PlanState& state, ports::Target& target);
  [[nodiscard]] ActResult drain(const core::PlanState& state, ports::Target& target, Hand& hand);
  [[nodiscard]] ActResult quarantine(const core::PlanState& state, ports::Target& target, Hand& hand);
  [[nodiscard]] ActResult lower_fence(const core::PlanState& state, ports::Target& target, Hand& hand);
  [[nodiscard]] ActResult note(const core::PlanState& state, const core::Event& event);
  [[nodiscard]] ports::GateWork gate_work(const core::PlanState& state) const;
  // What contract's transactions look at last; what it finds is kept in `verdict`.
  [[nodiscard]] ports::LastLook last_look(const core::PlanState& state, core::GateVerdict& verdict) const;
  [[nodiscard]] const std::vector<core::Tool>& tools(const TargetName& target) const;

  // Executes, again and again while a lock is not granted, up to the configured attempts; each wait is an event with
  // the blockers.
  [[nodiscard]] ports::TargetResult<ports::WorkDone> attempt(const Act& act, ports::StatementWork work);

  // unavailable where the configuration does not name it any more.
  [[nodiscard]] ports::TargetResult<ports::Target*> target_of(const core::Plan& plan) const;
  [[nodiscard]] ports::TargetResult<ports::Target*> ready(const core::PlanState& state, Epoch epoch);
  [[nodiscard]] Result<StatePtr> append(const PlanId& plan, const core::Event& event);
  // Appends; where that fails, asks the act to come to a boundary.
  bool record(const Act& act, const core::Event& event);
  // Appends the outcome; where that fails the step stays marked, to be settled later.
  [[nodiscard]] ActResult conclude(const Act& act, const core::Event& event);
  [[nodiscard]] core::Reason later(const core::Plan& plan, const StepId& step, const ports::TargetError& error) const;
  [[nodiscard]] Milliseconds statement_timeout(const core::Step& step,
                                               const std::vector<core::Statement>& statements) const;
  [[nodiscard]] int first_rows(const core::Backfill& backfill) const;
  [[nodiscard]] Milliseconds backoff(int attempt, Milliseconds longest);

  Journal& journal_;
  const Targets targets_;
  const ports::Lease& lease_;
  const ports::Clock& clock_;
  ports::Log& log_;
  const EngineSettings settings_;
  const Judge judge_;
  std::mutex mutex_;  // of what follows
  std::map<TargetName, Epoch> prepared_;
  std::minstd_rand random_;
};

// "3 rows": verification counts up to 1,000.
[[nodiscard]] std::string counted_rows(std::int64_t rows);

// A target away, its lock taken over, or its outcome unknown: nothing that the plan did wrong.
[[nodiscard]] bool passes_by_itself(ErrorCode code);

}  // namespace diastole::engine
