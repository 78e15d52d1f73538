// What hangs on that which is dropped, and what the plan has seen to before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/sql/analysis.hpp"
#include "pasted_form.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::DependentKind;
using testing::ElementsAre;
using testing::IsEmpty;

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
  auto tickets = test::catalog_table("tickets", 1);
  tickets.kind = core::RelationKind::sequence;
  tickets.constraints.clear();
  tickets.indexes.clear();
  tickets.dependents = {test::catalog_dependent(DependentKind::column_default, "age", "users", {})};
  catalog.relations.push_back(tickets);
  return catalog;
}

std::vector<std::string> concerned(std::string_view rule, std::string_view sql) {
  static const auto catalog = catalog_with_more();
  for (const core::Finding& finding : *lint(sql, core::Phase::contract, &catalog)) {
    if (finding.rule == rule) return finding.concerned.empty() ? std::vector<std::string>{"nobody"} : finding.concerned;
  }
  return {};
}
// Pasted into a plan, which has to be accepted.
std::vector<std::string> form(std::string_view sql) {
  static const auto catalog = catalog_with_more();
  for (const core::Finding& finding : *lint(sql, core::Phase::contract, &catalog)) {
    if (finding.rule != "drop-blocked-by-dependents" && finding.rule != "ban-drop-cascade") continue;
    EXPECT_THAT(test::paste(finding, core::Phase::contract, &catalog).refused, IsEmpty()) << sql;
    std::vector<std::string> steps;
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
  const auto key = ElementsAre("ALTER TABLE orders DROP CONSTRAINT orders_user_fkey",
                               "ALTER TABLE users DROP CONSTRAINT users_pkey");
  EXPECT_THAT(form("ALTER TABLE users DROP CONSTRAINT users_pkey"), key);
  EXPECT_THAT(form("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE"), key);
}

}  // namespace
}  // namespace diastole::sql
