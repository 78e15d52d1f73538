#include "diastole/engine/reconciler.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <thread>

#include "hand.hpp"
#include "runner.hpp"
#include "worker_pool.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kTick{250};
// A plan whose decisions do not come to rest is a bug; it must not starve the others.
constexpr int kDecisionsARound = 32;
constexpr Milliseconds kHoldFirst{1'000};
constexpr Milliseconds kHoldLongest{15'000};

bool starts_contract(const std::vector<core::Event>& events) {
  return std::ranges::any_of(events, [](const core::Event& event) {
    const auto* started = std::get_if<core::PhaseStarted>(&event);
    return started && started->phase == core::Phase::contract && started->gate_open;
  });
}

bool backfill_complete(core::Stage stage) {
  return stage == core::Stage::backfilled || stage == core::Stage::contracting || stage == core::Stage::completed;
}

}  // namespace

class Reconciler::Impl {
 public:
  Impl(Journal& journal, FleetRegistry& fleet, Targets targets, const ports::Lease& lease, const ports::Clock& clock,
       ports::Log& log, const EngineSettings& settings)
      : journal_(journal),
        fleet_(fleet),
        lease_(lease),
        clock_(clock),
        log_(log),
        runner_(journal, std::move(targets), lease, clock, log, settings),
        last_round_(clock.now().mono),
        pool_(settings.workers) {}

  void start() {
    loop_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
  }

  void wake() {
    {
      const std::scoped_lock lock(mutex_);
      woken_ = true;
    }
    changed_.notify_all();
  }

  void stop(Milliseconds grace) {
    if (!loop_.joinable()) return;
    loop_.request_stop();
    loop_.join();
    tell_hands([](Hand& hand) { hand.yield("the daemon is stopping"); });
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, grace, [this] {
        return std::ranges::none_of(work_, [](const auto& entry) { return entry.second.hand != nullptr; });
      });
    }
    tell_hands([](Hand& hand) { hand.cancel("the daemon is stopping"); });
    pool_.stop();
  }

  [[nodiscard]] MonoTime last_round() const { return last_round_.load(); }

  [[nodiscard]] Gates gates(const core::PlanState& state) const {
    const auto now = clock_.now();
    const auto view = fleet_.view();
    const std::scoped_lock lock(mutex_);
    const auto found = work_.find(state.plan.id);
    // A plan that is over is not worked on; one that the loop has not met yet is first seen now.
    const auto unmet = core::terminal(state.stage) ? view.watching_since : now.mono;
    const auto first_seen = found == work_.end() ? unmet : found->second.first_seen;
    const auto soaking = found == work_.end() ? std::nullopt : found->second.soaking_since;
    return evaluate(state, view, first_seen, soaking, now);
  }

  [[nodiscard]] Result<ports::BackfillPreview> preview(const core::Plan& plan, const core::Step& step) const {
    return runner_.preview(plan, step);
  }

 private:
  // What this process remembers of a plan beside its state; lost at a restart without harm.
  struct Work {
    MonoTime first_seen;
    std::shared_ptr<Hand> hand;  // while an act is in hand
    std::optional<core::Preflight> preflight;
    std::optional<MonoTime> soaking_since;
    std::optional<core::Reason> hold;
    MonoTime hold_until;
    Milliseconds hold_for{};
  };

  void loop(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      last_round_ = clock_.now().mono;
      try {
        round(stop);
      } catch (const std::exception& error) {
        log_.error("a round ended by an exception", {{"error", error.what()}});
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, kTick, [this] { return woken_; });
      woken_ = false;
    }
  }

  void round(const std::stop_token& stop) {
    const auto epoch = lease_.epoch();
    if (epoch.value == 0) {
      tell_hands([](Hand& hand) { hand.yield("this daemon lost its lease"); });
      return;
    }
    if (epoch != loaded_epoch_) {
      if (auto loaded = journal_.load(); !loaded) {
        log_.warning("cannot read the plans", {{"error", loaded.error().message}});
        return;
      }
      loaded_epoch_ = epoch;
      watch_anew();
    }
    const auto plans = journal_.unfinished();
    if (!plans) {
      log_.warning("cannot read a plan", {{"error", plans.error().message}});
      return;
    }
    {
      // Plans that are over need no memory.
      const std::scoped_lock lock(mutex_);
      std::erase_if(work_, [&](const auto& entry) {
        const auto& [id, work] = entry;
        return !work.hand && std::ranges::none_of(*plans, [&](const StatePtr& state) { return state->plan.id == id; });
      });
    }
    for (const auto& state : *plans) {
      if (stop.stop_requested()) return;
      reconcile(state->plan.id);
    }
  }

  // While the lease was somebody else's, so were the fleet's reports: a soak begins again after one suspect time.
  void watch_anew() {
    const auto now = clock_.now().mono;
    const std::scoped_lock lock(mutex_);
    for (auto& [id, work] : work_) {
      work.first_seen = now;
      work.soaking_since.reset();
      work.preflight.reset();
    }
  }

  void reconcile(const PlanId& id) {
    for (int i = 0; i < kDecisionsARound; ++i) {
      // Before the state is read: an act that has ended by now has recorded its outcome there.
      const bool in_hand = acting(id);
      const auto state = journal_.get(id);
      if (!state || core::terminal((*state)->stage)) return;
      const auto now = clock_.now();
      const auto observation = observe(**state, in_hand, now);
      const auto decision = core::decide(**state, observation, now);
      if (!decision.events.empty() && !append(**state, decision.events)) return;
      if (!std::holds_alternative<std::monostate>(decision.action)) return act(id, decision.action);
      if (decision.events.empty()) return;
    }
    log_.error("decisions do not come to rest", {{"plan", id.str()}});
  }

  [[nodiscard]] bool append(const core::PlanState& decided_on, const std::vector<core::Event>& events) {
    bool stale = false;
    const auto change = [&](const core::PlanState& state) -> Result<std::vector<core::Event>> {
      stale = state.seq != decided_on.seq;  // it has moved on: decide anew
      return stale ? std::vector<core::Event>{} : events;
    };
    Journal::Guard guard;
    if (starts_contract(events)) {
      guard = [&]() -> Result<void> {
        if (gates(decided_on).contract.open()) return {};
        return fail(ErrorCode::conflict, "the gate closed while contract was being recorded");
      };
    }
    const auto appended = journal_.transact(decided_on.plan.id, change, guard);
    if (!appended) {
      log_.warning("a decision was not recorded",
                   {{"plan", decided_on.plan.id.str()}, {"error", appended.error().message}});
      return false;
    }
    return !stale;
  }

  [[nodiscard]] bool acting(const PlanId& id) const {
    const std::scoped_lock lock(mutex_);
    const auto found = work_.find(id);
    return found != work_.end() && found->second.hand;
  }

  core::Observation observe(const core::PlanState& state, bool in_hand, Now now) {
    const auto view = fleet_.view();
    const std::scoped_lock lock(mutex_);
    auto [position, fresh] = work_.try_emplace(state.plan.id);
    auto& work = position->second;
    if (fresh) work.first_seen = now.mono;
    auto gates = evaluate(state, view, work.first_seen, work.soaking_since, now);
    work.soaking_since = gates.contract.soaking_since;
    if (work.hand) steer(*work.hand, state, gates);
    core::Observation observation;
    observation.gate = std::move(gates.contract);
    observation.needs = std::move(gates.needs);
    observation.preflight = work.preflight;
    observation.step_in_hand = in_hand;
    if (work.hold && now.mono < work.hold_until) observation.hold = work.hold;
    return observation;
  }

  static Gates evaluate(const core::PlanState& state, core::FleetView view, MonoTime first_seen,
                        std::optional<MonoTime> soaking_since, Now now) {
    // Evidence from before the plan does not count: one suspect time from when it was first seen, every instance has
    // reported anew.
    view.watching_since = std::max(view.watching_since, first_seen);
    Gates gates;
    gates.contract = core::evaluate_gate(state.plan.gate, view, backfill_complete(state.stage), soaking_since, now);
    for (const auto& step : state.plan.steps) {
      if (!step.backfill || step.backfill->needs.empty()) continue;
      const core::GateSpec needs{step.backfill->needs, Milliseconds{0}};
      gates.needs[step.id] = core::evaluate_gate(needs, view, true, std::nullopt, now);
    }
    return gates;
  }

  static void steer(Hand& hand, const core::PlanState& state, const Gates& gates) {
    if (state.condition == core::Condition::paused) hand.yield("paused");
    const bool marked = std::ranges::any_of(state.steps, [](const core::StepState& step) {
      return step.status == core::StepStatus::running || step.status == core::StepStatus::undoing;
    });
    // It looks, which may take long.
    if (!marked && state.stage == core::Stage::aborting) hand.cancel("abort was asked for");
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
      if (state.steps[i].status != core::StepStatus::running) continue;
      hand.set_pace(state.steps[i].pace);
      if (state.steps[i].pace.paused) hand.yield("paused by " + state.steps[i].paced_by);
      const bool contracts = state.plan.steps[i].phase == core::Phase::contract;
      if (contracts && !gates.contract.open()) hand.yield("the gate closed");
      if (state.stage == core::Stage::aborting) hand.cancel("abort was asked for");
      const auto needs = gates.needs.find(state.plan.steps[i].id);
      if (needs != gates.needs.end() && !needs->second.open()) hand.yield("what the step needs does not hold any more");
    }
  }

  void act(const PlanId& id, const core::Action& action) {
    auto hand = std::make_shared<Hand>();
    {
      const std::scoped_lock lock(mutex_);
      work_[id].hand = hand;
    }
    pool_.post([this, id, action, hand] { finish(id, perform(id, action, *hand)); });
  }

  // An exception is a bug or a machine out of memory or threads: it costs this act, not the daemon.
  ActResult perform(const PlanId& id, const core::Action& action, Hand& hand) {
    try {
      if (const auto state = journal_.get(id)) return runner_.perform(**state, action, hand);
      return {};
    } catch (const std::exception& error) {
      log_.error("an act ended by an exception", {{"plan", id.str()}, {"error", error.what()}});
      core::Reason reason;
      reason.kind = core::ReasonKind::retrying;
      reason.message = "an internal error, which the daemon's log names";
      reason.clears = "it is tried again by itself";
      reason.since = clock_.now().wall;
      return {.again_later = std::move(reason), .preflight = {}};
    }
  }

  void finish(const PlanId& id, ActResult result) {
    {
      const std::scoped_lock lock(mutex_);
      auto& work = work_[id];
      work.hand.reset();
      if (result.preflight) work.preflight = std::move(result.preflight);
      if (result.again_later) {
        work.hold = std::move(result.again_later);
        work.hold_for = std::clamp(work.hold_for * 2, kHoldFirst, kHoldLongest);
        work.hold_until = clock_.now().mono + work.hold_for;
      } else {
        work.hold.reset();
        work.hold_for = Milliseconds{0};
      }
      woken_ = true;
    }
    changed_.notify_all();
  }

  template <typename Tell>
  void tell_hands(Tell tell) {
    const std::scoped_lock lock(mutex_);
    for (auto& [id, work] : work_) {
      if (work.hand) tell(*work.hand);
    }
  }

  Journal& journal_;
  FleetRegistry& fleet_;
  const ports::Lease& lease_;
  const ports::Clock& clock_;
  ports::Log& log_;
  Runner runner_;
  Epoch loaded_epoch_;  // of the loop's thread
  std::atomic<MonoTime> last_round_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = false;
  std::map<PlanId, Work> work_;
  WorkerPool pool_;
  std::jthread loop_;
};

Reconciler::Reconciler(Journal& journal, FleetRegistry& fleet, Targets targets, const ports::Lease& lease,
                       const ports::Clock& clock, ports::Log& log, const EngineSettings& settings)
    : impl_(std::make_unique<Impl>(journal, fleet, std::move(targets), lease, clock, log, settings)) {}
Reconciler::~Reconciler() {
  stop(Milliseconds{0});
}
void Reconciler::start() {
  impl_->start();
}
void Reconciler::wake() {
  impl_->wake();
}
void Reconciler::stop(Milliseconds grace) {
  impl_->stop(grace);
}
MonoTime Reconciler::last_round() const {
  return impl_->last_round();
}
Result<ports::BackfillPreview> Reconciler::preview(const core::Plan& plan, const core::Step& step) const {
  return impl_->preview(plan, step);
}
Gates Reconciler::gates(const core::PlanState& state) const {
  return impl_->gates(state);
}

}  // namespace diastole::engine
