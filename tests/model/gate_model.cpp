// The gate in every world that a small fleet, a database and two daemons can get into: instances boot, crash, come back
// on the old image, fall silent, open sessions and sign off; daemons are paused amid an act and go on after a
// take-over; connections are lost. Time is in no state: whenever it could have passed, it may have. What must hold is
// named (gate_world.hpp); each of the mutants has one guard taken out and has to be caught by the name it breaks.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "model/exploration.hpp"
#include "model/gate_core.hpp"
#include "model/gate_mutants.hpp"
#include "model/gate_rules.hpp"
#include "model/gate_scopes.hpp"
#include "model/gate_target.hpp"
#include "model/gate_world.hpp"

namespace diastole::test::gate {
namespace {

using namespace core;

class Model {
 public:
  Model(const Scope& scope, Rules rules) : scope_(scope), rules_(std::move(rules)), plan_(plan_of(scope)) {}

  // `enough` names an invariant at whose first violation the search may end.
  const Exploration& explore(const char* enough = nullptr) {
    enough_ = enough;
    World start;
    // It reported before the plan, and is no more.
    start.instances[0].entry = Entry::stale;
    paths_.run(pack(start, scope_), [this](Key key) -> const auto& { return moves(unpack(key)); }, scope_.limit);
    if (paths_.states() >= scope_.limit) return paths_;
    const auto stage = [](Key key) { return unpack(key).stage; };
    paths_.require_way(
        kL1, [&](Key key) { return stage(key) < Stage::completed; },
        [&](Key key) { return stage(key) == Stage::completed; });
    paths_.require_way(
        kL1, [&](Key key) { return !terminal(stage(key)); }, [&](Key key) { return terminal(stage(key)); });
    return paths_;
  }

 private:
  const std::vector<Move>& moves(const World& world) {
    moves_.clear();
    if (world.stage == Stage::aborted || (enough_ && paths_.violations().contains(enough_))) return moves_;
    for (std::size_t i = 0; i < instances(); ++i) instance(world, i);
    if (world.psql) to("the psql session ends", changed(world, &World::psql, false));
    orphan(world);
    if (world.stage == Stage::completed) return moves_;
    if (scope_.psql && !world.psql) to("a psql session begins", changed(world, &World::psql, true), false);
    time(world);
    for (const auto look : {Look::none, Look::now, Look::earlier}) reconcile(world, look);
    runner(world);
    if (scope_.people) people(world);
    if (scope_.overrides) overrides(world);
    if (scope_.takeovers) takeovers(world);
    if (scope_.lost) losses(world);
    removable(world);
    return moves_;
  }

  [[nodiscard]] std::size_t instances() const { return static_cast<std::size_t>(scope_.instances); }
  void require(bool holds, const char* invariant, const std::string& how) {
    if (!holds) paths_.broken(invariant, how);
  }

  template <typename T>
  static World changed(World world, T World::* field, T value) {
    world.*field = value;
    return world;
  }

  // The move's end, after the invariants of every state.
  void to(std::string name, const World& world, bool helps = true) {
    if (world.column == Column::dropped) {
      if (scope_.by_role) require(!world.login && !old_session(world), kS1, name);
      require(!rules_.floors(plan_state(plan_, world)).empty(), kS3, name);
    }
    const bool let_in = world.row == Row::none || world.row == Row::let_in;
    if (world.gate == GateStage::closed && world.column != Column::dropped)
      require(let_in && world.login && world.column == Column::there, kUndone, name);
    moves_.push_back({std::move(name), pack(world, scope_), helps});
  }

  void instance(const World& world, std::size_t i) {
    const auto& it = world.instances[i];
    const auto with = [&](auto change) {
      World next = world;
      change(next.instances[i]);
      return next;
    };
    if (it.process == Process::dead) {
      to("an old process starts", with([](Instance& is) { is.process = Process::old; }), false);
      to("a new process starts", with([](Instance& is) { is.process = Process::current; }));
    } else {
      to("a process dies", with([](Instance& is) { is.process = Process::dead, is.session = false; }));
      const bool may = it.process == Process::current || !scope_.by_role || world.login;
      if (it.session) to("a session ends", with([](Instance& is) { is.session = false; }));
      if (!it.session && may) to("a session begins", with([](Instance& is) { is.session = true; }));
    }
    if (world.stage == Stage::completed) return;
    if (it.process != Process::dead) heartbeat(world, i);
    if (live(it.entry)) {
      World next = with([&](Instance& is) { is.entry = scope_.mass ? Entry::fell : Entry::silent; });
      disturb(next, Soak::broken);
      to("one falls silent", next);
    }
    if (it.entry == Entry::fell) to("one stays silent", with([](Instance& is) { is.entry = Entry::silent; }));
    if (it.entry == Entry::silent)
      to("one is silent for long", with([](Instance& is) { is.entry = Entry::long_silent; }));
    if (it.entry != Entry::none) {
      // Whether it is dead or goes on serving.
      World next = with([](Instance& is) { is.entry = Entry::none, is.reported_old = false; });
      disturb(next, Soak::moved);
      to("one signs off", next);
    }
  }

  void heartbeat(const World& world, std::size_t i) {
    World next = world;
    auto& it = next.instances[i];
    const auto before = it;
    it.entry = Entry::live;
    it.reported_old = it.process == Process::old;
    if (it == before) return;
    const bool other = before.entry == Entry::none || before.reported_old != it.reported_old;
    if (other) disturb(next, Soak::moved);
    if (it.reported_old || silent(before.entry)) disturb(next, Soak::broken);
    to(it.reported_old ? "an old one reports" : "a new one reports", next, !it.reported_old);
  }

  // Something happens while a soak is remembered.
  static void disturb(World& world, Soak how) {
    if (world.soak == Soak::begun) world.soak = Soak::none;
    if (world.soak != Soak::none) world.soak = std::max(world.soak, how);
  }

  void time(const World& world) {
    const auto unheard = [](World& next) {
      for (auto& it : next.instances) {
        if (it.entry == Entry::stale) it.entry = Entry::silent;
      }
    };
    if (!world.watched) {
      World next = changed(world, &World::watched, true);
      unheard(next);
      if (next.instances != world.instances) disturb(next, Soak::broken);
      to("one suspect time passes", next);
    }
    if (world.soak == Soak::begun) {
      World next = changed(world, &World::soak, Soak::over);
      if (!scope_.short_soak) {
        unheard(next);
        next.watched = true;
        if (next.instances != world.instances) disturb(next, Soak::broken);
      }
      to("the soak passes", next);
    }
    if (world.ask != Ask::none && !world.ask_expired)
      to("the override expires", changed(world, &World::ask_expired, true));
  }

  void reconcile(const World& world, Look look) {
    const auto& seen = core_.verdict(world, look);
    World next = world;
    next.soak = remembered(seen);
    if (next.soak != Soak::over) next.unwatched = false;
    if (world.gate == GateStage::closed || world.gate == GateStage::restoring)
      next.last_look = next.drain_failed = false;
    // A look from after the quarantine began finds nothing in it.
    const bool lost = world.gate == GateStage::quarantined && look == Look::now && world.column == Column::there;
    if (lost && rules_.leads_back_when_lost) next.last_look = true;
    if (world.hand != Hand::empty) return steer(next, seen);
    const bool elapsed = look != Look::none && world.column == Column::renamed;
    const auto& decision = core_.decided(next, seen, elapsed);
    require(decision.refused.empty(), kAccepted, decision.refused);
    if (!decision.refused.empty()) return;
    if (decision.fences) may_fence(world, look);
    const bool at_gate = world.gate != GateStage::closed && world.gate != GateStage::restoring;
    const bool underway = at_gate && world.drop == StepStatus::pending && world.stage <= Stage::contracting;
    copy_plan(next, decision.plan);
    if (underway && (speaks_against(world, scope_, look) || next.last_look || next.drain_failed))
      require(next.gate == GateStage::restoring, kFallsBack, "the daemon looks");
    act(next, decision.action);
  }

  void may_fence(const World& world, Look look) {
    constexpr auto how = "fencing";
    require(!speaks_against(world, scope_, look) && look != Look::none, kS4, how);
    std::size_t current = 0;
    bool stale = false;
    for (std::size_t i = 0; i < instances(); ++i) {
      const auto& it = world.instances[i];
      if (it.entry == Entry::none || set_aside(world, i)) continue;
      stale = stale || it.entry == Entry::stale;
      current += live(it.entry) && !it.reported_old;
      if (live(it.entry)) continue;
      const bool its_own = look == Look::now && it.session && (it.process == Process::old) == it.reported_old;
      const bool begins = it.reported_old && !(scope_.by_role && !world.login);
      require(it.entry == Entry::long_silent && !its_own && !begins, kS4, how);
    }
    require(current >= 1, kS4, how);
    require(world.soak == Soak::over && !world.unwatched, kSoaked, how);
    require(!stale, kS6, how);
  }

  // What the loop tells an act in hand.
  void steer(World next, const GateVerdict& seen) {
    const bool aborts = next.stage == Stage::aborting;
    const bool drains = next.hand == Hand::drain || next.hand == Hand::drain_clean;
    if (drains && (aborts || !seen.contradictions.empty())) next.hand = Hand::empty;
    if (next.hand == Hand::rename && aborts) next.hand = Hand::empty;
    if (next.hand == Hand::run && !seen.open()) next.hand = Hand::run_refused;
    to("the daemon looks, with an act in hand", next);
  }

  void act(World world, const Action& action) {
    std::string name("the daemon looks: ");
    name += world.gate == GateStage::closed ? to_string(world.stage) : to_string(world.gate);
    if (std::holds_alternative<RaiseFence>(action)) world.hand = Hand::fence;
    if (std::holds_alternative<Drain>(action)) world.hand = Hand::drain;
    if (std::holds_alternative<Quarantine>(action)) world.hand = Hand::rename;
    if (std::holds_alternative<LowerFence>(action)) world.hand = Hand::lower;
    if (std::holds_alternative<RunStep>(action)) world.hand = Hand::run;
    if (!std::holds_alternative<SettleStep>(action)) return to(std::move(name), world);
    // The target is prepared for the present lease, the step's old session ended, and the ledger read.
    world.lease = Lease::present;
    const bool there = world.column == Column::dropped;
    core_.append(world, there ? Event(StepFinished{StepId("drop"), 0, {}, ""})
                              : Event(StepInterrupted{StepId("drop"), Applied::none, ""}));
    to("the step is settled", world);
  }

  void runner(const World& world) {
    const auto does = [&](std::string name, Hand hand, auto effect) {
      World next = changed(world, &World::hand, hand);
      if (effect(next, Lease::present, false)) to(std::move(name), next);
    };
    const auto records = [&](const Event& event) {
      World next = changed(world, &World::hand, Hand::empty);
      const bool taken = core_.append(next, event);
      if (taken && std::holds_alternative<FenceLowered>(event)) next_epoch(next);
      to(std::string(kind(event)), next);
    };
    switch (world.hand) {
      case Hand::empty: return;
      case Hand::fence:
        if (!rules_.fences || !rules_.fences_first)
          return to("the fence is not raised", changed(world, &World::hand, Hand::fence_done));
        return does("the fence is raised", Hand::fence_done, [this](auto&&... of) { return target_.keep_out(of...); });
      case Hand::fence_done: return records(FenceRaised{});
      case Hand::drain:
      case Hand::drain_clean: return drain(world);
      case Hand::drained:
        if (!rules_.fences_first) {
          World next = changed(world, &World::hand, Hand::empty);
          target_.keep_out(next, Lease::present, false);
          core_.append(next, GateDrained{});
          return to("drained, then fenced", next);
        }
        return records(GateDrained{});
      case Hand::rename: return rename(world);
      case Hand::rename_done: return records(Quarantined{});
      case Hand::lower:
        return does("all let in", Hand::lower_done, [this](auto&&... of) { return target_.let_in(of...); });
      case Hand::lower_done: return records(FenceLowered{});
      case Hand::run: return run(world);
      case Hand::run_done: return records(StepFinished{StepId("drop"), 0, {}, ""});
      case Hand::run_contradicted:
      case Hand::run_refused: {
        World next = changed(world, &World::hand, Hand::empty);
        core_.append(next, StepInterrupted{StepId("drop"), Applied::none, ""});
        next.last_look = world.hand == Hand::run_contradicted;
        return to("the step is interrupted", next);
      }
    }
  }

  // A target that does not know of the fence refuses.
  void rename(const World& world) {
    World next = changed(world, &World::hand, Hand::rename_done);
    if (target_.quarantine(next, Lease::present, false)) return to("quarantine", next);
    next.hand = Hand::empty;
    next.drain_failed = rules_.leads_back_when_lost;
    to("quarantine is refused", next);
  }

  void drain(const World& world) {
    const auto look = rules_.look_at_drain(plan_.gate, scan(world, scope_, Look::now), {});
    if (look.clean()) {
      const bool fenced = world.row == Row::kept_out && (!scope_.by_role || !world.login);
      if (!scope_.lost) require(fenced, kS3, "a look without the fence");
      require(!old_session(world), kS3, "a look that misses a session");
      const auto hand = world.hand == Hand::drain ? Hand::drain_clean : Hand::drained;
      return to("a clean look", changed(world, &World::hand, hand));
    }
    World next = changed(world, &World::hand, Hand::drain);
    if (scope_.terminate) {
      for (auto& it : next.instances) it.session = it.session && it.process != Process::old;
    }
    to("the drain looks", next);
    next = changed(world, &World::hand, Hand::empty);
    next.drain_failed = true;
    to("the drain's budget is spent", next);
  }

  void run(const World& world) {
    const auto& seen = core_.verdict(world, Look::now);
    auto next = world;
    if (const auto refused = target_.drop(next, Lease::present, false, seen)) next.hand = *refused;
    if (next.column == Column::dropped) {
      to("it drops, and the answer is lost", changed(next, &World::hand, Hand::empty), false);
      next.hand = Hand::run_done;
    }
    to("the last look", next);
  }

  static Orphan orphan_of(Hand hand) {
    if (hand == Hand::fence) return Orphan::fence;
    if (hand == Hand::rename) return Orphan::rename;
    if (hand == Hand::lower) return Orphan::lower;
    return hand == Hand::run ? Orphan::run : Orphan::none;
  }

  void orphan(const World& world) {
    if (world.orphan == Orphan::none) return;
    const auto by = world.orphan_leads ? Lease::present : Lease::before;
    World next = changed(world, &World::orphan, Orphan::none);
    to("the paused act is given up", next);
    const bool late = world.orphan_late;
    switch (world.orphan) {
      case Orphan::none: return;
      case Orphan::fence: target_.keep_out(next, by, late); break;
      case Orphan::rename: target_.quarantine(next, by, late); break;
      case Orphan::lower: target_.let_in(next, by, late); break;
      case Orphan::run: {
        // Its registry is as it was, and nothing in it spoke against the drop; it sees the sessions of now.
        World believed = world;
        believed.instances[0].entry = Entry::live;
        believed.instances[0].reported_old = false;
        for (std::size_t i = 1; i < instances(); ++i) believed.instances[i].entry = Entry::none;
        believed.soak = Soak::over;
        believed.watched = true;
        believed.held = false;
        target_.drop(next, by, late, core_.verdict(believed, Look::now));
        break;
      }
    }
    to("the paused act goes on", next, false);
  }

  void takeovers(const World& world) {
    World next = world;
    next.lease = world.lease == Lease::present ? Lease::before : Lease::ancient;
    // Of those that were paused, the one whose lease comes next is the more dangerous.
    const auto paused = orphan_of(world.hand);
    if (paused != Orphan::none) {
      next.orphan = paused;
      next.orphan_late = false;
    } else if (!world.orphan_leads) {
      next.orphan = Orphan::none;
    }
    next.orphan_leads = false;
    next.hand = Hand::empty;
    next.drain_failed = next.last_look = next.watched = false;
    if (rules_.forgets_at_restart) {
      next.soak = Soak::none;
    } else {
      next.unwatched = next.soak != Soak::none;
      if (next.soak == Soak::broken) next.soak = Soak::over;
    }
    for (auto& it : next.instances) {
      if (live(it.entry)) it.entry = scope_.resumed ? Entry::stale : Entry::silent;
      if (it.entry == Entry::fell) it.entry = Entry::silent;
    }
    taken_over(world, next);
    if (scope_.resumed) return;
    // One with a registry of its own, which has heard of nobody since the reports went to it no more.
    for (std::size_t i = 0; i < instances(); ++i) {
      if (live(world.instances[i].entry)) next.instances[i].entry = Entry::stale;
    }
    taken_over(world, next);
  }

  void taken_over(const World& before, const World& after) {
    for (const auto look : {Look::now, Look::earlier})
      require(!core_.verdict(after, look).open() || core_.verdict(before, look).open(), kS7, "a restart");
    to("another daemon takes over", after, false);
  }

  void losses(const World& world) {
    const auto left = orphan_of(world.hand);
    if (left != Orphan::none && left != Orphan::run) {
      World next = changed(world, &World::hand, Hand::empty);
      next.orphan = left;
      next.orphan_leads = true;
      next.orphan_late = false;
      to("the connection is lost amid an act", next, false);
    }
    // A standby takes over that has not seen the latest transactions; every session with the old primary is over.
    if (world.row == Row::kept_out && world.column != Column::dropped) {
      World next = changed(world, &World::row, Row::none);
      next.login = true;
      next.column = Column::there;
      next.orphan = Orphan::none;
      to("the target forgets the fence", next, false);
    }
    if (!world.login && world.column != Column::dropped)
      to("somebody gives the role its login back", changed(world, &World::login, true), false);
  }

  bool asks(World& world, const Command& asked) {
    const auto changes = core_.asks(world, asked);
    require(changes.has_value(), kAccepted, "a command");
    return changes && *changes;
  }

  void people(const World& world) {
    World next = world;
    if (asks(next, HoldGate{"bob", "a feeling"})) to("bob holds the gate", next, false);
    next = world;
    if (asks(next, ReleaseGate{"bob"})) to("bob releases the gate", next);
    next = world;
    if (asks(next, Abort{"bob", ""})) to("abort", next, false);
  }

  void overrides(const World& world) {
    for (const auto* by : {"bob", "carol"}) {
      World next = world;
      const OverrideGate asked{{name_of(0)}, "its host is gone", by, Milliseconds{3'600'000}, kNow.wall};
      if (asks(next, asked)) to(fmt::format("{} overrides", by), next, false);
    }
  }

  // L2: whatever the gate, a member that is taken out is no reason any more.
  void removable(const World& world) {
    for (std::size_t i = 0; i < instances(); ++i) {
      if (!silent(world.instances[i].entry)) continue;
      World next = world;
      next.instances[i].entry = Entry::none;
      const bool others = std::ranges::any_of(next.instances, [](const Instance& it) { return silent(it.entry); });
      const auto& seen = core_.verdict(next, Look::now);
      require(others || seen.services.at(0).unknown == 0, kL2, "a silent member is removed");
    }
  }

  const Scope scope_;
  const Rules rules_;
  const Plan plan_;
  Exploration paths_;
  AskedCore core_{scope_, rules_, plan_};
  ModelTarget target_{scope_, rules_, plan_, paths_};
  std::vector<Move> moves_;
  const char* enough_ = nullptr;
};

std::string all(const std::map<std::string, std::string>& violations) {
  std::string out;
  for (const auto& [invariant, how] : violations) out += invariant + how + "\n";
  return out;
}

class GateModel : public testing::TestWithParam<Scope> {};

TEST_P(GateModel, HoldsInEveryReachableWorld) {
  Model model(GetParam(), Rules{});
  const auto& paths = model.explore();
  std::cout << paths.states() << " states, " << paths.transitions() << " transitions\n";
  EXPECT_THAT(paths.violations(), testing::IsEmpty()) << all(paths.violations());
  if (kInstrumented && paths.states() >= kBound) return;
  // It has been where it matters; otherwise it would prove nothing.
  const auto dropped = [](Key key) { return unpack(key).column == Column::dropped; };
  EXPECT_TRUE(paths.reached(dropped));
  for (const auto stage : kGateStages) {
    if (!GetParam().quarantine && (stage == GateStage::quarantining || stage == GateStage::quarantined)) continue;
    EXPECT_TRUE(paths.reached([&](Key key) { return unpack(key).gate == stage; })) << to_string(stage);
  }
}

INSTANTIATE_TEST_SUITE_P(Scopes, GateModel, testing::ValuesIn(scopes()),
                         [](const auto& scope) { return scope.param.name; });

class GateMutant : public testing::TestWithParam<mutant::Mutant> {};

TEST_P(GateMutant, IsCaughtByName) {
  Model model(GetParam().scope, GetParam().rules);
  const auto& paths = model.explore(GetParam().caught_by);
  const bool caught = paths.violations().contains(GetParam().caught_by);
  if (kInstrumented && !caught && paths.states() >= kBound) GTEST_SKIP() << "not within the bound";
  EXPECT_TRUE(caught) << "not caught by: " << GetParam().caught_by << "\n" << all(paths.violations());
}

INSTANTIATE_TEST_SUITE_P(Guards, GateMutant, testing::ValuesIn(mutant::all()),
                         [](const auto& guard) { return guard.param.name; });

}  // namespace
}  // namespace diastole::test::gate
