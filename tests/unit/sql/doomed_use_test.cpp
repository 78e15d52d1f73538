// Which queries use what contract drops, and how sure that is.
#include "diastole/sql/doomed_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "column_use_test.hpp"

namespace diastole::sql {
namespace {

using column_use_test::dependent;
using column_use_test::table;
using core::DependentKind;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

using Path = std::vector<std::string>;

core::Doomed doomed(std::string of, std::string column = {}) {
  return {.step = StepId("drop"), .table = std::move(of), .column = std::move(column)};
}

core::CatalogSnapshot catalog() {
  core::CatalogSnapshot out;
  out.search_path = {"pg_catalog", "app"};
  auto users = column_use_test::users_table();
  auto active = table("app", "active", {"id", "name"});
  active.kind = core::RelationKind::view;
  active.dependents = {dependent(DependentKind::view, "recent", {"name"})};
  auto recent = table("app", "recent", {"name"});
  recent.kind = core::RelationKind::view;
  auto log = table("app", "log", {"id", "entry users[]", "name"});
  auto events = table("app", "events", {"id", "at"});
  events.children = {{"app", "events_1"}};
  auto part = table("app", "events_1", {"id", "at"});
  part.parents = {{"app", "events"}};
  out.relations = {users, active, recent, log, events, part, table("app", "Odd name", {"a"})};
  out.functions = {{.name = {"app", "mail"}}, {.name = {"app", "harmless"}}};
  return out;
}

class DoomedUseTest : public testing::Test {
 protected:
  // "users.name", "users.name?" where it is not sure, "" for no use.
  std::string use(std::string_view query, const Path& path = {"app"}) {
    const auto found = finder_.find(query, path);
    std::string out;
    for (const auto& each : found.uses) out += (out.empty() ? "" : ", ") + each + (found.sure ? "" : "?");
    return out;
  }
  DoomedFinder finder_{catalog(), {doomed("users", "name")}};
};

TEST_F(DoomedUseTest, TheQueryThatReadsTheColumnIsNamed) {
  EXPECT_EQ(use("SELECT u.name FROM users u WHERE id = $1"), "users.name");
  EXPECT_EQ(use("UPDATE app.users SET name = $1"), "users.name");
  EXPECT_EQ(use("select NAME from USERS"), "users.name");
  EXPECT_EQ(use("INSERT INTO users (id, name) VALUES ($1, $2)"), "users.name");
}

TEST_F(DoomedUseTest, AStarReadsIt) {
  EXPECT_EQ(use("SELECT * FROM users"), "users.name");
  EXPECT_EQ(use("SELECT count(*) FROM users"), "");
}

TEST_F(DoomedUseTest, AnotherTablesColumnOfThatNameIsNone) {
  EXPECT_EQ(use("SELECT name FROM items"), "");
  EXPECT_EQ(use("SELECT l.name FROM log l JOIN users u ON u.id = l.id"), "");
  EXPECT_EQ(use("SELECT email FROM users WHERE id = $1"), "");
}

TEST_F(DoomedUseTest, ViewsAboveViewsReadIt) {
  EXPECT_EQ(use("SELECT name FROM active"), "users.name");
  EXPECT_THAT(finder_.words(), Contains("recent"));
}

TEST_F(DoomedUseTest, WordsAreTheNamesByWhichItCanBeReached) {
  EXPECT_THAT(finder_.words(), ElementsAre("active", "log", "mail", "recent", "users"));
  const DoomedFinder parts(catalog(), {doomed("events", "at")});
  EXPECT_THAT(parts.words(), ElementsAre("events", "events_1"));
  const DoomedFinder key(catalog(), {doomed("users", "id")});
  EXPECT_THAT(key.words(), Contains("nextval")) << "the column owns a sequence";
}

TEST_F(DoomedUseTest, AWordWithinAnotherIsNone) {
  EXPECT_EQ(use("SELECT name FROM users_archive"), "");
  EXPECT_EQ(use("not SQL about users_archive"), "");
}

TEST_F(DoomedUseTest, UnderAnotherPathItIsNotSure) {
  EXPECT_EQ(use("SELECT name FROM users", {"public"}), "users.name?");
  EXPECT_EQ(use("SELECT name FROM users", {}), "users.name?");
  EXPECT_EQ(use("SELECT name FROM active", {"public"}), "users.name?") << "by a view that is off the path";
  EXPECT_EQ(use("SELECT name FROM app.users", {"public"}), "users.name");
  EXPECT_EQ(use("SELECT name FROM public.users", {"app"}), "");
}

TEST_F(DoomedUseTest, AnotherTableOfThatNameOnThePathIsNotSure) {
  auto two = catalog();
  two.relations.push_back(table("public", "users", {"id", "name"}));
  DoomedFinder finder(two, {doomed("app.users", "name")});
  EXPECT_TRUE(finder.find("SELECT name FROM users", {"app", "public"}).sure);
  const auto other = finder.find("SELECT name FROM users", {"public", "app"});
  EXPECT_THAT(other.uses, ElementsAre("app.users.name")) << "its session may have set another path";
  EXPECT_FALSE(other.sure);
  EXPECT_THAT(finder.find("SELECT name FROM public.users", {"public"}).uses, IsEmpty());
}

TEST_F(DoomedUseTest, WhatDoesNotParseIsNotSure) {
  EXPECT_EQ(use("SELECT name FROM users WHERE (cut"), "users.name?");
  EXPECT_EQ(use("SELECT name FROM items WHERE (cut"), "");
}

TEST_F(DoomedUseTest, FunctionsThatHangOnTheTableMayUseIt) {
  EXPECT_EQ(use("SELECT mail(id) FROM users"), "") << "it hangs on another column";
  EXPECT_EQ(use("SELECT harmless(id) FROM users"), "");
  EXPECT_EQ(use("SELECT unheard_of(id) FROM users"), "users.name?");
}

TEST_F(DoomedUseTest, ATableThatGoesIsUsedByWhoeverNamesIt) {
  DoomedFinder finder(catalog(), {doomed("users"), doomed("\"Odd name\"")});
  EXPECT_THAT(finder.find("SELECT count(*) FROM users", {"app"}).uses, ElementsAre("users"));
  EXPECT_THAT(finder.find("DELETE FROM \"Odd name\"", {"app"}).uses, ElementsAre("\"Odd name\""));
  EXPECT_THAT(finder.find("SELECT id FROM log", {"app"}).uses, IsEmpty());
}

TEST_F(DoomedUseTest, WhatIsSureIsListedAlone) {
  DoomedFinder finder(catalog(), {doomed("users", "name"), doomed("users", "email")});
  const auto use = finder.find("SELECT name, unheard_of(id) FROM users", {"app"});
  EXPECT_THAT(use.uses, ElementsAre("users.name"));
  EXPECT_TRUE(use.sure);
}

TEST_F(DoomedUseTest, WhatIsNotThereIsNotAskedAbout) {
  DoomedFinder finder(catalog(), {doomed("users", "name__gone"), doomed("nothing")});
  EXPECT_THAT(finder.words(), IsEmpty());
  EXPECT_THAT(finder.find("SELECT * FROM users", {"app"}).uses, IsEmpty());
}

TEST_F(DoomedUseTest, EscapedNamesAreReadAsWell) {
  EXPECT_EQ(use("SELECT name FROM U&\"\\0075sers\""), "users.name");
}

TEST_F(DoomedUseTest, ThePlanConcernsItsTablesTheirRowsAndEveryFunction) {
  const auto request = concerns({doomed("users", "name"), doomed("users", "email"), doomed("app.\"T\"")});
  EXPECT_THAT(request.relations, ElementsAre(core::RelationName{"", "users"}, core::RelationName{"app", "T"}));
  EXPECT_EQ(request.types, request.relations);
  EXPECT_TRUE(request.all_functions);
  EXPECT_FALSE(request.everything);
}

}  // namespace
}  // namespace diastole::sql
