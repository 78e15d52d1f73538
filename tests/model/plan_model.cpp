// The plan's machine in every world that a small plan can get into: whatever the fleet, the target, people and crashes
// do, in any order. What must hold is named (plan_world.hpp); each of the mutants breaks one rule and has to be caught
// by the name it breaks.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <set>

#include "model/exploration.hpp"
#include "model/mutants.hpp"
#include "model/plan_world.hpp"
#include "support/sample_plan.hpp"

namespace diastole::test {
namespace {

using namespace core;

struct Seen {
  std::string name;
  Observation observation;
  bool fresh_and_clean = false;
};

Reason because(ReasonKind kind) {
  Reason reason;
  reason.kind = kind;
  return reason;
}

GateVerdict gate_in(GateState state, ReasonKind why = ReasonKind::instance_old) {
  GateVerdict verdict;
  verdict.state = state;
  if (state == GateState::open) return verdict;
  verdict.reasons.push_back(because(state == GateState::soaking ? ReasonKind::soaking : why));
  if (state == GateState::collecting && why == ReasonKind::instance_old) verdict.contradictions = verdict.reasons;
  return verdict;
}

// What only the gate's own acts bring about.
std::vector<Seen> seen_at_gate() {
  std::vector<Seen> out;
  const auto add = [&](std::string name, auto change) {
    Seen seen{std::move(name), {}, true};
    seen.observation.gate = gate_in(GateState::open);
    seen.observation.preflight = Preflight{Phase::contract, kNow.mono, {}};
    change(seen.observation);
    out.push_back(std::move(seen));
  };
  add("an instance is silent",
      [](Observation& seen) { seen.gate = gate_in(GateState::collecting, ReasonKind::instance_unknown); });
  add("the drain failed", [](Observation& seen) { seen.drain_failed = {because(ReasonKind::drain_budget)}; });
  add("the last look found a session", [](Observation& seen) { seen.last_look = {because(ReasonKind::session_old)}; });
  add("long enough in quarantine", [](Observation& seen) { seen.quarantined_for = Milliseconds{86'400'000}; });
  return out;
}

// Whatever the shell may see, for any phase: gate x preflight x hold, and the needs.
std::vector<Seen> everything_seen(const Plan& plan) {
  std::vector<Seen> out;
  for (const auto gate : {GateState::collecting, GateState::soaking, GateState::open}) {
    for (const auto needs : {GateState::collecting, GateState::soaking, GateState::open}) {
      for (const std::string_view preflight : {"none", "stale", "blocked", "clean"}) {
        for (const bool hold : {false, true}) {
          // Needs and preflight never matter in the same stage.
          if (needs != GateState::open && preflight != "clean") continue;
          for (const auto phase : kPhases) {
            if (preflight == "none" && phase != Phase::expand) continue;
            Seen seen{fmt::format("gate {}, needs {}, preflight of {} {}{}", to_string(gate), to_string(needs),
                                  to_string(phase), preflight, hold ? ", on hold" : ""),
                      {},
                      preflight == "clean"};
            seen.observation.gate = gate_in(gate);
            seen.observation.needs[plan.steps[kCopy].id] = gate_in(needs);
            if (preflight != "none") {
              const auto age = preflight == "stale" ? kPreflightValid : Milliseconds{0};
              seen.observation.preflight = Preflight{phase, kNow.mono - age, {}};
            }
            if (preflight == "blocked") seen.observation.preflight->reasons = {because(ReasonKind::long_transaction)};
            if (hold) seen.observation.hold = because(ReasonKind::retrying);
            out.push_back(std::move(seen));
          }
        }
      }
    }
  }
  std::ranges::move(seen_at_gate(), std::back_inserter(out));
  for (auto& seen : out) {
    if (!seen.observation.needs.contains(plan.steps[kCopy].id))
      seen.observation.needs[plan.steps[kCopy].id] = gate_in(GateState::open);
  }
  return out;
}

bool bad(const Observation& seen) {
  return !seen.gate.contradictions.empty() || !seen.drain_failed.empty() || !seen.last_look.empty();
}

std::optional<GateAct> gate_act_of(const Action& action) {
  if (std::holds_alternative<RaiseFence>(action)) return GateAct::raise;
  if (std::holds_alternative<LowerFence>(action)) return GateAct::lower;
  if (std::holds_alternative<Drain>(action)) return GateAct::drain;
  if (std::holds_alternative<core::Quarantine>(action)) return GateAct::quarantine;
  return {};
}

struct Act {
  std::size_t step = 0;
  bool undo = false;
  bool settle = false;
  friend bool operator==(const Act&, const Act&) = default;
};

std::optional<Act> act_of(const Plan& plan, const Action& action) {
  if (const auto* run = std::get_if<RunStep>(&action)) return Act{*plan.index_of(run->step), false, false};
  if (const auto* undo = std::get_if<UndoStep>(&action)) return Act{*plan.index_of(undo->step), true, false};
  if (const auto* settle = std::get_if<SettleStep>(&action))
    return Act{*plan.index_of(settle->step), settle->undo, true};
  return {};
}

class Model {
 public:
  Model(Plan plan, Rules rules) : plan_(std::move(plan)), rules_(std::move(rules)), seen_(everything_seen(plan_)) {}

  // `enough` names an invariant at whose first violation the search may end.
  const Exploration& explore(const char* enough = nullptr) {
    enough_ = enough;
    paths_.run(pack(new_world(plan_)), [this](Key key) { return moves(unpack(plan_, key)); });
    const auto stage = [this](Key key) { return unpack(plan_, key).plan.stage; };
    paths_.require_way(
        kWayOn, [&](Key key) { return !terminal(stage(key)); }, [&](Key key) { return terminal(stage(key)); });
    // An abort is not the only way: whatever has not begun one can still be completed.
    paths_.require_way(
        kWayOn, [&](Key key) { return stage(key) < Stage::completed; },
        [&](Key key) { return stage(key) == Stage::completed; });
    return paths_;
  }

 private:
  std::vector<Move> moves(const World& world) {
    moves_.clear();
    if (enough_ && paths_.violations().contains(enough_)) return {};
    reconcile(world);
    people(world);
    if (world.at_gate()) {
      gate_acts(world);
      return moves_;
    }
    if (world.hand == Hand::begun) runner_acts(world);
    if (world.hand == Hand::finished || world.hand == Hand::failed || world.hand == Hand::interrupted)
      runner_records(world);
    if (world.hand == Hand::orphan) orphan_ends(world);
    if (world.hand != Hand::empty && world.hand != Hand::orphan) {
      // A daemon that dies before it acts may leave a session that still does; afterwards only the outcome is lost.
      to("the daemon dies", world, world.hand == Hand::begun ? Hand::orphan : Hand::empty);
    }
    return moves_;
  }

  void require(bool holds, const char* invariant, const std::string& how) {
    if (!holds) paths_.broken(invariant, how);
  }

  // The move's end, after the invariants of every state.
  void to(const std::string& name, World world, Hand hand) {
    world.hand = hand;
    const auto& state = world.plan;
    int moving = 0;
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
      const auto status = state.steps[i].status;
      const bool in_motion = status == StepStatus::running || status == StepStatus::undoing;
      moving += in_motion ? 1 : 0;
      const auto where = fmt::format("{}: {} is {}, recorded {}, really {}", name, plan_.steps[i].id.str(),
                                     to_string(status), to_string(state.steps[i].applied), to_string(world.target[i]));
      require(in_motion || state.steps[i].applied == world.target[i], kRecordTrue, where);
      require(status != StepStatus::done || world.target[i] == Applied::full, kRecordTrue, where);
      require(state.stage != Stage::completed || world.target[i] == Applied::full, kRecordTrue, where);
      require(state.stage != Stage::aborted || world.target[i] == Applied::none, kAbortedEmpty, where);
    }
    const bool closed = state.gate.stage == GateStage::closed && !world.at_gate();
    require(!closed || (!world.fence && !world.quarantine), kFenceDown, name);
    require(state.stage != Stage::aborted || closed, kFenceDown, name);
    require(state.stage != Stage::completed || world.fence, kFenceFirst, name);
    require(moving <= 1, kOneAtATime, name);
    moves_.push_back({name, pack(world)});
  }

  bool append(World& world, const std::vector<Event>& events, const std::string& why) {
    for (const auto& event : events) {
      auto next = rules_.evolve(std::move(world.plan), event, kNow.wall);
      require(next.has_value(), kAccepted, why + ": " + (next ? "" : next.error().message));
      if (!next) return false;
      world.plan = std::move(*next);
      // Where there is nothing to run, the record says so itself.
      const auto* undone = std::get_if<UndoFinished>(&event);
      if (!undone) continue;
      const auto step = *plan_.index_of(undone->step);
      if (plan_.steps[step].undo.empty()) world.target[step] = Applied::none;
    }
    return true;
  }

  // One turn of the loop, whatever it sees.
  void reconcile(const World& world) {
    std::set<std::string> taken;
    for (auto seen : seen_) {
      // The verdict knows of a hold.
      if (world.plan.gate.hold) seen.observation.gate = gate_in(GateState::collecting);
      seen.observation.step_in_hand = world.hand != Hand::empty && world.hand != Hand::orphan;
      const auto decision = rules_.decide(world.plan, seen.observation, kNow);
      const auto again = rules_.decide(world.plan, seen.observation, kNow);
      const auto act = act_of(plan_, decision.action);
      const auto gate_act = gate_act_of(decision.action);
      const auto name = "reconcile, " + seen.name;
      require(
          decision.events == again.events && act == act_of(plan_, again.action) && decision.waiting == again.waiting,
          kDeterministic, name);
      check_decision(world, seen, decision, act);
      // Many sights lead to the same decision.
      std::string signature = gate_act ? fmt::format("g{}", static_cast<int>(*gate_act)) : "";
      signature += act ? fmt::format("{}{}{}", act->step, act->undo, act->settle) : "";
      for (const auto& event : decision.events) signature += describe(event);
      if (!taken.insert(signature).second) continue;
      World next = world;
      if (!append(next, decision.events, name)) continue;
      if (gate_act) {
        begin_gate_act(name, std::move(next), *gate_act, seen.observation);
        continue;
      }
      perform(name, std::move(next), act);
    }
  }

  void check_decision(const World& world, const Seen& seen, const Decision& decision, const std::optional<Act>& act) {
    const auto& observed = seen.observation;
    bool begins = act && !act->settle;
    for (const auto& event : decision.events) {
      const auto how = seen.name + ": " + describe(event);
      if (const auto* phase = std::get_if<PhaseStarted>(&event); phase && plan_.has(phase->phase)) {
        begins = true;
        require(phase->phase != Phase::contract || observed.gate.open(), kGateFirst, how);
        require(world.plan.approvals_given(phase->phase) >= plan_.approvals_needed(phase->phase), kApprovalsFirst, how);
        require(seen.fresh_and_clean && observed.preflight->phase == phase->phase, kPreflightFirst, how);
      }
      if (std::holds_alternative<GateFencing>(event)) {
        begins = true;
        require(observed.gate.open(), kGateFirst, how);
        require(world.plan.approvals_given(Phase::contract) >= plan_.approvals_needed(Phase::contract), kApprovalsFirst,
                how);
      }
      if (std::holds_alternative<GateFellBack>(event)) require(bad(observed), kFallsBack, how);
      if (const auto* step = std::get_if<StepStarted>(&event)) {
        begins = true;
        const auto& planned = *plan_.find(step->step);
        require(planned.phase != Phase::contract || observed.gate.open(), kGateFirst, how);
        require(!planned.backfill || observed.needs.at(planned.id).open(), kNeedsFirst, how);
      }
      if (const auto* undo = std::get_if<UndoStarted>(&event)) begins = begins || !plan_.find(undo->step)->undo.empty();
    }
    require(!begins || world.plan.condition == Condition::active, kQuiet, seen.name);
    require(!(begins || act) || !observed.hold, kQuiet, seen.name);
    require(!(begins || act) || !observed.step_in_hand, kOneAtATime, seen.name);
  }

  void begin_gate_act(const std::string& name, World world, GateAct act, const Observation& seen) {
    require(world.hand == Hand::empty, kOneAtATime, name);
    require(!seen.step_in_hand && !seen.hold, kQuiet, name);
    require(world.plan.condition == Condition::active, kQuiet, name);
    require(act == GateAct::lower || !bad(seen), kFallsBack, name);
    world.take_gate_act(act);
    to(name, std::move(world), Hand::begun);
  }

  // It is one transaction, or a look, on the target; done or not, recorded or not. A daemon that dies leaves a session
  // that a later epoch waits for before it acts.
  void gate_acts(const World& world) {
    const auto act = world.gate_act();
    constexpr std::string_view kNames[] = {"the fence is raised", "the fence is lowered", "it is drained",
                                           "it is in quarantine"};
    const std::string name{kNames[static_cast<std::size_t>(act)]};
    to("nothing comes of it", world, Hand::empty);
    World done = world;
    if (act == GateAct::raise) done.fence = true;
    if (act == GateAct::quarantine) done.quarantine = true;
    if (act == GateAct::lower) {
      for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
        const bool stays = plan_.steps[i].undo.empty() && world.plan.stage != Stage::aborting;
        const bool contracts = plan_.steps[i].phase == Phase::contract && !stays;
        require(!contracts || world.target[i] == Applied::none, kInOrder, name);
      }
      done.fence = done.quarantine = false;
    }
    to(name + ", and not recorded", done, Hand::empty);
    Event event = FenceRaised{};
    if (act == GateAct::lower) event = FenceLowered{};
    if (act == GateAct::drain) event = GateDrained{};
    if (act == GateAct::quarantine) event = Quarantined{};
    // What was asked for meanwhile may have made it void; then it is not recorded, and undone.
    if (auto next = rules_.evolve(done.plan, event, kNow.wall)) {
      done.plan = std::move(*next);
      to(name, done, Hand::empty);
    }
  }

  void perform(const std::string& name, World world, const std::optional<Act>& act) {
    if (!act) return to(name, world, world.hand);
    if (act->settle) return settle(name, std::move(world), *act);
    require(world.hand == Hand::empty, kOneAtATime, name);
    const auto intent = act->undo ? StepStatus::undoing : StepStatus::running;
    require(world.plan.steps[act->step].status == intent, kIntentFirst, name);
    world.step = act->step;
    world.undo = act->undo;
    to(name, std::move(world), Hand::begun);
  }

  // The old session is proved gone, then the ledger read.
  void settle(const std::string& name, World world, const Act& act) {
    world.step = act.step;
    world.undo = act.undo;
    const bool done = world.target[act.step] == (act.undo ? Applied::none : Applied::full);
    record(name + ", settled", std::move(world), done ? Hand::finished : Hand::interrupted);
  }

  void record(const std::string& name, World world, Hand outcome) {
    const auto& id = plan_.steps[world.step].id;
    const auto applied = world.target[world.step];
    Event event = StepFinished{id, 0, {}, ""};
    if (outcome == Hand::failed) event = StepFailed{id, applied, {}};
    if (outcome == Hand::interrupted) event = StepInterrupted{id, applied, ""};
    if (world.undo) {
      event = UndoFinished{id, ""};
      if (outcome == Hand::failed) event = UndoFailed{id, {}};
      if (outcome == Hand::interrupted) event = UndoInterrupted{id, ""};
    }
    if (append(world, {event}, name)) to(name + ": " + describe(event), std::move(world), Hand::empty);
  }

  void runner_records(const World& world) { record("the runner records", world, world.hand); }

  void runner_acts(const World& world) {
    World next = world;
    if (append(next, {LockWaited{plan_.steps[world.step].id, 1, {}, {}}}, "waiting for a lock"))
      to("a lock wait", next, world.hand);
    if (!world.undo) {
      next = world;
      if (append(next, {StepProgressed{plan_.steps[world.step].id, {}}}, "progress")) to("progress", next, world.hand);
    }
    to("the target refuses", world, Hand::failed);
    to("the runner is interrupted", world, Hand::interrupted);
    to("the target does it", with_effect(world, Applied::full), Hand::finished);
    if (!leaves_pieces(world)) return;
    to("the target does a part and fails", with_effect(world, Applied::partial), Hand::failed);
    to("the target does a part and is interrupted", with_effect(world, Applied::partial), Hand::interrupted);
  }

  void orphan_ends(const World& world) {
    to("the left session dies", world, Hand::empty);
    to("the left session commits", with_effect(world, Applied::full), Hand::empty);
    if (leaves_pieces(world)) to("the left session leaves a part", with_effect(world, Applied::partial), Hand::empty);
  }

  [[nodiscard]] bool leaves_pieces(const World& world) const {
    const auto& step = plan_.steps[world.step];
    return !world.undo && (step.backfill || !step.transactional());
  }

  // What reaches the target, and whether it may.
  World with_effect(World world, Applied effect) {
    const auto how = fmt::format("{} of {}", world.undo ? "undo" : "effect", plan_.steps[world.step].id.str());
    const auto status = world.plan.steps[world.step].status;
    require(status == (world.undo ? StepStatus::undoing : StepStatus::running), kIntentFirst, how);
    for (std::size_t i = 0; i < world.target.size(); ++i) {
      if (i < world.step && !world.undo) require(world.target[i] == Applied::full, kInOrder, how);
      if (i > world.step) require(world.target[i] == Applied::none, kInOrder, how);
    }
    auto& there = world.target[world.step];
    if (world.undo) {
      require(there != Applied::none, kOnlyWhatRan, how);
      require(!plan_.steps[world.step].destructive(), kNoReturn, how);
      there = Applied::none;
    } else {
      require(there != Applied::full, kOnce, how);
      if (plan_.steps[world.step].phase == Phase::contract) {
        require(world.fence, kFenceFirst, how);
        const bool renamed = plan_.gate.quarantine.count() == 0 || world.quarantine;
        require(world.step != kDrop || renamed, kFenceFirst, how);
        // The name comes back in the transaction that drops it.
        if (world.step == kDrop) world.quarantine = false;
      }
      const bool back = world.plan.stage == Stage::aborting || world.plan.stage == Stage::aborted;
      require(!(plan_.steps[world.step].destructive() && back), kNoReturn, how);
      there = effect;
    }
    return world;
  }

  void people(const World& world) {
    const std::pair<std::string, Command> asked[] = {
        {"bob approves expand", Approve{Phase::expand, "bob", "", false}},
        {"bob approves backfill", Approve{Phase::backfill, "bob", "", false}},
        {"bob approves contract", Approve{Phase::contract, "bob", "", false}},
        {"ann approves her own contract", Approve{Phase::contract, "ann", "", false}},
        {"pause", Pause{"bob"}},
        {"resume", Resume{"bob"}},
        {"retry", Retry{"bob"}},
        {"abort", Abort{"bob", ""}},
        {"hold", HoldGate{"bob", ""}},
        {"release", ReleaseGate{"bob"}},
    };
    for (const auto& [name, command] : asked) {
      const auto events = rules_.command(world.plan, command);
      if (!events) continue;
      require(!name.starts_with("ann"), kApprovalsFirst, name);
      if (name == "abort") require(!may_be_destroyed(world), kNoReturn, name);
      World next = world;
      if (append(next, *events, name)) to(name, next, next.hand);
    }
  }

  [[nodiscard]] bool may_be_destroyed(const World& world) const {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const bool begun = world.plan.steps[i].status == StepStatus::running || world.target[i] != Applied::none;
      if (plan_.steps[i].destructive() && begun) return true;
    }
    return false;
  }

  Plan plan_;
  Rules rules_;
  std::vector<Seen> seen_;
  Exploration paths_;
  std::vector<Move> moves_;
  const char* enough_ = nullptr;
};

std::string all(const std::map<std::string, std::string>& violations) {
  std::string out;
  for (const auto& [invariant, how] : violations) out += invariant + how + "\n";
  return out;
}

Plan modelled(int approvals, bool quarantine) {
  auto plan = sample_plan(approvals);
  if (quarantine) plan.gate.quarantine = Milliseconds{60'000};
  return plan;
}

// approvals that expand asks for, and whether what is dropped waits in quarantine
class PlanModel : public testing::TestWithParam<std::pair<int, bool>> {};

TEST_P(PlanModel, HoldsInEveryReachableWorld) {
  const auto plan = modelled(GetParam().first, GetParam().second);
  Model model(plan, Rules{});
  const auto& paths = model.explore();
  EXPECT_THAT(paths.violations(), testing::IsEmpty()) << all(paths.violations());
  std::cout << paths.states() << " states, " << paths.transitions() << " transitions\n";
  // It has been where it matters; otherwise it would prove nothing.
  EXPECT_GT(paths.states(), 1'500U);
  EXPECT_GT(paths.transitions(), 8'000U);
  for (const auto stage : kStages) {
    EXPECT_TRUE(paths.reached([&](Key key) { return unpack(plan, key).plan.stage == stage; })) << to_string(stage);
  }
  const auto failed_past_return = [&](Key key) {
    const auto world = unpack(plan, key);
    return world.plan.condition == Condition::failed && world.target[kDrop] == Applied::full;
  };
  EXPECT_TRUE(paths.reached(failed_past_return));
  const auto undo_of_a_part = [&](Key key) {
    const auto world = unpack(plan, key);
    return world.plan.steps[kIndex].status == StepStatus::undoing && world.target[kIndex] == Applied::partial;
  };
  EXPECT_TRUE(paths.reached(undo_of_a_part));
  for (const auto stage : kGateStages) {
    const bool quarantines = stage == GateStage::quarantining || stage == GateStage::quarantined;
    EXPECT_EQ(paths.reached([&](Key key) { return unpack(plan, key).plan.gate.stage == stage; }),
              !quarantines || GetParam().second)
        << to_string(stage);
  }
  const auto taken_back = [&](Key key) {
    const auto world = unpack(plan, key);
    return world.plan.stage == Stage::backfilled && world.plan.steps[kCheck].status == StepStatus::undoing;
  };
  EXPECT_TRUE(paths.reached(taken_back));
}

INSTANTIATE_TEST_SUITE_P(Plans, PlanModel,
                         testing::Values(std::pair{0, false}, std::pair{1, false}, std::pair{0, true}));

class PlanMutant : public testing::TestWithParam<mutant::Mutant> {};

TEST_P(PlanMutant, IsCaughtByName) {
  Model model(modelled(1, true), GetParam().rules);
  const auto& violations = model.explore(GetParam().caught_by).violations();
  EXPECT_TRUE(violations.contains(GetParam().caught_by)) << "not caught by: " << GetParam().caught_by << "\n"
                                                         << all(violations);
}

INSTANTIATE_TEST_SUITE_P(Rules, PlanMutant, testing::ValuesIn(mutant::all()),
                         [](const auto& rule) { return rule.param.name; });

}  // namespace
}  // namespace diastole::test
