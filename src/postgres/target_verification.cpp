// Whether a backfill has left nothing to do.
#include <fmt/format.h>

#include <utility>

#include "backfill_course.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using ports::BackfillWork;
using ports::TargetResult;

constexpr int kCountAtMost = 1'000;

UnitSpec looking(const BackfillWork& work) {
  return {.id = work.id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
}

// Leaves out the rows that are listed as skipped.
std::string not_skipped(pqxx::work& work, const BackfillWork& backfill) {
  if (backfill.backfill.on_error == core::OnError::stop) return {};
  const auto& table = backfill.backfill.table;
  const auto found = query(work,
                           "SELECT (SELECT quote_ident(relname) FROM pg_class WHERE oid = to_regclass($3)), (SELECT "
                           "key_names FROM diastole.backfill WHERE plan = $1 AND step = $2)",
                           backfill.id.plan.str(), backfill.id.step.str(), table)[0];
  const auto name = found[0].as<std::string>("");
  std::string key;
  for (const auto& column : row_names(work, texts_of(found[1]).value_or(std::vector<std::string>{}), table))
    key += fmt::format("{}{}.{}::text", key.empty() ? "" : ", ", name, column);
  return fmt::format(
      " AND NOT EXISTS (SELECT FROM diastole.backfill_skipped s WHERE s.plan = {} AND s.step = {} AND "
      "to_regclass(s.relation) = {}.tableoid AND s.key = ARRAY[{}])",
      work.quote(backfill.id.plan.str()), work.quote(backfill.id.step.str()), name, key);
}

// Rows that `where` selects.
std::string selected(pqxx::work& work, const BackfillWork& backfill, const std::string& where) {
  return fmt::format("SELECT 1 FROM {} WHERE ({}\n){} LIMIT {}", backfill.backfill.table, where,
                     not_skipped(work, backfill), kCountAtMost);
}

// Rows that the query returns.
std::string returned(std::string query_text) {
  query_text.erase(query_text.find_last_not_of(" \t\r\n;") + 1);
  return fmt::format("SELECT 1 FROM (\n{}\n) AS verification LIMIT {}", query_text, kCountAtMost);
}

std::int64_t counted(Unit& unit, const std::string& rows) {
  const auto sql = fmt::format("SELECT count(*) FROM ({}) AS remaining", rows);
  // A verification only looks.
  unit.work.exec("SET LOCAL transaction_read_only = on");
  unit.at = {.statement = 1, .sql = sql};
  return unit.work.exec(sql)[0][0].as<std::int64_t>();
}

// Sessions tell the statistics what they wrote within ten seconds of being idle, from PostgreSQL 15 on.
constexpr int kToldInTime = 150000;
constexpr Milliseconds kToldWithin{60'000};

// Rows inserted and updated so far, and when counting began.
constexpr std::string_view kWrites =
    ", seen AS (SELECT CASE WHEN current_setting('track_counts')::bool THEN "
    "(SELECT sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid))::bigint FROM family) END AS "
    "writes, (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS reset) ";

void remember_writes(Unit& unit, const BackfillWork& backfill) {
  if (unit.connection.server_version() < kToldInTime) return;
  query(unit.work,
        family_of(3) + std::string(kWrites) +
            "UPDATE diastole.backfill b SET verified_at = clock_timestamp(), verified_writes = seen.writes, "
            "verified_reset = seen.reset FROM seen WHERE b.plan = $1 AND b.step = $2",
        backfill.id.plan.str(), backfill.id.step.str(), backfill.backfill.table);
}

bool unwritten(Unit& unit, const BackfillWork& backfill) {
  return !query(unit.work,
                family_of(3) + std::string(kWrites) +
                    "SELECT FROM diastole.backfill b, seen WHERE b.plan = $1 AND b.step = $2 AND b.checksum = $4 AND "
                    "b.verified_writes = seen.writes AND b.verified_reset IS NOT DISTINCT FROM seen.reset AND "
                    "b.verified_at < clock_timestamp() - $5 * interval '1 ms'",
                backfill.id.plan.str(), backfill.id.step.str(), backfill.backfill.table, backfill.id.checksum,
                kToldWithin.count())
              .empty();
}

// We made the transaction read-only, not the server: the query is at fault.
ports::TargetError blamed(ports::TargetError error) {
  if (error.failure.sqlstate == "25006" && error.failure.statement == 1) error.code = ErrorCode::invalid_argument;
  return error;
}

}  // namespace

TargetResult<std::int64_t> PgTarget::backfill_remaining(const BackfillWork& work, std::stop_token stop) {
  const auto& backfill = work.backfill;
  const bool zero_rows = backfill.verify == "zero_rows";
  if (zero_rows ? backfill.where.empty() : backfill.verify.empty()) return 0;
  std::int64_t remaining = 0;
  auto looked = transact(looking(work), stop, [&](Unit& unit) -> TargetResult<void> {
    remember_writes(unit, work);
    remaining = counted(unit, zero_rows ? selected(unit.work, work, backfill.where) : returned(backfill.verify));
    return {};
  });
  if (!looked) return std::unexpected(blamed(std::move(looked.error())));
  return remaining;
}

TargetResult<ports::RecheckResult> PgTarget::backfill_recheck(const BackfillWork& work, Milliseconds quiet,
                                                              std::stop_token stop) {
  const auto& recheck = work.backfill.recheck;
  ports::RecheckResult result;
  if (recheck.where.empty() && recheck.query.empty()) return result;
  auto looked = transact(looking(work), stop, [&](Unit& unit) -> TargetResult<void> {
    result.unwritten = quiet >= kToldWithin && unwritten(unit, work);
    if (result.unwritten) return {};
    result.rows =
        counted(unit, recheck.query.empty() ? selected(unit.work, work, recheck.where) : returned(recheck.query));
    return {};
  });
  if (!looked) return std::unexpected(blamed(std::move(looked.error())));
  return result;
}

}  // namespace diastole::postgres
