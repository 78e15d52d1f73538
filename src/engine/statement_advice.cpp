#include "statement_advice.hpp"

#include <algorithm>
#include <utility>

namespace diastole::engine {
namespace {

constexpr Milliseconds kLookEvery{60'000};
// A view that comes up meanwhile is noticed so much later.
constexpr Milliseconds kCatalogValid{600'000};
// A look takes seconds, and no plan waits for it.
constexpr int kThreads = 1;

// While what contract drops has its name, and somebody waits to drop it.
bool wanted(const core::PlanState& state) {
  const bool waits = state.stage == core::Stage::backfilled || state.stage == core::Stage::contracting;
  if (!waits || state.plan.doomed.empty() || state.condition == core::Condition::failed) return false;
  switch (state.gate.stage) {
    case core::GateStage::closed:
    case core::GateStage::fencing:
    case core::GateStage::draining:
    case core::GateStage::drained: return true;
    case core::GateStage::quarantining:
    case core::GateStage::quarantined:
    case core::GateStage::restoring: return false;
  }
  return false;
}

const std::vector<std::string>& path_of(const core::ServerStatements& server, const std::string& role) {
  static const std::vector<std::string> kNone;
  const auto found = std::ranges::find(server.paths, role, &core::RolePath::role);
  return found == server.paths.end() ? kNone : found->schemas;
}

// The finder likes queries of one path in a row.
std::vector<std::size_t> by_role(const core::ServerStatements& server) {
  std::vector<std::size_t> order(server.statements.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(server.statements[i].role, i); });
  return order;
}

}  // namespace

StatementAdvisor::StatementAdvisor(Targets targets, const ports::Clock& clock, ports::Log& log)
    : targets_(std::move(targets)), clock_(clock), log_(log), pool_(kThreads) {}

void StatementAdvisor::look_in_time(const StatePtr& state, Now now) {
  if (!wanted(*state)) return;
  std::shared_ptr<Course> course;
  {
    const std::scoped_lock lock(mutex_);
    auto& plan = plans_[state->plan.id];
    if (plan.looking || (plan.begun && now.mono - *plan.begun < kLookEvery)) return;
    plan.looking = true;
    plan.begun = now.mono;
    course = plan.course;
  }
  pool_.post([this, state, course] { look(state->plan, *course); });
}

std::shared_ptr<const core::StatementAdvice> StatementAdvisor::of(const PlanId& plan) const {
  const std::scoped_lock lock(mutex_);
  const auto found = plans_.find(plan);
  return found == plans_.end() ? nullptr : found->second.advice;
}

void StatementAdvisor::forget(const std::function<bool(const PlanId&)>& kept) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(plans_, [&](const auto& entry) { return !entry.second.looking && !kept(entry.first); });
}

void StatementAdvisor::look(const core::Plan& plan, Course& course) {
  std::shared_ptr<const core::StatementAdvice> advice;
  try {
    advice = std::make_shared<const core::StatementAdvice>(advise(plan, course));
  } catch (const std::exception& error) {
    log_.error("a look at the statements ended by an exception", {{"plan", plan.id.str()}, {"error", error.what()}});
  }
  const std::scoped_lock lock(mutex_);
  const auto found = plans_.find(plan.id);
  if (found == plans_.end()) return;
  found->second.looking = false;
  if (advice) found->second.advice = std::move(advice);
}

const core::DoomedUse* StatementAdvisor::answer_in(const Answers& answers, const Answers::key_type& key,
                                                   std::size_t text) {
  const auto found = answers.find(key);
  return found == answers.end() || found->second.text != text ? nullptr : &found->second.use;
}

std::string StatementAdvisor::read_catalog(const core::Plan& plan, ports::Target& target, Course& course) {
  const auto now = clock_.now().mono;
  if (course.finder && now - course.catalog_read < kCatalogValid) return {};
  auto catalog = target.catalog(sql::concerns(plan.doomed));
  // An older one tells nearly as much.
  if (!catalog && course.finder) return {};
  if (!catalog) return "the target's catalog cannot be read: " + catalog.error().failure.message;
  sql::DoomedFinder finder(*std::move(catalog), plan.doomed);
  if (!course.finder || finder.words() != course.finder->words()) course.memory.ask_anew();
  course.finder = std::move(finder);
  course.catalog_read = now;
  course.answers.clear();
  return course.finder->words().empty() ? "what contract drops is not there under its name" : std::string();
}

core::StatementAdvice StatementAdvisor::advise(const core::Plan& plan, Course& course) {
  const auto nothing = [&](std::string why) {
    auto advice = course.memory.look({}, clock_.now().wall);
    advice.missing = std::move(why);
    return advice;
  };
  const auto target = targets_.find(plan.target);
  if (target == targets_.end()) return nothing("the configuration does not name the target any more");
  if (auto why = read_catalog(plan, *target->second, course); !why.empty()) {
    course.finder.reset();
    return nothing(std::move(why));
  }
  const auto servers = target->second->statements(course.finder->words());
  if (!servers) return nothing(servers.error().failure.message);
  std::vector<core::ServerLook> looks;
  Answers answers;
  for (const auto& server : *servers) {
    auto& look = looks.emplace_back();
    look.seen = &server;
    look.uses.resize(server.statements.size());
    for (const auto i : by_role(server)) {
      const auto& statement = server.statements[i];
      const std::pair key(statement.query_id, path_of(server, statement.role));
      const auto text = std::hash<std::string>{}(statement.query);
      const auto* known = answer_in(answers, key, text);
      if (known == nullptr) known = answer_in(course.answers, key, text);
      look.uses[i] = known == nullptr ? course.finder->find(statement.query, key.second) : *known;
      answers[key] = {.text = text, .use = look.uses[i]};
    }
  }
  course.answers = std::move(answers);
  return course.memory.look(looks, clock_.now().wall);
}

}  // namespace diastole::engine
