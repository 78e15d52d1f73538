// Rules on what is done to rows, and on what a transaction holds together. A part of rules.hpp.
#pragma once

#include "rule.hpp"

namespace diastole::sql {

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

}  // namespace diastole::sql
