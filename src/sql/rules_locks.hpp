// Rules on indexes, constraints and tables whose change holds locks for long; harmless on tables that are new or small.
// A part of rules.hpp.
#pragma once

#include "rule.hpp"

namespace diastole::sql {

inline constexpr Rule kConcurrentIndexCreation{"require-concurrent-index-creation",
                                               kError,
                                               kError,
                                               "CREATE INDEX blocks every write to {table} while it builds",
                                               {{{.text = "{statement}"}}}};
inline constexpr Rule kConcurrentPartitioned{
    "concurrent-index-on-partitioned-table",
    kError,
    kError,
    "{table} is partitioned: PostgreSQL builds no index on it CONCURRENTLY",
    {{{.text = "CREATE INDEX {object} ON ONLY {table} ({column})"},
      {.text = "CREATE INDEX CONCURRENTLY <name> ON <partition> ({column})", .note = "for each, in a step of its own"},
      {.text = "ALTER INDEX {object} ATTACH PARTITION <name>", .note = "for each"}}}};
inline constexpr Rule kConcurrentIndexDeletion{"require-concurrent-index-deletion",
                                               kError,
                                               kError,
                                               "DROP INDEX waits for and blocks everything on the index's table",
                                               {{{.text = "{statement}"}}}};
inline constexpr Rule kConcurrentReindex{
    "require-concurrent-reindex", kError, kError, "REINDEX blocks writes, and reads that would use the index",
    {{{.text = "{statement}"}}},  120000};
inline constexpr Rule kConcurrentDetach{
    "require-concurrent-partition-detach",
    kError,
    kError,
    "DETACH PARTITION blocks everything on {table}",
    {{{.text = "ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY", .note = "in a step of its own"}}},
    140000};
inline constexpr Rule kConcurrentRefresh{
    "require-concurrent-refresh",
    kError,
    kError,
    "REFRESH MATERIALIZED VIEW blocks every read of {table} until it is computed",
    {{{.text = "{statement}", .note = "needs a unique index over columns of {table}, without WHERE"}}}};
inline constexpr Rule kMissingNotValid{
    "constraint-missing-not-valid",
    kError,
    kError,
    "constraint {object} is checked against every row of {table} while ACCESS EXCLUSIVE is held",
    {{{.text = "{statement}"},
      {.text = "ALTER TABLE {table} VALIDATE CONSTRAINT {object}", .note = "in a step of its own"}}}};
inline constexpr Rule kForeignKey{
    "adding-foreign-key-constraint",
    kError,
    kError,
    "foreign key {object} is checked against every row of {table} while writes to it and to {name} are blocked",
    {{{.text = "{statement}"},
      {.text = "ALTER TABLE {table} VALIDATE CONSTRAINT {object}", .note = "in a step of its own"}}}};
inline constexpr Rule kValidateTogether{
    "validate-in-same-transaction",
    kError,
    kError,
    "VALIDATE in the transaction that adds {object}, or holds a stronger lock on {table}, keeps that lock for the scan",
    {{{.text = "{statement}", .note = "in a step of its own"}}}};
inline constexpr Rule kUniqueConstraint{
    "disallowed-unique-constraint",
    kError,
    kError,
    "UNIQUE builds its index under ACCESS EXCLUSIVE on {table}",
    {{{.text = "CREATE UNIQUE INDEX CONCURRENTLY {object} ON {table} ({column})", .note = "in a step of its own"},
      {.text = "ALTER TABLE {table} ADD CONSTRAINT {object} UNIQUE USING INDEX {object}"}}}};
inline constexpr Rule kPrimaryKey{
    "adding-serial-primary-key-field",
    kError,
    kError,
    "PRIMARY KEY builds its index under ACCESS EXCLUSIVE on {table}",
    {{{.text = "CREATE UNIQUE INDEX CONCURRENTLY {object} ON {table} ({column})", .note = "in a step of its own"},
      {.text = "ALTER TABLE {table} ADD CONSTRAINT {object} PRIMARY KEY USING INDEX {object}",
       .note = "once its columns are NOT NULL (set_not_null)"}}}};
inline constexpr Rule kPrimaryKeyNullable{
    "primary-key-on-nullable",
    kError,
    kError,
    "{table}.{column} is not declared NOT NULL, so PRIMARY KEY USING INDEX scans the table under ACCESS EXCLUSIVE",
    {{{.phase = kContract, .text = "{table}.{column}", .note = "before", .form = core::SafeStep::Form::set_not_null}}}};
inline constexpr Rule kExclusionConstraint{
    "adding-exclusion-constraint", kError, kError,
    "an exclusion constraint builds its index under ACCESS EXCLUSIVE on {table}, and PostgreSQL has no concurrent way; "
    "add it to a new table and backfill that"};
inline constexpr Rule kAttachWithoutCheck{
    "attach-partition-without-check",
    kError,
    kError,
    "ATTACH PARTITION scans {name} under ACCESS EXCLUSIVE unless a valid CHECK already says what its bounds say",
    {{{.text = "ALTER TABLE {name} ADD CONSTRAINT <name> CHECK (<what the bounds say>) NOT VALID"},
      {.text = "ALTER TABLE {name} VALIDATE CONSTRAINT <name>", .note = "in a step of its own"},
      {.text = "{statement}"}}}};
inline constexpr Rule kDropForeignKey{
    "dropping-foreign-key", kWarning, kWarning,
    "dropping foreign key {object} takes ACCESS EXCLUSIVE on {name}, which it references, as well as on {table}"};
inline constexpr Rule kDropTableForeignKeys{
    "drop-table-multiple-foreign-keys",
    kWarning,
    kWarning,
    "dropping {table} takes ACCESS EXCLUSIVE on every table that its {name} foreign keys reference, all at once",
    {{{.text = "ALTER TABLE {table} DROP CONSTRAINT {object}", .note = "one in each step, before the table"}}}};
inline constexpr Rule kVacuumFull{"ban-vacuum-full",
                                  kError,
                                  kError,
                                  "{kind} rewrites {name} under ACCESS EXCLUSIVE",
                                  {{{.text = "{statement}", .note = "VACUUM without FULL"}}}};
inline constexpr Rule kDomainConstraint{
    "ban-alter-domain-with-add-constraint",
    kError,
    kError,
    "every table with a column of {object} is scanned while its writes are blocked, one after the other",
    {{{.text = "{statement}"},
      {.text = "ALTER DOMAIN {object} VALIDATE CONSTRAINT {name}", .note = "in a step of its own"}}}};

}  // namespace diastole::sql
