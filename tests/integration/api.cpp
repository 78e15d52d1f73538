// The API of a whole daemon: who may do what, what each call answers, and what bad input is told.
#include <regex>

#include "support/daemon.hpp"
#include "support/plans.hpp"

namespace diastole::test {
namespace {

class ApiTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>(
        Daemon::Sections{{"limits", "{ plan_bytes: 4096, heartbeat_bytes: 256, batch_bytes: 2048 }"}});
    daemon_->start();
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(daemon_->end(), 0);
    daemon_.reset();
  }

  // Every refusal is a problem document that repeats its status; `path` is where the body is wrong.
  static void expect_problem(const Answer& answer, int status, const std::string& path = {}) {
    EXPECT_EQ(answer.status, status) << answer.body;
    const auto type = answer.headers.find("content-type");
    ASSERT_NE(type, answer.headers.end());
    EXPECT_EQ(type->second, "application/problem+json") << answer.body;
    EXPECT_EQ(answer.body.value("status", 0), status) << answer.body;
    EXPECT_FALSE(answer.body.value("detail", "").empty()) << answer.body;
    EXPECT_TRUE(answer.body.value("type", "").starts_with("urn:diastole:problem:")) << answer.body;
    if (path.empty()) return;
    auto errors = answer.body.contains("errors") ? answer.body["errors"] : json::array({answer.body});
    for (const auto& finding : answer.body.value("findings", json::array())) errors.push_back(finding);
    EXPECT_TRUE(std::ranges::any_of(errors, [&](const json& error) { return error.value("path", "") == path; }))
        << "no error at " << path << ": " << answer.body;
  }

  // A table of the test's own in the target.
  static std::string table(const std::string& name) {
    sql(daemon_->main_dsn(), "CREATE TABLE " + name + " (id bigint PRIMARY KEY, name text)");
    return name;
  }
  static Answer submit_text(const std::string& text, const std::string& type = "application/json") {
    return daemon_->send("POST", "/v1/plans", text,
                         {{"Authorization", "Bearer " + token_of("ci")}, {"Content-Type", type}});
  }
  // A plan that waits for an approval of its first phase, and so does nothing.
  static json waiting_plan(const std::string& name, const std::string& on) {
    auto plan = add_column(name, on);
    plan["approvals"] = {{"expand", 1}};
    return plan;
  }
  static Answer approve(const std::string& plan, const std::string& etag, const std::string& who = "operator",
                        const std::string& phase = "expand") {
    return daemon_->call(who, "POST", "/v1/plans/main." + plan + "/approvals", {{"phase", phase}},
                         {{"If-Match", etag}});
  }

  static inline std::unique_ptr<Daemon> daemon_;
};

struct RouteCase {
  std::string method;
  std::string target;
  std::string allowed;  // roles beside admin
};

TEST_F(ApiTest, EachRoleMayDoItsPartAndNoMore) {
  const std::vector<RouteCase> routes{{"POST", "/v1/plans", "ci"},
                                      {"POST", "/v1/plans/check", "ci"},
                                      {"GET", "/v1/plans", "ci operator viewer"},
                                      {"GET", "/v1/plans/main.none", "ci operator viewer"},
                                      {"GET", "/v1/plans/main.none/events", "ci operator viewer"},
                                      {"GET", "/v1/events", "ci operator viewer"},
                                      {"GET", "/v1/plans/main.none/gate", "ci operator viewer"},
                                      {"POST", "/v1/plans/main.none/approvals", "operator"},
                                      {"POST", "/v1/plans/main.none/pause", "operator"},
                                      {"POST", "/v1/plans/main.none/resume", "operator"},
                                      {"POST", "/v1/plans/main.none/retry", "operator"},
                                      {"POST", "/v1/plans/main.none/abort", "operator"},
                                      {"PATCH", "/v1/plans/main.none/backfill", "operator"},
                                      {"POST", "/v1/heartbeats", "instance"},
                                      {"GET", "/v1/services", "ci operator viewer"},
                                      {"GET", "/v1/services/api/instances", "ci operator viewer"},
                                      {"DELETE", "/v1/services/api/instances/none", "instance operator"}};
  for (const auto& route : routes) {
    const auto body = route.method == "POST" || route.method == "PATCH" ? json::object() : json();
    for (const auto& role : roles()) {
      const auto answer = daemon_->call(role, route.method, route.target, body);
      const bool allowed = role == "admin" || (" " + route.allowed + " ").contains(" " + role + " ");
      EXPECT_EQ(answer.status != 403, allowed) << role << ' ' << route.method << ' ' << route.target;
      EXPECT_NE(answer.status, 401);
      EXPECT_LT(answer.status, 500) << answer.body;
      if (!allowed) expect_problem(answer, 403);
    }
    const auto without = daemon_->send(route.method, route.target);
    expect_problem(without, 401);
    EXPECT_TRUE(without.headers.contains("www-authenticate"));
    expect_problem(daemon_->send(route.method, route.target, "", {{"Authorization", "Bearer not-one-of-yours"}}), 401);
  }
}

TEST_F(ApiTest, HealthNeedsNoToken) {
  EXPECT_EQ(daemon_->send("GET", "/livez").body, (json{{"status", "alive"}}));
  const auto ready = daemon_->send("GET", "/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(ready.body.at("status"), "ready");
  EXPECT_EQ(ready.body.at("epoch"), 1);
}

TEST_F(ApiTest, MetricsNeedNoToken) {
  const auto metrics = daemon_->send("GET", "/metrics");
  ASSERT_EQ(metrics.status, 200);
  EXPECT_EQ(metrics.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_TRUE(metrics.body.get<std::string>().contains("\ndiastole_plans{stage=\"expanding\",condition=\"active\"} "))
      << metrics.body;
  expect_problem(daemon_->send("POST", "/metrics"), 405);
}

TEST_F(ApiTest, UnknownPathsAndMethodsAreTold) {
  expect_problem(daemon_->get("/v1/nothing"), 404);
  expect_problem(daemon_->get("/v1/plans/main.none"), 404);
  expect_problem(daemon_->get("/v1/plans/main.none/gate"), 404);
  expect_problem(daemon_->get("/v1/plans/main.none/events"), 404);
  const auto wrong = daemon_->call("admin", "DELETE", "/v1/plans");
  expect_problem(wrong, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "POST, GET");
}

TEST_F(ApiTest, ASubmittedPlanIsShownWhole) {
  const auto plan = waiting_plan("shown", table("shown"));
  const auto submitted = daemon_->submit(plan);
  ASSERT_EQ(submitted.status, 201) << submitted.body;
  EXPECT_EQ(submitted.headers.at("location"), "/v1/plans/main.shown");
  const auto hash = submitted.body.at("hash").get<std::string>();
  EXPECT_TRUE(std::regex_match(hash, std::regex("sha256-[0-9a-f]{64}")));
  EXPECT_EQ(submitted.headers.at("etag"), '"' + hash + '"');

  const auto shown = daemon_->get("/v1/plans/main.shown");
  EXPECT_EQ(shown.headers.at("etag"), '"' + hash + '"');
  EXPECT_EQ(shown.body.at("state"), "accepted");
  EXPECT_EQ(shown.body.at("submitted_by"), "the-ci");
  EXPECT_EQ(shown.body.at("ways_on"), (json{"approve expand", "pause", "abort"}));
  const auto& only = shown.body.at("steps").at(0);
  EXPECT_EQ(only.at("sql"), (json{"ALTER TABLE shown ADD COLUMN extra text"}));
  EXPECT_EQ(only.at("lock"), "ACCESS EXCLUSIVE");
  EXPECT_EQ(only.at("status"), "pending");
  const auto reason = daemon_->await_reason("shown", "approval_missing");
  EXPECT_EQ(reason.at("object"), "expand");

  const auto list = daemon_->get("/v1/plans").body.at("plans");
  EXPECT_TRUE(std::ranges::any_of(list, [](const json& row) { return row.at("id") == "main.shown"; }));
  const auto gate = daemon_->get("/v1/plans/main.shown/gate").body;
  EXPECT_EQ(gate.at("state"), "collecting");
  EXPECT_EQ(gate.at("services").at(0).at("service"), "api");
  EXPECT_EQ(daemon_->tell("shown", "abort").status, 200);
}

TEST_F(ApiTest, CheckStoresNothing) {
  const auto checked = daemon_->call("ci", "POST", "/v1/plans/check", add_column("checked", "anything"));
  ASSERT_EQ(checked.status, 200) << checked.body;
  EXPECT_EQ(checked.body.at("id"), "main.checked");
  EXPECT_EQ(checked.body.at("steps").size(), 1U);
  EXPECT_EQ(checked.body.at("catalog"), "read");
  const auto statement = checked.body.at("steps").at(0).at("statements").at(0);
  EXPECT_EQ(statement.at("lock"), "ACCESS EXCLUSIVE");
  EXPECT_EQ(statement.at("touches").at(0).at("relation"), "anything");
  EXPECT_EQ(statement.at("reversible"), true);
  expect_problem(daemon_->get("/v1/plans/main.checked"), 404);
}

TEST_F(ApiTest, CheckDoesWithoutATargetThatIsAway) {
  auto plan = add_column("blind", "anything");
  plan["target"] = "away";
  const auto checked = daemon_->call("ci", "POST", "/v1/plans/check", plan);
  ASSERT_EQ(checked.status, 200) << checked.body;
  EXPECT_TRUE(checked.body.at("catalog").get<std::string>().contains("cannot connect to target away")) << checked.body;
}

TEST_F(ApiTest, TheSameDocumentIsTheSamePlanAndAnotherOneIsRefused) {
  auto plan = waiting_plan("twice", table("twice"));
  const auto first = daemon_->submit(plan);
  EXPECT_EQ(first.status, 201);
  const auto second = daemon_->submit(plan);
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.headers.at("etag"), first.headers.at("etag"));
  plan["summary"] = "another";
  expect_problem(daemon_->submit(plan), 409, "/plan");

  const auto other = daemon_->submit(waiting_plan("rival", "twice"));
  expect_problem(other, 409);
  EXPECT_TRUE(other.body.at("detail").get<std::string>().contains("main.twice")) << other.body;
  EXPECT_EQ(daemon_->tell("twice", "abort").status, 200);
  EXPECT_EQ(daemon_->until("twice", "aborted").at("stage"), "aborted");
  EXPECT_EQ(daemon_->submit(waiting_plan("rival", "twice")).status, 201);
}

TEST_F(ApiTest, MalformedBodiesAreToldWhere) {
  const auto cut = submit_text("{\"plan\": \"x\",\n  \"target\": }");
  expect_problem(cut, 400);
  EXPECT_TRUE(cut.body.at("detail").get<std::string>().starts_with("line 2, column 13: ")) << cut.body;
  const auto twice = submit_text("{\"plan\": \"x\",\n\"plan\": \"y\"}");
  expect_problem(twice, 400);
  EXPECT_TRUE(twice.body.at("detail").get<std::string>().starts_with("line 2, column 1: ")) << twice.body;
  expect_problem(submit_text(""), 400);
  expect_problem(submit_text(std::string(100, '[')), 400);
  expect_problem(submit_text("plan: x", "application/yaml"), 415);
  expect_problem(submit_text("{}", ""), 415);
  expect_problem(submit_text("[]"), 422);
  expect_problem(submit_text("{\"summary\": \"" + std::string(4096, 'x') + "\"}"), 413);
}

struct BadPlan {
  std::string name;
  std::string patch;  // an RFC 7396 merge patch over a good plan
  std::string path;
  std::string says;
};

class BadPlanTest : public ApiTest, public ::testing::WithParamInterface<BadPlan> {};

TEST_P(BadPlanTest, IsRefusedWithItsPlace) {
  auto plan = add_column("bad", "bad");
  plan.merge_patch(json::parse(GetParam().patch));
  for (const std::string target : {"/v1/plans", "/v1/plans/check"}) {
    const auto answer = daemon_->call("ci", "POST", target, plan);
    expect_problem(answer, 422, GetParam().path);
    EXPECT_TRUE(answer.body.dump().contains(GetParam().says)) << answer.body;
  }
  expect_problem(daemon_->get("/v1/plans/main.bad"), 404);
}

const BadPlan kBadPlans[] = {
    {"UnknownField", R"({"expnd": []})", "/expnd", "unknown key"},
    {"UnknownStepField", R"({"expand": [{"id": "a", "sqll": "SELECT 1"}]})", "/expand/0/sqll", "unknown key"},
    {"NoName", R"({"plan": null})", "/plan", "missing"},
    {"BadName", R"({"plan": "No Good"})", "/plan", "a-z"},
    {"UnknownTarget", R"({"target": "elsewhere"})", "/target", "away, main"},
    {"UnknownService",
     R"({"backfill": [{"id": "b", "table": "bad", "set": {"extra": "1"}, "needs": {"web": ">=1.0.0"}}]})",
     "/backfill/0/needs/web", "not declared"},
    {"BadVersion", R"({"fleet": [{"service": "api", "version": "newest"}]})", "/fleet/0/version", "newest"},
    {"NoFleet",
     R"({"fleet": [], "contract": [{"id": "d", "sql": "ALTER TABLE bad DROP COLUMN name", "undo": {"none": "x"}}]})",
     "/fleet", "must declare"},
    {"DuplicateStep",
     R"({"expand": [{"id": "a", "sql": "ALTER TABLE bad ADD COLUMN x text", "undo": {"none": "x"}},
                    {"id": "a", "sql": "ALTER TABLE bad ADD COLUMN y text", "undo": {"none": "x"}}]})",
     "/expand/1/id", "'a' is used twice"},
    {"NoUndo", R"({"expand": [{"id": "a", "sql": "ALTER TABLE bad ADD COLUMN x text"}]})", "/expand/0/undo", "undo"},
    {"Unparsable", R"({"expand": [{"id": "a", "sql": "ALTER TABLE bad\nADD COLUM x text", "undo": {"none": "x"}}]})",
     "/expand/0/sql", R"("column":13,"line":2,"message":"syntax error)"},
    {"BadExpression", R"({"backfill": [{"id": "b", "table": "bad", "set": {"extra": "1; DROP TABLE bad"}}]})",
     "/backfill/0/set/extra", "expression"},
    {"BadSoak", R"({"gate": {"soak": "soon"}})", "/gate/soak", "soon"},
};
INSTANTIATE_TEST_SUITE_P(All, BadPlanTest, ::testing::ValuesIn(kBadPlans),
                         [](const auto& test) { return test.param.name; });

TEST_F(ApiTest, FindingsComeWithTheirSafeForm) {
  auto plan = add_column("unsafe", "unsafe");
  plan["expand"] = {step("index", "CREATE INDEX i ON unsafe (name)", "DROP INDEX CONCURRENTLY IF EXISTS i"),
                    step("begin", "BEGIN; ALTER TABLE unsafe ADD COLUMN x text; COMMIT", no_undo())};
  const auto refused = daemon_->submit(plan);
  expect_problem(refused, 422);
  const auto finding = [&](const std::string& rule) {
    for (const auto& one : refused.body.at("findings")) {
      if (one.at("rule") == rule) return one;
    }
    return json::object();
  };
  const auto index = finding("require-concurrent-index-creation");
  EXPECT_EQ(index.value("path", ""), "/expand/0/sql") << refused.body;
  EXPECT_EQ(index.at("safe_form").at(0).value("sql", ""), "CREATE INDEX CONCURRENTLY i ON unsafe (name)");
  EXPECT_EQ(refused.body.at("catalog"), "read");
  EXPECT_EQ(index.value("severity", ""), "error");
  EXPECT_EQ(finding("transaction-nesting").value("path", ""), "/expand/1/sql") << refused.body;
}

TEST_F(ApiTest, ABackfillIsPacedByAPatch) {
  auto plan = waiting_plan("paced", table("paced"));
  plan["backfill"] = json::array({{{"id", "copy"}, {"table", "paced"}, {"set", {{"extra", "name"}}}}});
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  const auto patch = [](const std::string& of, const json& body, const std::string& who = "operator") {
    return daemon_->call(who, "PATCH", "/v1/plans/main." + of + "/backfill", body);
  };
  const auto step = [](const Answer& answer, std::size_t index) { return answer.body.at("steps").at(index); };
  EXPECT_FALSE(step(daemon_->get("/v1/plans/main.paced"), 1).contains("pace"));
  const auto first = patch("paced", {{"rows_per_second", 500}, {"workers", 1}});
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(step(first, 1).at("pace"), (json{{"rows_per_second", 500}, {"workers", 1}}));
  EXPECT_EQ(step(first, 1).at("paced_by"), "the-operator");
  const auto second =
      patch("paced", {{"step", "copy"}, {"workers", nullptr}, {"batch_rows", 7}, {"paused", true}}, "admin");
  EXPECT_EQ(step(second, 1).at("pace"), (json{{"rows_per_second", 500}, {"batch_rows", 7}, {"paused", true}}));
  const auto event = daemon_->await_event(
      "paced", [](const json& e) { return e.at("kind") == "backfill_paced" && e.at("by") == "the-admin"; });
  EXPECT_EQ(event.at("step"), "copy");
  EXPECT_EQ(event.at("pace").at("batch_rows"), 7);

  expect_problem(patch("paced", {{"batch_rows", 0}}), 422, "/batch_rows");
  expect_problem(patch("paced", {{"batch_row", 1}}), 422, "/batch_row");
  expect_problem(patch("paced", {{"step", "column"}}), 422, "/step");
  expect_problem(patch("paced", {{"step", 1}}), 422, "/step");
  expect_problem(patch("paced", json::array()), 422);
  ASSERT_EQ(daemon_->submit(waiting_plan("unpaced", table("unpaced"))).status, 201);
  expect_problem(patch("unpaced", {{"batch_rows", 1}}), 422, "/step");
  EXPECT_EQ(daemon_->tell("unpaced", "abort").status, 200);

  EXPECT_EQ(daemon_->tell("paced", "abort").status, 200);
  EXPECT_EQ(daemon_->until("paced", "aborted").at("stage"), "aborted");
  const auto late = patch("paced", {{"batch_rows", 1}});
  expect_problem(late, 409);
  EXPECT_EQ(late.body.at("state"), "aborted");
}

TEST_F(ApiTest, AnApprovalIsBoundToThePlanAndToSomebodyElse) {
  auto plan = waiting_plan("approved", table("approved"));
  const auto etag = daemon_->call("admin", "POST", "/v1/plans", plan).headers.at("etag");
  const std::string target = "/v1/plans/main.approved/approvals";
  const auto missing = daemon_->call("operator", "POST", target, {{"phase", "expand"}});
  expect_problem(missing, 428);
  EXPECT_EQ('"' + missing.body.at("hash").get<std::string>() + '"', etag);
  expect_problem(approve("approved", "\"sha256-stale\""), 412);
  expect_problem(approve("approved", etag, "operator", "expansion"), 422, "/phase");
  expect_problem(approve("approved", etag, "operator", "contract"), 409);
  const auto own = approve("approved", etag, "admin");
  expect_problem(own, 409);
  EXPECT_TRUE(own.body.at("detail").get<std::string>().contains("the-admin submitted the plan")) << own.body;

  const auto first = approve("approved", etag);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.body.at("approvals").at("expand").at("given").at(0).at("by"), "the-operator");
  EXPECT_EQ(daemon_->until("approved", "completed").at("stage"), "completed");
  EXPECT_EQ(
      sql(daemon_->main_dsn(),
          "SELECT count(*) FROM information_schema.columns WHERE table_name = 'approved' AND column_name = 'extra'"),
      "1");
  expect_problem(approve("approved", etag), 409);
}

TEST_F(ApiTest, ARepeatedApprovalChangesNothing) {
  auto plan = waiting_plan("repeated", table("repeated"));
  plan["approvals"] = {{"expand", 2}};
  const auto etag = daemon_->submit(plan).headers.at("etag");
  const auto first = approve("repeated", etag);
  const auto again = approve("repeated", etag);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body.at("approvals").at("expand").at("given").size(), 1U);
  EXPECT_EQ(approve("repeated", etag, "admin").status, 200);
  EXPECT_EQ(daemon_->until("repeated", "expanded").at("approvals").at("expand").at("given").size(), 2U);
}

TEST_F(ApiTest, CommandsThatMakeNoSenseNameTheState) {
  const auto done = daemon_->run(add_column("over", table("over")));
  ASSERT_EQ(done.at("stage"), "completed") << done;
  for (const std::string verb : {"pause", "resume", "retry", "abort"}) {
    const auto refused = daemon_->tell("over", verb);
    expect_problem(refused, 409);
    EXPECT_EQ(refused.body.at("state"), "completed") << verb;
    EXPECT_EQ(refused.body.at("hash"), done.at("hash"));
  }
}

TEST_F(ApiTest, ALongPollEndsWithItsTimeOrItsMilestone) {
  const auto plan = waiting_plan("polled", table("polled"));
  const auto etag = daemon_->submit(plan).headers.at("etag");
  const auto early = daemon_->get("/v1/plans/main.polled?until=expanded&wait=10ms");
  EXPECT_EQ(early.status, 200);
  EXPECT_EQ(early.body.at("stage"), "accepted");
  EXPECT_EQ(approve("polled", etag).status, 200);
  EXPECT_EQ(daemon_->until("polled", "expanded").at("steps").at(0).at("status"), "done");
  expect_problem(daemon_->get("/v1/plans/main.polled?until=soon"), 422, "until");
  expect_problem(daemon_->get("/v1/plans/main.polled?wait=x"), 422, "wait");
}

TEST_F(ApiTest, EventsComeInPagesAndTheStreamResumesExactly) {
  ASSERT_EQ(daemon_->run(add_column("told", table("told"))).at("stage"), "completed");
  json all = json::array();
  std::int64_t after = 0;
  while (true) {
    const auto page = daemon_->get(fmt::format("/v1/plans/main.told/events?limit=3&after={}", after)).body;
    ASSERT_LE(page.at("events").size(), 3U);
    EXPECT_EQ(page.at("next"), page.at("events").empty() ? json(after) : page.at("events").back().at("id"));
    if (page.at("events").empty()) break;
    for (const auto& event : page.at("events")) all.push_back(event);
    after = page.at("next");
  }
  ASSERT_GT(all.size(), 5U);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].at("seq"), i + 1);
  EXPECT_EQ(all.front().at("kind"), "plan_submitted");

  std::string stream;
  const auto last = all.at(2).at("id").get<std::int64_t>();
  const auto end = fmt::format("id: {}\n", all.back().at("id").get<std::int64_t>());
  (void)http::stream("127.0.0.1", daemon_->port(),
                     {"GET",
                      "/v1/plans/main.told/events",
                      {{"Authorization", "Bearer " + token_of("ci")},
                       {"Accept", "text/event-stream"},
                       {"Last-Event-ID", fmt::to_string(last)}},
                      "",
                      milliseconds{20'000}},
                     [&](std::string_view piece) { return stream += piece, !stream.contains(end); });
  std::string expected;
  for (std::size_t i = 3; i < all.size(); ++i) {
    expected += fmt::format("id: {}\nevent: {}\ndata: {}\n\n", all[i].at("id").get<std::int64_t>(),
                            all[i].at("kind").get<std::string>(), all[i].dump());
  }
  EXPECT_EQ(stream.substr(stream.find("id: ")), expected);

  expect_problem(daemon_->get("/v1/events?after=x"), 422, "after");
  expect_problem(daemon_->get("/v1/events?limit=0"), 422, "limit");
  const auto bad =
      daemon_->call("ci", "GET", "/v1/events", {}, {{"Accept", "text/event-stream"}, {"Last-Event-ID", "x"}});
  expect_problem(bad, 422, "Last-Event-ID");
}

TEST_F(ApiTest, AnUnreachableTargetIsAReasonThatNamesNothingSecret) {
  auto plan = add_column("far", "far");
  plan["target"] = "away";
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  const auto events = [&] { return daemon_->get("/v1/plans/away.far/events").body.at("events"); };
  while (std::ranges::none_of(events(), [](const json& event) { return event.at("kind") == "plan_waits"; })) {
    (void)daemon_->get("/v1/plans/away.far?until=expanded&wait=100ms");
  }
  const auto waiting = daemon_->get("/v1/plans/away.far").body.at("waiting");
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting.at(0).at("kind"), "target_unavailable");
  EXPECT_EQ(daemon_->call("operator", "POST", "/v1/plans/away.far/abort").status, 200);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
