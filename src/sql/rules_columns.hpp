// Rules on columns whose change holds locks for long; harmless on tables that are new or small. A part of rules.hpp.
#pragma once

#include "rule.hpp"

namespace diastole::sql {

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

}  // namespace diastole::sql
