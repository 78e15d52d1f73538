// What a backfill would do: its way, its statements and PostgreSQL's plan of the first batch. Everything is rolled
// back, and nothing is written.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backfill_course.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using ports::BackfillPreview;
using ports::TargetResult;

std::string explained(pqxx::transaction_base& work, const std::string& statement) {
  std::string text;
  for (const auto& line : work.exec("EXPLAIN " + statement)) text += line[0].as<std::string>() + '\n';
  return text;
}

TargetResult<BackfillPreview> preview(pqxx::work& work, int server_version, const core::Backfill& backfill, int rows) {
  auto walk = walk_for(work, server_version, backfill);
  if (!walk) return std::unexpected(std::move(walk.error()));
  work.exec("SET LOCAL transaction_read_only = on");
  const auto course = course_of(work, backfill, *std::move(walk));
  CourseSql sql(work, backfill, course);
  auto parts = sql.parts();
  BackfillPreview preview{
      .walk = course.walk, .parts = {}, .window_sql = {}, .batch_sql = {}, .explain = {}, .refused = {}};
  for (const auto& part : parts) preview.parts.push_back({.relation = part.relation, .rows = part.rows_total});
  // The first part may be a partition without rows.
  for (auto& part : parts) {
    if (auto found = sql.refuse_scans(part); !found) preview.refused = std::move(found.error().failure.message);
    preview.window_sql = sql.window_sql(part, rows);
    sql.open_window(part, rows);
    if (!part.cursor.window_to) continue;
    preview.batch_sql = sql.change(part, sql.batch_to(part, rows).to);
    if (preview.batch_sql.empty()) continue;
    preview.explain = explained(work, preview.batch_sql);
    break;
  }
  return preview;
}

}  // namespace

TargetResult<BackfillPreview> PgTarget::backfill_preview(const ports::BackfillWork& work, int rows) {
  BackfillPreview seen;
  auto looked = inspect([&](Connection& connection) -> TargetResult<void> {
    pqxx::work transaction(connection.raw());
    transaction.exec(fmt::format("SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
                                 work.lock_timeout.count(), work.statement_timeout.count()));
    auto found = preview(transaction, connection.server_version(), work.backfill, std::max(rows, 1));
    if (!found) return std::unexpected(std::move(found.error()));
    seen = *std::move(found);
    return {};
  });
  if (looked) return seen;
  auto& error = looked.error();
  // Class 42: a table, column or function that is not there.
  if (error.failure.sqlstate.starts_with("42") && error.failure.sqlstate != "42501") {
    error.code = ErrorCode::conflict;
    error.failure.message = fmt::format(
        "PostgreSQL cannot plan a batch of it now: {}. It needs what expand adds: ask again once expand is done",
        error.failure.message);
  }
  return std::unexpected(std::move(error));
}

}  // namespace diastole::postgres
