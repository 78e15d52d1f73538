#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "diastole/sql/analysis.hpp"
#include "rules.hpp"

namespace diastole::sql {
namespace {

using core::Finding;
using core::Phase;
using core::Severity;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> rules_found(std::string_view sql, Phase phase) {
  const auto findings = lint(sql, phase);
  if (!findings) return {findings.error().message};
  std::vector<std::string> rules;
  for (const Finding& finding : *findings) {
    rules.push_back(finding.rule + (finding.severity == Severity::warning ? " (warning)" : ""));
  }
  return rules;
}

Finding only_finding(std::string_view sql, Phase phase = Phase::expand) {
  const auto findings = lint(sql, phase);
  if (!findings || findings->size() != 1) {
    ADD_FAILURE() << sql << ": " << fmt::format("{}", fmt::join(rules_found(sql, phase), ", "));
    return {};
  }
  return findings->front();
}

// A statement that breaks a rule in expand, what contract says of it ("" for nothing), and a near twin that breaks none
// in expand.
struct Case {
  std::string_view rule;
  std::string_view caught;
  std::string_view in_contract;
  std::string_view twin;
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.rule << ": " << one.caught;
}

constexpr std::string_view kSame = "same";
constexpr std::string_view kNothing = "";
constexpr std::string_view kOnlyWarning = "warning";

const Case kCases[] = {
    {"transaction-nesting", "COMMIT", kSame, "SELECT 'COMMIT'"},
    {"transaction-nesting", "SAVEPOINT a", kSame, "ALTER TABLE t ADD COLUMN savepoint int"},
    {"unanalysable-statement", "DO $$ BEGIN END $$", kSame,
     "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$"},
    {"unanalysable-statement", "COPY t FROM STDIN", kSame, "INSERT INTO t VALUES (1)"},
    {"ban-concurrent-index-creation-in-transaction", "SELECT 1; DROP INDEX CONCURRENTLY i", kSame,
     "DROP INDEX CONCURRENTLY i"},
    {"require-index-name", "CREATE INDEX CONCURRENTLY ON t (a)", kSame, "CREATE INDEX CONCURRENTLY i ON t (a)"},
    {"one-concurrent-drop", "DROP INDEX CONCURRENTLY i, j", kSame, "DROP INDEX CONCURRENTLY i"},
    {"managed-setting", "SET LOCAL lock_timeout = 0", kSame, "SET LOCAL work_mem = '1GB'"},
    {"managed-setting", "RESET ALL", kSame, "RESET work_mem"},
    {"managed-setting", "SET ROLE r", kSame, "ALTER ROLE r NOLOGIN"},
    {"managed-setting", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", kSame, "SET CONSTRAINTS ALL DEFERRED"},
    {"managed-setting", "SELECT set_config('search_path', 'x', false)", kSame,
     "SELECT set_config('work_mem', '1GB', true)"},
    {"managed-setting", "SELECT pg_catalog.set_config(x, '', true) FROM t", kSame,
     "SELECT current_setting('search_path')"},
    {"ban-drop-database", "DROP DATABASE d", kSame, "CREATE DATABASE d"},
    {"ban-drop-column", "ALTER TABLE t DROP COLUMN a", kNothing, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT"},
    {"ban-drop-table", "DROP TABLE t", kNothing, "CREATE TABLE t (a int); DROP TABLE t"},
    {"ban-drop-object", "DROP FUNCTION f()", kNothing, "DROP TRIGGER g ON t"},
    {"ban-drop-object", "DROP VIEW v", kNothing, "CREATE OR REPLACE VIEW v AS SELECT 1 AS a"},
    {"ban-drop-object", "DROP TYPE e", kNothing, "COMMENT ON TYPE e IS 'x'"},
    {"ban-truncate", "TRUNCATE t", kNothing, "CREATE TABLE t (a int); TRUNCATE t"},
    {"renaming-column", "ALTER TABLE t RENAME a TO b", kNothing, "ALTER TABLE t RENAME CONSTRAINT a TO b"},
    {"renaming-table", "ALTER TABLE t RENAME TO u", kNothing, "ALTER INDEX i RENAME TO j"},
    {"renaming-table", "ALTER TABLE t SET SCHEMA s", kNothing, "ALTER TABLE t SET (fillfactor = 70)"},
    {"renaming-schema", "ALTER SCHEMA a RENAME TO b", kNothing, "ALTER SCHEMA a OWNER TO r"},
    {"renaming-enum-value", "ALTER TYPE e RENAME VALUE 'a' TO 'b'", kNothing, "ALTER TYPE e ADD VALUE 'b'"},
    {"renaming-object", "ALTER FUNCTION f() RENAME TO g", kNothing, "ALTER TRIGGER f ON t RENAME TO g"},
    {"ban-drop-cascade", "ALTER TABLE t DROP CONSTRAINT c CASCADE", kSame, "ALTER TABLE t DROP CONSTRAINT c"},
    {"changing-column-type", "ALTER TABLE t ALTER a TYPE text", kOnlyWarning, "ALTER TABLE t ALTER a SET DEFAULT ''"},
    {"adding-not-nullable-field", "ALTER TABLE t ALTER a SET NOT NULL", kOnlyWarning,
     "ALTER TABLE t ALTER a DROP NOT NULL"},
    {"adding-required-field", "ALTER TABLE t ADD a int NOT NULL", kSame, "ALTER TABLE t ADD a int NOT NULL DEFAULT 0"},
    {"adding-required-field", "ALTER TABLE t ADD a int NOT NULL DEFAULT NULL", kSame,
     "ALTER TABLE t ADD a int DEFAULT NULL"},
    {"adding-field-with-default", "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()", kSame,
     "ALTER TABLE t ADD a timestamptz DEFAULT now()"},
    {"adding-field-with-default", "ALTER TABLE t ADD a float DEFAULT 1 + random()", kSame,
     "ALTER TABLE t ADD a int[] NOT NULL DEFAULT ARRAY[1, 2]::int[]"},
    {"adding-serial-field", "ALTER TABLE t ADD a bigserial", kSame, "ALTER TABLE t ADD a bigint"},
    {"adding-serial-field", "ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY", kSame,
     "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)"},
    {"adding-generated-field", "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED", kSame,
     "CREATE TABLE t (b int); ALTER TABLE t ADD a int GENERATED ALWAYS AS (b * 2) STORED"},
    {"table-rewrite", "ALTER TABLE t SET UNLOGGED", kSame, "ALTER TABLE t SET (autovacuum_enabled = false)"},
    {"require-concurrent-index-creation", "CREATE INDEX i ON t (a)", kSame,
     "CREATE TABLE public.t (a int); CREATE INDEX i ON t (a)"},
    {"require-concurrent-index-creation", "CREATE TABLE IF NOT EXISTS t (a int); CREATE INDEX i ON t (a)", kSame,
     "CREATE TABLE t (a int); CREATE INDEX i ON t (a)"},
    {"require-concurrent-index-deletion", "DROP INDEX i", kSame, "DROP INDEX CONCURRENTLY i"},
    {"require-concurrent-reindex", "REINDEX TABLE t", kSame, "REINDEX TABLE CONCURRENTLY t"},
    {"require-concurrent-partition-detach", "ALTER TABLE t DETACH PARTITION p", kSame,
     "ALTER TABLE t DETACH PARTITION p CONCURRENTLY"},
    {"constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", kSame,
     "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"},
    {"constraint-missing-not-valid", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o", kSame,
     "CREATE TABLE t (a int); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o"},
    {"constraint-missing-not-valid", "ALTER TABLE t ADD a int REFERENCES o", kSame,
     "CREATE TABLE t (a int REFERENCES o)"},
    {"constraint-missing-not-valid", "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0)", kSame,
     "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0) NOT VALID"},
    {"disallowed-unique-constraint", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)", kSame,
     "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i"},
    {"adding-serial-primary-key-field", "ALTER TABLE t ADD PRIMARY KEY (a)", kSame,
     "ALTER TABLE t ADD PRIMARY KEY USING INDEX i"},
    {"adding-exclusion-constraint", "ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)", kSame,
     "CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =))"},
    {"unbatched-dml", "UPDATE t SET a = 1 WHERE b = 2", kSame, "UPDATE t SET a = 1 WHERE id IN (1, 2) AND b = 2"},
    {"unbatched-dml", "DELETE FROM t WHERE id > 7", kSame, "DELETE FROM t WHERE t.id = 7"},
    {"unbatched-dml", "DELETE FROM t WHERE id = 7 OR true", kSame, "CREATE TABLE t (id int); DELETE FROM t"},
    {"unbatched-dml", "WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x", kSame, "SELECT * FROM t"},
    {"ban-vacuum-full", "VACUUM FULL t", kSame, "VACUUM t"},
    {"ban-vacuum-full", "CLUSTER t", kSame, "ALTER TABLE t CLUSTER ON i"},
};

class RuleTest : public testing::TestWithParam<Case> {};

TEST_P(RuleTest, CatchesItAndNotItsTwin) {
  const Case& one = GetParam();
  const std::string rule(one.rule);
  EXPECT_THAT(rules_found(one.caught, Phase::expand), ElementsAre(rule));
  EXPECT_THAT(rules_found(one.twin, Phase::expand), IsEmpty()) << one.twin;
  const auto in_contract = rules_found(one.caught, Phase::contract);
  if (one.in_contract == kNothing) EXPECT_THAT(in_contract, IsEmpty());
  if (one.in_contract == kSame) EXPECT_THAT(in_contract, ElementsAre(rule));
  if (one.in_contract == kOnlyWarning) EXPECT_THAT(in_contract, ElementsAre(rule + " (warning)"));
}

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, testing::ValuesIn(kCases));

TEST(LintTest, EveryStructuralRuleHasACase) {
  for (const std::string_view rule : kStructuralRules) {
    EXPECT_TRUE(std::ranges::any_of(kCases, [&](const Case& one) { return one.rule == rule; })) << rule;
  }
}

TEST(LintTest, SaysWhereTheStatementStands) {
  const auto findings = lint("SELECT 1;\n-- away with it\n  /* é */ DROP TABLE users;", Phase::expand);
  ASSERT_EQ(findings->size(), 1U);
  EXPECT_EQ(findings->front().line, 3);
  EXPECT_EQ(findings->front().column, 11);
}

TEST(LintTest, SafeFormIsTheStatementMadeSafe) {
  EXPECT_EQ(only_finding("create unique index i ON app.t (a)").safe_form,
            "create unique index CONCURRENTLY i ON app.t (a)");
  EXPECT_EQ(only_finding("DROP INDEX i").safe_form, "DROP INDEX CONCURRENTLY i");
  EXPECT_EQ(only_finding("REINDEX TABLE t").safe_form, "REINDEX TABLE CONCURRENTLY t");
  EXPECT_EQ(only_finding("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)").safe_form,
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\n"
            "ALTER TABLE t VALIDATE CONSTRAINT c;  -- in a step of its own");
  EXPECT_EQ(only_finding("ALTER TABLE app.t ALTER \"A\" SET NOT NULL").safe_form,
            "contract:\n  - set_not_null: app.t.\"A\"");
  EXPECT_EQ(only_finding("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b)").safe_form,
            "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b);  -- in a step of its own\n"
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u;");
  EXPECT_EQ(only_finding("DROP TABLE a, b").safe_form, "contract:\n  - sql: DROP TABLE a, b");
}

// What a safe form proposes must itself pass.
TEST(LintTest, SafeFormsPass) {
  for (const Case& one : kCases) {
    const auto findings = lint(one.caught, Phase::expand);
    const std::string& safe = findings->front().safe_form;
    if (safe.empty() || safe.find('<') != std::string::npos || safe.find("…") != std::string::npos) continue;
    const auto statements = classify(safe);
    if (!statements) continue;  // a fragment of a plan, or advice in words
    for (const auto& statement : *statements)
      EXPECT_THAT(rules_found(statement.sql, Phase::expand), IsEmpty()) << statement.sql;
  }
}

TEST(LintTest, MessageNamesTheObject) {
  EXPECT_THAT(only_finding("ALTER TABLE app.users DROP COLUMN name").message, HasSubstr("app.users.name"));
  EXPECT_THAT(only_finding("SET LOCAL statement_timeout = 0").message, HasSubstr("statement_timeout"));
}

TEST(LintTest, FindsEachSubcommand) {
  EXPECT_THAT(
      rules_found("ALTER TABLE t DROP COLUMN a CASCADE, ADD b serial PRIMARY KEY, ALTER c SET NOT NULL", Phase::expand),
      ElementsAre("ban-drop-column", "ban-drop-cascade", "adding-serial-field", "adding-serial-primary-key-field",
                  "adding-not-nullable-field"));
}

TEST(LintTest, DestructionIsContracts) {
  EXPECT_THAT(rules_found("ALTER TABLE users DROP COLUMN name; DROP TABLE legacy; DROP FUNCTION f(); TRUNCATE old",
                          Phase::contract),
              IsEmpty());
  EXPECT_THAT(rules_found("DROP TABLE legacy CASCADE", Phase::contract), ElementsAre("ban-drop-cascade"));
}

TEST(LintTest, SyntaxErrorIsAnError) {
  EXPECT_THAT(rules_found("DROP TABEL t", Phase::expand),
              ElementsAre("line 1, column 6: syntax error at or near \"TABEL\""));
}

}  // namespace
}  // namespace diastole::sql
