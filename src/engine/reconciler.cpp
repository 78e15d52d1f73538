#include "diastole/engine/reconciler.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <thread>

#include "hand.hpp"
#include "runner.hpp"
#include "statement_advice.hpp"
#include "worker_pool.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kTick{250};
// A plan whose decisions do not come to rest is a bug; it must not starve the others.
constexpr int kDecisionsARound = 32;
// Beside the workers, so that a look at the sessions waits for no backfill.
constexpr int kLookers = 2;
constexpr Milliseconds kHoldFirst{1'000};
constexpr Milliseconds kHoldLongest{15'000};

// What only an open gate lets pass.
bool needs_gate_open(const std::vector<core::Event>& events) {
  return std::ranges::any_of(events, [](const core::Event& event) {
    if (std::holds_alternative<core::GateFencing>(event)) return true;
    const auto* started = std::get_if<core::PhaseStarted>(&event);
    return started && started->phase == core::Phase::contract && started->gate_open;
  });
}

bool backfill_complete(core::Stage stage) {
  return stage == core::Stage::backfilled || stage == core::Stage::contracting || stage == core::Stage::completed;
}

// Whether one of the plan's gates may have to be passed soon, so that it is worth a look at the sessions.
bool wants_scan(const core::PlanState& state) {
  if (state.condition == core::Condition::failed) return false;
  switch (state.stage) {
    case core::Stage::expanded:
    case core::Stage::backfilling:
      return std::ranges::any_of(state.plan.steps,
                                 [](const core::Step& step) { return step.backfill && !step.backfill->needs.empty(); });
    case core::Stage::backfilled:
    case core::Stage::contracting: return state.plan.has(core::Phase::contract);
    case core::Stage::accepted:
    case core::Stage::expanding:
    case core::Stage::completed:
    case core::Stage::aborting:
    case core::Stage::aborted: return false;
  }
  return false;
}

// A look that was asked for after the quarantine was recorded, and finds nothing in it.
bool quarantine_lost(const core::PlanState& state, const std::optional<core::SessionScan>& scan, Now now) {
  if (state.gate.stage != core::GateStage::quarantined || state.stage != core::Stage::backfilled) return false;
  if (!state.gate.since || !scan || scan->quarantined_for || !scan->complete()) return false;
  const auto age = now.mono - scan->at;
  return age < core::kScanValid && age < now.wall - *state.gate.since;
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
        settings_(settings),
        advisor_(targets, clock, log),
        runner_(journal, std::move(targets), lease, clock, log, settings,
                [this](const core::PlanState& state, const core::SessionScan& scan) { return judge(state, scan); }),
        last_round_(clock.now().mono),
        pool_(settings.workers),
        lookers_(kLookers) {}

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
    lookers_.stop();
    advisor_.stop();
  }

  [[nodiscard]] MonoTime last_round() const { return last_round_.load(); }

  [[nodiscard]] Gates gates(const core::PlanState& state) const {
    auto gates = evaluate(state, remembered(state), clock_.now());
    gates.advice = advisor_.of(state.plan.id);
    return gates;
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
    core::GateMemory gate;
    std::optional<core::SessionScan> scan;
    std::optional<MonoTime> scan_begun;  // the latest
    bool scanning = false;
    std::string scan_failed;  // why the latest did
    std::vector<core::Reason> last_look;
    std::vector<core::Reason> drain_failed;
    std::optional<core::Reason> hold;
    MonoTime hold_until;
    Milliseconds hold_for{};
  };

  // What an evaluation needs of it.
  struct Remembered {
    MonoTime first_seen;
    core::GateMemory gate;
    std::optional<core::SessionScan> scan;
  };

  [[nodiscard]] Remembered remembered(const core::PlanState& state) const {
    const std::scoped_lock lock(mutex_);
    if (const auto found = work_.find(state.plan.id); found != work_.end())
      return {found->second.first_seen, found->second.gate, found->second.scan};
    // A plan that is over is not worked on; one that the loop has not met yet is first seen now.
    return {core::terminal(state.stage) ? MonoTime{} : clock_.now().mono, {}, {}};
  }

  // Under the lock of a transaction of contract, by what it has just seen.
  [[nodiscard]] core::GateVerdict judge(const core::PlanState& state, const core::SessionScan& scan) const {
    auto memory = remembered(state);
    memory.scan = scan;
    return evaluate(state, std::move(memory), clock_.now()).contract;
  }

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
    // Plans that are over need no memory.
    const auto unfinished = [&](const PlanId& id) {
      return std::ranges::any_of(*plans, [&](const StatePtr& state) { return state->plan.id == id; });
    };
    advisor_.forget(unfinished);
    {
      const std::scoped_lock lock(mutex_);
      std::erase_if(work_, [&](const auto& entry) {
        const auto& [id, work] = entry;
        return !work.hand && !work.scanning && !unfinished(id);
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
      work.gate = {};
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
      if (wants_scan(**state)) scan_in_time(*state, now);
      advisor_.look_in_time(*state, now);
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
    if (needs_gate_open(events)) {
      guard = [&]() -> Result<void> {
        if (gates(decided_on).contract.open()) return {};
        return fail(ErrorCode::conflict, "the gate closed while what it lets pass was being recorded");
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
    {
      const std::scoped_lock lock(mutex_);
      auto [position, fresh] = work_.try_emplace(state.plan.id);
      if (fresh) position->second.first_seen = now.mono;
    }
    auto gates = evaluate(state, remembered(state), now);
    const std::scoped_lock lock(mutex_);
    auto& work = work_[state.plan.id];
    work.gate = gates.contract.memory;
    const auto stage = state.gate.stage;
    if (stage == core::GateStage::closed || stage == core::GateStage::restoring) {
      work.last_look.clear();
      work.drain_failed.clear();
    }
    if (work.hand) steer(*work.hand, state, gates);
    core::Observation observation;
    observation.gate = std::move(gates.contract);
    observation.needs = std::move(gates.needs);
    observation.preflight = work.preflight;
    if (work.scan && now.mono - work.scan->at < core::kScanValid)
      observation.quarantined_for = work.scan->quarantined_for;
    observation.last_look = work.last_look;
    if (quarantine_lost(state, work.scan, now)) observation.last_look.push_back(fence_lost("nothing is in quarantine"));
    observation.drain_failed = work.drain_failed;
    observation.step_in_hand = in_hand;
    if (work.hold && now.mono < work.hold_until) observation.hold = work.hold;
    return observation;
  }

  // Fills in what of the fleet this gate asks for.
  [[nodiscard]] core::GateVerdict look(const core::GateSpec& spec, core::GateEvidence& evidence, MonoTime first_seen,
                                       const core::GateMemory& memory, Now now) const {
    evidence.fleet = fleet_.view(core::names_wanted(spec, evidence));
    // Evidence from before the plan does not count: one suspect time from when it was first seen, every instance has
    // reported anew.
    evidence.fleet.watching_since = std::max(evidence.fleet.watching_since, first_seen);
    return core::evaluate_gate(spec, evidence, memory, now);
  }

  [[nodiscard]] Gates evaluate(const core::PlanState& state, Remembered memory, Now now) const {
    core::GateEvidence evidence;
    evidence.sessions = std::move(memory.scan);
    if (const auto tools = settings_.tools.find(state.plan.target); tools != settings_.tools.end())
      evidence.tools = tools->second;
    evidence.backfill_complete = backfill_complete(state.stage);
    evidence.hold = state.gate.hold;
    evidence.set_aside = core::set_aside(state, now.wall);
    Gates gates;
    gates.contract = look(state.plan.gate, evidence, memory.first_seen, memory.gate, now);
    evidence.backfill_complete = true;
    evidence.hold.reset();
    for (const auto& step : state.plan.steps) {
      if (!step.backfill || step.backfill->needs.empty()) continue;
      gates.needs[step.id] = look(core::needs_gate(state.plan, *step.backfill), evidence, memory.first_seen, {}, now);
    }
    gates.sessions = std::move(evidence.sessions);
    return gates;
  }

  // Asks for a look at the sessions, unless one is under way or young enough.
  void scan_in_time(const StatePtr& state, Now now) {
    {
      const std::scoped_lock lock(mutex_);
      auto& work = work_[state->plan.id];
      if (work.scanning || (work.scan_begun && now.mono - *work.scan_begun < settings_.scan_every)) return;
      work.scanning = true;
      work.scan_begun = now.mono;
    }
    lookers_.post([this, state] { scan(*state); });
  }

  // A target that cannot be asked is a scan that failed, so that the reason shows.
  void scan(const core::PlanState& state) {
    core::SessionScan seen;
    std::string failed;
    try {
      auto scanned = runner_.scan(state.plan);
      if (scanned) {
        seen = *std::move(scanned);
      } else {
        failed = scanned.error().failure.message;
      }
    } catch (const std::exception& error) {
      failed = error.what();
    }
    if (!failed.empty()) seen = {clock_.now().mono, {{"primary", failed, {}}}, {}, {}};
    const std::scoped_lock lock(mutex_);
    const auto found = work_.find(state.plan.id);
    if (found == work_.end()) return;
    auto& work = found->second;
    if (work.scan_failed != failed && !failed.empty())
      log_.warning("the sessions of a target cannot be seen", {{"target", state.plan.target.str()}, {"error", failed}});
    work.scan_failed = failed;
    work.scanning = false;
    work.scan = std::move(seen);
    woken_ = true;
    changed_.notify_all();
  }

  static void steer(Hand& hand, const core::PlanState& state, const Gates& gates) {
    if (state.condition == core::Condition::paused) hand.yield("paused");
    const bool marked = std::ranges::any_of(state.steps, [](const core::StepState& step) {
      return step.status == core::StepStatus::running || step.status == core::StepStatus::undoing;
    });
    // It looks, or is at the gate, which may take long.
    if (!marked && state.stage == core::Stage::aborting && !hand.outlives_abort()) hand.cancel("abort was asked for");
    const bool at_gate = !marked && !hand.outlives_abort() && state.gate.stage != core::GateStage::closed;
    if (at_gate && !gates.contract.contradictions.empty()) hand.yield(gates.contract.contradictions.front().message);
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
    auto hand = std::make_shared<Hand>(std::holds_alternative<core::LowerFence>(action));
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
      if (result.scan) work.scan = std::move(result.scan);
      work.last_look = std::move(result.last_look);
      work.drain_failed = std::move(result.drain_failed);
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
  const EngineSettings settings_;
  StatementAdvisor advisor_;
  Runner runner_;
  Epoch loaded_epoch_;  // of the loop's thread
  std::atomic<MonoTime> last_round_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = false;
  std::map<PlanId, Work> work_;
  WorkerPool pool_;
  WorkerPool lookers_;
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
