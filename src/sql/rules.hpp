// The rules, as data: what each is called, where it refuses or warns, why, what to do instead, and for which servers it
// holds. The names are those of squawk, strong_migrations (with hyphens), eugene, Atlas or Bytebase where they have
// one. lint*.cpp finds where the rules are broken.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "contains.hpp"
#include "rule.hpp"
#include "rules_old_code.hpp"

namespace diastole::sql {

// structure
inline constexpr Rule kSyntaxError{"syntax-error", kError, kError, "{name}"};
inline constexpr Rule kTransactionNesting{
    "transaction-nesting", kError, kError,
    "{kind} inside a step would end or nest the transaction in which the daemon runs the step and records it"};
inline constexpr Rule kUncommittedTransaction{
    "ban-uncommitted-transaction", kError, kError,
    "{kind} opens a transaction that nothing here commits; the daemon runs and commits each step in one of its own"};
inline constexpr Rule kConcurrentInTransaction{
    "ban-concurrent-index-creation-in-transaction",
    kError,
    kError,
    "{kind} cannot run in a transaction, so it cannot share a step with other statements",
    {{{.text = "{statement}", .note = "in a step of its own"}}}};
inline constexpr Rule kRequireIndexName{
    "require-index-name",
    kError,
    kError,
    "an index that is built concurrently needs a name: after a crash it is found and rebuilt by it",
    {{{.text = "{statement}"}}}};
inline constexpr Rule kOneConcurrentDrop{
    "one-concurrent-drop",
    kError,
    kError,
    "DROP INDEX CONCURRENTLY takes one index and no CASCADE; PostgreSQL refuses the rest",
    {{{.text = "DROP INDEX CONCURRENTLY {object}"}}}};
inline constexpr Rule kManagedSetting{"managed-setting", kError, kError,
                                      "the daemon sets {name} itself for every step; a step that changes it would lose "
                                      "its role, its schema or its fence"};
inline constexpr Rule kRequireLockTimeout{"require-lock-timeout", kError, kError,
                                          "the daemon sets lock_timeout for every step, so that nobody queues up "
                                          "behind it for long; a step may not undo that"};
inline constexpr Rule kRequireStatementTimeout{
    "require-statement-timeout", kError, kError,
    "the daemon sets statement_timeout for every step; a step asks for another with its own statement_timeout key"};
inline constexpr Rule kBanDropDatabase{"ban-drop-database", kError, kError, "a plan cannot drop a database"};
inline constexpr Rule kDdlInBackfill{
    "ddl-in-backfill",
    kError,
    kError,
    "{kind} changes the schema, which belongs into expand or contract; backfill moves rows only",
    {{{.phase = kExpand, .text = "{statement}"}}}};
inline constexpr Rule kUnanalysable{
    "unanalysable-statement", kError, kError,
    "{kind} cannot be analysed: which tables it locks, rewrites or destroys is not in the statement's text"};
inline constexpr Rule kIdentifierTooLong{
    "identifier-too-long", kError, kError,
    "PostgreSQL cuts {name} off after 63 bytes, so that two long names can become one"};
inline constexpr Rule kRequireTableSchema{
    "require-table-schema", kWarning, kWarning,
    "which table {table} is depends on the session's search_path; name its schema"};
inline constexpr Rule kPreferRobust{
    "prefer-robust-stmts",
    kWarning,
    kWarning,
    "{kind} commits by itself and cannot be looked up afterwards: if its outcome is lost, a retry meets its own work",
    {{{.text = "{statement}"}}}};
inline constexpr Rule kConcurrentUnderTimeout{
    "concurrent-under-timeout", kWarning, kWarning,
    "{kind} waits for every older transaction; when the step's statement_timeout of {name} ends it, an INVALID index "
    "stays behind and slows every write until it is rebuilt"};

// what running old code does not survive
inline constexpr Rule kBanDropColumn{"ban-drop-column",
                                     kError,
                                     kPasses,
                                     "old code still reads and writes {table}.{column}",
                                     {{{.phase = kContract, .text = "ALTER TABLE {table} DROP COLUMN {column}"}}}};
inline constexpr Rule kBanDropTable{
    "ban-drop-table", kError, kPasses, "old code still uses {table}", {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kBanDropSchema{"ban-drop-schema",
                                     kError,
                                     kPasses,
                                     "old code may still use what is in schema {object}",
                                     {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kBanDropObject{"ban-drop-object",
                                     kError,
                                     kPasses,
                                     "old code may still use what {kind} removes",
                                     {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kBanTruncate{"ban-truncate",
                                   kError,
                                   kPasses,
                                   "TRUNCATE removes every row of {table} under ACCESS EXCLUSIVE",
                                   {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kBanTruncateCascade{
    "ban-truncate-cascade",
    kError,
    kError,
    "TRUNCATE … CASCADE empties every table that references {table} too, and those that reference them",
    {{{.phase = kContract, .text = "TRUNCATE {table}, <each table that references it>"}}}};
inline constexpr Rule kRenamingColumn{
    "renaming-column",
    kError,
    kPasses,
    "old code still uses the name {table}.{column}",
    {{{.phase = kExpand, .text = "ALTER TABLE {table} ADD COLUMN {name} {type}"},
      {.phase = kBackfill,
       .text = "table: {table}\nset: { {name}: {column} }\nwhere: {name} IS DISTINCT FROM {column}",
       .note = "once every instance writes both",
       .form = core::SafeStep::Form::backfill},
      {.phase = kContract, .text = "ALTER TABLE {table} DROP COLUMN {column}"}}}};
inline constexpr Rule kRenamingTable{
    "renaming-table",
    kError,
    kPasses,
    "old code still uses the name {table}",
    {{{.phase = kExpand, .text = "CREATE VIEW {name} AS SELECT * FROM {table}", .note = "new code uses this name"},
      {.phase = kContract, .text = "DROP VIEW {name}; {statement}"}}}};
inline constexpr Rule kRenamingSchema{"renaming-schema",
                                      kError,
                                      kPasses,
                                      "old code still uses the name of schema {object}",
                                      {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kRenamingEnumValue{
    "renaming-enum-value",
    kError,
    kPasses,
    "old code still reads and writes the old name of a value of {object}",
    {{{.phase = kExpand, .text = "ALTER TYPE {object} ADD VALUE {name} AFTER {type}"}}}};
inline constexpr Rule kRenamingObject{"renaming-object",
                                      kError,
                                      kPasses,
                                      "old code may still use the old name that {kind} changes",
                                      {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kCheckOldWriters{
    "check-breaks-old-writers",
    kError,
    kPasses,
    "old code does not know constraint {object} on {table} and may write rows that it refuses",
    {{{.phase = kContract, .text = "{statement}"},
      {.phase = kContract,
       .text = "ALTER TABLE {table} VALIDATE CONSTRAINT {object}",
       .note = "in a step of its own"}}}};
inline constexpr Rule kConstraintOldWriters{
    "constraint-on-old-writers",
    kWarning,
    kPasses,
    "old code does not know of {kind} on {table}: its INSERTs and UPDATEs fail where they do not meet it",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kRowSecurity{"enabling-row-security",
                                   kError,
                                   kPasses,
                                   "rows of {table} that no policy lets through vanish for old code",
                                   {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kRevoking{"revoking-privileges",
                                kError,
                                kPasses,
                                "old code may still use the rights that {kind} takes away",
                                {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kDetachingPartition{"detaching-partition",
                                          kError,
                                          kPasses,
                                          "the rows of {name} vanish for old code that reads {table}",
                                          {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kCreatingRule{"creating-rule",
                                    kError,
                                    kPasses,
                                    "a rule changes what old code's statements on {table} do, unseen",
                                    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kDisablingTrigger{"disabling-trigger",
                                        kError,
                                        kPasses,
                                        "old code may rely on what triggers of {table} do with its writes",
                                        {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kLockTable{
    "ban-lock-table", kError, kError,
    "LOCK TABLE keeps others from {table} until the step ends; each statement takes the locks that it needs by itself"};
inline constexpr Rule kDropNotNull{
    "ban-drop-not-null",
    kWarning,
    kPasses,
    "once {table}.{column} may be NULL, old code that reads it may not expect that",
    {{{.phase = kContract, .text = "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"}}}};
inline constexpr Rule kColumnDefault{
    "change-column-default",
    kWarning,
    kPasses,
    "old code that leaves {table}.{column} out of its INSERTs gets another value, or an error",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kRequiredField{
    "adding-required-field",
    kError,
    kError,
    "a NOT NULL column without a default fails on rows that are there and on old writers that do not know {column}",
    {{{.phase = kExpand, .text = "ALTER TABLE {table} ADD COLUMN {column} {type}"},
      {.phase = kContract,
       .text = "{table}.{column}",
       .note = "after a backfill",
       .form = core::SafeStep::Form::set_not_null}}}};
inline constexpr Rule kDropCascade{
    "ban-drop-cascade",
    kError,
    kError,
    "CASCADE also removes whatever depends on it (views, foreign keys, columns), unseen",
    {{{.text = "{statement}", .note = "after a step that drops each dependent by name"}}}};
inline constexpr Rule kDropBlocked{
    "drop-blocked-by-dependents", kError, kError,
    "{kind} fails as long as others depend on {object}; drop or change them in a step before"};
inline constexpr Rule kDropTakesAlong{"drop-takes-along", kPasses, kWarning,
                                      "with {object} goes, or breaks, what hangs on it; see that nobody needs it"};
inline constexpr Rule kColumnRevoke{
    "column-revoke-without-effect",
    kWarning,
    kWarning,
    "a role that has the right on the whole of {table} keeps it on every column: this REVOKE changes nothing for it",
    {{{.text = "REVOKE {name} ON {table} FROM {object}", .note = "then GRANT it on the columns that may stay"}}}};
inline constexpr Rule kOwner{
    "object-owner", kError, kError,
    "only the owner of {table} may do this, and the daemon's role is no member of that role; grant it first"};

// what holds locks for long; harmless on tables that are new or small
inline constexpr Rule kChangingColumnType{
    .name = "changing-column-type",
    .expand = kError,
    .contract = kWarning,
    .why = "a new type for {table}.{column} rewrites the table, or its indexes, under ACCESS EXCLUSIVE",
    .safe = {{{.phase = kExpand, .text = "ALTER TABLE {table} ADD COLUMN {name} {type}"},
              {.phase = kBackfill,
               .text = "table: {table}\nset: { {name}: {object} }\nwhere: {name} IS DISTINCT FROM ({object})",
               .note = "once every instance writes both",
               .form = core::SafeStep::Form::backfill},
              {.phase = kContract, .text = "ALTER TABLE {table} DROP COLUMN {column}"}}},
    .why_old_code = "code that runs may not expect another type of {table}.{column}"};
inline constexpr Rule kTypeUnderCheck{
    "changing-type-under-check",
    kWarning,
    kWarning,
    "a constraint uses {table}.{column}, so PostgreSQL checks every row anew under ACCESS EXCLUSIVE",
    {{{.phase = kContract,
       .text = "ALTER TABLE {table} DROP CONSTRAINT {object}, ALTER COLUMN {column} TYPE {type}, "
               "ADD CONSTRAINT {object} CHECK (<its expression>) NOT VALID"},
      {.phase = kContract,
       .text = "ALTER TABLE {table} VALIDATE CONSTRAINT {object}",
       .note = "in a step of its own"}}}};
inline constexpr Rule kTypeWithNotNull{
    "change-column-with-not-null",
    kError,
    kError,
    "a new type and NOT NULL at once: the rewrite fails at the first NULL, after the table was locked for all of it",
    {{{.text = "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}", .note = "or a new column where that rewrites"},
      {.phase = kContract, .text = "{table}.{column}", .form = core::SafeStep::Form::set_not_null}}}};
inline constexpr Rule kAddingNotNullable{
    .name = "adding-not-nullable-field",
    .expand = kError,
    .contract = kWarning,
    .why = "SET NOT NULL scans {table} under ACCESS EXCLUSIVE unless a valid CHECK proves it",
    .safe = {{{.phase = kContract, .text = "{table}.{column}", .form = core::SafeStep::Form::set_not_null}}},
    .why_old_code = "old writers may leave {table}.{column} out"};
inline constexpr Rule kNotNullAfterUpdate{
    "set-not-null-after-update",
    kError,
    kError,
    "filling {table}.{column} and SET NOT NULL in one transaction keeps ACCESS EXCLUSIVE until every row is written "
    "and "
    "checked",
    {{{.phase = kBackfill,
       .text = "table: {table}\nset: { {column}: <expression> }\nwhere: {column} IS NULL",
       .form = core::SafeStep::Form::backfill},
      {.phase = kContract, .text = "{table}.{column}", .form = core::SafeStep::Form::set_not_null}}}};
inline constexpr Rule kVolatileDefault{
    "adding-field-with-default",
    kError,
    kError,
    "the default of {column} is computed for each row (or may be), which rewrites {table} under ACCESS EXCLUSIVE",
    {{{.text = "ALTER TABLE {table} ADD COLUMN {column} {type}"},
      {.text = "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {name}"},
      {.phase = kBackfill,
       .text = "table: {table}\nset: { {column}: {name} }\nwhere: {column} IS NULL",
       .form = core::SafeStep::Form::backfill}}}};
inline constexpr Rule kSerialField{
    "adding-serial-field",
    kError,
    kError,
    "a serial or identity column rewrites {table} under ACCESS EXCLUSIVE",
    {{{.text = "CREATE SEQUENCE {name}"},
      {.text = "ALTER TABLE {table} ADD COLUMN {column} bigint; "
               "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{name}')"},
      {.phase = kBackfill,
       .text = "table: {table}\nset: { {column}: nextval('{name}') }\nwhere: {column} IS NULL",
       .form = core::SafeStep::Form::backfill}}}};
inline constexpr Rule kGeneratedField{
    "adding-generated-field",
    kError,
    kError,
    "a stored generated column rewrites {table} under ACCESS EXCLUSIVE",
    {{{.text = "ALTER TABLE {table} ADD COLUMN {column} {type}", .note = "kept by a trigger"},
      {.phase = kBackfill,
       .text = "table: {table}\nset: { {column}: {name} }\nwhere: {column} IS DISTINCT FROM ({name})",
       .form = core::SafeStep::Form::backfill}}}};
inline constexpr Rule kConstrainedDomain{
    "adding-constrained-domain-field",
    kError,
    kError,
    "the type of {column} is a domain with constraints (or may be), which rewrites {table} "
    "under ACCESS EXCLUSIVE to check each row",
    {{{.text = "ALTER TABLE {table} ADD COLUMN {column} {name}",
       .note = "the domain's own type, and its CHECK as "
               "NOT VALID on the table"}}}};
inline constexpr Rule kTableRewrite{
    "table-rewrite", kError, kError,
    "this copies the whole of {table} under ACCESS EXCLUSIVE: nobody reads or writes it"};
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

// what is done to rows
inline constexpr Rule kUnbatchedDml{
    "unbatched-dml",
    kError,
    kError,
    "{kind} over {table} in one statement holds its row locks, and keeps vacuum waiting, until the last row is done",
    {{{.phase = kBackfill, .text = "{statement}", .form = core::SafeStep::Form::backfill}}}};
inline constexpr Rule kDmlWithoutWhere{
    "dml-without-where",
    kError,
    kError,
    "{kind} without WHERE concerns every row of {table}",
    {{{.phase = kBackfill, .text = "{statement}", .form = core::SafeStep::Form::backfill}}}};
inline constexpr Rule kAffectedRows{
    "affected-row-limit", kError, kError,
    "INSERT … SELECT writes as many rows as {name} yields in one transaction; do it in batches"};
inline constexpr Rule kRowLocks{
    "locking-every-row", kError, kError,
    "{kind} without WHERE locks every row of {table} until the step ends: whoever writes one of them waits"};
inline constexpr Rule kAssignedTwice{"column-assigned-twice", kError, kError,
                                     "{kind} names {table}.{column} twice, which PostgreSQL refuses"};

// what a transaction holds together
inline constexpr Rule kAfterAccessExclusive{
    "statement-after-access-exclusive",
    kWarning,
    kWarning,
    "{kind} may take long, and runs while the statement before holds ACCESS EXCLUSIVE on {table}; nobody reads {table} "
    "meanwhile",
    {{{.text = "{statement}", .note = "in a step of its own"}}}};
inline constexpr Rule kEnumValueTogether{"enum-value-in-same-transaction",
                                         kError,
                                         kError,
                                         "PostgreSQL refuses the new value {name} of {object} in the transaction that "
                                         "adds it",
                                         {{{.text = "{statement}", .note = "in a step of its own, after the other"}}}};
inline constexpr Rule kMultipleAlter{"multiple-alter-table",
                                     kWarning,
                                     kWarning,
                                     "{table} is altered by several statements that one ALTER TABLE could make",
                                     {{{.text = "{statement}"}}}};
inline constexpr Rule kMultipleForeignKeys{
    "multiple-foreign-keys",
    kWarning,
    kWarning,
    "several foreign keys in one transaction block writes to all the tables that they reference at once",
    {{{.text = "{statement}", .note = "in a step of its own"}}}};
inline constexpr Rule kIndexReplaced{
    "index-replaced-in-wrong-order",
    kWarning,
    kWarning,
    "{object} is dropped before its replacement on {table} is built: queries have neither meanwhile",
    {{{.text = "{statement}", .note = "after the step that creates {name}"}}}};

// what turns out badly later
inline constexpr Rule kWideIndex{"wide-index", kWarning, kWarning,
                                 "an index over {name} columns that is not unique is rarely used beyond the third"};
inline constexpr Rule kIndexCorruption{
    "concurrent-index-corruption",
    kError,
    kError,
    "PostgreSQL 14.0 to 14.3 can corrupt an index that is built or rebuilt CONCURRENTLY; upgrade to 14.4 first",
    {},
    140000,
    140004};
inline constexpr Rule kForeignKeyIndex{
    "missing-foreign-key-index",
    kWarning,
    kWarning,
    "no index of {table} begins with {column}: each DELETE or key UPDATE on {name} scans {table}",
    {{{.text = "CREATE INDEX CONCURRENTLY {object} ON {table} ({column})", .note = "in a step of its own"}}}};
inline constexpr Rule kForeignKeyType{
    "mismatched-foreign-key-type", kWarning, kWarning,
    "{table}.{column} is {type}, but {name}: values that the other can hold do not fit, or each check needs a cast"};
inline constexpr Rule kOnDeleteCascade{
    "ban-on-delete-cascade", kWarning, kWarning,
    "ON DELETE CASCADE lets one DELETE on {name} remove any number of rows of {table} "
    "in one transaction"};
inline constexpr Rule kMayFail{
    "data-depends",
    kWarning,
    kWarning,
    "this fails where rows of {table} have equal {column}; look before",
    {{{.text = "SELECT {column} FROM {table} WHERE {name} GROUP BY {column} HAVING count(*) > 1 LIMIT 10",
       .note = "to look"}}}};
inline constexpr Rule kJson{"add-column-json",
                            kWarning,
                            kWarning,
                            "json has no equality operator, so SELECT DISTINCT, GROUP BY and UNION fail on {column}",
                            {{{.text = "{statement}", .note = "with jsonb"}}}};
inline constexpr Rule kBigintOverInt{"prefer-bigint-over-int",
                                     kWarning,
                                     kWarning,
                                     "key {column} runs out after 2,147,483,647 values, and a wider one is a rewrite",
                                     {{{.text = "{statement}", .note = "with bigint"}}}};
inline constexpr Rule kBigintOverSmallint{"prefer-bigint-over-smallint",
                                          kWarning,
                                          kWarning,
                                          "key {column} runs out after 32,767 values, and a wider one is a rewrite",
                                          {{{.text = "{statement}", .note = "with bigint"}}}};
inline constexpr Rule kPreferIdentity{
    "prefer-identity",
    kWarning,
    kWarning,
    "serial makes a sequence with rights and an owner of its own, and lets INSERTs bypass it unseen",
    {{{.text = "{statement}", .note = "with bigint GENERATED BY DEFAULT AS IDENTITY"}}}};
inline constexpr Rule kPreferText{"prefer-text-field",
                                  kWarning,
                                  kWarning,
                                  "a limit on {column} that must shrink one day, or change its type, is a rewrite",
                                  {{{.text = "{statement}", .note = "with text"}}}};
inline constexpr Rule kPreferTimestamptz{"prefer-timestamptz",
                                         kWarning,
                                         kWarning,
                                         "{column} forgets its time zone: what moment it means depends on who reads it",
                                         {{{.text = "{statement}", .note = "with timestamptz"}}}};
inline constexpr Rule kBanChar{"ban-char-field",
                               kWarning,
                               kWarning,
                               "char(n) is padded with blanks, which comparisons and applications treat differently",
                               {{{.text = "{statement}", .note = "with text"}}}};
inline constexpr Rule kCreateDomain{
    "ban-create-domain-with-constraint",
    kWarning,
    kWarning,
    "a domain's constraint can later be changed only by checking every table that uses it",
    {{{.text = "CREATE DOMAIN {object} AS {type}", .note = "and a CHECK on each table"}}}};
inline constexpr Rule kCreatingEnum{"creating-enum", kWarning, kWarning,
                                    "values of an enum can be added but never removed, and their order is fixed; a "
                                    "lookup table, or text with a CHECK, can change"};
inline constexpr Rule kEnumOrdering{"require-enum-value-ordering",
                                    kWarning,
                                    kWarning,
                                    "a new value of {object} goes last, and its place cannot be changed later",
                                    {{{.text = "{statement} AFTER <value>"}}}};
inline constexpr Rule kAlignment{"column-alignment",
                                 kWarning,
                                 kWarning,
                                 "the order of {table}'s columns wastes {name} bytes a row on padding",
                                 {{{.text = "CREATE TABLE {table} (<{column}>)", .note = "in this order"}}}};

// of the plan itself
inline constexpr Rule kUnknownColumn{"unknown-column", kError, kError,
                                     "a backfill of {table} knows no column {column}"};
inline constexpr Rule kBackfillWithoutWay{"backfill-without-way", kError, kError,
                                          "a backfill cannot walk {table}: {name}"};
inline constexpr Rule kBackfillWithoutNeeds{"backfill-without-needs", kWarning, kWarning,
                                            "contract destroys in {table} what this backfill copies from: a value that "
                                            "old code writes after its row was copied "
                                            "is lost"};
inline constexpr Rule kUnusedIgnore{"unused-ignore", kWarning, kWarning, "this allows nothing: {name}"};

// All of them, for the reference and for tests that every one is tested.
[[nodiscard]] std::span<const Rule* const> all_rules();

// Where one of these is broken the step could not be carried out, undone or recovered as the daemon promises: no
// `allow` lets it pass, and it holds for an undo as well.
inline constexpr auto kStructuralRules = std::to_array<std::string_view>(
    {kSyntaxError.name, kTransactionNesting.name, kUncommittedTransaction.name, kConcurrentInTransaction.name,
     kRequireIndexName.name, kOneConcurrentDrop.name, kManagedSetting.name, kRequireLockTimeout.name,
     kRequireStatementTimeout.name, kBanDropDatabase.name});
[[nodiscard]] constexpr bool is_structural(std::string_view rule) {
  return contains(kStructuralRules, rule);
}

}  // namespace diastole::sql
