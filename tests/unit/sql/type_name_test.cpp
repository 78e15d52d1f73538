#include "type_name.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "parse.hpp"
#include "support/catalog.hpp"
#include "type_change.hpp"

namespace diastole::sql {
namespace {

using core::Answer;
using enum core::Answer;

// ALTER TABLE … TYPE, taken apart; owns what the definition refers to.
struct Alter {
  explicit Alter(std::string_view table, std::string_view column, std::string_view type)
      : sql(fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE {}", table, column, type)), tree(parse(sql).value()) {}
  [[nodiscard]] Node definition() const { return tree.statements.front().body["cmds"].front().body()["def"].body(); }

  std::string sql;
  Tree tree;
};

std::string name_of_type(std::string_view type) {
  const Alter alter("t", "c", type);
  return type_name(alter.definition()["typeName"]);
}

TEST(TypeNameTest, IsAsFormatTypeWritesIt) {
  const std::pair<std::string_view, std::string_view> kNames[] = {
      {"int", "integer"},
      {"int8", "bigint"},
      {"bigint", "bigint"},
      {"float", "double precision"},
      {"real", "real"},
      {"decimal(10, 2)", "numeric(10,2)"},
      {"numeric", "numeric"},
      {"varchar", "character varying"},
      {"varchar(20)", "character varying(20)"},
      {"character varying(20)", "character varying(20)"},
      {"char", "character(1)"},
      {"char(3)", "character(3)"},
      {"bit(8)", "bit(8)"},
      {"varbit(8)", "bit varying(8)"},
      {"timestamp", "timestamp without time zone"},
      {"timestamptz(3)", "timestamp(3) with time zone"},
      {"time(2) with time zone", "time(2) with time zone"},
      {"interval", "interval"},
      {"interval(3)", "interval(3)"},
      {"interval year to month", "interval year to month"},
      {"interval day to second(3)", "interval day to second(3)"},
      {"interval second(2)", "interval second(2)"},
      {"int[]", "integer[]"},
      {"varchar(20)[][]", "character varying(20)[]"},
      {"numeric(10, 2)[]", "numeric(10,2)[]"},
      {"mood", "mood"},
      {"app.mood[]", "app.mood[]"},
      {"\"Mood\"", "\"Mood\""},
      {"pg_catalog.int4", "integer"},
      {"bool", "boolean"},
  };
  for (const auto& [written, name] : kNames) EXPECT_EQ(name_of_type(written), name) << written;
}

TEST(TypeNameTest, LosesItsLength) {
  EXPECT_EQ(type_without_length("character varying(20)"), "character varying");
  EXPECT_EQ(type_without_length("timestamp(3) with time zone"), "timestamp with time zone");
  EXPECT_EQ(type_without_length("numeric(10,2)[]"), "numeric[]");
  EXPECT_EQ(type_without_length("app.mood[]"), "app.mood[]");
}

TEST(TypeNameTest, KnowsPostgresOwn) {
  for (const auto* own : {"bigint", "character varying(20)", "timestamp(3) with time zone", "jsonb", "inet"})
    EXPECT_TRUE(is_builtin_type(own)) << own;
  for (const auto* foreign : {"mood", "app.mood", "citext", "\"integer\""}) EXPECT_FALSE(is_builtin_type(foreign));
}

struct Pair {
  std::string_view from;
  std::string_view to;
  Answer rewrites;          // in a session in UTC
  bool widens = false;      // old code can go on
  bool keeps_index = true;  // where the table is not rewritten
};
void PrintTo(const Pair& pair, std::ostream* out) {
  *out << pair.from << " to " << pair.to;
}

class TypePairTest : public testing::TestWithParam<Pair> {};

// Each was seen on PostgreSQL 15, in tests/integration/effects/types.sql.
TEST_P(TypePairTest, CostsWhatPostgresTakes) {
  const Pair& pair = GetParam();
  EXPECT_EQ(to_string(change_rewrites(pair.from, pair.to, true)), to_string(pair.rewrites));
  EXPECT_EQ(widens(pair.from, pair.to), pair.widens);
  EXPECT_EQ(keeps_indexes(pair.from, pair.to), pair.keeps_index);
}

constexpr bool kWidens = true;
constexpr bool kNarrows = false;
constexpr bool kOtherIndex = false;

const Pair kStrings[] = {
    {"character varying(20)", "character varying(20)", no, kWidens},
    {"character varying(20)", "character varying(40)", no, kWidens},
    {"character varying(20)", "character varying(10)", yes, kNarrows},
    {"character varying(20)", "character varying", no, kWidens},
    {"character varying", "character varying(40)", yes, kNarrows},
    {"character varying(20)", "text", no, kWidens},
    {"text", "character varying", no, kWidens},
    {"text", "character varying(100)", yes, kNarrows},
    {"character(10)", "character(20)", yes, kNarrows},
    {"character(10)", "text", yes, kNarrows, kOtherIndex},
    {"character varying(20)", "character(20)", yes, kNarrows, kOtherIndex},
    {"text", "bytea", yes, kNarrows, kOtherIndex},
    {"bit(8)", "bit(16)", yes, kNarrows},
    {"bit(8)", "bit varying", no, kWidens, kOtherIndex},
    {"bit(8)", "bit varying(8)", yes, kNarrows, kOtherIndex},
    {"bit varying(8)", "bit varying(16)", no, kWidens},
    {"bit varying(8)", "bit varying(4)", yes, kNarrows},
    {"bit varying(8)", "bit varying", no, kWidens},
    {"bit varying", "bit varying(64)", yes, kNarrows},
    {"citext", "text", no, kNarrows, kOtherIndex},
    {"text", "citext", no, kNarrows, kOtherIndex},
};
INSTANTIATE_TEST_SUITE_P(Strings, TypePairTest, testing::ValuesIn(kStrings));

const Pair kNumbers[] = {
    {"numeric(10,2)", "numeric(12,2)", no, kWidens},
    {"numeric(10,2)", "numeric(8,2)", yes, kNarrows},
    {"numeric(10,2)", "numeric(12,4)", yes, kNarrows},
    {"numeric(10,2)", "numeric(12)", yes, kNarrows},
    {"numeric(10,2)", "numeric", no, kWidens},
    {"numeric", "numeric(10,2)", yes, kNarrows},
    {"numeric(10)", "numeric(12,0)", no, kWidens},
    {"smallint", "integer", yes, kNarrows, kOtherIndex},
    {"integer", "bigint", yes, kNarrows, kOtherIndex},
    {"bigint", "integer", yes, kNarrows, kOtherIndex},
    {"integer", "oid", no, kWidens, kOtherIndex},
    {"oid", "regclass", no, kWidens, kOtherIndex},
    {"real", "double precision", yes, kNarrows, kOtherIndex},
    {"integer", "text", yes, kNarrows, kOtherIndex},
};
INSTANTIATE_TEST_SUITE_P(Numbers, TypePairTest, testing::ValuesIn(kNumbers));

const Pair kTimes[] = {
    {"timestamp without time zone", "timestamp with time zone", no, kWidens, kOtherIndex},
    {"timestamp with time zone", "timestamp without time zone", no, kWidens, kOtherIndex},
    {"timestamp(3) without time zone", "timestamp with time zone", no, kWidens, kOtherIndex},
    {"timestamp(3) without time zone", "timestamp(6) with time zone", no, kWidens, kOtherIndex},
    {"timestamp(3) without time zone", "timestamp(3) with time zone", yes, kWidens, kOtherIndex},
    {"timestamp without time zone", "timestamp(3) with time zone", yes, kWidens, kOtherIndex},
    {"timestamp without time zone", "timestamp(6) without time zone", no, kWidens},
    {"timestamp without time zone", "timestamp(3) without time zone", yes, kNarrows},
    {"timestamp(3) without time zone", "timestamp without time zone", no, kWidens},
    {"timestamp(3) without time zone", "timestamp(1) without time zone", yes, kNarrows},
    {"timestamp without time zone", "date", yes, kNarrows, kOtherIndex},
    {"time(3) without time zone", "time(6) without time zone", no, kWidens},
    {"time(3) without time zone", "time(2) without time zone", yes, kNarrows},
    {"interval", "interval(6)", no, kWidens},
    {"interval", "interval(3)", yes, kNarrows},
    {"interval(3)", "interval", no, kWidens},
    {"interval", "interval day to second", no, kWidens},
    {"interval", "interval year to month", yes, kNarrows},
    {"interval day to hour", "interval day to minute", no, kWidens},
    {"interval day to hour", "interval", no, kWidens},
    {"interval day to hour", "interval day", yes, kNarrows},
    {"interval(3)", "interval hour to second(2)", yes, kNarrows},
};
INSTANTIATE_TEST_SUITE_P(Times, TypePairTest, testing::ValuesIn(kTimes));

const Pair kOthers[] = {
    {"cidr", "inet", no, kWidens},
    {"inet", "cidr", yes, kNarrows, kOtherIndex},
    {"xml", "text", no, kWidens, kOtherIndex},
    {"json", "jsonb", yes, kNarrows, kOtherIndex},
    {"uuid", "text", yes, kNarrows, kOtherIndex},
    {"character varying(20)[]", "character varying(40)[]", yes, kWidens},
    {"character varying(20)[]", "character varying[]", no, kWidens},
    {"character varying(20)[]", "text[]", yes, kWidens},
    {"integer[]", "bigint[]", yes, kNarrows, kOtherIndex},
    {"integer", "integer[]", yes, kNarrows},
    {"mood", "text", maybe, kNarrows, kOtherIndex},
    {"integer", "app.thing", maybe, kNarrows, kOtherIndex},
};
INSTANTIATE_TEST_SUITE_P(Others, TypePairTest, testing::ValuesIn(kOthers));

TEST(TypePairTest, OutsideOfUtcTimestampsChange) {
  EXPECT_EQ(change_rewrites("timestamp without time zone", "timestamp with time zone", false), yes);
  EXPECT_EQ(change_rewrites("timestamp with time zone", "timestamp with time zone", false), no);
}

struct Change {
  std::string_view table;
  std::string_view column;
  std::string_view type;  // and USING
  Answer rewrites;
  Answer scans;
  Answer checks_keys;
};
void PrintTo(const Change& change, std::ostream* out) {
  *out << change.table << "." << change.column << " to " << change.type;
}

class TypeChangeTest : public testing::TestWithParam<Change> {
 protected:
  static core::CatalogSnapshot catalog() {
    auto snapshot = test::shop_catalog();
    auto& users = snapshot.relations.front();
    users.columns.push_back(test::catalog_column("mood", "mood"));
    users.columns.push_back(test::catalog_column("tiny", "tiny"));
    users.columns.push_back(test::catalog_column("kept", "character varying(20)"));
    auto expression = test::catalog_index("users_kept", {""});
    expression.uses = {"kept"};
    auto covering = test::catalog_index("users_covering", {"id"});
    covering.uses = {"email"};
    users.indexes.push_back(expression);
    users.indexes.push_back(covering);
    return snapshot;
  }
};

TEST_P(TypeChangeTest, AsksWhatTheCatalogSays) {
  const Change& expected = GetParam();
  const auto snapshot = catalog();
  const Alter alter(expected.table, expected.column, expected.type);
  const TypeChange change = type_change(Known(&snapshot), expected.table, expected.column, alter.definition());
  EXPECT_EQ(to_string(change.rewrites), to_string(expected.rewrites));
  EXPECT_EQ(to_string(change.scans), to_string(expected.scans));
  EXPECT_EQ(to_string(change.checks_keys), to_string(expected.checks_keys));
}

const Change kChanges[] = {
    {"lookup", "label", "varchar(40)", no, no, no},
    {"lookup", "label", "varchar(10)", yes, yes, yes},
    {"lookup", "label", "text", no, no, no},
    {"lookup", "label", "text USING label", no, no, no},
    {"lookup", "label", "text USING label::text", no, no, no},
    {"lookup", "label", "text USING lower(label)", yes, yes, yes},
    {"lookup", "label", "text USING other", yes, yes, yes},
    {"lookup", "label", "text COLLATE \"C\"", no, no, yes},
    {"lookup", "nothing", "text", maybe, maybe, maybe},
    {"unknown", "label", "text", maybe, maybe, maybe},
    {"orders", "user_id", "int", yes, yes, yes},
    {"orders", "total", "numeric(12, 2)", no, no, no},
    {"users", "email", "varchar", no, no, no},                  // indexed, and included in another index
    {"users", "email", "varchar COLLATE \"C\"", no, yes, yes},  // so that its index is sorted anew
    {"users", "age", "oid", no, yes, yes},                      // a CHECK, and an index with other operators
    {"users", "name", "text", no, yes, no},                     // a CHECK
    {"users", "seen", "timestamptz", no, no, yes},              // a CHECK that is not valid
    {"users", "kept", "text", no, yes, no},                     // an index over an expression
    {"users", "mood", "text", yes, yes, yes},                   // an enum
    {"users", "mood", "mood", no, no, no},                      // nothing
    {"users", "tiny", "int", no, no, no},                       // a domain, to what it is over
    {"users", "age", "tiny", no, yes, no},                      // and back, with a CHECK
    {"users", "age", "positive", yes, yes, yes},                // a domain with constraints
    {"users", "tiny", "bigint", yes, yes, yes},
};
INSTANTIATE_TEST_SUITE_P(Changes, TypeChangeTest, testing::ValuesIn(kChanges));

TEST(TypeChangeTest, NamesTheCheckThatIsCheckedAnew) {
  const auto snapshot = test::shop_catalog();
  const Alter name("users", "name", "text");
  EXPECT_EQ(type_change(Known(&snapshot), "users", "name", name.definition()).check, "users_name_there");
  const Alter seen("users", "seen", "timestamptz");
  EXPECT_EQ(type_change(Known(&snapshot), "users", "seen", seen.definition()).check, "");
}

TEST(TypeChangeTest, WithoutACatalogNothingIsKnown) {
  const Alter alter("users", "name", "text");
  const TypeChange change = type_change(Known(nullptr), "users", "name", alter.definition());
  EXPECT_EQ(change.from, "");
  EXPECT_EQ(change.rewrites, maybe);
  EXPECT_EQ(change.scans, maybe);
}

}  // namespace
}  // namespace diastole::sql
