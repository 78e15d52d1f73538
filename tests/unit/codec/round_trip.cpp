// Nothing is lost between a value and its JSON: events and plans are read back from the log for ever.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "diastole/codec/plan_codec.hpp"
#include "support/sample_plan.hpp"

namespace diastole::codec {
namespace {

using namespace core;
using nlohmann::json;

WallTime at(std::int64_t ms) {
  return WallTime{Milliseconds{ms}};
}

Reason full_reason() {
  return {.kind = ReasonKind::long_transaction,
          .message = "a session",
          .clears = "its end",
          .service = "api",
          .instance = "api-1",
          .version = "1.9.0",
          .source = "heartbeat",
          .object = "users",
          .pid = 4242,
          .age = Milliseconds{300'001},
          .query = "SELECT 'ü'",
          .count = 3,
          .since = at(1'700'000'000'123)};
}

Blocker full_blocker() {
  return {77, "psql", "ann", "idle in transaction", Milliseconds{5'500}, "UPDATE users SET x = 1"};
}

Failure full_failure() {
  return {.sqlstate = "55P03",
          .message = "canceling statement due to lock timeout",
          .detail = "a detail",
          .hint = "a hint",
          .statement = 2,
          .line = 3,
          .column = 4,
          .blockers = {full_blocker(), Blocker{}}};
}

Progress full_progress() {
  return {.rows = 1'000,
          .rows_changed = 900,
          .rows_total = 200'000,
          .pass = 2,
          .rows_per_second = 12'345.5,
          .eta = Milliseconds{99'000},
          .share = 0.25,
          .eta_low = Milliseconds{90'000},
          .eta_high = Milliseconds{110'000},
          .rows_skipped = 3,
          .throttle = {.share = 0.25,
                       .ceiling = 0.5,
                       .reason = core::Signal{.kind = core::SignalKind::replica_lag,
                                              .load = 0.8,
                                              .detail = "standby1 replays 8s behind (limit 10s)",
                                              .least = 0.125},
                       .notes = {"WAL archiving: permission denied"}}};
}

Walk full_walk() {
  return {.by = WalkBy::key, .key = {"a", "b"}, .strides = 8, .workers = 3, .because = {"one", "two"}};
}

Pace full_pace() {
  return {.rows_per_second = 500, .batch_rows = 100, .workers = 2, .paused = true};
}

std::vector<InstanceName> full_instances() {
  return {{ServiceName("api"), InstanceId("api-1")}, {ServiceName("worker"), InstanceId("w")}};
}

Plan full_plan() {
  using Tells = RoleMapping::Tells;
  auto plan = test::sample_plan(1);
  plan.summary = "rename";
  plan.gate.quarantine = Milliseconds{86'400'000};
  plan.gate.drain_budget = Milliseconds{90'000};
  plan.gate.terminate = true;
  plan.gate.fleet.front().roles = {
      {"api_v1", Tells::version, "1.0.0"}, {"api", Tells::application_name, ""}, {"legacy", Tells::nothing, ""}};
  plan.doomed = {{StepId("drop"), "users", "a"}, {StepId("drop"), "app.old", ""}};
  plan.gate.fleet.push_back({ServiceName("worker"), *VersionRequirement::one_of({"4f1c2ab", "9d03e77"}), 0, "nightly"});
  auto& step = plan.steps[test::kIndex];
  step.statement_timeout = Milliseconds{0};
  step.allow = {{"rule", "because"}};
  step.findings = {
      {.rule = "rule",
       .severity = Severity::warning,
       .message = "slow",
       .subject = {.table = "users", .column = "a", .object = "i"},
       .safe_form = {{.phase = {}, .form = SafeStep::Form::sql, .text = "CREATE …", .note = "alone"},
                     {.phase = Phase::contract, .form = SafeStep::Form::set_not_null, .text = "users.a", .note = {}},
                     {.phase = Phase::backfill, .form = SafeStep::Form::backfill, .text = "{}", .note = {}}},
       .concerned = {"view v"},
       .sharper_with = "the column's type",
       .path = "/expand/1/sql",
       .line = 1,
       .column = 2,
       .allowed_because = "because"},
      {.rule = "other", .message = "bad", .allowed_because = {}}};
  auto& statement = step.statements[0];
  statement = {
      .sql = statement.sql,
      .kind = "CREATE INDEX",
      .lock = LockMode::share_update_exclusive,
      .transactional = false,
      .destructive = true,
      .reversible = false,
      .phase = Phase::contract,
      .estimate = core::Estimate{.rows = 7, .time = Milliseconds{12}},
      .touches = {{.relation = "users", .lock = LockMode::share, .scans = Answer::yes, .rewrites = Answer::maybe},
                  {.relation = "app.\"Order\"", .kind = Touch::Kind::index, .named = false}},
      .creates = {"fresh"},
      .index = "users_b"};
  plan.steps[test::kCopy].backfill->batch_rows = 500;
  plan.steps[test::kCopy].backfill->hours = core::Hours{.from = 22 * 60, .to = 6 * 60};
  plan.steps[test::kCopy].backfill->hold_while = "SELECT false";
  plan.steps[test::kCopy].backfill->probe = "SELECT 1";
  plan.steps[test::kCopy].backfill->vacuum_every = 200'000;
  plan.steps[test::kCopy].backfill->set = {{"z", "1"}, {"a", "2"}};
  plan.steps[test::kCopy].backfill->on_error = OnError::skip;
  plan.steps[test::kCopy].backfill->sql = "DELETE FROM t WHERE id BETWEEN :from AND :to";
  plan.steps[test::kCopy].backfill->sql_pieces = {"DELETE FROM t WHERE id BETWEEN ", ":from", " AND ", ":to"};
  plan.steps[test::kCopy].backfill->recheck = {.where = "b IS NULL", .query = "SELECT 1", .none = "no need"};
  plan.steps[test::kCheck].set_not_null = "users.b";
  return plan;
}

// All fields set, and all at their defaults.
std::vector<Event> every_event() {
  const StepId id("column");
  return {
      PlanSubmitted{full_plan(), "ann"},
      PlanSubmitted{test::sample_plan(), ""},
      PhaseApproved{Phase::contract, "bob", "fine"},
      PhaseApproved{Phase::expand, "bob", ""},
      PhaseStarted{Phase::contract, true},
      PhaseStarted{Phase::contract, false},
      PhaseStarted{Phase::expand},
      PhaseFinished{Phase::backfill},
      StepStarted{id, 3},
      StepProgressed{id, full_progress()},
      StepProgressed{id, {}},
      LockWaited{id, 2, Milliseconds{750}, {full_blocker()}},
      LockWaited{id, 1, {}, {}},
      StepFinished{id, 12, Milliseconds{340}, "the ledger had it"},
      StepFinished{id, 0, {}, ""},
      StepFailed{id, Applied::partial, full_failure()},
      StepFailed{id, Applied::none, {}},
      StepInterrupted{id, Applied::full, "stop"},
      StepInterrupted{id, Applied::none, ""},
      PlanPaused{"bob"},
      PlanResumed{"bob"},
      RetryRequested{"bob"},
      AbortRequested{"bob", "wrong column"},
      AbortRequested{"bob", ""},
      UndoStarted{id},
      UndoFinished{id, "nothing to do"},
      UndoFinished{id, ""},
      UndoFailed{id, full_failure()},
      UndoFailed{id, {}},
      UndoInterrupted{id, "stop"},
      PlanAborted{},
      BackfillBegun{id, full_walk(), 1'000},
      BackfillBegun{id, {}, 0},
      BackfillPaced{id, full_pace(), "bob"},
      BackfillPaced{id, {}, ""},
      PlanWaits{{full_reason(), Reason{}}},
      PlanWaits{},
      GateFencing{true},
      FenceRaised{{"api_v1", "api v2"}},
      FenceRaised{},
      GateDrained{3},
      QuarantineStarted{},
      Quarantined{{"users.name → name__dropped_20261125"}},
      GateFellBack{{full_reason()}},
      FenceLowered{},
      GateHeld{"bob", "a release is going on"},
      GateReleased{"carol"},
      OverrideAsked{full_instances(), "the rack burnt down", "bob", 3, Milliseconds{3'600'000}},
      OverrideConfirmed{"carol"},
  };
}

GateProgress full_gate() {
  GateProgress gate;
  gate.stage = GateStage::quarantined;
  gate.epoch = 4;
  gate.since = WallTime{Milliseconds{1'764'000'000'000}};
  gate.fenced_roles = {"api_v1"};
  gate.quarantined = {"users.name → name__dropped_20261125"};
  gate.fell_back = {full_reason()};
  gate.hold = GateHold{"bob", "a release is going on", WallTime{Milliseconds{1'764'000'001'000}}};
  gate.overrides = {{full_instances(), "the rack burnt down", "bob", "carol", 4,
                     WallTime{Milliseconds{1'764'000'002'000}}, WallTime{Milliseconds{1'764'003'602'000}}},
                    {full_instances(), "again", "carol", "", 4, {}, {}}};
  return gate;
}

TEST(RoundTripTest, AStateWithItsGate) {
  PlanState state;
  state.plan = full_plan();
  state.seq = 9;
  state.steps.resize(state.plan.steps.size());
  state.gate = full_gate();
  const auto read = state_from_json(json::parse(state_to_json(state).dump()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, state);
}

TEST(RoundTripTest, EveryEvent) {
  std::vector<bool> seen(std::variant_size_v<Event>);
  for (const auto& event : every_event()) {
    seen[event.index()] = true;
    // Through text, as it is stored.
    const auto stored = json::parse(event_to_json(event).dump());
    const auto read = event_from_json(kind(event), stored);
    ASSERT_TRUE(read.has_value()) << kind(event) << ": " << read.error().message;
    EXPECT_EQ(*read, event) << kind(event) << " " << stored;
  }
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_TRUE(seen[i]) << "no case for alternative " << i;
}

TEST(RoundTripTest, Plans) {
  for (const auto& plan : {full_plan(), test::sample_plan()}) {
    const auto read = plan_from_json(json::parse(plan_to_json(plan).dump()));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, plan);
  }
}

TEST(RoundTripTest, EveryLockModeAndSeverity) {
  auto plan = test::sample_plan();
  for (int mode = 0; mode <= static_cast<int>(LockMode::access_exclusive); ++mode) {
    plan.steps[0].statements[0].lock = static_cast<LockMode>(mode);
    EXPECT_EQ(*plan_from_json(plan_to_json(plan)), plan);
  }
}

PlanState full_state() {
  PlanState state;
  state.plan = full_plan();
  state.seq = 17;
  state.stage = Stage::contracting;
  state.condition = Condition::failed;
  state.steps.resize(state.plan.steps.size());
  state.steps[0] = {.status = StepStatus::done,
                    .applied = Applied::full,
                    .attempts = 2,
                    .progress = full_progress(),
                    .walk = full_walk(),
                    .pace = full_pace(),
                    .paced_by = "bob",
                    .duration = Milliseconds{12},
                    .note = "a note",
                    .failure = full_failure(),
                    .started = at(1),
                    .finished = at(2)};
  state.approvals = {{Phase::contract, "bob", "fine", at(3)}, {Phase::expand, "carol", "", at(4)}};
  state.waiting = {full_reason(), Reason{}};
  state.submitted_by = "ann";
  state.submitted_at = at(1'700'000'000'001);
  state.changed_at = at(1'700'000'000'002);
  state.abort_reason = "wrong column";
  return state;
}

TEST(RoundTripTest, States) {
  PlanState plain;
  plain.plan = test::sample_plan();
  plain.steps.resize(plain.plan.steps.size());
  for (const auto& state : {full_state(), plain}) {
    const auto read = state_from_json(json::parse(state_to_json(state).dump()));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, state);
  }
  auto state = full_state();
  for (const auto stage : kStages) {
    for (int status = 0; status <= static_cast<int>(StepStatus::undo_failed); ++status) {
      state.stage = stage;
      state.steps[1].status = static_cast<StepStatus>(status);
      EXPECT_EQ(*state_from_json(state_to_json(state)), state);
    }
  }
}

// What an earlier version has stored of a backfill under way.
TEST(RoundTripTest, AStateFromBeforeThePaceIsRead) {
  auto stored = state_to_json(full_state());
  auto& step = stored["steps"][0];
  for (const auto* key : {"walk", "pace", "paced_by"}) step.erase(key);
  for (const auto* key : {"share", "eta_low_ms", "eta_high_ms"}) step["progress"].erase(key);
  auto expected = full_state();
  expected.steps[0].walk.reset();
  expected.steps[0].pace = {};
  expected.steps[0].paced_by.clear();
  expected.steps[0].progress.share = 0;
  expected.steps[0].progress.eta_low.reset();
  expected.steps[0].progress.eta_high.reset();
  const auto read = state_from_json(stored);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, expected);
}

TEST(PacePatchTest, ChangesWhatItNamesAndLiftsWhatIsNull) {
  EXPECT_EQ(patched_pace(full_pace(), json::object()), full_pace());
  EXPECT_EQ(patched_pace(full_pace(), json::parse(R"({"batch_rows": 7, "workers": null, "paused": false})")),
            (Pace{.rows_per_second = 500, .batch_rows = 7, .workers = {}, .paused = false}));
  EXPECT_EQ(patched_pace({}, json::parse(R"({"rows_per_second": 1000000, "paused": true})")),
            (Pace{.rows_per_second = 1'000'000, .batch_rows = {}, .workers = {}, .paused = true}));
  EXPECT_EQ(
      patched_pace(full_pace(),
                   json::parse(R"({"rows_per_second": null, "batch_rows": null, "workers": null, "paused": null})")),
      Pace{});
}

TEST(PacePatchTest, SaysWhereAndWhy) {
  const auto path = [](const char* patch) {
    const auto pace = patched_pace({}, json::parse(patch));
    return pace ? std::string("accepted") : pace.error().path;
  };
  EXPECT_EQ(path(R"({"rows_per_second": 0})"), "/rows_per_second");
  EXPECT_EQ(path(R"({"rows_per_second": 1000001})"), "/rows_per_second");
  EXPECT_EQ(path(R"({"rows_per_second": 1.5})"), "/rows_per_second");
  EXPECT_EQ(path(R"({"batch_rows": "many"})"), "/batch_rows");
  EXPECT_EQ(path(R"({"workers": 17})"), "/workers");
  EXPECT_EQ(path(R"({"paused": 1})"), "/paused");
  EXPECT_EQ(path(R"({"pause": true})"), "/pause");
  EXPECT_EQ(path("[]"), "");
  EXPECT_EQ(patched_pace({}, json::array()).error().code, ErrorCode::invalid_argument);
}

TEST(RoundTripTest, AStoredValueThatMakesNoSenseIsAnErrorNotAnException) {
  EXPECT_FALSE(event_from_json("no_such_event", json::object()).has_value());
  EXPECT_FALSE(event_from_json("step_started", json::object()).has_value());
  EXPECT_FALSE(event_from_json("step_started", json("text")).has_value());
  EXPECT_FALSE(event_from_json("phase_started", {{"phase", "lunch"}}).has_value());
  EXPECT_FALSE(
      event_from_json("step_failed", {{"step", "a"}, {"applied", 5}, {"failure", {{"message", ""}}}}).has_value());
  EXPECT_FALSE(plan_from_json(json::array()).has_value());
  auto state = state_to_json(full_state());
  state["steps"].erase(0);
  const auto read = state_from_json(state);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::internal);
  EXPECT_TRUE(read.error().message.contains("differ in length"));
  state = state_to_json(full_state());
  state["changed_at"] = "yesterday";
  EXPECT_FALSE(state_from_json(state).has_value());
}

TEST(GateJsonTest, ShowsWallTimeAndReasons) {
  GateVerdict verdict;
  verdict.state = GateState::soaking;
  verdict.reasons = {full_reason()};
  verdict.services = {{ServiceName("api"), ">=2.0.0", 3, 2, 1, 4}};
  verdict.memory.soaking_since = MonoTime{Milliseconds{1'000}};
  const Now now{at(1'700'000'061'000), MonoTime{Milliseconds{61'000}}};
  const auto shown = gate_to_json(verdict, now);
  EXPECT_EQ(shown["state"], "soaking");
  EXPECT_EQ(shown["soaking_since"], "2023-11-14T22:13:21.000Z");
  EXPECT_EQ(shown["services"],
            json::parse(R"([{"service":"api","required":">=2.0.0","min_instances":3,"new":2,"old":1,"unknown":4}])"));
  EXPECT_EQ(shown["reasons"][0]["kind"], "long_transaction");
  EXPECT_EQ(shown["reasons"][0]["since"], "2023-11-14T22:13:20.123Z");
}

}  // namespace
}  // namespace diastole::codec
