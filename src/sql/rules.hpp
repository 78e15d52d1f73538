// The rules, as data: what each is called, where it holds, why, and the safe form. lint.cpp finds where they are
// broken.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "contains.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::sql {

inline constexpr auto kError = core::Severity::error;
inline constexpr auto kWarning = core::Severity::warning;

// Messages and safe forms are fmt texts over {table}, {column}, {constraint}, {object}, {kind}, {name} and {statement}.
struct Rule {
  std::string_view name;
  std::optional<core::Severity> expand;  // and backfill
  std::optional<core::Severity> contract;
  std::string_view message;
  std::string_view safe_form;
};

// structure
inline constexpr Rule kTransactionNesting{
    "transaction-nesting", kError, kError,
    "{kind} inside a step would end or nest the transaction in which the daemon runs the step and records it", ""};
inline constexpr Rule kConcurrentInTransaction{
    "ban-concurrent-index-creation-in-transaction", kError, kError,
    "{kind} cannot run in a transaction, so it cannot share a step with other statements",
    "- id: <a step of its own>\n  sql: {statement}"};
inline constexpr Rule kRequireIndexName{
    "require-index-name", kError, kError,
    "an index that is built concurrently needs a name: after a crash it is found and rebuilt by it", "{statement}"};
inline constexpr Rule kOneConcurrentDrop{
    "one-concurrent-drop", kError, kError,
    "DROP INDEX CONCURRENTLY takes one index and no CASCADE; PostgreSQL refuses the rest",
    "DROP INDEX CONCURRENTLY {name}"};
inline constexpr Rule kManagedSetting{"managed-setting", kError, kError,
                                      "the daemon sets {name} itself for every step; a step that changes it would lose "
                                      "its time limits, its role or its fence",
                                      ""};
inline constexpr Rule kBanDropDatabase{"ban-drop-database", kError, kError, "a plan cannot drop a database", ""};
inline constexpr Rule kUnanalysable{
    "unanalysable-statement", kError, kError,
    "{kind} cannot be analysed: which tables it locks, rewrites or destroys is not in its text",
    "write what it does as plain statements"};

// what running old code does not survive
inline constexpr Rule kBanDropColumn{"ban-drop-column", kError, std::nullopt,
                                     "old code still reads and writes {table}.{column}",
                                     "contract:\n  - sql: ALTER TABLE {table} DROP COLUMN {column}"};
inline constexpr Rule kBanDropTable{"ban-drop-table", kError, std::nullopt, "old code still uses {name}",
                                    "contract:\n  - sql: {statement}"};
inline constexpr Rule kBanDropObject{"ban-drop-object", kError, std::nullopt,
                                     "old code may still use what {kind} removes", "contract:\n  - sql: {statement}"};
inline constexpr Rule kBanTruncate{"ban-truncate", kError, std::nullopt,
                                   "TRUNCATE removes every row of {name} under ACCESS EXCLUSIVE",
                                   "contract:\n  - sql: {statement}"};
inline constexpr Rule kRenamingColumn{"renaming-column", kError, std::nullopt,
                                      "old code still uses the name {table}.{column}",
                                      "ALTER TABLE {table} ADD COLUMN {name} <type>;  -- expand; then backfill it from "
                                      "{column}, and drop {column} in contract"};
inline constexpr Rule kRenamingTable{"renaming-table", kError, std::nullopt, "old code still uses the name {table}",
                                     "CREATE VIEW {name} AS SELECT * FROM {table};  -- expand; rename in contract"};
inline constexpr Rule kRenamingSchema{"renaming-schema", kError, std::nullopt,
                                      "old code still uses the schema's old name", "contract:\n  - sql: {statement}"};
inline constexpr Rule kRenamingEnumValue{"renaming-enum-value", kError, std::nullopt,
                                         "old code still reads and writes the value's old name",
                                         "ALTER TYPE {object} ADD VALUE '{name}'"};
inline constexpr Rule kRenamingObject{"renaming-object", kError, std::nullopt,
                                      "old code may still use the old name that {kind} changes",
                                      "contract:\n  - sql: {statement}"};
inline constexpr Rule kDropCascade{"ban-drop-cascade", kError, kError,
                                   "CASCADE also removes whatever depends on it (views, foreign keys, columns), unseen",
                                   "drop each dependent by name in a step before, then the same without CASCADE"};

// what holds locks for long
inline constexpr Rule kChangingColumnType{"changing-column-type", kError, kWarning,
                                          "a new type for {table}.{column} may rewrite the table under ACCESS "
                                          "EXCLUSIVE, and code that runs may not expect it",
                                          "ALTER TABLE {table} ADD COLUMN <new column> <new type>;  -- expand; then "
                                          "backfill it, and drop {column} in contract"};
inline constexpr Rule kAddingNotNullable{"adding-not-nullable-field", kError, kWarning,
                                         "SET NOT NULL scans {table} under ACCESS EXCLUSIVE unless a valid CHECK "
                                         "proves it, and old writers may leave {column} out",
                                         "contract:\n  - set_not_null: {table}.{column}"};
inline constexpr Rule kAddingRequired{
    "adding-required-field", kError, kError,
    "a NOT NULL column without a default fails on existing rows and on old writers that do not know {column}",
    "ALTER TABLE {table} ADD COLUMN {column} <type>;  -- expand; then backfill, and set_not_null: {table}.{column} in "
    "contract"};
inline constexpr Rule kVolatileDefault{
    "adding-field-with-default", kError, kError,
    "the default of {column} is computed for each row (or may be), which rewrites {table} under ACCESS EXCLUSIVE",
    "ALTER TABLE {table} ADD COLUMN {column} <type>;\n"
    "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT <expression>;  -- then backfill the rows that are there"};
inline constexpr Rule kSerialField{"adding-serial-field", kError, kError,
                                   "a serial or identity column rewrites {table} under ACCESS EXCLUSIVE",
                                   "CREATE SEQUENCE <sequence>;\nALTER TABLE {table} ADD COLUMN {column} bigint;\n"
                                   "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('<sequence>');  -- "
                                   "then backfill the rows that are there"};
inline constexpr Rule kGeneratedField{
    "adding-generated-field", kError, kError, "a stored generated column rewrites {table} under ACCESS EXCLUSIVE",
    "ALTER TABLE {table} ADD COLUMN {column} <type>;  -- kept by a trigger; then backfill the rows that are there"};
inline constexpr Rule kTableRewrite{"table-rewrite", kError, kError,
                                    "this copies the whole of {table} under ACCESS EXCLUSIVE",
                                    "make a new table, backfill it, and switch over in contract"};
inline constexpr Rule kConcurrentIndexCreation{"require-concurrent-index-creation", kError, kError,
                                               "CREATE INDEX blocks every write to {table} while it builds",
                                               "{statement}"};
inline constexpr Rule kConcurrentIndexDeletion{"require-concurrent-index-deletion", kError, kError,
                                               "DROP INDEX blocks everything on the index's table", "{statement}"};
inline constexpr Rule kConcurrentReindex{"require-concurrent-reindex", kError, kError,
                                         "REINDEX blocks writes, and reads that would use the index", "{statement}"};
inline constexpr Rule kConcurrentDetach{"require-concurrent-partition-detach", kError, kError,
                                        "DETACH PARTITION blocks everything on {table}",
                                        "ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY"};
inline constexpr Rule kMissingNotValid{"constraint-missing-not-valid", kError, kError,
                                       "the constraint is checked against every row of {table} while it is locked",
                                       "{statement}"};
inline constexpr Rule kUniqueConstraint{
    "disallowed-unique-constraint", kError, kError, "UNIQUE builds its index under ACCESS EXCLUSIVE on {table}",
    "CREATE UNIQUE INDEX CONCURRENTLY {constraint} ON {table} ({column});  -- in a step of its own\n"
    "ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE USING INDEX {constraint};"};
inline constexpr Rule kPrimaryKey{
    "adding-serial-primary-key-field", kError, kError, "PRIMARY KEY builds its index under ACCESS EXCLUSIVE on {table}",
    "CREATE UNIQUE INDEX CONCURRENTLY {constraint} ON {table} ({column});  -- in a step of its own, the columns NOT "
    "NULL\n"
    "ALTER TABLE {table} ADD CONSTRAINT {constraint} PRIMARY KEY USING INDEX {constraint};"};
inline constexpr Rule kExclusionConstraint{
    "adding-exclusion-constraint", kError, kError,
    "an exclusion constraint builds its index under ACCESS EXCLUSIVE on {table}, and PostgreSQL has no concurrent way",
    "add it to a new table, and backfill that"};
inline constexpr Rule kUnbatchedDml{
    "unbatched-dml", kError, kError,
    "{kind} over {table} in one statement holds its row locks, and keeps vacuum waiting, until the last row is done",
    "backfill:\n  - table: {table}\n    set: {{ <column>: <expression> }}\n    where: <rows still to do>"};
inline constexpr Rule kVacuumFull{"ban-vacuum-full", kError, kError, "{kind} rewrites the table under ACCESS EXCLUSIVE",
                                  "VACUUM {name}"};

// Where one of these is broken the step could not be carried out, undone or recovered as the daemon promises: no
// `allow` lets it pass, and it holds for an undo as well.
inline constexpr auto kStructuralRules =
    std::to_array<std::string_view>({kTransactionNesting.name, kConcurrentInTransaction.name, kRequireIndexName.name,
                                     kOneConcurrentDrop.name, kManagedSetting.name, kBanDropDatabase.name});
[[nodiscard]] constexpr bool is_structural(std::string_view rule) {
  return contains(kStructuralRules, rule);
}

// of the plan itself
inline constexpr Rule kUnusedIgnore{"unused-ignore", kWarning, kWarning, "this allows nothing: {name}", ""};

}  // namespace diastole::sql
