#include "runner.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "diastole/codec/plan_codec.hpp"

namespace diastole::engine {
namespace {

using core::Applied;
using ports::Direction;

constexpr const char* kNotNamed = "the configuration does not name it any more";

std::string checksum(const std::vector<core::Statement>& statements) {
  std::string all;
  for (const auto& statement : statements) all += statement.sql + '\n';
  return codec::sha256(all);
}

std::string backfill_checksum(const core::Backfill& backfill) {
  std::string all = backfill.table + '\n' + backfill.where + '\n' + backfill.verify + '\n';
  for (const auto& [column, expression] : backfill.set) all += column + '=' + expression + '\n';
  all += backfill.sql;
  return codec::sha256(all);
}

bool all_transactional(const std::vector<core::Statement>& statements) {
  return std::ranges::all_of(statements, &core::Statement::transactional);
}

}  // namespace

std::string counted_rows(std::int64_t rows) {
  return rows >= 1000 ? "1000 rows or more" : fmt::format("{} row{}", rows, rows == 1 ? "" : "s");
}

bool passes_by_itself(ErrorCode code) {
  switch (code) {
    case ErrorCode::unavailable:
    case ErrorCode::fenced:
    case ErrorCode::outcome_unknown: return true;
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::conflict:
    case ErrorCode::lock_timeout:
    case ErrorCode::interrupted:
    case ErrorCode::internal: return false;
  }
  return false;
}

Runner::Runner(Journal& journal, Targets targets, const ports::Lease& lease, const ports::Clock& clock, ports::Log& log,
               const EngineSettings& settings, Judge judge)
    : journal_(journal),
      targets_(std::move(targets)),
      lease_(lease),
      clock_(clock),
      log_(log),
      settings_(settings),
      judge_(std::move(judge)),
      random_(std::random_device{}()) {}

ActResult Runner::perform(const core::PlanState& state, const core::Action& action, Hand& hand) {
  auto result = act_out(state, action, hand);
  if (result.again_later) {
    // What comes back may be another server, or an older state of it.
    const std::scoped_lock lock(mutex_);
    prepared_.erase(state.plan.target);
  }
  return result;
}

ActResult Runner::act_out(const core::PlanState& state, const core::Action& action, Hand& hand) {
  if (const auto* wanted = std::get_if<core::RunPreflight>(&action)) return preflight(state, wanted->phase, hand);
  const auto on_step = [&](const StepId& id, Direction direction, auto member) -> ActResult {
    const auto* step = state.plan.find(id);
    const bool forward = direction == Direction::forward;
    const auto epoch = lease_.epoch();
    ports::WorkId work{state.plan.id, id, direction,
                       step->backfill && forward ? backfill_checksum(*step->backfill)
                                                 : checksum(forward ? step->statements : step->undo),
                       epoch};
    auto target = ready(state, epoch);
    if (!target) return {.again_later = later(state.plan, id, target.error()), .preflight = {}};
    return (this->*member)(Act{state, *step, **target, work, hand});
  };
  if (const auto* wanted = std::get_if<core::RunStep>(&action))
    return on_step(wanted->step, Direction::forward, &Runner::run);
  if (const auto* wanted = std::get_if<core::UndoStep>(&action))
    return on_step(wanted->step, Direction::undo, &Runner::undo);
  if (const auto* wanted = std::get_if<core::SettleStep>(&action)) {
    return on_step(wanted->step, wanted->undo ? Direction::undo : Direction::forward, &Runner::settle);
  }
  return at_gate(state, action, hand);
}

ports::TargetResult<std::vector<core::Reason>> Runner::recheck(const core::PlanState& state, ports::Target& target,
                                                               Hand& hand) {
  std::vector<core::Reason> reasons;
  for (const auto& step : state.plan.steps) {
    if (!step.backfill) continue;
    const ports::WorkId id{state.plan.id, step.id, Direction::forward, backfill_checksum(*step.backfill),
                           lease_.epoch()};
    const auto found =
        target.backfill_recheck({id, *step.backfill, settings_.batch_lock_timeout, settings_.long_statement_timeout},
                                state.plan.gate.soak, hand.token());
    if (!found && (found.error().code == ErrorCode::interrupted || passes_by_itself(found.error().code)))
      return std::unexpected(found.error());
    if (found && found->unwritten)
      log_.info("no row was written since the backfill was verified",
                {{"plan", state.plan.id.str()}, {"step", step.id.str()}});
    if (found && found->rows == 0) continue;
    const auto& asked = step.backfill->recheck;
    core::Reason reason;
    reason.kind = core::ReasonKind::verification_failed;
    reason.object = step.id.str();
    reason.query = asked.query.empty() ? asked.where : asked.query;
    reason.clears = "mending what is found, or the code that writes it; it is asked again each minute";
    if (found) {
      reason.count = found->rows;
      reason.message = fmt::format("verified once more, backfill {} has left {} of {}", step.id.str(),
                                   counted_rows(found->rows), step.backfill->table);
    } else {
      reason.message =
          fmt::format("backfill {} cannot be verified once more: {}", step.id.str(), found.error().failure.message);
    }
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

ActResult Runner::preflight(const core::PlanState& state, core::Phase phase, Hand& hand) {
  core::Preflight result{.phase = phase, .at = clock_.now().mono, .reasons = {}};
  ports::PreflightRequest request;
  request.phase = phase;
  request.ledger_plan = state.plan.id.str();
  request.long_transaction = settings_.long_transaction;
  for (const auto& step : state.plan.steps) {
    if (step.phase == phase) request.steps.push_back(step);
    if (step.phase < phase) {
      for (const auto& statement : step.statements) {
        request.created.insert(request.created.end(), statement.creates.begin(), statement.creates.end());
      }
    }
  }
  const bool quarantined = state.gate.stage == core::GateStage::quarantined;
  if (phase == core::Phase::contract && state.plan.gate.quarantine.count() > 0 && !quarantined)
    request.quarantine = gate_work(state);
  for (const auto& doomed : state.plan.doomed) {
    if (quarantined && doomed.column.empty()) request.created.push_back(doomed.table);
  }
  const auto look = [&]() -> ports::TargetResult<std::vector<core::Reason>> {
    const auto target = ready(state, lease_.epoch());
    if (!target) return std::unexpected(target.error());
    auto found = (*target)->preflight(request);
    // It may read much: asked last, when nothing else is in the way.
    // What is in quarantine cannot be asked, and nobody has been able to write it since it was.
    if (!found || !found->empty() || phase != core::Phase::contract || quarantined) return found;
    return recheck(state, **target, hand);
  };
  const auto reasons = look();
  if (!reasons && reasons.error().code == ErrorCode::interrupted) return {};
  if (reasons) {
    result.reasons = *reasons;
  } else {
    core::Reason reason;
    reason.kind = core::ReasonKind::target_unavailable;
    reason.object = state.plan.target.str();
    reason.message = fmt::format("target {}: {}", state.plan.target.str(), reasons.error().failure.message);
    reason.clears = passes_by_itself(reasons.error().code) ? "the target's return; it is tried again by itself"
                                                           : "what the message says; it is tried again by itself";
    result.reasons.push_back(std::move(reason));
  }
  result.at = clock_.now().mono;
  return {.again_later = {}, .preflight = std::move(result)};
}

ports::TargetResult<ports::WorkDone> Runner::attempt(const Act& act, ports::StatementWork work) {
  const bool transactional = all_transactional(work.statements);
  work.lock_timeout = settings_.lock_timeout;
  work.statement_timeout = statement_timeout(act.step, work.statements);
  work.on_blocked = [&](const std::vector<core::Blocker>& blockers) {
    record(act, core::LockWaited{act.step.id, 1, Milliseconds{0}, blockers});
  };
  const auto interrupted = [](core::Applied applied) {
    return std::unexpected(ports::TargetError{ErrorCode::interrupted, {}, applied});
  };
  if (act.hand.asked()) return interrupted(Applied::none);
  for (int attempt = 1;; ++attempt) {
    auto result = transactional ? act.target.execute(work, act.hand.token())
                                : act.target.execute_concurrently(work, act.hand.token());
    const bool waited = !result && result.error().code == ErrorCode::lock_timeout;
    if (waited && attempt >= settings_.lock_attempts) {
      result.error().failure.hint = fmt::format("{} attempts of {} each; end the sessions named, then retry", attempt,
                                                format_duration(settings_.lock_timeout));
    }
    if (!waited || attempt >= settings_.lock_attempts) return result;
    const auto retry_in = backoff(attempt, settings_.lock_retry_max);
    record(act, core::LockWaited{act.step.id, attempt, retry_in, result.error().failure.blockers});
    act.hand.rest(retry_in);
    if (act.hand.asked()) return interrupted(result.error().applied);
  }
}

ActResult Runner::run(const Act& act) {
  if (act.step.backfill) return backfill(act);
  ports::StatementWork work{.id = act.id, .statements = act.step.statements};
  core::GateVerdict seen;
  const bool looks_last = act.step.phase == core::Phase::contract;
  if (looks_last) work.last_look = last_look(act.state, seen);
  const auto result = attempt(act, std::move(work));
  if (result) {
    return conclude(act, core::StepFinished{act.step.id, result->rows, result->duration,
                                            result->was_done ? "the ledger showed that it had committed before" : ""});
  }
  const auto& error = result.error();
  if (error.code == ErrorCode::outcome_unknown)
    return {.again_later = later(act.state.plan, act.step.id, error), .preflight = {}};
  if (passes_by_itself(error.code)) {
    record(act, core::StepInterrupted{act.step.id, error.applied, error.failure.message});
    return {.again_later = later(act.state.plan, act.step.id, error), .preflight = {}};
  }
  if (error.code == ErrorCode::interrupted) {
    // Refused before anything was looked at: the target does not know of the fence.
    if (looks_last && seen.reasons.empty() && !act.hand.asked()) {
      seen.reasons = {fence_lost(error.failure.message)};
      seen.contradictions = seen.reasons;
    }
    const auto why = seen.reasons.empty() ? "cancelled" : "the gate closed: " + seen.reasons.front().message;
    auto result_of = conclude(act, core::StepInterrupted{act.step.id, error.applied, act.hand.asked().value_or(why)});
    if (!seen.reasons.empty()) {
      // Not again at once, unless the gate falls back: each attempt holds the lock of its table for a moment.
      const bool falls_back = !seen.contradictions.empty() && !act.state.destroyed();
      if (!result_of.again_later && !falls_back) result_of.again_later = seen.reasons.front();
      result_of.last_look = seen.contradictions;
    }
    return result_of;
  }
  return conclude(act, core::StepFailed{act.step.id, error.applied, error.failure});
}

ActResult Runner::undo(const Act& act) {
  const auto result = attempt(act, {.id = act.id, .statements = act.step.undo});
  if (result) return conclude(act, core::UndoFinished{act.step.id, ""});
  const auto& error = result.error();
  if (error.code == ErrorCode::outcome_unknown)
    return {.again_later = later(act.state.plan, act.step.id, error), .preflight = {}};
  if (passes_by_itself(error.code)) {
    record(act, core::UndoInterrupted{act.step.id, error.failure.message});
    return {.again_later = later(act.state.plan, act.step.id, error), .preflight = {}};
  }
  if (error.code == ErrorCode::interrupted) {
    return conclude(act, core::UndoInterrupted{act.step.id, act.hand.asked().value_or("cancelled")});
  }
  return conclude(act, core::UndoFailed{act.step.id, error.failure});
}

ActResult Runner::settle(const Act& act) {
  const bool forward = act.id.direction == Direction::forward;
  const auto applied = act.target.settle(act.id, all_transactional(forward ? act.step.statements : act.step.undo));
  if (!applied) return {.again_later = later(act.state.plan, act.step.id, applied.error()), .preflight = {}};
  const std::string why = fmt::format(
      "it was in hand when this daemon stopped or lost its connection; the ledger says: {}", to_string(*applied));
  core::Event event;
  if (forward) {
    event = *applied == Applied::full ? core::Event(core::StepFinished{act.step.id, 0, {}, why})
                                      : core::Event(core::StepInterrupted{act.step.id, *applied, why});
  } else {
    event = *applied == Applied::full ? core::Event(core::UndoFinished{act.step.id, why})
                                      : core::Event(core::UndoInterrupted{act.step.id, why});
  }
  return conclude(act, event);
}

ports::TargetResult<ports::Target*> Runner::target_of(const core::Plan& plan) const {
  if (const auto found = targets_.find(plan.target); found != targets_.end()) return found->second;
  ports::TargetError error{ErrorCode::unavailable, {}, {}};
  error.failure.message = kNotNamed;
  return std::unexpected(std::move(error));
}

ports::TargetResult<ports::Target*> Runner::ready(const core::PlanState& state, Epoch epoch) {
  const auto target = target_of(state.plan);
  if (!target) return target;
  if (epoch.value == 0) {
    ports::TargetError error{ErrorCode::unavailable, {}, {}};
    error.failure.message = "not touched, since this daemon does not hold the lease";
    return std::unexpected(std::move(error));
  }
  {
    const std::scoped_lock lock(mutex_);
    if (prepared_[state.plan.target] == epoch) return target;
  }
  if (auto prepared = (*target)->prepare(epoch); !prepared) return std::unexpected(prepared.error());
  const std::scoped_lock lock(mutex_);
  prepared_[state.plan.target] = epoch;
  return target;
}

Result<StatePtr> Runner::append(const PlanId& plan, const core::Event& event) {
  return journal_.transact(
      plan, [&](const core::PlanState&) -> Result<std::vector<core::Event>> { return std::vector{event}; });
}

bool Runner::record(const Act& act, const core::Event& event) {
  const auto appended = append(act.state.plan.id, event);
  if (appended) return true;
  log_.error("an outcome could not be recorded; the ledger will settle it", {{"plan", act.state.plan.id.str()},
                                                                             {"step", act.step.id.str()},
                                                                             {"event", std::string(core::kind(event))},
                                                                             {"error", appended.error().message}});
  // Nothing goes on that cannot be written down.
  act.hand.yield("its state cannot be recorded");
  return false;
}

ActResult Runner::conclude(const Act& act, const core::Event& event) {
  if (record(act, event)) return {};
  core::Reason reason;
  reason.kind = core::ReasonKind::retrying;
  reason.object = act.step.id.str();
  reason.message = "how the step ended could not be recorded in the state database";
  reason.clears = "it is tried again by itself";
  reason.since = clock_.now().wall;
  return {.again_later = std::move(reason), .preflight = {}};
}

core::Reason Runner::later(const core::Plan& plan, const StepId& step, const ports::TargetError& error) const {
  core::Reason reason;
  reason.kind = core::ReasonKind::retrying;
  reason.object = step.str();
  reason.message = fmt::format("target {}: {}", plan.target.str(), error.failure.message);
  reason.clears = "it is tried again by itself";
  reason.since = clock_.now().wall;
  return reason;
}

Milliseconds Runner::statement_timeout(const core::Step& step, const std::vector<core::Statement>& statements) const {
  if (step.statement_timeout) return *step.statement_timeout;
  const bool blocks = std::ranges::any_of(statements, [](const core::Statement& statement) {
    return statement.transactional && statement.lock > core::LockMode::share_update_exclusive;
  });
  return blocks ? settings_.statement_timeout : settings_.long_statement_timeout;
}

int Runner::first_rows(const core::Backfill& backfill) const {
  return std::clamp(backfill.batch_rows.value_or(settings_.batch_rows), settings_.pacing.min_rows,
                    settings_.pacing.max_rows);
}

Result<ports::BackfillPreview> Runner::preview(const core::Plan& plan, const core::Step& step) const {
  const auto target = target_of(plan);
  if (!target)
    return fail(target.error().code, fmt::format("{} {}", plan.target.str(), target.error().failure.message));
  // Somebody waits for the answer, and it reads hardly more than a window's keys.
  constexpr Milliseconds kPatience{10'000};
  ports::BackfillWork work{
      {plan.id, step.id, Direction::forward, {}, {}}, *step.backfill, settings_.lock_timeout, kPatience};
  auto preview = (*target)->backfill_preview(work, first_rows(*step.backfill));
  if (preview) return *std::move(preview);
  return fail(preview.error().code, fmt::format("{}: {}", step.id.str(), preview.error().failure.message));
}

Milliseconds Runner::backoff(int attempt, Milliseconds longest) {
  // Doubling from half a second, then "full jitter" over the upper half, so that retries meet neither each other nor a
  // beat.
  const Milliseconds ceiling = std::min(longest, Milliseconds{500} * (1 << std::min(attempt - 1, 10)));
  const std::scoped_lock lock(mutex_);
  std::uniform_int_distribution<std::int64_t> spread(ceiling.count() / 2, ceiling.count());
  return Milliseconds{spread(random_)};
}

}  // namespace diastole::engine
