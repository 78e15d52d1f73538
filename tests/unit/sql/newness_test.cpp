// What is new to old code, and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "diastole/sql/analysis.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Phase;
using core::Severity;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> rules_found(std::string_view sql, const core::CatalogSnapshot* catalog, Phase phase) {
  const auto findings = lint(sql, phase, catalog);
  if (!findings) return {findings.error().message};
  std::vector<std::string> rules;
  for (const auto& finding : *findings)
    rules.push_back(finding.rule + (finding.severity == Severity::warning ? " (warning)" : ""));
  return rules;
}

// What is found in the first, and by no means in the second.
struct Pair {
  std::string_view rule;
  std::string_view caught;
  std::string_view twin;
};
void PrintTo(const Pair& one, std::ostream* out) {
  *out << one.rule << ": " << one.caught;
}

void expect_pair(const Pair& one, const core::CatalogSnapshot* catalog) {
  EXPECT_THAT(rules_found(one.caught, catalog, Phase::expand), Contains(std::string(one.rule)));
  const std::string rule(one.rule.substr(0, one.rule.find(' ')));
  EXPECT_THAT(rules_found(one.twin, catalog, Phase::expand), Not(Contains(StartsWith(rule)))) << one.twin;
}

const Pair kOldWriters[] = {
    // UNIQUE
    {"constraint-on-old-writers", "ALTER TABLE t ADD a int DEFAULT 0 UNIQUE", "ALTER TABLE t ADD a int UNIQUE"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a int NOT NULL DEFAULT 0, ADD CONSTRAINT u UNIQUE (a)",
     "ALTER TABLE t ADD a int, ADD CONSTRAINT u UNIQUE (a)"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a int DEFAULT 0; CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
     "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid(); CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a int UNIQUE NULLS NOT DISTINCT",
     "ALTER TABLE t ADD a bigserial UNIQUE"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a int DEFAULT 0, ADD b int DEFAULT 0, ADD UNIQUE (a, b)",
     "ALTER TABLE t ADD a int DEFAULT 0, ADD b int, ADD UNIQUE (a, b)"},
    {"constraint-on-old-writers (warning)", "ALTER TABLE t ADD a int DEFAULT f(); CREATE UNIQUE INDEX i ON t (a)",
     "ALTER TABLE t ADD a int DEFAULT nextval('s'); CREATE UNIQUE INDEX i ON t (a)"},
    {"constraint-on-old-writers (warning)", "ALTER TABLE t ADD a int; CREATE UNIQUE INDEX i ON t (a, b)",
     "ALTER TABLE t ADD a int, ADD b int; CREATE UNIQUE INDEX i ON t (a, b)"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a bool DEFAULT true; CREATE UNIQUE INDEX i ON t (a) WHERE a",
     "ALTER TABLE t ADD a bool DEFAULT false; CREATE UNIQUE INDEX i ON t (a) WHERE a"},
    {"constraint-on-old-writers (warning)",
     "ALTER TABLE t ADD a text DEFAULT ''; CREATE UNIQUE INDEX i ON t (lower(a))",
     "ALTER TABLE t ADD a text; CREATE UNIQUE INDEX i ON t (lower(a))"},
    {"constraint-on-old-writers", "ALTER TABLE t ADD a text; CREATE UNIQUE INDEX i ON t (coalesce(a, ''))",
     "ALTER TABLE t ADD a text; CREATE UNIQUE INDEX i ON t (a)"},
    {"constraint-on-old-writers",
     "ALTER TABLE t ADD a int; ALTER TABLE t ALTER a SET DEFAULT 5; CREATE UNIQUE INDEX i ON t (a)",
     "ALTER TABLE t ADD a int; ALTER TABLE t ALTER a SET DEFAULT NULL; CREATE UNIQUE INDEX i ON t (a)"},
    {"constraint-on-old-writers (warning)",
     "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b % 2) STORED; CREATE UNIQUE INDEX i ON t (a)",
     "CREATE TABLE t (b int, a int GENERATED ALWAYS AS (b % 2) STORED); CREATE UNIQUE INDEX i ON t (a)"},
    // CHECK
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int CHECK (coalesce(a, 0) > 0)",
     "ALTER TABLE t ADD a int CHECK (a > 0)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD CHECK (false) NOT VALID",
     "ALTER TABLE t ADD CHECK (true) NOT VALID"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int DEFAULT 0 CHECK (a > 0)",
     "ALTER TABLE t ADD a int DEFAULT 0 CHECK (a >= 0)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a text DEFAULT 'x' CHECK (a IN ('draft', 'live'))",
     "ALTER TABLE t ADD a text NOT NULL DEFAULT 'draft' CHECK (a IN ('draft', 'live'))"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a text DEFAULT 'x' CHECK (a::text = ANY (ARRAY['a'::text, 'b']))",
     "ALTER TABLE t ADD a text DEFAULT 'b' CHECK (a::text = ANY (ARRAY['a'::text, 'b']))"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int, ADD b int, ADD CHECK (num_nonnulls(a, b) = 1) NOT VALID",
     "ALTER TABLE t ADD a int, ADD b int, ADD CHECK (num_nonnulls(a, b) <= 1) NOT VALID"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int; ALTER TABLE t ADD CHECK (f(a)) NOT VALID",
     "ALTER TABLE t ADD a text; ALTER TABLE t ADD CHECK (char_length(a) <= 255) NOT VALID"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a text DEFAULT 'äöü' CHECK (char_length(a) < 3)",
     "ALTER TABLE t ADD a text DEFAULT 'äöü' CHECK (char_length(a) = 3)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int, ADD CHECK (a IS NOT NULL OR b > 0) NOT VALID",
     "ALTER TABLE t ADD a int, ADD b int, ADD CHECK (a IS NULL OR b > 0) NOT VALID"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int, ADD b int, ADD CHECK ((a IS NULL) <> (b IS NULL)) NOT VALID",
     "ALTER TABLE t ADD a int, ADD b int, ADD CHECK ((a IS NULL) = (b IS NULL)) NOT VALID"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int DEFAULT 7 CHECK (a BETWEEN 1 AND 5)",
     "ALTER TABLE t ADD a int DEFAULT 3 CHECK (a BETWEEN 1 AND 5)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int CHECK (CASE WHEN a IS NULL THEN false ELSE true END)",
     "ALTER TABLE t ADD a int CHECK (CASE WHEN a IS NULL THEN true ELSE a > 0 END)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a bool CHECK (a IS TRUE)",
     "ALTER TABLE t ADD a bool CHECK (a IS NOT FALSE)"},
    {"check-breaks-old-writers", "ALTER TABLE t ADD a int CHECK (a IS DISTINCT FROM NULL)",
     "ALTER TABLE t ADD a int CHECK (a IS DISTINCT FROM 1)"},
    // foreign keys
    {"constraint-on-old-writers (warning)", "ALTER TABLE t ADD a int DEFAULT 1 REFERENCES o",
     "ALTER TABLE t ADD a int REFERENCES o"},
    {"constraint-on-old-writers (warning)",
     "ALTER TABLE t ADD a int DEFAULT 1; ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o NOT VALID",
     "ALTER TABLE t ADD a int, ADD FOREIGN KEY (a) REFERENCES o NOT VALID"},
    {"constraint-on-old-writers (warning)",
     "ALTER TABLE t ADD a int, ADD b int DEFAULT 1, ADD FOREIGN KEY (a, b) REFERENCES o MATCH FULL NOT VALID",
     "ALTER TABLE t ADD a int, ADD b int DEFAULT 1, ADD FOREIGN KEY (a, b) REFERENCES o NOT VALID"},
    // defaults; Django adds a column with one and drops it at once
    {"change-column-default", "ALTER TABLE t ADD a int NOT NULL DEFAULT 0; ALTER TABLE t ALTER a DROP DEFAULT",
     "ALTER TABLE t ADD a int NOT NULL DEFAULT 0; ALTER TABLE t ALTER a SET DEFAULT 1"},
    {"change-column-default (warning)",
     "ALTER TABLE t ADD a int; CREATE UNIQUE INDEX i ON t (a); ALTER TABLE t ALTER a SET DEFAULT 1",
     "ALTER TABLE t ADD a int; CREATE INDEX i ON t (a); ALTER TABLE t ALTER a SET DEFAULT 1"},
    {"change-column-default (warning)", "ALTER TABLE t ADD a int CHECK (a > 0); ALTER TABLE t ALTER a SET DEFAULT 0",
     "ALTER TABLE t ADD a int CHECK (a > 0), ADD b int; ALTER TABLE t ALTER b SET DEFAULT 0"},
};

class OldWritersTest : public testing::TestWithParam<Pair> {};
TEST_P(OldWritersTest, AreAskedWhatTheyLeaveInANewColumn) {
  expect_pair(GetParam(), nullptr);
}
INSTANTIATE_TEST_SUITE_P(Newness, OldWritersTest, testing::ValuesIn(kOldWriters));

// A small table is exempt only from what hurts by the time that it takes.
const Pair kSmallTables[] = {
    {"constraint-on-old-writers", "ALTER TABLE lookup ADD a int DEFAULT 0 UNIQUE",
     "ALTER TABLE lookup ADD a int UNIQUE"},
    {"check-breaks-old-writers", "ALTER TABLE lookup ADD a int CHECK (coalesce(a, 0) > 0)",
     "ALTER TABLE lookup ADD a int CHECK (a > 0)"},
    {"check-breaks-old-writers", "ALTER TABLE lookup ADD CHECK (length(label) > 0)",
     "ALTER TABLE lookup ADD a int; ALTER TABLE lookup ADD CHECK (a > 0)"},
    {"constraint-on-old-writers (warning)", "ALTER TABLE lookup ADD a bigint DEFAULT 1 REFERENCES users",
     "ALTER TABLE lookup ADD a bigint REFERENCES users"},
    {"constraint-on-old-writers (warning)", "ALTER TABLE lookup ADD EXCLUDE (label WITH =)",
     "ALTER TABLE lookup ADD a int, ADD EXCLUDE (a WITH =, label WITH =)"},
    {"adding-not-nullable-field", "ALTER TABLE lookup ADD PRIMARY KEY (label)",
     "ALTER TABLE lookup ADD PRIMARY KEY (id)"},
    {"adding-not-nullable-field", "ALTER TABLE lookup ADD a int; ALTER TABLE lookup ALTER a SET NOT NULL",
     "ALTER TABLE lookup ADD a int DEFAULT 0; ALTER TABLE lookup ALTER a SET NOT NULL"},
};
class SmallTableTest : public testing::TestWithParam<Pair> {};
TEST_P(SmallTableTest, MustMeetOldWritersAllTheSame) {
  static const auto catalog = test::shop_catalog();
  expect_pair(GetParam(), &catalog);
}
INSTANTIATE_TEST_SUITE_P(Newness, SmallTableTest, testing::ValuesIn(kSmallTables));

const Pair kCreated[] = {
    {"ban-drop-object", "DROP FUNCTION f(int)",
     "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'; DROP FUNCTION f(int)"},
    {"ban-drop-object", "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'; DROP FUNCTION f(text)",
     "CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS 'SELECT a'; DROP FUNCTION f"},
    {"ban-drop-object", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION f()",
     "CREATE PROCEDURE f() LANGUAGE sql AS 'SELECT 1'; DROP ROUTINE f()"},
    {"ban-drop-object", "CREATE TYPE e AS ENUM ('a'); DROP TYPE g", "CREATE TYPE e AS ENUM ('a'); DROP TYPE public.e"},
    {"ban-drop-object", "CREATE TYPE app.e AS (a int); DROP TYPE e", "CREATE TYPE app.e AS (a int); DROP TYPE app.e"},
    {"ban-drop-object", "DROP DOMAIN d", "CREATE DOMAIN d AS int; DROP DOMAIN d"},
    {"ban-drop-object", "CREATE SEQUENCE IF NOT EXISTS s; DROP SEQUENCE s", "CREATE SEQUENCE s; DROP SEQUENCE s"},
    {"ban-drop-object", "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); DROP TRIGGER g ON u",
     "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); DROP TRIGGER g ON public.t"},
    {"ban-drop-object", "DROP POLICY p ON t", "CREATE POLICY p ON t; DROP POLICY p ON t"},
    {"ban-drop-object", "CREATE RULE r AS ON INSERT TO t DO NOTHING; DROP RULE s ON t",
     "CREATE RULE r AS ON INSERT TO t DO NOTHING; DROP RULE r ON t"},
    {"ban-drop-object", "CREATE OR REPLACE VIEW v AS SELECT 1 AS a; DROP VIEW v",
     "CREATE VIEW v AS SELECT 1 AS a; DROP VIEW v"},
    {"ban-drop-schema", "CREATE SCHEMA IF NOT EXISTS s; DROP SCHEMA s", "CREATE SCHEMA s; DROP SCHEMA s"},
    {"ban-drop-object", "DROP EXTENSION e", "CREATE EXTENSION e; DROP EXTENSION e"},
    {"ban-drop-object", "DROP PUBLICATION p", "CREATE PUBLICATION p; DROP PUBLICATION p"},
    {"renaming-object", "ALTER FUNCTION f() RENAME TO g",
     "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() RENAME TO g"},
    {"renaming-object", "ALTER TYPE e SET SCHEMA s", "CREATE TYPE e AS ENUM (); ALTER TYPE e SET SCHEMA s"},
    {"renaming-enum-value", "ALTER TYPE e RENAME VALUE 'a' TO 'b'",
     "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e RENAME VALUE 'a' TO 'b'"},
    {"ban-drop-column", "ALTER TYPE c DROP ATTRIBUTE a",
     "CREATE TYPE c AS (a int, b int); ALTER TYPE c DROP ATTRIBUTE a"},
    {"check-breaks-old-writers", "ALTER DOMAIN d ADD CHECK (value > 0)",
     "CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CHECK (value > 0)"},
    // functions are everybody's until that is taken back
    {"revoking-privileges", "REVOKE ALL ON FUNCTION f() FROM PUBLIC",
     "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f() FROM PUBLIC"},
    {"revoking-privileges", "CREATE TABLE t (a int); REVOKE ALL ON t, u FROM r",
     "CREATE TABLE t (a int); REVOKE ALL ON t FROM r"},
    // names
    {"ban-drop-table", "CREATE TABLE a (x int); ALTER TABLE a RENAME TO b; DROP TABLE a",
     "CREATE TABLE a (x int); ALTER TABLE a RENAME TO b; DROP TABLE b"},
    {"ban-drop-table", "ALTER TABLE u RENAME TO old; CREATE TABLE w (x int); ALTER TABLE w RENAME TO u; DROP TABLE u",
     "CREATE TABLE w (x int); ALTER TABLE w SET SCHEMA s; DROP TABLE s.w"},
    {"ban-drop-table", "DROP TABLE t; CREATE TABLE t (a int); DROP TABLE t; DROP TABLE t",
     "CREATE TABLE t (a int); DROP TABLE t; CREATE TABLE t (a int); DROP TABLE t"},
    {"ban-drop-table", "CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER SCHEMA s RENAME TO r; DROP TABLE s.t",
     "CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER SCHEMA s RENAME TO r; DROP TABLE r.t"},
    {"renaming-schema", "ALTER SCHEMA s RENAME TO r", "CREATE SCHEMA s; ALTER SCHEMA s RENAME TO r; DROP SCHEMA r"},
    {"ban-drop-table", "CREATE SCHEMA s CREATE TABLE t (a int); DROP TABLE t",
     "CREATE SCHEMA s CREATE TABLE t (a int); DROP TABLE s.t"},
    {"ban-drop-column", "ALTER TABLE t ADD a int; ALTER TABLE t RENAME a TO b; ALTER TABLE t DROP COLUMN a",
     "ALTER TABLE t ADD a int; ALTER TABLE t RENAME a TO b; ALTER TABLE t DROP COLUMN b"},
    {"ban-drop-column", "ALTER TABLE t ADD a int; ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN b",
     "ALTER TABLE t ADD a int; ALTER TABLE t RENAME TO u; ALTER TABLE u DROP COLUMN a"},
    {"ban-drop-object", "CREATE TYPE e AS ENUM (); ALTER TYPE e RENAME TO f; DROP TYPE e",
     "CREATE TYPE e AS ENUM (); ALTER TYPE e RENAME TO f; DROP TYPE f"},
    {"ban-drop-object",
     "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); ALTER TRIGGER g ON t RENAME TO h; "
     "DROP TRIGGER g ON t",
     "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f(); ALTER TRIGGER g ON t RENAME TO h; DROP TRIGGER h ON t"},
    // what may have been there
    {"ban-drop-column", "CREATE TEMP TABLE t (a int); ALTER TABLE t DROP COLUMN a",
     "CREATE TABLE t (a int); ALTER TABLE t DROP COLUMN a"},
    {"ban-drop-column", "CREATE TABLE IF NOT EXISTS t (a int); ALTER TABLE t DROP COLUMN a",
     "CREATE TABLE t (a int, b int); ALTER TABLE t DROP COLUMN a"},
    {"ban-drop-column", "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD a int; ALTER TABLE t DROP COLUMN a",
     "ALTER TABLE t ADD a int; ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD a int; ALTER TABLE t DROP COLUMN a"},
    {"ban-drop-table", "ALTER TABLE t ADD b int; CREATE TABLE t (a int); DROP TABLE t",
     "CREATE TABLE t (a int); ALTER TABLE t ADD b int; DROP TABLE t"},
};
class CreatedTest : public testing::TestWithParam<Pair> {};
TEST_P(CreatedTest, ByThePlanIsNobodysYet) {
  expect_pair(GetParam(), nullptr);
}
INSTANTIATE_TEST_SUITE_P(Newness, CreatedTest, testing::ValuesIn(kCreated));

const Pair kByCatalog[] = {
    // CREATE TABLE fails, or has not made what is there
    {"ban-drop-table", "CREATE TABLE users (a int); DROP TABLE users", "CREATE TABLE fresh (a int); DROP TABLE fresh"},
    {"ban-drop-table", "CREATE TABLE IF NOT EXISTS users (a int); DROP TABLE users",
     "CREATE TABLE IF NOT EXISTS fresh (a int); DROP TABLE fresh"},
    {"require-concurrent-index-creation", "CREATE TABLE IF NOT EXISTS users (a int); CREATE INDEX i ON users (a)",
     "CREATE TABLE IF NOT EXISTS fresh (a int); CREATE INDEX i ON fresh (a)"},
    {"ban-drop-column", "ALTER TABLE users ADD age int; ALTER TABLE users DROP COLUMN age",
     "ALTER TABLE users ADD height int; ALTER TABLE users DROP COLUMN height"},
    {"ban-drop-table", "ALTER TABLE users RENAME TO gone; CREATE TABLE users (a int); DROP TABLE users",
     "CREATE TEMP TABLE fresh (a int); DROP TABLE fresh"},
    // facts follow a table to its new name
    {"require-concurrent-index-creation", "ALTER TABLE users RENAME TO people; CREATE INDEX i ON people (age)",
     "ALTER TABLE lookup RENAME TO labels; CREATE INDEX i ON labels (label)"},
    // IF EXISTS of what is not there
    {"ban-drop-column", "ALTER TABLE IF EXISTS users DROP COLUMN age", "ALTER TABLE IF EXISTS nosuch DROP COLUMN age"},
    {"renaming-table", "ALTER TABLE IF EXISTS users RENAME TO people", "ALTER TABLE IF EXISTS nosuch RENAME TO people"},
    {"ban-drop-column", "ALTER TABLE IF EXISTS nosuch ADD a int; ALTER TABLE nosuch DROP COLUMN a",
     "ALTER TABLE IF EXISTS nosuch ADD a int; ALTER TABLE IF EXISTS nosuch DROP COLUMN a"},
    {"ban-drop-object", "DROP FUNCTION IF EXISTS dice()", "DROP FUNCTION IF EXISTS nosuch()"},
    {"ban-drop-object", "DROP TYPE IF EXISTS mood", "DROP TYPE IF EXISTS nosuch"},
    {"ban-drop-object", "DROP TRIGGER IF EXISTS touch ON users", "DROP TRIGGER IF EXISTS nosuch ON users"},
    {"ban-drop-object", "DROP POLICY p ON users", "DROP POLICY IF EXISTS p ON users"},
    {"ban-drop-object", "DROP SEQUENCE nosuch", "DROP SEQUENCE IF EXISTS nosuch"},
    {"ban-drop-table", "DROP TABLE IF EXISTS users", "DROP TABLE users; DROP TABLE IF EXISTS nosuch"},
    {"ban-drop-object",
     "CREATE OR REPLACE FUNCTION dice() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION dice()",
     "CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION fresh()"},
    {"ban-drop-object", "CREATE TYPE mood AS ENUM (); DROP TYPE mood", "CREATE TYPE fresh AS ENUM (); DROP TYPE fresh"},
    {"ban-drop-object", "CREATE OR REPLACE VIEW adults AS SELECT 1 AS id; DROP VIEW adults",
     "CREATE OR REPLACE VIEW fresh AS SELECT 1 AS id; DROP VIEW fresh"},
};
class NewByCatalogTest : public testing::TestWithParam<Pair> {};
TEST_P(NewByCatalogTest, SaysWhetherItWasThere) {
  static const auto catalog = test::shop_catalog();
  Pair one = GetParam();
  EXPECT_THAT(rules_found(one.caught, &catalog, Phase::expand), Contains(std::string(one.rule)));
  const auto twin = rules_found(one.twin, &catalog, Phase::expand);
  if (one.twin.starts_with("DROP TABLE users;")) {
    EXPECT_EQ(std::ranges::count(twin, "ban-drop-table"), 1);
  } else {
    EXPECT_THAT(twin, Not(Contains(StartsWith(std::string(one.rule))))) << one.twin;
  }
}
INSTANTIATE_TEST_SUITE_P(Newness, NewByCatalogTest, testing::ValuesIn(kByCatalog));

// What a phase before has created may serve code by now.
TEST(NewnessTest, EndsWithThePhase) {
  const auto refused = [](Phase first, Phase second) {
    core::Plan plan;
    plan.steps.resize(2);
    plan.steps[0].sql = "CREATE TABLE t (a int)";
    plan.steps[0].phase = first;
    plan.steps[1].sql = "DELETE FROM t";
    plan.steps[1].phase = second;
    return refusals(*complete(std::move(plan)));
  };
  EXPECT_THAT(refused(Phase::expand, Phase::expand), IsEmpty());
  EXPECT_THAT(refused(Phase::expand, Phase::contract), Not(IsEmpty()));
}

}  // namespace
}  // namespace diastole::sql
