// The rules, as data: what each is called, where it refuses or warns, why, what to do instead, and for which servers it
// holds. The names are those of squawk, strong_migrations (with hyphens), eugene, Atlas or Bytebase where they have
// one. lint*.cpp finds where the rules are broken.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "contains.hpp"
#include "rule.hpp"
#include "rules_breaking.hpp"
#include "rules_columns.hpp"
#include "rules_later.hpp"
#include "rules_locks.hpp"
#include "rules_old_code.hpp"
#include "rules_rows.hpp"

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
