// Who is connected to a target's servers, and the end of those who must go.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "pg_target.hpp"
#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

using core::Session;
using ports::TargetResult;

constexpr Milliseconds kScanPatience{2'000};
constexpr Milliseconds kEndPatience{3'000};

// As pg_terminate_backend() judges it.
constexpr std::string_view kEnd =
    "WITH wanted AS (SELECT a.pid, coalesce(a.usename, '')::text AS role, (pg_has_role(a.usesysid, 'USAGE') "
    "OR pg_has_role('pg_signal_backend', 'USAGE')) AND (NOT coalesce(r.rolsuper, false) OR (SELECT rolsuper FROM "
    "pg_roles WHERE rolname = current_user)) AS may FROM pg_stat_activity a JOIN unnest('{{{}}}'::bigint[], "
    "'{{{}}}'::bigint[]) AS w(pid, started) ON a.pid = w.pid AND {} = w.started LEFT JOIN pg_roles r "
    "ON r.oid = a.usesysid WHERE a.datname = current_database()) "
    "SELECT role, may, CASE WHEN may THEN pg_terminate_backend(pid) ELSE false END, current_user FROM wanted";

}  // namespace

core::SessionScan PgTarget::scan(const ports::SessionRequest& request, Milliseconds patience) {
  const auto deadline = SessionScanner::Clock::now() + patience;
  std::vector<std::future<SessionScanner::Answer>> asked;
  asked.reserve(scanners_.size());
  for (const auto& scanner : scanners_) asked.push_back(scanner->ask(request, deadline));
  core::SessionScan scan;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const bool answered = asked[i].wait_until(deadline) == std::future_status::ready;
    auto answer = answered ? asked[i].get() : scanners_[i]->no_answer();
    scan.servers.push_back(std::move(answer.scan));
    std::ranges::move(answer.sessions, std::back_inserter(scan.sessions));
    if (answer.quarantined_for) scan.quarantined_for = answer.quarantined_for;
  }
  return scan;
}

TargetResult<core::SessionScan> PgTarget::sessions(const ports::SessionRequest& request) {
  return scan(request, kScanPatience);
}

TargetResult<std::int64_t> PgTarget::end_on(Connection& connection, const std::vector<const Session*>& sessions) {
  std::vector<std::int64_t> pids;
  std::vector<std::int64_t> started;
  for (const Session* session : sessions) {
    pids.push_back(session->pid);
    started.push_back(session->started_us);
  }
  std::int64_t ended = 0;
  std::set<std::string> refused;
  std::string ours;
  try {
    const Watchdog watchdog(connection.raw().sock(), kEndPatience);
    pqxx::nontransaction session(connection.raw());
    for (const auto& row : session.exec(fmt::format(kEnd, fmt::join(pids, ","), fmt::join(started, ","), kStartedUs))) {
      ended += row[2].as<bool>() ? 1 : 0;
      if (!row[1].as<bool>()) refused.insert(row[0].as<std::string>());
      ours = session.quote_name(row[3].as<std::string>());
    }
  } catch (...) {
    connection.spoil();
    return std::unexpected(target_error(connection, std::current_exception()));
  }
  if (refused.empty()) return ended;
  return target_fail(ErrorCode::conflict,
                     fmt::format("our role may not end sessions of {} on {}; GRANT pg_signal_backend TO {} (a "
                                 "superuser's sessions only a superuser may end)",
                                 fmt::join(refused, ", "), connection.database(), ours),
                     "42501");
}

TargetResult<std::int64_t> PgTarget::end_sessions(const std::vector<Session>& sessions) {
  std::map<std::string, std::vector<const Session*>> by_server;
  for (const auto& session : sessions) {
    // A prepared transaction has no session any more.
    if (session.prepared.empty()) by_server[session.server].push_back(&session);
  }
  std::int64_t ended = 0;
  std::optional<ports::TargetError> failed;
  for (const auto& [server, theirs] : by_server) {
    const auto scanner = std::ranges::find(scanners_, server, [](const auto& known) { return known->server(); });
    if (scanner == scanners_.end())
      return target_fail(ErrorCode::invalid_argument, fmt::format("{} has no server called {}", name_, server));
    auto connection = Connection::open((*scanner)->options());
    // What can be ended is, whatever becomes of the other servers.
    auto here = connection ? end_on(**connection, theirs)
                           : TargetResult<std::int64_t>(std::unexpected(target_error(connection.error())));
    if (here) {
      ended += *here;
    } else if (!failed) {
      failed = std::move(here.error());
    }
  }
  if (failed) return std::unexpected(std::move(*failed));
  return ended;
}

}  // namespace diastole::postgres
