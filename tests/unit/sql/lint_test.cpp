#include "lint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "diastole/sql/analysis.hpp"
#include "pasted_form.hpp"
#include "rule_cases.hpp"
#include "rules.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Finding;
using core::Phase;
using core::Severity;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> rules_found(std::string_view sql, Phase phase,
                                     const core::CatalogSnapshot* catalog = nullptr) {
  const auto findings = lint(sql, phase, catalog);
  if (!findings) return {findings.error().message};
  std::vector<std::string> rules;
  for (const Finding& finding : *findings) {
    rules.push_back(finding.rule + (finding.severity == Severity::warning ? " (warning)" : ""));
  }
  return rules;
}

Finding found(std::string_view rule, std::string_view sql, Phase phase = Phase::expand,
              const core::CatalogSnapshot* catalog = nullptr) {
  const auto findings = lint(sql, phase, catalog);
  if (findings) {
    for (const Finding& finding : *findings) {
      if (finding.rule == rule) return finding;
    }
  }
  ADD_FAILURE() << sql << ": " << fmt::format("{}", fmt::join(rules_found(sql, phase, catalog), ", "));
  return {};
}

// One line a step: "contract: sql: …".
std::string safe_form(const Finding& finding) {
  std::string text;
  for (const core::SafeStep& step : finding.safe_form) {
    if (!text.empty()) text += '\n';
    if (step.phase) text += std::string(to_string(*step.phase)) + ": ";
    if (step.form != core::SafeStep::Form::sql) text += std::string(to_string(step.form)) + ": ";
    text += step.text;
  }
  return text;
}

class RuleTest : public testing::TestWithParam<test::RuleCase> {};

TEST_P(RuleTest, CatchesItAndNotItsTwin) {
  const test::RuleCase& one = GetParam();
  const std::string rule(one.rule);
  const std::string warning = rule + " (warning)";
  const bool warns = one.in_contract == test::kAdvice || one.in_contract == test::kDoubt;
  EXPECT_THAT(rules_found(one.caught, Phase::expand), Contains(warns ? warning : rule));
  EXPECT_THAT(rules_found(one.twin, Phase::expand), Not(Contains(StartsWith(rule)))) << one.twin;
  const auto in_contract = rules_found(one.caught, Phase::contract);
  if (one.in_contract == test::kNothing || one.in_contract == test::kDoubt)
    EXPECT_THAT(in_contract, Not(Contains(StartsWith(rule))));
  if (one.in_contract == test::kSame) EXPECT_THAT(in_contract, Contains(rule));
  if (one.in_contract == test::kOnlyWarning || one.in_contract == test::kAdvice)
    EXPECT_THAT(in_contract, Contains(warning));
}

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, testing::ValuesIn(test::rule_cases()));

class CatalogRuleTest : public testing::TestWithParam<test::CatalogRuleCase> {};

TEST_P(CatalogRuleTest, CatchesItAndNotItsTwin) {
  static const core::CatalogSnapshot catalog = test::shop_catalog();
  const test::CatalogRuleCase& one = GetParam();
  EXPECT_THAT(rules_found(one.caught, one.phase, &catalog), Contains(StartsWith(std::string(one.rule))));
  EXPECT_THAT(rules_found(one.twin, one.phase, &catalog), Not(Contains(StartsWith(std::string(one.rule))))) << one.twin;
  const auto findings = lint(one.caught, one.phase, &catalog);
  for (const Finding& finding : *findings) EXPECT_EQ(finding.sharper_with, "") << finding.rule;
}

INSTANTIATE_TEST_SUITE_P(Rules, CatalogRuleTest, testing::ValuesIn(test::catalog_rule_cases()));

TEST(LintTest, EveryRuleHasACase) {
  // Of the whole plan, or of an option: tested in complete_test.cpp and below.
  constexpr auto kElsewhere = std::to_array<std::string_view>(
      {"backfill-without-needs", "backfill-without-way", "unused-ignore", "concurrent-under-timeout", "unknown-column",
       "require-table-schema", "concurrent-index-corruption", "ddl-in-backfill"});
  for (const Rule* rule : all_rules()) {
    const bool tested =
        std::ranges::any_of(test::rule_cases(), [&](const test::RuleCase& one) { return one.rule == rule->name; }) ||
        std::ranges::any_of(test::catalog_rule_cases(),
                            [&](const test::CatalogRuleCase& one) { return one.rule == rule->name; }) ||
        std::ranges::find(kElsewhere, rule->name) != kElsewhere.end();
    EXPECT_TRUE(tested) << rule->name;
  }
}

TEST(LintTest, RulesHoldForTheServersTheyName) {
  auto catalog = test::shop_catalog();
  const std::string_view build = "CREATE INDEX CONCURRENTLY i ON users (age)";
  const std::string_view detach = "ALTER TABLE events DETACH PARTITION events_2024";
  const auto found_on = [&](int version, std::string_view sql) {
    catalog.server_version = version;
    return rules_found(sql, Phase::expand, &catalog);
  };
  EXPECT_THAT(found_on(140003, build), Contains("concurrent-index-corruption"));
  EXPECT_THAT(found_on(140003, "REINDEX INDEX CONCURRENTLY users_age"), Contains("concurrent-index-corruption"));
  EXPECT_THAT(found_on(140004, build), IsEmpty());
  EXPECT_THAT(found_on(130011, build), IsEmpty());
  EXPECT_THAT(rules_found(build, Phase::expand), IsEmpty());  // without a catalog nobody knows the version
  const std::string_view value = "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; SELECT 'b'::e";
  EXPECT_THAT(found_on(160004, value), Contains("enum-value-in-same-transaction"));
  EXPECT_THAT(found_on(170000, value), Not(Contains("enum-value-in-same-transaction")));
  EXPECT_THAT(found_on(140004, detach), Contains("require-concurrent-partition-detach (warning)"));
  EXPECT_THAT(found_on(130011, detach), Not(Contains("require-concurrent-partition-detach")));
}

TEST(LintTest, SaysHowSureItIs) {
  const auto catalog = test::shop_catalog();
  const auto severity = [&](std::string_view rule, std::string_view sql) {
    return found(rule, sql, Phase::expand, &catalog).severity;
  };
  EXPECT_EQ(severity("dropping-unique-index", "DROP INDEX CONCURRENTLY users_email"), Severity::error);
  EXPECT_EQ(severity("missing-replica-identity", "ALTER TABLE users REPLICA IDENTITY NOTHING"), Severity::error);
  EXPECT_EQ(severity("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users"), Severity::error);
  EXPECT_EQ(severity("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users, log"), Severity::warning);
  EXPECT_EQ(severity("enum-value-in-same-transaction",
                     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET feeling = 'b' WHERE id = 1"),
            Severity::error);
  EXPECT_EQ(severity("enum-value-in-same-transaction",
                     "ALTER TYPE mood ADD VALUE 'b'; UPDATE lookup SET label = 'b' WHERE id = 1"),
            Severity::warning);
  EXPECT_THAT(
      found("narrowing-publication", "ALTER PUBLICATION feed SET TABLE users", Phase::expand, &catalog).concerned,
      ElementsAre("table log"));
  EXPECT_EQ(found("dropping-unique-index", "DROP INDEX CONCURRENTLY i").sharper_with, "whether i is unique");
}

TEST(LintTest, BackfillMovesRowsOnly) {
  EXPECT_THAT(rules_found("ALTER TABLE t ADD a int", Phase::backfill), ElementsAre("ddl-in-backfill"));
  EXPECT_THAT(rules_found("DROP TABLE t", Phase::backfill), ElementsAre("ddl-in-backfill"));
  EXPECT_THAT(rules_found("UPDATE t SET a = b WHERE a IS NULL", Phase::backfill), IsEmpty());
}

TEST(LintTest, TableSchemaIsAskedForOnRequest) {
  const auto rules = [](std::string_view sql) {
    const auto findings = lint(sql, Phase::expand, nullptr, {.require_table_schema = true});
    std::vector<std::string> names;
    for (const Finding& finding : *findings) names.push_back(finding.rule + " " + finding.subject.table);
    return names;
  };
  EXPECT_THAT(rules("ALTER TABLE t ADD a int"), ElementsAre("require-table-schema t"));
  EXPECT_THAT(rules("CREATE TABLE t (a int)"), ElementsAre("require-table-schema t"));
  EXPECT_THAT(rules("ALTER TABLE app.t ADD a int"), IsEmpty());
  EXPECT_THAT(rules_found("ALTER TABLE t ADD a int", Phase::expand), IsEmpty());
}

TEST(LintTest, SaysWhichPhaseAStatementBelongsTo) {
  const auto phase_of = [](std::string_view sql) -> std::string {
    PlanMemory memory(nullptr);
    const auto linted = lint_text(sql, Phase::expand, {}, memory);
    const auto phase = linted.statements.back().phase;
    return phase ? std::string(to_string(*phase)) : "none";
  };
  EXPECT_EQ(phase_of("ALTER TABLE t ADD a int"), "expand");
  EXPECT_EQ(phase_of("CREATE INDEX CONCURRENTLY i ON t (a)"), "expand");
  EXPECT_EQ(phase_of("UPDATE t SET a = b"), "backfill");
  EXPECT_EQ(phase_of("DELETE FROM t WHERE a = 1"), "backfill");
  EXPECT_EQ(phase_of("ALTER TABLE t DROP COLUMN a"), "contract");
  EXPECT_EQ(phase_of("DROP TABLE t"), "contract");
  EXPECT_EQ(phase_of("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"), "contract");
  EXPECT_EQ(phase_of("CREATE INDEX i ON t (a)"), "none");
  EXPECT_EQ(phase_of("DROP DATABASE d"), "none");
  EXPECT_EQ(phase_of("VACUUM FULL t"), "none");
}

TEST(LintTest, WithoutACatalogSaysWhatItWouldDecide) {
  EXPECT_THAT(found("changing-column-type", "ALTER TABLE t ALTER a TYPE text").sharper_with, HasSubstr("t.a"));
  EXPECT_THAT(found("adding-not-nullable-field", "ALTER TABLE t ALTER a SET NOT NULL").sharper_with,
              HasSubstr("CHECK"));
  EXPECT_THAT(found("adding-field-with-default", "ALTER TABLE t ADD a int DEFAULT f()").sharper_with,
              HasSubstr("volatil"));
  EXPECT_EQ(found("adding-field-with-default", "ALTER TABLE t ADD a int DEFAULT random()").sharper_with, "");
  EXPECT_THAT(found("unbatched-dml", "DELETE FROM t WHERE a = 1").sharper_with, HasSubstr("size of t"));
}

TEST(LintTest, ContractShowsWhatGoesAlong) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(
      found("drop-blocked-by-dependents", "ALTER TABLE users DROP COLUMN age", Phase::contract, &catalog).concerned,
      ElementsAre("view public.adults"));
  EXPECT_THAT(found("drop-takes-along", "ALTER TABLE users DROP COLUMN age", Phase::contract, &catalog).concerned,
              ElementsAre("publication feed of public.users", "index public.users_age", "constraint users_age_check"));
  EXPECT_THAT(found("drop-takes-along", "ALTER TABLE users DROP COLUMN name", Phase::contract, &catalog).concerned,
              Contains("function public.greet() (its text names it)"));
  EXPECT_THAT(found("drop-blocked-by-dependents", "DROP TABLE users", Phase::contract, &catalog).concerned,
              ElementsAre("view public.adults", "foreign key orders_user_fkey of public.orders"));
  EXPECT_THAT(found("ban-truncate-cascade", "TRUNCATE users CASCADE", Phase::contract, &catalog).concerned,
              ElementsAre("table orders"));
  // What the same statement drops is no obstacle.
  EXPECT_THAT(found("drop-blocked-by-dependents", "DROP TABLE users, orders", Phase::contract, &catalog).concerned,
              ElementsAre("view public.adults"));
}

TEST(LintTest, SaysWhereTheStatementStands) {
  const auto findings = lint("SELECT 1;\n-- away with it\n  /* é */ DROP TABLE users;", Phase::expand);
  ASSERT_EQ(findings->size(), 1U);
  EXPECT_EQ(findings->front().line, 3);
  EXPECT_EQ(findings->front().column, 11);
}

TEST(LintTest, SafeFormIsTheStatementMadeSafe) {
  const auto safe = [](std::string_view rule, std::string_view sql) { return safe_form(found(rule, sql)); };
  EXPECT_EQ(safe("require-concurrent-index-creation", "create unique index i ON app.t (a)"),
            "create unique index CONCURRENTLY i ON app.t (a)");
  EXPECT_EQ(safe("require-concurrent-index-deletion", "DROP INDEX i"), "DROP INDEX CONCURRENTLY i");
  EXPECT_EQ(safe("require-concurrent-reindex", "REINDEX TABLE t"), "REINDEX TABLE CONCURRENTLY t");
  EXPECT_EQ(safe("constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
            "contract: ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID\n"
            "contract: ALTER TABLE t VALIDATE CONSTRAINT c");
  EXPECT_EQ(safe("adding-foreign-key-constraint", "ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES o"),
            "ALTER TABLE t ADD CONSTRAINT t_a_b_fkey FOREIGN KEY (a, b) REFERENCES o NOT VALID\n"
            "ALTER TABLE t VALIDATE CONSTRAINT t_a_b_fkey");
  EXPECT_EQ(safe("adding-not-nullable-field", "ALTER TABLE app.t ALTER \"A\" SET NOT NULL"),
            "contract: set_not_null: app.t.\"A\"");
  EXPECT_EQ(safe("disallowed-unique-constraint", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b)"),
            "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b)\nALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE a, b"), "contract: DROP TABLE a, b");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE the_cascade"), "contract: DROP TABLE the_cascade");
  EXPECT_EQ(safe("ban-drop-table", "DROP TABLE a cascade"), "contract: DROP TABLE a");
  EXPECT_EQ(safe("ban-drop-cascade", "ALTER TABLE t DROP CONSTRAINT c cascade"), "ALTER TABLE t DROP CONSTRAINT c");
  EXPECT_EQ(safe("renaming-column", "ALTER TABLE t RENAME a TO b"),
            "expand: ALTER TABLE t ADD COLUMN b <type>\n"
            "backfill: backfill: table: t\nset: { b: a }\nwhere: b IS DISTINCT FROM a\n"
            "contract: ALTER TABLE t DROP COLUMN a");
  EXPECT_EQ(safe("multiple-alter-table", "ALTER TABLE \"T\" ADD a int; ALTER TABLE /* the */ \"T\"\n  ADD b int"),
            "ALTER TABLE \"T\" ADD a int, ADD b int");
  EXPECT_EQ(safe("multiple-alter-table", "alter table A add b text; alter table a add c text"),
            "alter table A add b text, add c text");
  EXPECT_EQ(safe("multiple-foreign-keys", "CREATE TABLE t (a bigint REFERENCES o, b bigint REFERENCES p)"), "");
  EXPECT_EQ(safe("unanalysable-statement", "DO $$ BEGIN NULL; END $$"), "<the statements of its body>");
  EXPECT_EQ(safe("data-depends", "CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree (a DESC, \"B\")"),
            "SELECT a, \"B\" FROM t WHERE a IS NOT NULL AND \"B\" IS NOT NULL GROUP BY a, \"B\" HAVING count(*) > 1 "
            "LIMIT 10");
  EXPECT_EQ(safe("data-depends",
                 "CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(coalesce(a, ')')) text_pattern_ops, (b + 1) DESC) "
                 "INCLUDE (c) NULLS NOT DISTINCT WHERE d OR e"),
            "SELECT lower(coalesce(a, ')')), (b + 1) FROM t WHERE (d OR e) GROUP BY lower(coalesce(a, ')')), (b + 1) "
            "HAVING count(*) > 1 LIMIT 10");
  EXPECT_EQ(safe("data-depends", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a) NULLS NOT DISTINCT"),
            "SELECT a FROM t WHERE true GROUP BY a HAVING count(*) > 1 LIMIT 10");
  EXPECT_EQ(safe("unbatched-dml", "UPDATE t SET a = lower(b), c = 'x, y' WHERE (d OR e) AND f"),
            "backfill: backfill: table: t\nset: { a: \"lower(b)\", c: \"'x, y'\" }\nwhere: \"(d OR e) AND f\"");
  EXPECT_EQ(safe("adding-field-with-default", "ALTER TABLE t ADD a float DEFAULT (1 + random()) NOT NULL, ADD b int"),
            "expand: ALTER TABLE t ADD COLUMN a float\n"
            "expand: ALTER TABLE t ALTER COLUMN a SET DEFAULT (1 + random())\n"
            "backfill: backfill: table: t\nset: { a: \"(1 + random())\" }\nwhere: a IS NULL\n"
            "contract: set_not_null: t.a");
  EXPECT_EQ(safe("constraint-missing-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) -- why"),
            "contract: ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID\n"
            "contract: ALTER TABLE t VALIDATE CONSTRAINT c");
  // What would change a row twice, or delete it, is no backfill as it stands.
  EXPECT_THAT(safe("unbatched-dml", "UPDATE t SET a = a + 1 WHERE a > 5"), HasSubstr("where: <"));
  EXPECT_THAT(safe("unbatched-dml", "UPDATE t AS u SET a = 1 WHERE u.a > 5"), HasSubstr("where: <"));
  EXPECT_EQ(safe("unbatched-dml", "DELETE FROM t WHERE a > 5"), "");
  EXPECT_THAT(
      safe("changing-column-type", "ALTER TABLE t ALTER a TYPE timestamptz USING a AT TIME ZONE 'Europe/Berlin'"),
      HasSubstr("set: { <new column>: \"a AT TIME ZONE 'Europe/Berlin'\" }"));
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(safe_form(found("renaming-column", "ALTER TABLE users RENAME name TO label", Phase::expand, &catalog)),
              HasSubstr("ADD COLUMN label character varying(20)"));
}

// Pasted into a plan, what refuses a statement says instead is refused by nothing; what only warns of it leaves what is
// refused for another reason.
int check_forms(std::string_view sql, Phase phase, const core::CatalogSnapshot* catalog) {
  int checked = 0;
  const auto findings = lint(sql, phase, catalog);
  for (const Finding& finding : *findings) {
    const std::string_view before = sql.substr(0, static_cast<std::size_t>(std::max(finding.column - 1, 0)));
    const auto pasted = test::paste(finding, phase, catalog, before);
    checked += pasted.steps;
    for (const std::string& refused : pasted.refused) {
      const std::string rule = refused.substr(0, refused.find(':'));
      const bool other_rule =
          finding.severity == Severity::warning && std::ranges::any_of(*findings, [&](const Finding& one) {
            return one.rule == rule && one.severity == Severity::error;
          });
      EXPECT_TRUE(other_rule) << sql << "\n  in " << to_string(phase) << " is refused by " << finding.rule << ":\n"
                              << safe_form(finding) << "\n  which is refused by " << refused;
    }
  }
  return checked;
}

TEST(LintTest, SafeFormsPass) {
  const auto catalog = test::shop_catalog();
  int checked = 0;
  for (const test::RuleCase& one : test::rule_cases()) {
    for (const Phase phase : {Phase::expand, Phase::contract}) {
      checked += check_forms(one.caught, phase, nullptr);
      checked += check_forms(one.caught, phase, &catalog);
    }
  }
  for (const test::CatalogRuleCase& one : test::catalog_rule_cases()) {
    for (const Phase phase : {Phase::expand, Phase::contract}) {
      checked += check_forms(one.caught, phase, nullptr);
      checked += check_forms(one.caught, phase, &catalog);
      checked += check_forms(one.twin, phase, &catalog);
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(LintTest, MessageNamesTheObject) {
  EXPECT_THAT(found("ban-drop-column", "ALTER TABLE app.users DROP COLUMN name").message, HasSubstr("app.users.name"));
  EXPECT_THAT(found("require-statement-timeout", "SET LOCAL statement_timeout = 0").message,
              HasSubstr("statement_timeout"));
}

TEST(LintTest, FindsEachSubcommand) {
  EXPECT_THAT(
      rules_found("ALTER TABLE t DROP COLUMN a CASCADE, ADD b serial PRIMARY KEY, ALTER c SET NOT NULL", Phase::expand),
      ElementsAre("ban-drop-column", "ban-drop-cascade", "adding-serial-field", "adding-serial-primary-key-field",
                  "prefer-identity (warning)", "prefer-bigint-over-int (warning)", "adding-not-nullable-field"));
}

TEST(LintTest, DestructionIsContracts) {
  EXPECT_THAT(rules_found("ALTER TABLE users DROP COLUMN name; DROP TABLE legacy; DROP FUNCTION f(); TRUNCATE old",
                          Phase::contract),
              IsEmpty());
  EXPECT_THAT(rules_found("DROP TABLE legacy CASCADE", Phase::contract), ElementsAre("ban-drop-cascade"));
}

TEST(LintTest, SyntaxErrorIsAFindingWithItsPlace) {
  const Finding error = found("syntax-error", "SELECT 1;\n  DROP TABEL t");
  EXPECT_EQ(error.message, "syntax error at or near \"TABEL\"");
  EXPECT_EQ(error.line, 2);
  EXPECT_EQ(error.column, 8);
  EXPECT_EQ(found("syntax-error", " ; -- nothing").message, "the SQL holds no statement");
}

}  // namespace
}  // namespace diastole::sql
