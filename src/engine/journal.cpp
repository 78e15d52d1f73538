#include "diastole/engine/journal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace diastole::engine {
namespace {

std::set<std::string> tables_of(const core::Plan& plan) {
  std::set<std::string> tables;
  for (const auto& step : plan.steps) {
    if (step.backfill) tables.insert(step.backfill->table);
    for (const auto& statement : step.statements) {
      for (std::string& table : statement.tables()) tables.insert(std::move(table));
      tables.insert(statement.creates.begin(), statement.creates.end());
    }
  }
  return tables;
}

// "users" may be any schema's: nobody can tell without the role's search_path, so it is taken to be the other's.
bool may_be_same(const std::string& a, const std::string& b) {
  return a == b || a.ends_with("." + b) || b.ends_with("." + a);
}

std::optional<std::string> common_table(const core::Plan& a, const core::Plan& b) {
  const auto first = tables_of(a);
  for (const auto& table : tables_of(b)) {
    if (std::ranges::any_of(first, [&](const std::string& other) { return may_be_same(table, other); })) return table;
  }
  return std::nullopt;
}

}  // namespace

Journal::Journal(ports::PlanStore& store, const ports::Lease& lease, const ports::Clock& clock, ports::Log& log)
    : store_(store), lease_(lease), clock_(clock), log_(log) {}

Result<Journal::Submitted> Journal::submit(const core::Plan& plan, const std::string& by) {
  const std::scoped_lock lock(append_mutex_);
  if (auto present = get(plan.id)) {
    if ((*present)->plan.hash == plan.hash) return Submitted{*present, false};
    return fail(
        ErrorCode::conflict,
        fmt::format("another document was submitted as {} before (it is {}); choose another name, a plan never changes",
                    plan.id.str(), (*present)->state_text()),
        "/plan");
  } else if (present.error().code != ErrorCode::not_found) {
    return std::unexpected(present.error());
  }
  auto others = unfinished();
  if (!others) return std::unexpected(others.error());
  for (const auto& other : *others) {
    if (other->plan.target != plan.target) continue;
    if (const auto table = common_table(other->plan, plan)) {
      return fail(ErrorCode::conflict, fmt::format("plan {} is {} and touches table {} too; finish or abort it first",
                                                   other->plan.id.str(), other->state_text(), *table));
    }
  }
  auto state = append({}, {core::PlanSubmitted{plan, by}}, {});
  if (!state) return std::unexpected(state.error());
  return Submitted{*state, true};
}

Result<StatePtr> Journal::transact(const PlanId& plan, const Change& change, const Guard& guard) {
  const std::scoped_lock lock(append_mutex_);
  auto state = get(plan);
  if (!state) return state;
  auto events = change(**state);
  if (!events) return std::unexpected(events.error());
  if (events->empty()) return state;
  return append(**state, *events, guard);
}

Result<StatePtr> Journal::append(core::PlanState state, const std::vector<core::Event>& events, const Guard& guard) {
  const auto at = clock_.now().wall;
  const auto epoch = lease_.epoch();
  if (epoch.value == 0) {
    return fail(ErrorCode::unavailable,
                "this daemon does not hold the lease at the moment (is the state database reachable?)");
  }
  auto evolved = core::evolve(std::move(state), events, at);
  if (!evolved) return std::unexpected(evolved.error());
  auto next = std::make_shared<const core::PlanState>(std::move(*evolved));
  if (auto appended = store_.append(*next, events, at, epoch, guard); !appended) {
    // What is stored may differ from what is remembered, except where nothing can have been written.
    if (appended.error().code != ErrorCode::unavailable) forget(next->plan.id);
    return std::unexpected(appended.error());
  }
  remember(next);
  for (const auto& event : events) tell(next->plan.id, event);
  for (const auto& listener : listeners_) listener(*next);
  return next;
}

// The events themselves are the record; the log says that they happened, to whom, and what went wrong.
void Journal::tell(const PlanId& plan, const core::Event& event) {
  using ports::LogLevel;
  const auto* step = core::step_of(event);
  const core::Failure* failure = nullptr;
  if (const auto* failed = std::get_if<core::StepFailed>(&event)) failure = &failed->failure;
  if (const auto* failed = std::get_if<core::UndoFailed>(&event)) failure = &failed->failure;
  const bool progress = std::holds_alternative<core::StepProgressed>(event);
  const auto level = failure ? LogLevel::error : progress ? LogLevel::debug : LogLevel::info;
  if (const auto* begun = std::get_if<core::BackfillBegun>(&event)) {
    log_.write(level, core::kind(event),
               {{"plan", plan.str()},
                {"step", step->str()},
                {"by", std::string(to_string(begun->walk.by))},
                {"strides", fmt::to_string(begun->walk.strides)},
                {"workers", fmt::to_string(begun->walk.workers)},
                {"rows_total", fmt::to_string(begun->rows_total)},
                {"because", fmt::format("{}", fmt::join(begun->walk.because, "; "))}});
  } else if (const auto* finished = std::get_if<core::StepFinished>(&event)) {
    log_.write(level, core::kind(event),
               {{"plan", plan.str()},
                {"step", step->str()},
                {"rows", fmt::to_string(finished->rows)},
                {"took", format_duration(finished->duration)}});
  } else if (failure) {
    log_.write(
        level, core::kind(event),
        {{"plan", plan.str()}, {"step", step->str()}, {"sqlstate", failure->sqlstate}, {"error", failure->message}});
  } else if (step) {
    log_.write(level, core::kind(event), {{"plan", plan.str()}, {"step", step->str()}});
  } else if (const auto* started = std::get_if<core::PhaseStarted>(&event)) {
    log_.write(level, core::kind(event), {{"plan", plan.str()}, {"phase", std::string(to_string(started->phase))}});
  } else {
    log_.write(level, core::kind(event), {{"plan", plan.str()}});
  }
}

Result<StatePtr> Journal::get(const PlanId& plan) {
  if (auto state = cached(plan)) return state;
  auto loaded = store_.load(plan);
  if (!loaded) {
    if (loaded.error().code == ErrorCode::not_found) drop(plan);  // its submission was never committed
    return std::unexpected(loaded.error());
  }
  auto state = std::make_shared<const core::PlanState>(std::move(*loaded));
  // Only in place of one that was forgotten: a plan that is not in the map is finished, or not ours to act on yet.
  const std::scoped_lock lock(cache_mutex_);
  if (const auto found = unfinished_.find(plan); found != unfinished_.end() && !found->second) {
    if (core::terminal(state->stage)) {
      unfinished_.erase(found);
    } else {
      found->second = state;
    }
  }
  return state;
}

Result<std::vector<StatePtr>> Journal::list() {
  auto loaded = store_.list(false);
  if (!loaded) return std::unexpected(loaded.error());
  std::vector<StatePtr> out;
  for (auto& state : *loaded) {
    auto known = cached(state.plan.id);
    out.push_back(known ? std::move(known) : std::make_shared<const core::PlanState>(std::move(state)));
  }
  return out;
}

Result<std::vector<StatePtr>> Journal::unfinished() {
  std::vector<PlanId> ids;
  {
    const std::scoped_lock lock(cache_mutex_);
    for (const auto& [id, state] : unfinished_) ids.push_back(id);
  }
  std::vector<StatePtr> out;
  for (const auto& id : ids) {
    auto state = get(id);
    if (!state && state.error().code == ErrorCode::not_found) continue;
    if (!state) return std::unexpected(state.error());
    if (!core::terminal((*state)->stage)) out.push_back(std::move(*state));
  }
  return out;
}

Result<void> Journal::load() {
  const std::scoped_lock append_lock(append_mutex_);
  auto loaded = store_.list(true);
  if (!loaded) return std::unexpected(loaded.error());
  const std::scoped_lock lock(cache_mutex_);
  unfinished_.clear();
  for (auto& state : *loaded) {
    const auto id = state.plan.id;
    unfinished_[id] = std::make_shared<const core::PlanState>(std::move(state));
  }
  return {};
}

Result<std::vector<ports::StoredEvent>> Journal::events_after(const std::optional<PlanId>& plan, std::int64_t after,
                                                              int limit) {
  return store_.events_after(plan, after, limit);
}

StatePtr Journal::cached(const PlanId& plan) const {
  const std::scoped_lock lock(cache_mutex_);
  const auto found = unfinished_.find(plan);
  return found == unfinished_.end() ? nullptr : found->second;
}

void Journal::remember(const StatePtr& state) {
  const std::scoped_lock lock(cache_mutex_);
  if (core::terminal(state->stage)) {
    unfinished_.erase(state->plan.id);
  } else {
    unfinished_[state->plan.id] = state;
  }
}

void Journal::forget(const PlanId& plan) {
  const std::scoped_lock lock(cache_mutex_);
  unfinished_[plan] = nullptr;
}

void Journal::drop(const PlanId& plan) {
  const std::scoped_lock lock(cache_mutex_);
  if (const auto found = unfinished_.find(plan); found != unfinished_.end() && !found->second) unfinished_.erase(found);
}

}  // namespace diastole::engine
