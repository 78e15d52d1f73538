// What hangs on that which is dropped, and what the plan has seen to before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "diastole/sql/analysis.hpp"
#include "pasted_form.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::CatalogDependent;
using core::DependentKind;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// users also has a column `feel` of type mood and a default from sequence `tickets`; orders' foreign key rests on its
// primary key.
core::CatalogSnapshot catalog_with_more() {
  auto catalog = test::shop_catalog();
  for (core::CatalogRelation& relation : catalog.relations) {
    if (relation.name.name == "users") relation.columns.push_back(test::catalog_column("feel", "feeling[]"));
    for (core::CatalogConstraint& key : relation.constraints) {
      if (key.name == "orders_user_fkey") key.index = "users_pkey";
    }
  }
  catalog.types.push_back({.name = {"public", "feeling"}, .used_by = {{"public", "users"}}});
  const auto column = test::catalog_dependent(DependentKind::column, "feel", "users", {});
  catalog.objects.push_back({.kind = "type", .name = {"public", "feeling"}, .dependents = {column}});
  auto tickets = test::catalog_table("tickets", 1);
  tickets.kind = core::RelationKind::sequence;
  tickets.constraints.clear();
  tickets.indexes.clear();
  tickets.dependents = {test::catalog_dependent(DependentKind::column_default, "age", "users", {})};
  catalog.relations.push_back(tickets);
  return catalog;
}

CatalogDependent function(std::string name, std::string inputs, bool certain = true) {
  auto dependent = test::catalog_dependent(DependentKind::function, std::move(name), "", {});
  dependent.inputs = std::move(inputs);
  dependent.certain = certain;
  return dependent;
}
CatalogDependent object(std::string name, std::string inputs, std::string identity) {
  auto dependent = test::catalog_dependent(DependentKind::object, std::move(name), "", {});
  dependent.inputs = std::move(inputs);
  dependent.identity = std::move(identity);
  return dependent;
}

// users hangs on `check_age(integer)` in every way that it can; of check_age(text) only an aggregate is made.
core::CatalogSnapshot catalog_with_objects() {
  auto catalog = catalog_with_more();
  core::CatalogObject of_int{.kind = "function", .name = {"public", "check_age"}, .inputs = "integer"};
  const auto add = [&](DependentKind kind, const std::string& name, const std::string& table) {
    of_int.dependents.push_back(test::catalog_dependent(kind, name, table, {}));
  };
  add(DependentKind::trigger, "touch", "users");
  add(DependentKind::policy, "mine", "users");
  add(DependentKind::column_default, "age", "users");
  add(DependentKind::generated_column, "state", "users");
  add(DependentKind::constraint, "users_age_check", "users");
  add(DependentKind::index, "users_age", "users");
  add(DependentKind::view, "adults", "");
  add(DependentKind::domain_constraint, "few", "small");
  of_int.dependents.push_back(object("===", "integer, mood", "operator public.===(integer,public.mood)"));
  of_int.dependents.push_back(object("cast", "public.mood, integer", "cast (public.mood AS integer)"));
  of_int.dependents.push_back(function("twice", "integer, app.mood"));
  of_int.dependents.push_back(function("greet", "", false));
  const core::CatalogObject of_text{
      .kind = "function", .name = {"public", "check_age"}, .inputs = "text", .dependents = {function("total", "text")}};
  core::CatalogObject schema{.kind = "schema", .name = {"", "app"}};
  for (int i = 0; i < 30; ++i) {
    schema.dependents.push_back(
        {.kind = DependentKind::table, .name = {"app", "t" + std::to_string(i)}, .table = {}, .columns = {}});
  }
  schema.dependents.push_back(test::catalog_dependent(DependentKind::column, "feel", "users", {}));
  schema.dependents.push_back({.kind = DependentKind::publication, .name = {"", "feed"}, .table = {}, .columns = {}});
  core::CatalogObject small{.kind = "schema", .name = {"", "tiny"}};
  small.dependents = {{.kind = DependentKind::table, .name = {"tiny", "a"}, .table = {}, .columns = {}},
                      {.kind = DependentKind::sequence, .name = {"tiny", "s"}, .table = {}, .columns = {}},
                      {.kind = DependentKind::type, .name = {"tiny", "k"}, .table = {}, .columns = {}},
                      {.kind = DependentKind::table, .name = {"tiny", "b"}, .table = {}, .columns = {}}};
  const core::CatalogObject order{
      .kind = "operator class",
      .name = {"public", "by_age"},
      .inputs = "btree",
      .dependents = {test::catalog_dependent(DependentKind::index, "users_age", "users", {})}};
  const core::CatalogObject total{.kind = "function", .name = {"public", "total"}, .inputs = "text"};
  catalog.objects.insert(catalog.objects.end(), {of_int, of_text, total, schema, small, order});
  for (const std::string name : {"a", "b", "s"}) {
    auto relation = test::catalog_table(name, 1);
    relation.name.schema = "tiny";
    catalog.relations.push_back(relation);
  }
  return catalog;
}

std::vector<std::string> concerned(std::string_view rule, std::string_view sql) {
  static const auto catalog = catalog_with_objects();
  for (const core::Finding& finding : *lint(sql, core::Phase::contract, &catalog)) {
    if (finding.rule == rule) return finding.concerned.empty() ? std::vector<std::string>{"nobody"} : finding.concerned;
  }
  return {};
}
// Pasted into a plan, which has to be accepted.
std::vector<std::string> form(std::string_view sql) {
  static const auto catalog = catalog_with_objects();
  for (const core::Finding& finding : *lint(sql, core::Phase::contract, &catalog)) {
    if (finding.rule != "drop-blocked-by-dependents" && finding.rule != "ban-drop-cascade") continue;
    EXPECT_THAT(test::paste(finding, core::Phase::contract, &catalog).refused, IsEmpty()) << sql;
    std::vector<std::string> steps;
    steps.reserve(finding.safe_form.size());
    for (const core::SafeStep& step : finding.safe_form) steps.push_back(step.text);
    return steps;
  }
  return {};
}
std::vector<std::string> blocked(std::string_view sql) {
  return concerned("drop-blocked-by-dependents", sql);
}

TEST(DependentsTest, BlockUntilTheyAreGone) {
  EXPECT_THAT(blocked("ALTER TABLE users DROP COLUMN age"), ElementsAre("view public.adults"));
  EXPECT_THAT(blocked("DROP VIEW adults; ALTER TABLE users DROP COLUMN age"), IsEmpty());
  EXPECT_THAT(blocked("DROP VIEW public.adults; ALTER TABLE users DROP COLUMN age"), IsEmpty());
  EXPECT_THAT(blocked("DROP VIEW other.adults; ALTER TABLE users DROP COLUMN age"), ElementsAre("view public.adults"));
  EXPECT_THAT(blocked("CREATE OR REPLACE VIEW adults AS SELECT 1 AS id; ALTER TABLE users DROP COLUMN age"), IsEmpty());
  EXPECT_THAT(blocked("DROP TABLE users"),
              ElementsAre("view public.adults", "foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(blocked("ALTER TABLE orders DROP CONSTRAINT orders_user_fkey; DROP VIEW adults; DROP TABLE users"),
              IsEmpty());
  EXPECT_THAT(blocked("ALTER TABLE orders DROP COLUMN user_id; DROP TABLE users"), ElementsAre("view public.adults"));
  EXPECT_THAT(blocked("ALTER TABLE orders DROP COLUMN item_id; DROP TABLE users"),
              ElementsAre("view public.adults", "foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(concerned("drop-takes-along", "ALTER TABLE users DROP COLUMN email"),
              ElementsAre("publication feed of public.users", "index public.users_email"));
  EXPECT_THAT(concerned("drop-takes-along", "DROP PUBLICATION feed; ALTER TABLE users DROP COLUMN email"),
              ElementsAre("index public.users_email"));
}

TEST(DependentsTest, OfATypeAreTheColumnsThatHaveIt) {
  EXPECT_THAT(blocked("DROP TYPE feeling"), ElementsAre("column feel of public.users"));
  EXPECT_THAT(blocked("ALTER TABLE users DROP COLUMN feel; DROP TYPE feeling"), IsEmpty());
  EXPECT_THAT(blocked("DROP TABLE users; DROP TYPE feeling"),
              ElementsAre("view public.adults", "foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP TYPE feeling CASCADE"), ElementsAre("column feel of public.users"));
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP TYPE nosuch CASCADE"), ElementsAre("nobody"));
}

TEST(DependentsTest, OfAFunctionAreWhatUsesThatOverload) {
  const auto of_int =
      ElementsAre("trigger touch of public.users", "policy mine of public.users", "default age of public.users",
                  "generated column state of public.users", "constraint users_age_check of public.users",
                  "index users_age of public.users", "view public.adults", "domain constraint few of public.small",
                  "operator public.===(integer,public.mood)", "cast (public.mood AS integer)",
                  "function public.twice(integer, app.mood)");
  EXPECT_THAT(blocked("DROP FUNCTION check_age(int)"), of_int);
  EXPECT_THAT(blocked("DROP FUNCTION public.check_age(int4)"), of_int);
  EXPECT_THAT(blocked("DROP ROUTINE check_age(a integer)"), of_int);
  EXPECT_THAT(blocked("DROP FUNCTION check_age(users.age%TYPE)"), Contains("function public.total(text)"));
  EXPECT_THAT(blocked("DROP FUNCTION check_age(text)"), ElementsAre("function public.total(text)"));
  EXPECT_THAT(blocked("DROP FUNCTION other.check_age(text)"), IsEmpty());
  EXPECT_THAT(blocked("DROP FUNCTION check_age(bigint)"), IsEmpty());
  EXPECT_THAT(blocked("DROP FUNCTION check_age"), Contains("function public.total(text)")) << "either may be meant";
  EXPECT_THAT(blocked("DROP FUNCTION check_age(text), total(text)"), IsEmpty());
  EXPECT_THAT(blocked("DROP FUNCTION check_age(text), total(int)"), ElementsAre("function public.total(text)"));
  EXPECT_THAT(concerned("drop-takes-along", "DROP FUNCTION check_age(int)"),
              ElementsAre("function public.greet() (its text names it)"));
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP FUNCTION check_age(text) CASCADE"),
              ElementsAre("function public.total(text)"));
}

TEST(DependentsTest, OfAFunctionAreGoneOnceTheyUseAnother) {
  const auto without = [](std::string_view before) {
    return blocked(std::string(before) + "; DROP FUNCTION check_age(int)");
  };
  const auto all = blocked("DROP FUNCTION check_age(int)").size();
  for (const std::string_view before :
       {"DROP TRIGGER touch ON users",
        "CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION other()",
        "DROP POLICY mine ON public.users", "ALTER POLICY mine ON users USING (true)",
        "ALTER TABLE users ALTER age SET DEFAULT 1", "ALTER TABLE users ALTER state DROP EXPRESSION",
        "ALTER TABLE users DROP COLUMN state", "ALTER TABLE users DROP CONSTRAINT users_age_check",
        "DROP INDEX CONCURRENTLY users_age", "CREATE OR REPLACE VIEW adults AS SELECT 1 AS id",
        "ALTER DOMAIN small DROP CONSTRAINT few", "DROP DOMAIN small", "DROP OPERATOR === (int, mood)",
        "DROP CAST (mood AS int)", "DROP FUNCTION twice(int, mood)", "DROP FUNCTION twice",
        "CREATE OR REPLACE FUNCTION twice(a int, b mood) RETURNS int LANGUAGE sql AS 'SELECT 1'"}) {
    EXPECT_EQ(without(before).size(), all - 1) << before;
  }
  for (const std::string_view before :
       {"DROP TRIGGER other ON users", "DROP POLICY mine ON orders", "ALTER TABLE users ALTER name SET DEFAULT ''",
        "ALTER DOMAIN small DROP CONSTRAINT many", "DROP OPERATOR === (text, mood)", "DROP CAST (int AS mood)",
        "DROP FUNCTION twice(int, text)", "DROP INDEX CONCURRENTLY other.users_age"}) {
    EXPECT_EQ(without(before).size(), all) << before;
  }
  EXPECT_THAT(blocked("ALTER TABLE users DROP COLUMN age CASCADE; DROP VIEW adults; DROP FUNCTION check_age(int)"),
              Not(Contains("constraint users_age_check of public.users")));
  EXPECT_THAT(blocked("ALTER TABLE users ALTER feel TYPE text; DROP TYPE feeling"), IsEmpty());
}

TEST(DependentsTest, AreToldOnceOfAnObject) {
  static const auto catalog = catalog_with_objects();
  const auto told = [](std::string_view sql) {
    return std::ranges::count(*lint(sql, core::Phase::contract, &catalog), "drop-blocked-by-dependents",
                              &core::Finding::rule);
  };
  EXPECT_EQ(told("DROP FUNCTION check_age(int); DROP FUNCTION IF EXISTS check_age(int)"), 1);
  EXPECT_EQ(told("DROP FUNCTION check_age(int); DROP FUNCTION check_age"), 2) << "the other one is left";
}

TEST(DependentsTest, OfASchemaAreWhatIsOutsideAndThenSomeOfWhatIsInIt) {
  const auto found = blocked("DROP SCHEMA app");
  ASSERT_EQ(found.size(), 21U);
  EXPECT_EQ(found.front(), "column feel of public.users");
  EXPECT_EQ(found[1], "table app.t0");
  EXPECT_EQ(found.back(), "table: 11 more");
  EXPECT_THAT(concerned("drop-takes-along", "DROP SCHEMA app"), ElementsAre("publication feed"));
  EXPECT_THAT(blocked("DROP SCHEMA tiny"),
              ElementsAre("table tiny.a", "sequence tiny.s", "type tiny.k", "table tiny.b"));
  EXPECT_THAT(blocked("DROP TABLE tiny.a, tiny.b; DROP SEQUENCE tiny.s; DROP TYPE tiny.k; DROP SCHEMA tiny"),
              IsEmpty());
  EXPECT_THAT(blocked("DROP SCHEMA tiny, other"), SizeIs(4));
  EXPECT_THAT(blocked("DROP SCHEMA empty"), IsEmpty());
}

TEST(DependentsTest, OfAnOperatorClassGoByItsAccessMethod) {
  EXPECT_THAT(blocked("DROP OPERATOR CLASS by_age USING btree"), ElementsAre("index users_age of public.users"));
  EXPECT_THAT(blocked("DROP OPERATOR CLASS public.by_age USING btree"), ElementsAre("index users_age of public.users"));
  EXPECT_THAT(blocked("DROP OPERATOR CLASS by_age USING hash"), IsEmpty());
}

TEST(DependentsTest, WouldBeKnownWithACatalog) {
  for (const std::string_view sql : {"DROP FUNCTION f(int)", "DROP SCHEMA app", "DROP TYPE mood"}) {
    const auto findings = lint(sql, core::Phase::expand);
    ASSERT_EQ(findings->size(), 1U) << sql;
    EXPECT_THAT(findings->front().sharper_with, StartsWith("what uses ")) << sql;
  }
  const auto findings = lint("DROP FUNCTION f(int) CASCADE", core::Phase::contract);
  ASSERT_EQ(findings->size(), 1U);
  EXPECT_EQ(findings->front().sharper_with, "what uses f");
}

TEST(DependentsTest, OfASequenceAreTheDefaultsThatCallIt) {
  EXPECT_THAT(blocked("DROP SEQUENCE tickets"), ElementsAre("default age of public.users"));
  EXPECT_THAT(blocked("ALTER TABLE users ALTER age DROP DEFAULT; DROP SEQUENCE tickets"), IsEmpty());
  EXPECT_THAT(concerned("ban-drop-cascade", "DROP SEQUENCE tickets CASCADE"),
              ElementsAre("default age of public.users"));
}

TEST(DependentsTest, OfAKeyAreTheForeignKeysThatRestOnIt) {
  EXPECT_THAT(blocked("ALTER TABLE users DROP CONSTRAINT users_pkey"),
              ElementsAre("foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(blocked("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE"), IsEmpty());
  EXPECT_THAT(concerned("ban-drop-cascade", "ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE"),
              ElementsAre("foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(blocked("ALTER TABLE orders DROP CONSTRAINT orders_user_fkey; "
                      "ALTER TABLE users DROP CONSTRAINT users_pkey"),
              IsEmpty());
}

TEST(DependentsTest, AreDroppedFirstInTheSafeForm) {
  EXPECT_THAT(form("DROP TYPE feeling"), ElementsAre("ALTER TABLE users DROP COLUMN feel", "DROP TYPE feeling"));
  EXPECT_THAT(form("DROP TYPE feeling CASCADE"),
              ElementsAre("ALTER TABLE users DROP COLUMN feel", "DROP TYPE feeling"));
  EXPECT_THAT(form("DROP SEQUENCE tickets"),
              ElementsAre("ALTER TABLE users ALTER COLUMN age DROP DEFAULT", "DROP SEQUENCE tickets"));
  EXPECT_THAT(form("DROP FUNCTION check_age(text)"),
              ElementsAre("DROP ROUTINE public.total(text)", "DROP FUNCTION check_age(text)"));
  EXPECT_THAT(form("DROP FUNCTION check_age(int)"),
              ElementsAre("ALTER DOMAIN small DROP CONSTRAINT few", "DROP VIEW adults",
                          "DROP INDEX CONCURRENTLY users_age", "ALTER TABLE users DROP CONSTRAINT users_age_check",
                          "ALTER TABLE users DROP COLUMN state", "ALTER TABLE users ALTER COLUMN age DROP DEFAULT",
                          "DROP POLICY mine ON users", "DROP TRIGGER touch ON users",
                          "DROP ROUTINE public.twice(integer, app.mood)", "DROP CAST (public.mood AS integer)",
                          "DROP OPERATOR public.===(integer,public.mood)", "DROP FUNCTION check_age(int)"));
  EXPECT_THAT(form("DROP SCHEMA tiny"),
              ElementsAre("DROP TABLE tiny.b, tiny.a", "DROP TYPE tiny.k", "DROP SEQUENCE tiny.s", "DROP SCHEMA tiny"));
  const auto key = ElementsAre("ALTER TABLE orders DROP CONSTRAINT orders_user_fkey",
                               "ALTER TABLE users DROP CONSTRAINT users_pkey");
  EXPECT_THAT(form("ALTER TABLE users DROP CONSTRAINT users_pkey"), key);
  EXPECT_THAT(form("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE"), key);
}

}  // namespace
}  // namespace diastole::sql
