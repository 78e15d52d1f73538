// The catalogs of a target, bounded in time whatever the target does.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "catalog_reader.hpp"
#include "pg_target.hpp"
#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

using ports::TargetError;
using ports::TargetResult;

constexpr Milliseconds kSlotPatience{1'000};
constexpr Milliseconds kReadingTime{5'000};  // with the connecting, but never less than kLeastTime of reading
constexpr Milliseconds kLeastTime{1'000};
constexpr Milliseconds kLockPatience{500};

// Who holds what we had to wait for; best effort, in a transaction of its own.
std::string lockers(Connection& connection) {
  try {
    pqxx::work work(connection.raw());
    const auto row = work.exec(
        "SELECT string_agg(DISTINCT format('%s by session %s', l.relation::regclass, coalesce(l.pid::text, 'of a "
        "prepared transaction')), ', ') FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock' AND c.relkind <> 'i' "
        "AND c.relkind <> 't' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0];
    return row[0].is_null() ? std::string() : " (" + row[0].as<std::string>() + ")";
  } catch (const std::exception&) {
    return {};
  }
}

TargetError in_words(TargetError error, const std::string& name, bool timed_out, Connection& connection) {
  if (error.code == ErrorCode::lock_timeout) {
    error.failure.message =
        fmt::format("a relation of {} is locked ACCESS EXCLUSIVE meanwhile{}", name, lockers(connection));
  } else if (timed_out || error.failure.sqlstate == "57014") {
    error.code = ErrorCode::unavailable;
    error.failure.message = fmt::format("{} did not answer within {}", name, format_duration(kReadingTime));
  }
  return error;
}

}  // namespace

TargetResult<core::CatalogSnapshot> PgTarget::catalog(const core::CatalogRequest& request) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + kReadingTime;
  for (int attempt = 1;; ++attempt) {
    auto connection = pool_.checkout(kSlotPatience);
    if (!connection) return std::unexpected(target_error(connection.error()));
    const auto left = std::max(kLeastTime, std::chrono::floor<Milliseconds>(deadline - Clock::now()));
    const auto end = Clock::now() + left;
    const Watchdog watchdog((*connection)->raw().sock(), left);
    try {
      pqxx::work work((*connection)->raw());
      work.exec(
          fmt::format("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = {}; "
                      "SET LOCAL lock_timeout = {}; SET LOCAL jit = off",
                      left.count(), kLockPatience.count()));
      return CatalogReader(work, (*connection)->server_version()).read(request);
    } catch (...) {
      (*connection)->spoil();
      auto error = target_error(**connection, std::current_exception());
      // A relation was dropped between our snapshot and the moment when its definition was to be printed.
      if (error.failure.sqlstate == "XX000" && attempt == 1) continue;
      return std::unexpected(in_words(std::move(error), name_, Clock::now() >= end, **connection));
    }
  }
}

}  // namespace diastole::postgres
