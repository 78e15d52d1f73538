// Rules on what running old code does not survive: what goes, is called otherwise, or asks more of its rows. A part of
// rules.hpp.
#pragma once

#include "rule.hpp"

namespace diastole::sql {

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

}  // namespace diastole::sql
