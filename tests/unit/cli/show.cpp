// What people read of the daemon's answers.
#include "show.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace diastole::cli {
namespace {

using nlohmann::json;

std::string finding(const std::string& more) {
  const auto findings = json::parse(R"([{"rule": "r", "severity": "error", "message": "m", "path": "/expand/0/sql")" +
                                    (more.empty() ? "" : ", " + more) + "}]");
  return show_findings(findings, "p.yaml", "expand:\n  - sql: x\n");
}

TEST(ShowFindingsTest, AStatementIsItsSafeFormInOneLine) {
  EXPECT_EQ(finding(""), "p.yaml:2: /expand/0/sql: error: r: m\n");
  EXPECT_EQ(finding(R"_("safe_form": [{"sql": "CREATE INDEX CONCURRENTLY i ON t (a)"}])_"),
            "p.yaml:2: /expand/0/sql: error: r: m\n"
            "    safe form: CREATE INDEX CONCURRENTLY i ON t (a)\n");
  EXPECT_EQ(finding(R"("safe_form": [{"sql": "SELECT 1,\n  2", "note": "why"}], "allowed_because": "x")"),
            "p.yaml:2: /expand/0/sql: error: r: m (allowed: x)\n"
            "    safe form: SELECT 1,\n"
            "        2  -- why\n");
}

TEST(ShowFindingsTest, StepsAreSaidWithTheirPhaseAndKey) {
  EXPECT_EQ(finding(R"("safe_form": [
    {"sql": "ALTER TABLE t ADD COLUMN n text", "phase": "expand", "note": "empty at first"},
    {"backfill": "table: t\nset: { n: o }\n", "phase": "backfill", "note": "both written"},
    {"set_not_null": "t.n", "phase": "contract"}, {"sql": "SELECT 1"}])"),
            "p.yaml:2: /expand/0/sql: error: r: m\n"
            "    safe form:\n"
            "      expand: sql: ALTER TABLE t ADD COLUMN n text  -- empty at first\n"
            "      backfill: backfill:  -- both written\n"
            "        table: t\n"
            "        set: { n: o }\n"
            "      contract: set_not_null: t.n\n"
            "      sql: SELECT 1\n");
  EXPECT_EQ(finding(R"("safe_form": [{"sql": "DROP TABLE t", "phase": "contract"}])"),
            "p.yaml:2: /expand/0/sql: error: r: m\n"
            "    safe form:\n"
            "      contract: sql: DROP TABLE t\n");
  EXPECT_EQ(finding(R"("safe_form": [{"set_not_null": "t.n"}])"),
            "p.yaml:2: /expand/0/sql: error: r: m\n"
            "    safe form:\n"
            "      set_not_null: t.n\n");
}

TEST(ShowFindingsTest, WhatItTakesAndWhatWouldTellMore) {
  EXPECT_EQ(
      finding(R"_("concerned": ["view app.v", "function f() (by its text)"], "sharper_with": "the type of t.a")_"),
      "p.yaml:2: /expand/0/sql: error: r: m\n"
      "    concerned: view app.v, function f() (by its text)\n"
      "    would be sharper with: the type of t.a\n");
}

TEST(ShowFindingsTest, ARefusalSaysThatTheCatalogWasMissing) {
  auto problem = json::parse(R"({"title": "Plan refused", "detail": "d", "errors": [], "catalog": "read",
    "findings": [{"rule": "r", "severity": "error", "message": "m"}]})");
  EXPECT_EQ(show_problem(problem), "error: r: m\n");
  problem["catalog"] = "target main is away";
  EXPECT_EQ(show_problem(problem), "error: r: m\nanalysed without the target's catalog: target main is away\n");
  problem["findings"] = json::array();
  problem["errors"] = json::parse(R"([{"path": "/plan", "detail": "missing"}])");
  EXPECT_EQ(show_problem(problem), "/plan: missing\n") << "nothing was analysed";
}

TEST(ShowEventTest, ProgressSaysWhatSlowsIt) {
  const auto shown = [](const std::string& throttle) {
    return show_event(json::parse(R"({"kind": "step_progressed", "step": "s", "at": "2026-11-25T01:02:03.000Z",
      "progress": {"rows": 5, "rows_changed": 4)" +
                                  throttle + "}}"));
  };
  const auto free = shown("");
  EXPECT_EQ(shown(R"(, "throttle": {"share": 1, "ceiling": 1, "notes": ["n"]})"), free);
  EXPECT_EQ(shown(R"(, "throttle": {"share": 0.25, "reason": {"detail": "standby1 is 9 MiB behind"}})"),
            free + "; at 25 % of its speed: standby1 is 9 MiB behind");
  EXPECT_EQ(shown(R"(, "throttle": {"share": 0, "reason": {"detail": "outside 22:00-06:00 UTC"}})"),
            free + "; holds: outside 22:00-06:00 UTC");
}

// One step with one statement.
std::string checked(const std::string& lock, const std::string& statement) {
  return show_checked(json::parse(R"({"catalog": "read", "steps": [{"id": "s", "lock": ")" + lock +
                                  R"(", "statements": [)" + statement + "]}]}"));
}

TEST(ShowCheckedTest, AStepIsItsLockItsWorkAndHowLong) {
  EXPECT_EQ(checked("ACCESS EXCLUSIVE", R"({"touches": [
    {"relation": "users", "lock": "ACCESS EXCLUSIVE", "scans": "no", "rewrites": "no"},
    {"relation": "teams", "lock": "ROW SHARE", "scans": "no", "rewrites": "no"}]})"),
            "  s: ACCESS EXCLUSIVE on users\n");
  const std::string estimate = R"("estimate": {"rows": 50000, "time_ms": 1200})";
  EXPECT_EQ(checked("SHARE UPDATE EXCLUSIVE", R"({"touches": [{"relation": "users", "lock": "SHARE UPDATE EXCLUSIVE",
    "scans": "yes", "rewrites": "no"}], )" + estimate +
                                                  "}"),
            "  s: SHARE UPDATE EXCLUSIVE on users, reads all of about 50000 rows, about 1.2s\n");
  EXPECT_EQ(checked("ACCESS EXCLUSIVE", R"({"touches": [{"relation": "users", "lock": "ACCESS EXCLUSIVE",
    "scans": "yes", "rewrites": "yes"}], )" +
                                            estimate + "}"),
            "  s: ACCESS EXCLUSIVE on users, rewrites all of about 50000 rows, about 1.2s\n");
  EXPECT_EQ(checked("SHARE", R"({"touches": [{"relation": "a", "lock": "SHARE", "scans": "yes", "rewrites": "no"}]})"),
            "  s: SHARE on a, reads all rows\n");
  EXPECT_EQ(
      checked("SHARE", R"({"touches": [{"relation": "a", "lock": "SHARE", "scans": "maybe", "rewrites": "no"}]})"),
      "  s: SHARE on a, may read all rows\n");
  EXPECT_EQ(
      checked("SHARE", R"({"touches": [{"relation": "a", "lock": "SHARE", "scans": "maybe", "rewrites": "maybe"}]})"),
      "  s: SHARE on a, may rewrite all rows\n");
  EXPECT_EQ(
      checked("SHARE", R"({"touches": [{"relation": "a", "lock": "SHARE", "scans": "yes", "rewrites": "maybe"}]})"),
      "  s: SHARE on a, reads all rows, and may rewrite them\n");
}

TEST(ShowCheckedTest, StepsWithoutALockBatchesAndManyRelations) {
  EXPECT_EQ(checked("NONE", R"({"creates": ["t"]})"), "  s: no lock\n");
  EXPECT_EQ(
      show_checked(json::parse(
          R"({"steps": [{"id": "b", "lock": "ROW EXCLUSIVE", "statements": [], "backfill": {"table": "users"}}]})")),
      "  b: in batches over users\n");
  std::string touches;
  for (const char* relation : {"a", "b", "c", "d", "e", "a"}) {
    touches += (touches.empty() ? "" : ",") + std::string(R"({"relation": ")") + relation + R"(", "lock": "SHARE"})";
  }
  EXPECT_EQ(checked("SHARE", R"({"touches": [)" + touches + "]}"), "  s: SHARE on a, b, c and 2 more\n");
}

TEST(ShowCheckedTest, AMissingCatalogIsSaid) {
  EXPECT_EQ(show_checked(json::parse(R"({"steps": [], "catalog": "target main is away"})")),
            "analysed without the target's catalog: target main is away\n");
}

TEST(ShowPreviewsTest, ADryRunIsShownStepByStep) {
  EXPECT_EQ(show_previews(json::parse(R"({"previews": [
              {"step": "copy", "walk": {"by": "key", "because": ["by primary key users_pkey"]},
               "parts": [{"relation": "public.users", "rows": 5000}], "estimate": {"rows": 5000, "time_ms": 100},
               "window_sql": "SELECT 1", "batch_sql": "UPDATE users\nSET a = 1", "explain": "Update on users\n",
               "refused": "it would scan"},
              {"step": "empty", "walk": {"by": "blocks"}, "parts": [], "estimate": {"rows": 0, "time_ms": 0}}]})")),
            "copy: about 5000 rows, about 0.1s\n"
            "  REFUSED: it would scan\n"
            "  by primary key users_pkey\n"
            "  public.users: about 5000 rows\n"
            "  finds a window's end:\n"
            "    SELECT 1\n"
            "  a batch:\n"
            "    UPDATE users\n"
            "    SET a = 1\n"
            "  its plan:\n"
            "    Update on users\n"
            "empty: about 0 rows, about 0.0s\n");
  EXPECT_EQ(show_previews(json::parse(R"({"previews": []})")), "the plan has no backfill\n");
}

// A plan with one backfill, of which the daemon says `more`.
std::string shown(const std::string& more) {
  return show_plan(json::parse(
      R"({"id": "main.p", "state": "backfilling", "stage": "backfilling", "hash": "h", "submitted_by": "ann",
          "submitted_at": "now", "approvals": {"backfill": {"needed": 0, "given": []}},
          "steps": [{"id": "copy", "phase": "backfill", "lock": "NONE", "backfill": {"table": "users"}, )" +
      more + "}]}"));
}

TEST(ShowPlanTest, ABackfillIsItsWalkItsProgressAndItsPace) {
  const std::string head =
      "main.p  backfilling  (backfilling)\n  h, submitted by ann at now\nbackfill\n"
      "  running     copy                     NONE\n";
  EXPECT_EQ(
      shown(R"("status": "running",
    "walk": {"by": "key", "key": ["a", "b"], "strides": 8, "workers": 1, "because": ["a key", "room"]},
    "progress": {"rows": 250, "rows_changed": 240, "rows_total": 1000, "share": 0.259, "pass": 2,
                 "rows_per_second": 12.4, "eta_ms": 61000, "eta_low_ms": 50000, "eta_high_ms": 75000},
    "pace": {"rows_per_second": 500, "batch_rows": 100, "workers": 1, "paused": true}, "paced_by": "bob")"),
      head +
          "              by key (a, b), 8 strides, 1 worker\n"
          "                - a key\n"
          "                - room\n"
          "              250 of about 1000 rows (25 %), 240 changed, pass 2, 12 rows/s, 1m1s left (50s to 1m15s)\n"
          "              pace set by bob: paused; at most 500 rows/s, batches of 100 rows, 1 worker\n");
  EXPECT_EQ(shown(R"("status": "running", "progress": {"rows": 250, "rows_changed": 0, "rows_total": 1000})"),
            head + "              250 of about 1000 rows (25 %), 0 changed\n")
      << "from an older daemon";
}

TEST(ShowPlanTest, OnlyWhatRunsHasARate) {
  EXPECT_EQ(shown(R"("status": "pending", "progress": {"rows": 250, "rows_changed": 250, "rows_total": 1000,
    "share": 0.25, "pass": 1, "rows_per_second": 80000, "eta_ms": 9000})"),
            "main.p  backfilling  (backfilling)\n  h, submitted by ann at now\nbackfill\n"
            "  pending     copy                     NONE\n"
            "              250 of about 1000 rows (25 %), 250 changed\n");
}

std::string said(const std::string& event) {
  return show_event(json::parse(R"({"at": "2026-11-25T04:00:01Z", "step": "copy", )" + event + "}"));
}

TEST(ShowEventTest, ABackfillSaysItsWayAndHowSureItIsOfItsEnd) {
  EXPECT_EQ(said(R"("kind": "backfill_begun", "rows_total": 1000,
    "walk": {"by": "blocks", "strides": 1, "workers": 2, "because": ["the quickest"]})"),
            "04:00:01    copy: about 1000 rows, by blocks, 1 stride, 2 workers\n    - the quickest");
  const std::string progress = R"("kind": "step_progressed", "progress": {"rows": 1, "rows_changed": 1,
    "rows_total": 1000, "share": 0.001, "pass": 1, "rows_per_second": 1, "eta_ms": 9000)";
  EXPECT_EQ(said(progress + "}"), "04:00:01    copy: 1 of about 1000 rows (0 %), 1 changed, 1 rows/s, 9.0s left");
  EXPECT_EQ(said(progress + R"(, "eta_low_ms": 8000})"),
            "04:00:01    copy: 1 of about 1000 rows (0 %), 1 changed, 1 rows/s, 9.0s left (at least 8.0s)");
  EXPECT_EQ(said(progress + R"(, "eta_low_ms": 9001, "eta_high_ms": 9002})"),
            "04:00:01    copy: 1 of about 1000 rows (0 %), 1 changed, 1 rows/s, 9.0s left");
}

TEST(ShowEventTest, APaceSaysWhoSetIt) {
  EXPECT_EQ(said(R"("kind": "backfill_paced", "by": "ann", "pace": {"workers": 2})"),
            "04:00:01    copy: pace set by ann: at most 2 workers");
  EXPECT_EQ(said(R"("kind": "backfill_paced", "by": "ann", "pace": {"paused": true})"),
            "04:00:01    copy: pace set by ann: paused");
  EXPECT_EQ(said(R"("kind": "backfill_paced", "by": "ann", "pace": {})"),
            "04:00:01    copy: pace set by ann: no bounds");
}

TEST(ShowPaceTest, IsALineForEachBackfill) {
  EXPECT_EQ(show_pace(json::parse(R"({"steps": [{"id": "column"}, {"id": "a", "backfill": {}},
    {"id": "b", "backfill": {}, "pace": {"batch_rows": 100}}]})")),
            "a: no bounds\nb: at most batches of 100 rows\n");
}

TEST(ShowAdviceTest, OnlyQueriesThatGrewAreShown) {
  json gate = json::object();
  EXPECT_EQ(show_advice(gate), "");
  gate["advice"] = json::parse(R"([
    {"query": "SELECT name\n  FROM users", "role": "api", "server": "primary", "uses": ["users.name"], "sure": true,
     "calls": 12, "first_seen": "t0", "last_grew": "t1"},
    {"query": "q", "role": "jobs", "server": "replica 1", "uses": ["users.name", "users.age"], "sure": false,
     "calls": 3, "first_seen": "t0", "last_grew": "t0"},
    {"query": "quiet", "role": "api", "server": "primary", "uses": ["users.name"], "sure": true, "calls": 9,
     "first_seen": "t0", "last_grew": null}])");
  EXPECT_EQ(show_advice(gate),
            "  still used: users.name by role api on primary, last seen t1, 12 calls: SELECT name FROM users\n"
            "  still used: perhaps users.name, users.age by role jobs on replica 1, last seen t0, 3 calls: q\n");
  for (int i = 0; i < 4; ++i) gate["advice"].push_back(gate["advice"][0]);
  EXPECT_TRUE(show_advice(gate).ends_with("\n  and by at least 1 more query\n")) << show_advice(gate);
  EXPECT_EQ(show_advice({{"advice_missing", "why"}}),
            "  no word of the queries that still use what contract drops: why\n");
}

}  // namespace
}  // namespace diastole::cli
