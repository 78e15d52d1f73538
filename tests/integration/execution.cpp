// Plans on a real schema through a whole daemon: what fails, waits, is paused, retried and taken back.
#include "support/daemon.hpp"
#include "support/plans.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

class ExecutionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ =
        std::make_unique<Daemon>(Daemon::Sections{{"backfill", "{ batch_rows: 20, max_rows: 20, batch_target: 1s }"}});
    daemon_->start();
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(daemon_->end(), 0);
    daemon_.reset();
  }

  static std::string run(const std::string& text) { return sql(daemon_->main_dsn(), text); }
  static const json& step_of(const json& plan, const std::string& id) {
    for (const auto& one : plan.at("steps")) {
      if (one.at("id") == id) return one;
    }
    throw std::runtime_error("no step " + id + " in " + plan.dump());
  }
  static Answer approve(const std::string& plan, const std::string& phase) {
    const auto etag = daemon_->get("/v1/plans/main." + plan).headers.at("etag");
    return daemon_->call("operator", "POST", "/v1/plans/main." + plan + "/approvals", {{"phase", phase}},
                         {{"If-Match", etag}});
  }
  static std::string columns(const std::string& table) {
    return run(
        "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE "
        "table_name = '" +
        table + "'");
  }
  static std::string constraints(const std::string& table) {
    return run("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = '" + table + "'::regclass");
  }

  static inline std::unique_ptr<Daemon> daemon_;
};

TEST_F(ExecutionTest, ARenameRunsFromEndToEnd) {
  make_people(daemon_->main_dsn(), "whole", 300);
  const auto plan = daemon_->run(rename("whole", "whole"));
  ASSERT_EQ(plan.at("stage"), "completed") << plan;
  EXPECT_EQ(columns("whole"), "id touched display_name");
  EXPECT_EQ(run("SELECT count(*) FROM whole WHERE display_name = 'name ' || id AND touched = 1"), "300");
  EXPECT_EQ(run("SELECT indisvalid FROM pg_index WHERE indexrelid = 'whole_display_name'::regclass"), "t");
  EXPECT_EQ(run("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'whole'::regclass AND attname = 'display_name'"),
            "t");
  EXPECT_EQ(constraints("whole"), "0");
  const auto& copy = step_of(plan, "copy");
  EXPECT_EQ(copy.at("progress").at("rows_changed"), 300);
  EXPECT_EQ(copy.at("attempts"), 1);
  for (const auto* id : {"not-null.check", "not-null.validate", "not-null.set-not-null", "not-null.drop-check"}) {
    EXPECT_EQ(step_of(plan, id).at("status"), "done") << id;
  }
}

TEST_F(ExecutionTest, AbortBeforeContractTakesEverythingBack) {
  make_people(daemon_->main_dsn(), "taken_back", 50);
  const auto before = schema_of(daemon_->main_dsn());
  auto plan = rename("taken-back", "taken_back");
  plan["approvals"] = {{"contract", 1}};
  ASSERT_EQ(daemon_->run(plan, "backfilled").at("stage"), "backfilled");
  ASSERT_NE(schema_of(daemon_->main_dsn()), before);
  const auto answer =
      daemon_->call("operator", "POST", "/v1/plans/main.taken-back/abort", {{"reason", "second thoughts"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto aborted = daemon_->until("taken-back", "aborted");
  EXPECT_EQ(aborted.at("stage"), "aborted") << aborted;
  EXPECT_EQ(aborted.at("abort_reason"), "second thoughts");
  EXPECT_EQ(schema_of(daemon_->main_dsn()), before);
}

TEST_F(ExecutionTest, AbortAfterTheDropIsRefused) {
  run("CREATE TABLE dropped (id bigint PRIMARY KEY, old text); INSERT INTO dropped VALUES (1, 'x')");
  auto plan =
      plan_of("dropped", {{"contract", json::array({step("drop", "ALTER TABLE dropped DROP COLUMN old", no_undo()),
                                                    step("bad",
                                                         "ALTER TABLE dropped ADD CONSTRAINT c CHECK (id > 1) NOT "
                                                         "VALID; ALTER TABLE dropped VALIDATE CONSTRAINT c",
                                                         no_undo())})}});
  const auto failed = daemon_->run(plan);
  ASSERT_EQ(failed.at("state"), "failed") << failed;
  EXPECT_EQ(failed.at("ways_on"), (json{"retry"}));
  const auto refused = daemon_->tell("dropped", "abort");
  EXPECT_EQ(refused.status, 409);
  EXPECT_TRUE(refused.body.at("detail").get<std::string>().contains("submit a new plan")) << refused.body;
  run("UPDATE dropped SET id = 2");
  EXPECT_EQ(daemon_->tell("dropped", "retry").status, 200);
  EXPECT_EQ(daemon_->until("dropped", "completed").at("stage"), "completed");
}

TEST_F(ExecutionTest, AStepThatFailsIsRolledBackAndSaysWhere) {
  run("CREATE TABLE failing (id bigint PRIMARY KEY)");
  auto plan = plan_of(
      "failing",
      {{"expand", json::array({step(
                      "two", "ALTER TABLE failing ADD COLUMN a text;\nALTER TABLE failing\n  ADD COLUMN b no_such_type",
                      "ALTER TABLE failing DROP COLUMN IF EXISTS a")})}});
  const auto failed = daemon_->run(plan);
  ASSERT_EQ(failed.at("state"), "failed");
  const auto& failure = step_of(failed, "two").at("failure");
  EXPECT_EQ(failure.at("sqlstate"), "42704");
  EXPECT_EQ(failure.at("message"), "type \"no_such_type\" does not exist");
  EXPECT_EQ(failure.at("statement"), 2);
  EXPECT_EQ(failure.at("line"), 2);
  EXPECT_EQ(failure.at("column"), 16);
  EXPECT_EQ(columns("failing"), "id");
  EXPECT_EQ(failed.at("ways_on"), (json{"retry", "abort"}));

  run("CREATE DOMAIN no_such_type AS text");
  EXPECT_EQ(daemon_->tell("failing", "retry").status, 200);
  const auto done = daemon_->until("failing", "completed");
  EXPECT_EQ(done.at("stage"), "completed") << done;
  EXPECT_EQ(step_of(done, "two").at("attempts"), 2);
  EXPECT_EQ(columns("failing"), "id a b");
}

TEST_F(ExecutionTest, ABackfillThatDividesByZeroGoesOnWhereItFailed) {
  make_people(daemon_->main_dsn(), "divided", 100);
  run("ALTER TABLE divided ADD COLUMN share int");
  auto plan = plan_of("divided", {{"backfill", json::array({{{"id", "share"},
                                                             {"table", "divided"},
                                                             {"set", {{"share", "100 / (id - 70)"}}},
                                                             {"where", "share IS NULL"},
                                                             {"verify", "zero_rows"},
                                                             {"walk", "key"},
                                                             {"strides", 1}}})}});
  const auto failed = daemon_->run(plan);
  ASSERT_EQ(failed.at("state"), "failed");
  const auto& share = step_of(failed, "share");
  EXPECT_EQ(share.at("failure").at("sqlstate"), "22012");
  EXPECT_EQ(share.at("failure").at("message"), "division by zero");
  EXPECT_EQ(share.at("applied"), "partial");
  EXPECT_EQ(run("SELECT count(*) FROM divided WHERE share IS NOT NULL"), "60") << "three batches of 20";
  run("DELETE FROM divided WHERE id = 70");
  EXPECT_EQ(daemon_->tell("divided", "retry").status, 200);
  EXPECT_EQ(daemon_->until("divided", "completed").at("stage"), "completed");
  EXPECT_EQ(run("SELECT count(*) FROM divided WHERE touched = 1"), "99");
}

TEST_F(ExecutionTest, ABackfillThatSkipsItsBadRowsSaysWhich) {
  make_people(daemon_->main_dsn(), "skipping", 100);
  run("ALTER TABLE skipping ADD COLUMN share int");
  const auto plan = plan_of("skipping", {{"backfill", json::array({{{"id", "share"},
                                                                    {"table", "skipping"},
                                                                    {"set", {{"share", "100 / (id - 70)"}}},
                                                                    {"where", "share IS NULL"},
                                                                    {"on_error", "skip"},
                                                                    {"verify", "zero_rows"}}})}});
  const auto done = daemon_->run(plan);
  ASSERT_EQ(done.at("stage"), "completed") << done;
  const auto& share = step_of(done, "share");
  EXPECT_EQ(share.at("progress").at("rows_skipped"), 1);
  EXPECT_EQ(share.at("progress").at("rows_changed"), 99);
  EXPECT_EQ(share.at("note"),
            "1 row was skipped, listed in the target's diastole.backfill_skipped: public.skipping id = 70: division by "
            "zero");
  EXPECT_EQ(run("SELECT count(*) FROM skipping WHERE touched = 1"), "99");
}

TEST_F(ExecutionTest, ARowThatOldCodeWritesAfterTheBackfillBlocksContract) {
  make_people(daemon_->main_dsn(), "late", 20);
  auto plan = rename("late", "late");
  plan["backfill"][0]["where"] = "display_name IS DISTINCT FROM name";
  plan["approvals"] = {{"contract", 1}};
  const auto copied = daemon_->run(plan, "backfilled");
  ASSERT_EQ(copied.at("stage"), "backfilled") << copied;
  EXPECT_TRUE(step_of(copied, "copy")
                  .at("backfill")
                  .at("recheck")
                  .at("where")
                  .get<std::string>()
                  .contains("display_name IS NULL"))
      << step_of(copied, "copy");
  // New code writes only the new column: the old one is stale, and nothing is wrong with the row.
  run("UPDATE late SET display_name = 'by new code' WHERE id = 3");
  run("INSERT INTO late (id, name) VALUES (21, 'by old code')");
  EXPECT_EQ(approve("late", "contract").status, 200);
  const auto reason = daemon_->await_reason("late", "verification_failed");
  EXPECT_EQ(reason.at("count"), 1) << reason;
  EXPECT_EQ(reason.at("object"), "copy");
  EXPECT_EQ(columns("late"), "id name touched display_name") << "nothing has been destroyed";
  EXPECT_EQ(daemon_->tell("late", "abort").status, 200);
  EXPECT_EQ(daemon_->until("late", "aborted").at("stage"), "aborted");
}

TEST_F(ExecutionTest, RowsThatNewCodeAloneHasWrittenDoNotBlockContract) {
  make_people(daemon_->main_dsn(), "newer", 20);
  auto plan = rename("newer", "newer");
  plan["backfill"][0]["where"] = "display_name IS DISTINCT FROM name";
  plan["approvals"] = {{"contract", 1}};
  ASSERT_EQ(daemon_->run(plan, "backfilled").at("stage"), "backfilled");
  run("UPDATE newer SET display_name = 'by new code' WHERE id = 3; INSERT INTO newer VALUES (21, 'x', 0, 'y')");
  EXPECT_EQ(approve("newer", "contract").status, 200);
  const auto done = daemon_->until("newer", "completed");
  EXPECT_EQ(done.at("stage"), "completed") << done;
  EXPECT_EQ(run("SELECT count(*) FROM newer WHERE display_name = 'by new code'"), "1");
}

TEST_F(ExecutionTest, APlansOwnSqlRunsWindowByWindowAndIsShownBefore) {
  make_people(daemon_->main_dsn(), "summed", 95);
  run("CREATE TABLE sums (first bigint, n bigint)");
  const auto plan =
      plan_of("summed", {{"expand", json::array({step("mark", "ALTER TABLE sums ADD COLUMN kind text",
                                                      "ALTER TABLE sums DROP COLUMN IF EXISTS kind")})},
                         {"backfill", json::array({{{"id", "sum"},
                                                    {"table", "summed"},
                                                    {"sql",
                                                     "INSERT INTO sums SELECT :from, count(*), 'a :to' FROM summed "
                                                     "WHERE id BETWEEN :from AND :to"},
                                                    {"verify", "SELECT 1 FROM sums HAVING sum(n) <> 95"}}})}});
  auto held = plan;
  held["approvals"] = {{"contract", 0}, {"backfill", 1}};
  ASSERT_EQ(daemon_->run(held, "expanded").at("stage"), "expanded");
  const auto answer = daemon_->get("/v1/plans/main.summed/backfill/preview?step=sum");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto& preview = answer.body.at("previews").at(0);
  EXPECT_TRUE(preview.at("batch_sql").get<std::string>().contains("BETWEEN ('1'::bigint) AND ('20'::bigint)"))
      << preview;
  EXPECT_TRUE(preview.at("explain").get<std::string>().contains("Insert on sums")) << preview;
  EXPECT_GT(preview.at("estimate").at("rows"), 0);
  EXPECT_EQ(run("SELECT count(*) FROM sums"), "0");
  EXPECT_EQ(daemon_->get("/v1/plans/main.summed/backfill/preview?step=mark").status, 404);
  EXPECT_EQ(approve("summed", "backfill").status, 200);
  const auto done = daemon_->until("summed", "completed");
  ASSERT_EQ(done.at("stage"), "completed") << done;
  EXPECT_EQ(run("SELECT sum(n) || ' ' || count(*) || ' ' || min(kind) FROM sums"), "95 5 a :to");
}

TEST_F(ExecutionTest, NullsStopSetNotNullAtItsValidation) {
  run("CREATE TABLE nulls (id bigint PRIMARY KEY, name text); INSERT INTO nulls VALUES (1, 'x'), (2, NULL)");
  auto plan = plan_of("nulls", {{"contract", json::array({{{"id", "nn"}, {"set_not_null", "nulls.name"}}})}});
  const auto failed = daemon_->run(plan);
  ASSERT_EQ(failed.at("state"), "failed") << failed;
  EXPECT_EQ(step_of(failed, "nn.check").at("status"), "done");
  EXPECT_EQ(step_of(failed, "nn.validate").at("failure").at("sqlstate"), "23514");
  EXPECT_EQ(constraints("nulls"), "1");
  EXPECT_EQ(daemon_->tell("nulls", "abort").status, 200);
  EXPECT_EQ(daemon_->until("nulls", "aborted").at("stage"), "aborted");
  EXPECT_EQ(constraints("nulls"), "0");
  EXPECT_EQ(run("SELECT count(*) FROM nulls"), "2");
}

TEST_F(ExecutionTest, APausedBackfillRestsAndGoesOn) {
  make_people(daemon_->main_dsn(), "paused", 600);
  run("CREATE FUNCTION slowly(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 FROM pg_sleep(0.003) $$");
  auto plan = rename("paused", "paused");
  plan["backfill"][0]["set"] = {{"display_name", "slowly(name)"}};
  plan.erase("contract");
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  const auto progressed = daemon_->await_event("paused", "step_progressed");
  EXPECT_GT(progressed.at("progress").at("rows_per_second"), 0);
  EXPECT_EQ(daemon_->tell("paused", "pause").status, 200);
  const auto interrupted = daemon_->await_event("paused", "step_interrupted", progressed.at("id"));
  EXPECT_EQ(interrupted.at("why"), "paused");
  const auto done = run("SELECT count(*) FROM paused WHERE display_name IS NOT NULL");
  EXPECT_NE(done, "600");
  EXPECT_EQ(daemon_->get("/v1/plans/main.paused?until=completed&wait=300ms").body.at("state"), "paused");
  EXPECT_EQ(run("SELECT count(*) FROM paused WHERE display_name IS NOT NULL"), done);
  EXPECT_EQ(daemon_->tell("paused", "pause").status, 409);
  EXPECT_EQ(daemon_->tell("paused", "resume").status, 200);
  EXPECT_EQ(daemon_->until("paused", "completed").at("stage"), "completed");
  EXPECT_EQ(run("SELECT count(*) FROM paused WHERE display_name = name AND touched = 1"), "600");
}

TEST_F(ExecutionTest, ABackfillIsPacedWhileItRuns) {
  make_people(daemon_->main_dsn(), "paced", 2'000);
  auto plan = rename("paced", "paced");
  plan.erase("contract");
  plan["approvals"] = {{"backfill", 1}};
  const auto pace = [](const json& body) {
    const auto answer = daemon_->call("operator", "PATCH", "/v1/plans/main.paced/backfill", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
  };
  const auto copied = [] { return std::stoi(run("SELECT count(*) FROM paced WHERE display_name IS NOT NULL")); };
  const auto submitted = daemon_->submit(plan);
  ASSERT_EQ(submitted.status, 201);
  pace({{"rows_per_second", 40}});
  ASSERT_EQ(daemon_
                ->call("operator", "POST", "/v1/plans/main.paced/approvals", {{"phase", "backfill"}},
                       {{"If-Match", submitted.headers.at("etag")}})
                .status,
            200);
  const auto begun = daemon_->await_event("paced", "backfill_begun");
  EXPECT_EQ(begun.at("walk").at("by"), "blocks");
  EXPECT_FALSE(begun.at("walk").at("because").empty());
  // Five seconds of progress say how sure the end is.
  const auto progressed = daemon_->await_event("paced", [](const json& event) {
    return event.at("kind") == "step_progressed" && event.at("progress").contains("eta_low_ms");
  });
  const auto& progress = progressed.at("progress");
  EXPECT_LT(progress.at("rows_per_second"), 80);
  EXPECT_GT(progress.at("share"), 0);
  EXPECT_LT(progress.at("share"), 0.5);
  EXPECT_LE(progress.at("eta_low_ms"), progress.at("eta_ms"));
  EXPECT_LT(copied(), 1'000);
  EXPECT_TRUE(daemon_->send("GET", "/metrics")
                  .body.get<std::string>()
                  .contains("\ndiastole_backfill_paused{plan=\"main.paced\",step=\"copy\"} 0\n"));

  pace({{"paused", true}});
  const auto reason = daemon_->await_reason("paced", "manual");
  EXPECT_EQ(reason.at("message"), "the-operator has paused backfill copy");
  const auto held = copied();
  const auto plan_held = daemon_->get("/v1/plans/main.paced?until=completed&wait=300ms").body;
  EXPECT_EQ(plan_held.at("stage"), "backfilling");
  EXPECT_EQ(plan_held.at("condition"), "active");
  EXPECT_EQ(copied(), held);

  pace({{"paused", false}, {"rows_per_second", nullptr}});
  EXPECT_EQ(daemon_->until("paced", "completed").at("stage"), "completed");
  EXPECT_EQ(run("SELECT count(*) FROM paced WHERE display_name = name AND touched = 1"), "2000");
}

TEST_F(ExecutionTest, ALockWaitNamesItsBlockerAndEndsWithIt) {
  run("CREATE TABLE locked (id bigint PRIMARY KEY)");
  auto blocker = std::make_unique<OpenTransaction>(daemon_->main_dsn(), "LOCK TABLE locked IN ACCESS SHARE MODE");
  ASSERT_EQ(daemon_->submit(add_column("locked", "locked")).status, 201);
  const auto waited = daemon_->await_event("locked", [](const json& event) {
    return event.at("kind") == "lock_waited" && !event.value("blockers", json::array()).empty();
  });
  EXPECT_EQ(waited.at("blockers").at(0).at("pid"), blocker->pid());
  EXPECT_EQ(waited.at("blockers").at(0).at("query"), "LOCK TABLE locked IN ACCESS SHARE MODE");
  blocker.reset();
  EXPECT_EQ(daemon_->until("locked", "completed").at("stage"), "completed");
  EXPECT_EQ(columns("locked"), "id extra");
}

TEST_F(ExecutionTest, ALongTransactionHoldsThePhaseUntilItEnds) {
  run("CREATE TABLE held (id bigint PRIMARY KEY)");
  auto holder = std::make_unique<OpenTransaction>(daemon_->main_dsn(), "SELECT count(*), pg_sleep(1.1) FROM held");
  ASSERT_EQ(daemon_->submit(add_column("held", "held")).status, 201);
  const auto reason = daemon_->await_reason("held", "long_transaction");
  EXPECT_EQ(reason.at("pid"), holder->pid());
  EXPECT_GE(reason.at("age_ms"), 1'000);
  EXPECT_TRUE(reason.at("query").get<std::string>().contains("FROM held")) << reason;
  EXPECT_EQ(columns("held"), "id");
  holder.reset();
  EXPECT_EQ(daemon_->until("held", "completed").at("stage"), "completed");
}

TEST_F(ExecutionTest, ABackfillWaitsForTheFleetItNeeds) {
  make_people(daemon_->main_dsn(), "needy", 10);
  auto plan = rename("needy", "needy");
  plan.erase("contract");
  plan["fleet"] = json::array({{{"service", "needy"}, {"version", ">=2.0.0"}}});
  plan["backfill"][0]["needs"] = {{"needy", ">=1.5.0"}};
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  EXPECT_EQ(daemon_->await_reason("needy", "too_few_instances").at("service"), "needy");
  const auto gate = daemon_->get("/v1/plans/main.needy/gate").body;
  EXPECT_EQ(gate.at("needs").at("copy").at("state"), "collecting") << gate;
  EXPECT_EQ(run("SELECT count(*) FROM needy WHERE touched > 0"), "0");
  json done;
  do {
    daemon_->heartbeat({{"service", "needy"}, {"instance", "one"}, {"version", "1.5.0"}});
    done = daemon_->get("/v1/plans/main.needy?until=completed&wait=400ms").body;
  } while (done.at("stage") != "completed" && done.at("state") != "failed");
  EXPECT_EQ(done.at("stage"), "completed") << done;
  EXPECT_EQ(run("SELECT count(*) FROM needy WHERE touched = 1"), "10");
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
