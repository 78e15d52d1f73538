// What hangs on functions, types, schemas, …, by what the analyser says of their DROP and by what PostgreSQL says.
#include <gmock/gmock.h>

#include <algorithm>

#include "diastole/sql/analysis.hpp"
#include "support/target.hpp"

namespace diastole {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ObjectsTest : public test::TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE SCHEMA app; CREATE TYPE mood AS ENUM ('ok', 'bad'); "
        "CREATE FUNCTION f(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a'; "
        "CREATE FUNCTION f(a text, b mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; "
        "CREATE TABLE t (a int DEFAULT f(1), b int GENERATED ALWAYS AS (f(a)) STORED, c int CONSTRAINT positive CHECK "
        "(f(c) > 0))");
  }

  // What complete() would ask for.
  [[nodiscard]] core::CatalogSnapshot catalog_for(const std::string& sql) {
    core::Plan plan;
    plan.steps.emplace_back().sql = sql;
    return expect_ok(target_->catalog(sql::concerns(plan)));
  }
  [[nodiscard]] std::vector<std::string> concerned(const std::string& rule, const std::string& sql) {
    const auto catalog = catalog_for(sql);
    const auto findings = sql::lint(sql, core::Phase::contract, &catalog);
    if (!findings) return {findings.error().message};
    for (const core::Finding& finding : *findings) {
      if (finding.rule == rule) return finding.concerned;
    }
    return {};
  }
  [[nodiscard]] std::vector<std::string> along(const std::string& sql) { return concerned("drop-takes-along", sql); }
  // What stands in the way; the server has to refuse the statement with as many reasons.
  [[nodiscard]] std::vector<std::string> blocked(const std::string& sql) {
    auto found = concerned("drop-blocked-by-dependents", sql);
    EXPECT_EQ(found.size(), reasons(sql)) << sql;
    return found;
  }
  // The safe form of a blocked DROP, run to its end.
  void run_form(const std::string& sql) {
    const auto catalog = catalog_for(sql);
    const auto findings = sql::lint(sql, core::Phase::contract, &catalog);
    const auto blocked = std::ranges::find(*findings, "drop-blocked-by-dependents", &core::Finding::rule);
    ASSERT_NE(blocked, findings->end()) << sql;
    for (const core::SafeStep& step : blocked->safe_form) {
      SCOPED_TRACE(step.text);
      EXPECT_NO_THROW(run(step.text));
    }
  }

 private:
  std::size_t reasons(const std::string& sql) {
    try {
      pqxx::work work(admin_);
      work.exec(sql);
    } catch (const pqxx::sql_error& error) {
      const std::string text = error.what();
      std::size_t found = 0;
      for (auto at = text.find(" depends on "); at != std::string::npos; at = text.find(" depends on ", at + 1))
        ++found;
      return found;
    }
    return 0;
  }
};

TEST_F(ObjectsTest, WhatUsesAFunction) {
  run("CREATE INDEX by_f ON t (f(a)); CREATE VIEW v AS SELECT f(a) AS x FROM t; CREATE VIEW app.above AS SELECT x FROM "
      "v; CREATE MATERIALIZED VIEW kept AS SELECT f(2) AS y; CREATE POLICY p ON t USING (f(a) > 1); CREATE DOMAIN "
      "app.small AS int CONSTRAINT few CHECK (f(VALUE) > 0); CREATE TABLE other (s app.small)");
  EXPECT_THAT(
      blocked("DROP FUNCTION f(int)"),
      UnorderedElementsAre("default a of public.t", "generated column b of public.t", "constraint positive of public.t",
                           "index by_f of public.t", "view public.v", "view app.above", "materialized view public.kept",
                           "policy p of public.t", "domain constraint few of app.small"));
  EXPECT_THAT(blocked("DROP FUNCTION f(text, mood)"), IsEmpty()) << "the other one";
  EXPECT_THAT(blocked("DROP FUNCTION f(text, public.mood)"), IsEmpty());
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP FUNCTION public.f(int4) CASCADE"), Contains("view app.above"));
  run_form("DROP FUNCTION f(integer)");
}

TEST_F(ObjectsTest, WhatRunsAFunction) {
  run("CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER fired "
      "BEFORE "
      "UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fires(); CREATE TABLE parts (a int) PARTITION BY LIST (a); CREATE "
      "TABLE part PARTITION OF parts FOR VALUES IN (1); CREATE TRIGGER each BEFORE UPDATE ON parts FOR EACH ROW "
      "EXECUTE "
      "FUNCTION fires(); CREATE FUNCTION watches() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT "
      "TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watches()");
  EXPECT_THAT(blocked("DROP FUNCTION fires"), UnorderedElementsAre("trigger fired of public.t",
                                                                   "trigger each of "
                                                                   "public.parts"));
  EXPECT_THAT(blocked("DROP FUNCTION watches()"), ElementsAre("event trigger watching"));
  run_form("DROP FUNCTION fires()");
  run_form("DROP ROUTINE watches");
}

TEST_F(ObjectsTest, WhatIsMadeOfAFunction) {
  run("CREATE FUNCTION adds(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) "
      "(SFUNC = adds, STYPE = int); CREATE FUNCTION alike(text, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT "
      "true'; CREATE OPERATOR === (FUNCTION = alike, LEFTARG = text, RIGHTARG = int); CREATE VIEW comparing AS SELECT "
      "'x'::text === 1 AS y; CREATE FUNCTION turned(mood) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE "
      "CAST "
      "(mood AS int) WITH FUNCTION turned(mood); CREATE VIEW summing AS SELECT total(a) FROM t");
  EXPECT_THAT(blocked("DROP FUNCTION adds(int, int)"),
              UnorderedElementsAre("function public.total(integer)", "view public.summing"));
  EXPECT_THAT(blocked("DROP AGGREGATE total(int)"), ElementsAre("view public.summing"));
  EXPECT_THAT(blocked("DROP FUNCTION alike"), UnorderedElementsAre("operator public.===(text,integer)",
                                                                   "view "
                                                                   "public."
                                                                   "comparing"));
  EXPECT_THAT(blocked("DROP OPERATOR === (text, int)"), ElementsAre("view public.comparing"));
  EXPECT_THAT(blocked("DROP OPERATOR === (NONE, int)"), IsEmpty());
  EXPECT_THAT(blocked("DROP FUNCTION turned(mood)"), ElementsAre("cast (public.mood AS integer)"));
  EXPECT_THAT(blocked("DROP CAST (mood AS int); DROP FUNCTION turned(mood)"), IsEmpty());
  run_form("DROP FUNCTION adds");
  run_form("DROP FUNCTION alike(text, integer)");
  run_form("DROP FUNCTION turned(mood)");
}

TEST_F(ObjectsTest, FunctionsThatNameOneAnother) {
  run("CREATE FUNCTION calls() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN F (2); END'; CREATE FUNCTION quoted() "
      "RETURNS int LANGUAGE sql AS 'SELECT public.\"f\"(2)'; CREATE FUNCTION near() RETURNS int LANGUAGE sql AS "
      "'SELECT "
      "ff.f FROM (VALUES (1)) AS ff(f)'; CREATE PROCEDURE loops(int) LANGUAGE plpgsql AS 'BEGIN CALL loops(1); END'");
  EXPECT_THAT(along("DROP FUNCTION f(text, mood)"),
              UnorderedElementsAre("function public.calls() (its text names it)",
                                   "function public.quoted() (its text names it)"));
  EXPECT_THAT(along("DROP PROCEDURE loops"), IsEmpty());
  if (admin_.server_version() < 140000) return;
  run("CREATE FUNCTION body() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT calls(); END; CREATE VIEW last AS SELECT "
      "body()");
  EXPECT_THAT(blocked("DROP FUNCTION calls()"), UnorderedElementsAre("function public.body()", "view public.last"));
  run_form("DROP FUNCTION calls");
}

TEST_F(ObjectsTest, WhatUsesAType) {
  run("CREATE TABLE users (m mood DEFAULT 'ok', many mood[], t text DEFAULT 'ok'::mood::text); CREATE INDEX ON users "
      "(m); CREATE DOMAIN app.calm AS mood; CREATE TABLE app.calmer (c app.calm); CREATE TYPE pair AS (m mood, n int); "
      "CREATE TABLE paired (p pair); CREATE VIEW moods AS SELECT m FROM users; CREATE FUNCTION gives(text) RETURNS "
      "mood[] "
      "LANGUAGE sql AS 'SELECT NULL::mood[]'; CREATE FUNCTION says() RETURNS text LANGUAGE plpgsql AS 'DECLARE m mood; "
      "BEGIN RETURN m; END'; CREATE TABLE parts (m mood, n int) PARTITION BY LIST (n); CREATE TABLE part PARTITION OF "
      "parts "
      "DEFAULT");
  const auto found = concerned("drop-blocked-by-dependents", "DROP TYPE mood");
  EXPECT_THAT(found, UnorderedElementsAre(
                         "column m of public.users", "column many of public.users", "default t of public.users",
                         "type app.calm", "column c of app.calmer", "attribute m of public.pair", "view public.moods",
                         "function public.gives(text)", "function public.f(text, mood)", "column m of public.parts"))
      << "and of its partition, which goes along";
  EXPECT_THAT(along("DROP TYPE mood"), ElementsAre("function public.says() (its text names it)"));
  EXPECT_THAT(blocked("DROP DOMAIN app.calm"), ElementsAre("column c of app.calmer"));
  EXPECT_THAT(blocked("DROP TYPE pair"), ElementsAre("column p of public.paired"));
  EXPECT_THAT(concerned("drop-blocked-by-dependents",
                        "ALTER TABLE app.calmer ALTER c TYPE text USING c::text; DROP DOMAIN app.calm"),
              IsEmpty());
  run("DROP TABLE parts");
  run_form("DROP TYPE mood");
}

TEST_F(ObjectsTest, WhatIsInASchemaAndHangsOnThat) {
  run("CREATE TABLE app.a (id serial PRIMARY KEY); CREATE TABLE app.b (a int REFERENCES app.a); CREATE VIEW app.v AS "
      "SELECT id FROM app.a; CREATE VIEW over AS SELECT id FROM app.v; CREATE TABLE outside (a int CONSTRAINT points "
      "REFERENCES app.a); CREATE TYPE app.kind AS ENUM ('x'); CREATE TABLE kinds (k app.kind); CREATE SEQUENCE app.s; "
      "CREATE FUNCTION app.g() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION reads() RETURNS bigint LANGUAGE "
      "sql AS 'SELECT count(*) FROM app.b'; CREATE TABLE app.parts (a int) PARTITION BY LIST (a); CREATE TABLE "
      "app.part "
      "PARTITION OF app.parts DEFAULT; CREATE COLLATION app.plain FROM \"C\"; CREATE PUBLICATION feed FOR TABLE app.b; "
      "CREATE EXTENSION pgcrypto SCHEMA app; CREATE TABLE tokens (id uuid DEFAULT app.gen_random_uuid())");
  EXPECT_THAT(blocked("DROP SCHEMA app"),
              UnorderedElementsAre("foreign key points of public.outside", "view public.over",
                                   "column k of public.kinds", "default id of public.tokens", "table app.a",
                                   "table app.b", "view app.v", "sequence app.s", "type app.kind", "function app.g()",
                                   "table app.parts", "collation app.plain", "extension pgcrypto"));
  EXPECT_THAT(along("DROP SCHEMA app"),
              UnorderedElementsAre("function public.reads() (its text names it)", "publication feed"));
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP SCHEMA app CASCADE"), Contains("view public.over"));
  EXPECT_THAT(blocked("DROP EXTENSION pgcrypto"), ElementsAre("default id of public.tokens"));
  EXPECT_THAT(blocked("DROP COLLATION app.plain"), IsEmpty());
  run_form("DROP SCHEMA app");
}

TEST_F(ObjectsTest, ALargeSchemaIsCounted) {
  run("DO $$ BEGIN FOR i IN 1..1200 LOOP EXECUTE format('CREATE TABLE app.t%s (a int)', i); END LOOP; END $$");
  const auto catalog = catalog_for("DROP SCHEMA app");
  ASSERT_EQ(catalog.objects.size(), 1U);
  EXPECT_TRUE(catalog.objects[0].cut);
  EXPECT_EQ(catalog.objects[0].dependents.size(), 1000U);
  EXPECT_THAT(catalog.relations, IsEmpty()) << "its tables are not looked at";
  const auto found = concerned("drop-blocked-by-dependents", "DROP SCHEMA app");
  ASSERT_EQ(found.size(), 22U);
  EXPECT_EQ(found[20], "table: 980 more");
}

TEST_F(ObjectsTest, NamesFollowTheSearchPath) {
  run("CREATE FUNCTION app.only() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT app.only()");
  EXPECT_THAT(concerned("drop-blocked-by-dependents", "DROP FUNCTION only()"), IsEmpty());
  EXPECT_THAT(blocked("DROP FUNCTION app.only()"), ElementsAre("view public.v"));
  EXPECT_THAT(concerned("drop-blocked-by-dependents", "DROP FUNCTION nosuch(), lower(text)"), IsEmpty());
  EXPECT_THAT(blocked("DROP TEXT SEARCH DICTIONARY IF EXISTS nosuch"), IsEmpty());
}

TEST_F(ObjectsTest, OtherKinds) {
  run("CREATE COLLATION plain FROM \"C\"; CREATE TABLE texts (a text COLLATE plain); CREATE TEXT SEARCH DICTIONARY "
      "words "
      "(TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION app.search (COPY = simple); ALTER TEXT SEARCH "
      "CONFIGURATION "
      "app.search ALTER MAPPING FOR word WITH words; CREATE OPERATOR CLASS app.order_ops FOR TYPE int USING btree AS "
      "OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int); CREATE "
      "INDEX ordered ON t (a app.order_ops)");
  EXPECT_THAT(blocked("DROP COLLATION plain"), ElementsAre("column a of public.texts"));
  EXPECT_THAT(blocked("DROP TEXT SEARCH DICTIONARY words"), ElementsAre("text search configuration app.search"));
  EXPECT_THAT(blocked("DROP OPERATOR CLASS app.order_ops USING btree"), ElementsAre("index ordered of public.t"));
  EXPECT_THAT(blocked("DROP OPERATOR FAMILY app.order_ops USING btree"), Contains("index ordered of public.t"));
  EXPECT_THAT(blocked("DROP OPERATOR CLASS app.order_ops USING hash"), IsEmpty());
  run_form("DROP TEXT SEARCH DICTIONARY words");
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
