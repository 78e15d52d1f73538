// Every stage x condition x event, and every stage x condition x command: a defined transition, or a conflict that says
// why.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "model/plan_world.hpp"
#include "support/sample_plan.hpp"

namespace diastole::test {
namespace {

using namespace core;

constexpr WallTime kAt{Milliseconds{5'000}};

// Where in its stage a plan stands. Stages in which nothing runs have only `rest`.
//   rest: the next step (in aborting: the next undo) waits, or has failed where the condition is failed
//   busy: it runs                        done: nothing is left to do in the stage
//   stopping: aborting, while a step still runs
//   fencing, drained, restoring: so far has the gate come
//   destroying, destroyed: the destructive step of contract runs; is done, and the next waits or has failed
PlanState situation(Stage stage, Condition condition, std::string_view where) {
  auto state = new_world(sample_plan()).plan;
  state.stage = stage;
  state.condition = condition;
  state.approvals = {{Phase::contract, "carol", "", {}}};
  const auto done = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      state.steps[i].status = StepStatus::done;
      state.steps[i].applied = Applied::full;
    }
  };
  const auto stands = [&](std::size_t next, StepStatus running, StepStatus failed) {
    if (condition == Condition::failed) state.steps[next].status = failed;
    if (where == "busy" || where == "destroying") state.steps[next].status = running;
  };
  const std::map<Stage, std::pair<std::size_t, std::size_t>> kSteps{
      {Stage::accepted, {kColumn, kColumn}},     {Stage::expanding, {kColumn, kCopy}},
      {Stage::expanded, {kCopy, kCopy}},         {Stage::backfilling, {kCopy, kCheck}},
      {Stage::backfilled, {kCheck, kCheck}},     {Stage::contracting, {kCheck, kTidy + 1}},
      {Stage::completed, {kTidy + 1, kTidy + 1}}};
  if (stage == Stage::aborting) {
    if (where != "done") done(kColumn, kIndex);
    if (where == "rest" || where == "busy") stands(kColumn, StepStatus::undoing, StepStatus::undo_failed);
    if (where == "stopping") state.steps[kIndex].status = StepStatus::running;
  } else if (stage != Stage::aborted) {
    auto [next, end] = kSteps.at(stage);
    if (where == "done") next = end;
    if (where == "destroying") next = kDrop;
    if (where == "destroyed") next = kTidy;
    done(0, next);
    if (where == "fencing") state.gate.stage = GateStage::fencing;
    if (where == "drained" || stage >= Stage::contracting) state.gate.stage = GateStage::drained;
    if (where == "restoring") {
      state.gate.stage = GateStage::restoring;
      done(kCheck, kDrop);
    }
    if (next < end && where != "restoring") stands(next, StepStatus::running, StepStatus::failed);
  }
  return state;
}

std::vector<std::string> situations_of(Stage stage) {
  switch (stage) {
    case Stage::accepted:
    case Stage::expanded:
    case Stage::completed:
    case Stage::aborted: return {"rest"};
    case Stage::backfilled: return {"rest", "fencing", "drained", "restoring"};
    case Stage::expanding:
    case Stage::backfilling: return {"rest", "busy", "done"};
    case Stage::aborting: return {"rest", "busy", "done", "stopping"};
    case Stage::contracting: return {"rest", "busy", "done", "destroying", "destroyed"};
  }
  return {};
}

char mark_of(const PlanState& before, const PlanState& after) {
  if (after.stage != before.stage) {
    constexpr std::string_view kStageMarks = "-EeBbCcAa";  // in the order of Stage
    return kStageMarks[static_cast<std::size_t>(after.stage)];
  }
  if (after.condition != before.condition) return "RPF"[static_cast<std::size_t>(after.condition)];
  return '=';
}

// What the events of one kind do here: refused whatever their arguments, or one and the same transition for those that
// fit.
std::string event_cell(const PlanState& state, std::size_t kind_index) {
  std::set<char> marks;
  for (const auto& event : any_event(state.plan)) {
    if (event.index() != kind_index) continue;
    const auto next = evolve(state, event, kAt);
    if (next) {
      marks.insert(mark_of(state, *next));
      continue;
    }
    const auto& message = next.error().message;
    EXPECT_EQ(next.error().code, ErrorCode::conflict);
    EXPECT_TRUE(message.contains(kind(event)) && message.contains(to_string(state.stage)) &&
                message.contains(to_string(state.condition)))
        << message;
    const auto why = message.rfind(": ");
    EXPECT_TRUE(why != std::string::npos && why + 2 < message.size()) << message;
  }
  return marks.empty() ? "." : std::string(marks.begin(), marks.end());
}

std::string command_cell(const PlanState& state, const Command& asked, std::string_view verb) {
  const auto events = command(state, asked);
  if (!events) {
    const auto& message = events.error().message;
    EXPECT_EQ(events.error().code, ErrorCode::conflict);
    EXPECT_TRUE(message.contains(verb) && message.contains(state.plan.id.str()) && message.contains(state.state_text()))
        << message;
    const auto why = message.rfind(": ");
    EXPECT_TRUE(why != std::string::npos && why + 2 < message.size()) << message;
    return ".";
  }
  if (events->empty()) return "0";
  const auto next = evolve(state, *events, kAt);
  EXPECT_TRUE(next.has_value()) << next.error().message;
  return next ? std::string(1, mark_of(state, *next)) : "?";
}

// One line a situation; `cells` gives its columns.
template <typename Cells>
std::string table(Cells cells) {
  std::string out;
  for (const auto stage : kStages) {
    for (const auto& where : situations_of(stage)) {
      for (const auto condition : {Condition::active, Condition::paused, Condition::failed}) {
        std::string row = fmt::format("{:<12}{:<11}{:<7}", to_string(stage), where, to_string(condition));
        for (const auto& cell : cells(situation(stage, condition, where))) row += fmt::format(" {:<2}", cell);
        out += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
      }
    }
  }
  return out;
}

// Compares line by line, so that a failure names the situation.
void expect_same(std::string_view expected, const std::string& actual) {
  std::istringstream wanted{std::string(expected)};
  std::istringstream found{actual};
  std::string header;
  std::string a;
  std::string b;
  std::getline(wanted, header);
  std::getline(wanted, header);
  std::size_t rows = 0;
  for (; std::getline(wanted, a); ++rows) {
    ASSERT_TRUE(std::getline(found, b)) << "expected more: " << a;
    EXPECT_EQ(a, b) << header;
  }
  EXPECT_FALSE(std::getline(found, b)) << "not expected: " << b;
  EXPECT_EQ(rows, 69U);
}

// .  conflict       =  accepted, stage and condition stay
// Into a stage: E expanding, e expanded, B backfilling, b backfilled, C contracting, c completed, A aborting, a
// aborted. Into a condition: R active again, P paused, F failed. Events, in the order of the variant: plan_SUbmitted,
// phase_APproved, Phase_Started, Phase_Finished, STep_started, step_PRogressed, Lock_Waited, step_FInished,
// step_FAiled, step_INterrupted, plan_PAused, plan_REsumed, ReTry_requested, ABort_requested, Undo_Started,
// Undo_Finished, undo_failed (UX), Undo_Interrupted, plan_ABorted (AD), plan_WAits,
// Backfill_Begun, Backfill_Paced, Gate_Fencing, fence_RaiSed, gate_DRained, Quarantine_Started, Quarantined (QD),
// gate_fell_BacK, fence_LoWered, gate_HelD, gate_ReLeased, Override_Asked, Override_Confirmed.
constexpr std::string_view kEvents = R"(
                               SU AP PS PF ST PR LW FI FA IN PA RE RT AB US UF UX UI AD WA BB BP GF RS DR QS QD BK LW HD RL OA OC
accepted    rest       active  .  =  E  .  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
accepted    rest       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
accepted    rest       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   rest       active  .  =  .  .  =  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   rest       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   rest       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   busy       active  .  =  .  .  .  =  =  =  F  =  P  .  .  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
expanding   busy       paused  .  =  .  .  .  =  =  =  F  =  .  R  .  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
expanding   busy       failed  .  =  .  .  .  =  =  =  =  =  .  .  R  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
expanding   done       active  .  =  .  e  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   done       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanding   done       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanded    rest       active  .  =  B  .  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanded    rest       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
expanded    rest       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
backfilling rest       active  .  =  .  .  =  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
backfilling rest       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
backfilling rest       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  =  .  .  .  .  .  .  .  =  .  =  .
backfilling busy       active  .  =  .  .  .  =  =  =  F  =  P  .  .  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
backfilling busy       paused  .  =  .  .  .  =  =  =  F  =  .  R  .  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
backfilling busy       failed  .  =  .  .  .  =  =  =  =  =  .  .  R  A  .  .  .  .  .  =  =  =  .  .  .  .  .  .  .  =  .  =  .
backfilling done       active  .  =  .  b  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilling done       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilling done       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilled  rest       active  .  =  .  .  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  .  =  .  .  .  .  .  .  =  .  =  .
backfilled  rest       paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilled  rest       failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilled  fencing    active  .  =  .  .  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  .  .  =  .  .  .  =  .  =  .  =  .
backfilled  fencing    paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  =  .  =  .  =  .
backfilled  fencing    failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  =  .  =  .  =  .
backfilled  drained    active  .  =  C  .  .  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  =  .  =  .  =  .
backfilled  drained    paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  =  .  =  .  =  .
backfilled  drained    failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  =  .  =  .  =  .
backfilled  restoring  active  .  =  .  .  .  .  .  .  .  .  P  .  .  A  =  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilled  restoring  paused  .  =  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
backfilled  restoring  failed  .  =  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  =  .  =  .
contracting rest       active  .  .  .  .  =  .  .  .  .  .  P  .  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  b  .  =  .  =  .
contracting rest       paused  .  .  .  .  .  .  .  .  .  .  .  R  .  A  .  .  .  .  .  =  .  .  .  .  .  .  .  b  .  =  .  =  .
contracting rest       failed  .  .  .  .  .  .  .  .  .  .  .  .  R  A  .  .  .  .  .  =  .  .  .  .  .  .  .  b  .  =  .  =  .
contracting busy       active  .  .  .  .  .  =  =  =  F  =  P  .  .  A  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  =  .  =  .
contracting busy       paused  .  .  .  .  .  =  =  =  F  =  .  R  .  A  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  =  .  =  .
contracting busy       failed  .  .  .  .  .  =  =  =  =  =  .  .  R  A  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  =  .  =  .
contracting done       active  .  .  .  c  .  .  .  .  .  .  P  .  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
contracting done       paused  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
contracting done       failed  .  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroying active  .  .  .  .  .  =  =  =  F  =  P  .  .  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroying paused  .  .  .  .  .  =  =  =  F  =  .  R  .  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroying failed  .  .  .  .  .  =  =  =  =  =  .  .  R  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroyed  active  .  .  .  .  =  .  .  .  .  .  P  .  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroyed  paused  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
contracting destroyed  failed  .  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
completed   rest       active  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
completed   rest       paused  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
completed   rest       failed  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    rest       active  .  .  .  .  .  .  .  .  .  .  P  .  .  .  =  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    rest       paused  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    rest       failed  .  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    busy       active  .  .  .  .  .  .  =  .  .  .  P  .  .  .  .  =  F  =  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    busy       paused  .  .  .  .  .  .  =  .  .  .  .  R  .  .  .  =  F  =  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    busy       failed  .  .  .  .  .  .  =  .  .  .  .  .  R  .  .  =  =  =  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    done       active  .  .  .  .  .  .  .  .  .  .  P  .  .  .  .  .  .  .  a  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    done       paused  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    done       failed  .  .  .  .  .  .  .  .  .  .  .  .  R  .  .  .  .  .  .  =  .  .  .  .  .  .  .  .  .  .  .  .  .
aborting    stopping   active  .  .  .  .  .  =  =  =  =  =  P  .  .  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
aborting    stopping   paused  .  .  .  .  .  =  =  =  =  =  .  R  .  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
aborting    stopping   failed  .  .  .  .  .  =  =  =  =  =  .  .  R  .  .  .  .  .  .  =  =  .  .  .  .  .  .  .  .  .  .  .  .
aborted     rest       active  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
aborted     rest       paused  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
aborted     rest       failed  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
)";

// Approve expand, backfill, contract (which carol has approved); pause, resume, retry, abort; hold, release (nobody
// holds it), override.
constexpr std::string_view kCommands = R"(
                               EX BA CO PA RE RT AB HD RL OV
accepted    rest       active  =  =  =  P  .  .  A  =  .  =
accepted    rest       paused  =  =  =  .  R  .  A  =  .  =
accepted    rest       failed  =  =  =  .  .  R  A  =  .  =
expanding   rest       active  .  =  =  P  .  .  A  =  .  =
expanding   rest       paused  .  =  =  .  R  .  A  =  .  =
expanding   rest       failed  .  =  =  .  .  R  A  =  .  =
expanding   busy       active  .  =  =  P  .  .  A  =  .  =
expanding   busy       paused  .  =  =  .  R  .  A  =  .  =
expanding   busy       failed  .  =  =  .  .  R  A  =  .  =
expanding   done       active  .  =  =  P  .  .  A  =  .  =
expanding   done       paused  .  =  =  .  R  .  A  =  .  =
expanding   done       failed  .  =  =  .  .  R  A  =  .  =
expanded    rest       active  .  =  =  P  .  .  A  =  .  =
expanded    rest       paused  .  =  =  .  R  .  A  =  .  =
expanded    rest       failed  .  =  =  .  .  R  A  =  .  =
backfilling rest       active  .  .  =  P  .  .  A  =  .  =
backfilling rest       paused  .  .  =  .  R  .  A  =  .  =
backfilling rest       failed  .  .  =  .  .  R  A  =  .  =
backfilling busy       active  .  .  =  P  .  .  A  =  .  =
backfilling busy       paused  .  .  =  .  R  .  A  =  .  =
backfilling busy       failed  .  .  =  .  .  R  A  =  .  =
backfilling done       active  .  .  =  P  .  .  A  =  .  =
backfilling done       paused  .  .  =  .  R  .  A  =  .  =
backfilling done       failed  .  .  =  .  .  R  A  =  .  =
backfilled  rest       active  .  .  =  P  .  .  A  =  .  =
backfilled  rest       paused  .  .  =  .  R  .  A  =  .  =
backfilled  rest       failed  .  .  =  .  .  R  A  =  .  =
backfilled  fencing    active  .  .  =  P  .  .  A  =  .  =
backfilled  fencing    paused  .  .  =  .  R  .  A  =  .  =
backfilled  fencing    failed  .  .  =  .  .  R  A  =  .  =
backfilled  drained    active  .  .  =  P  .  .  A  =  .  =
backfilled  drained    paused  .  .  =  .  R  .  A  =  .  =
backfilled  drained    failed  .  .  =  .  .  R  A  =  .  =
backfilled  restoring  active  .  .  =  P  .  .  A  =  .  =
backfilled  restoring  paused  .  .  =  .  R  .  A  =  .  =
backfilled  restoring  failed  .  .  =  .  .  R  A  =  .  =
contracting rest       active  .  .  .  P  .  .  A  =  .  =
contracting rest       paused  .  .  .  .  R  .  A  =  .  =
contracting rest       failed  .  .  .  .  .  R  A  =  .  =
contracting busy       active  .  .  .  P  .  .  A  =  .  =
contracting busy       paused  .  .  .  .  R  .  A  =  .  =
contracting busy       failed  .  .  .  .  .  R  A  =  .  =
contracting done       active  .  .  .  P  .  .  .  .  .  .
contracting done       paused  .  .  .  .  R  .  .  .  .  .
contracting done       failed  .  .  .  .  .  R  .  .  .  .
contracting destroying active  .  .  .  P  .  .  .  .  .  .
contracting destroying paused  .  .  .  .  R  .  .  .  .  .
contracting destroying failed  .  .  .  .  .  R  .  .  .  .
contracting destroyed  active  .  .  .  P  .  .  .  .  .  .
contracting destroyed  paused  .  .  .  .  R  .  .  .  .  .
contracting destroyed  failed  .  .  .  .  .  R  .  .  .  .
completed   rest       active  .  .  .  .  .  .  .  .  .  .
completed   rest       paused  .  .  .  .  .  .  .  .  .  .
completed   rest       failed  .  .  .  .  .  .  .  .  .  .
aborting    rest       active  .  .  .  P  .  .  .  .  .  .
aborting    rest       paused  .  .  .  .  R  .  .  .  .  .
aborting    rest       failed  .  .  .  .  .  R  .  .  .  .
aborting    busy       active  .  .  .  P  .  .  .  .  .  .
aborting    busy       paused  .  .  .  .  R  .  .  .  .  .
aborting    busy       failed  .  .  .  .  .  R  .  .  .  .
aborting    done       active  .  .  .  P  .  .  .  .  .  .
aborting    done       paused  .  .  .  .  R  .  .  .  .  .
aborting    done       failed  .  .  .  .  .  R  .  .  .  .
aborting    stopping   active  .  .  .  P  .  .  .  .  .  .
aborting    stopping   paused  .  .  .  .  R  .  .  .  .  .
aborting    stopping   failed  .  .  .  .  .  R  .  .  .  .
aborted     rest       active  .  .  .  .  .  .  .  .  .  .
aborted     rest       paused  .  .  .  .  .  .  .  .  .  .
aborted     rest       failed  .  .  .  .  .  .  .  .  .  .
)";

TEST(TransitionsTest, EveryEventInEveryStageAndCondition) {
  expect_same(kEvents, table([](const PlanState& state) {
                std::vector<std::string> cells;
                for (std::size_t i = 0; i < std::variant_size_v<Event>; ++i) cells.push_back(event_cell(state, i));
                return cells;
              }));
}

TEST(TransitionsTest, EveryCommandInEveryStageAndCondition) {
  expect_same(kCommands, table([](const PlanState& state) {
                return std::vector<std::string>{
                    command_cell(state, Approve{Phase::expand, "bob", "", false}, "approve"),
                    command_cell(state, Approve{Phase::backfill, "bob", "", false}, "approve"),
                    command_cell(state, Approve{Phase::contract, "bob", "", false}, "approve"),
                    command_cell(state, Pause{"bob"}, "pause"),
                    command_cell(state, Resume{"bob"}, "resume"),
                    command_cell(state, Retry{"bob"}, "retry"),
                    command_cell(state, Abort{"bob", ""}, "abort"),
                    command_cell(state, HoldGate{"bob", ""}, "hold"),
                    command_cell(state, ReleaseGate{"bob"}, "release"),
                    command_cell(state, OverrideGate{{}, "", "bob", Milliseconds{1'000}, kAt}, "override"),
                };
              }));
}

TEST(TransitionsTest, RepeatedApprovalIsNoEvent) {
  const auto state = situation(Stage::expanding, Condition::active, "rest");
  const auto events = command(state, Approve{Phase::contract, "carol", "again", false});
  ASSERT_TRUE(events.has_value());
  EXPECT_TRUE(events->empty());
  EXPECT_FALSE(evolve(state, PhaseApproved{Phase::contract, "carol", ""}, kAt).has_value());
}

TEST(TransitionsTest, TheSubmitterDoesNotApproveUnlessAllowed) {
  const auto state = situation(Stage::expanding, Condition::active, "rest");
  const auto refused = command(state, Approve{Phase::contract, "ann", "", false});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("somebody else"), std::string::npos);
  EXPECT_TRUE(command(state, Approve{Phase::contract, "ann", "", true}).has_value());
}

}  // namespace
}  // namespace diastole::test
