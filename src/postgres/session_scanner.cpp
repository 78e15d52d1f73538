#include "session_scanner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "pg_target.hpp"
#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

constexpr int kConnectSeconds = 2;
constexpr Milliseconds kStatementTime{1'500};
// How long sessions that are being opened are waited for; it takes a few milliseconds.
constexpr Milliseconds kOpeningPatience{100};
constexpr Milliseconds kOpeningPoll{3};

// Between the check whether its role may log in and its appearance in pg_stat_activity a session is invisible there: a
// fence raised meanwhile would not have stopped it. All that time it is in a transaction, so pg_locks shows it.
constexpr const char* kFirstLook =
    "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), session_user, EXISTS (SELECT FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'diastole' AND c.relname = 'quarantine' "
    "AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), "
    "ARRAY(SELECT l.pid FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL "
    "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid))::text";

// Those of the first look that still are not there. Who came later finds the fence. Those that have passed the check
// hold a lock on the database; the others have their role's login still to be looked at, and may wait for their
// password for a minute.
constexpr std::string_view kOpening =
    "SELECT l.pid, EXISTS (SELECT FROM pg_locks d WHERE d.pid = l.pid AND d.locktype = 'object' "
    "AND d.classid = 'pg_database'::regclass AND d.objid = (SELECT oid FROM pg_database WHERE datname = "
    "current_database())) FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.pid = ANY ('{}'::integer[]) "
    "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)";

// Only a client's own session is somebody who runs a version. Parallel workers run for a session that is in the list
// itself, and end with it; autovacuum, walsenders, logical replication's workers and other background processes run no
// application's statements. Ours are those that are called so and are of our role: anybody can take a name.
constexpr std::string_view kSessions =
    "SELECT a.pid, {}, coalesce(a.usename, '')::text, coalesce(a.application_name, ''), a.datname::text, "
    "(extract(epoch FROM a.backend_start) * 1000)::bigint, '' FROM pg_stat_activity a "
    "WHERE a.backend_type = 'client backend' AND a.datname = current_database() AND NOT (a.usename = session_user "
    "AND (a.application_name LIKE 'diastole/%' OR a.application_name LIKE 'diastole: %')) "
    "UNION ALL SELECT 0, 0, p.owner::text, '', p.database::text, (extract(epoch FROM p.prepared) * 1000)::bigint, "
    "p.gid FROM pg_prepared_xacts p WHERE p.database = current_database() AND NOT pg_is_in_recovery() ORDER BY 6, 1";

// An expired password (rolvaliduntil) does not keep out who logs in without one. A connection limit does not bind a
// superuser.
constexpr std::string_view kLogins =
    "SELECT q.role, coalesce(r.rolcanlogin AND (r.rolsuper OR r.rolconnlimit <> 0), false) "
    "FROM unnest({}) WITH ORDINALITY AS q(role, place) LEFT JOIN pg_roles r ON r.rolname = q.role ORDER BY q.place";

// The pid of one that has passed the check and does not appear; none: empty.
std::string still_opening(pqxx::transaction_base& session, const std::string& pids,
                          SessionScanner::Clock::time_point deadline) {
  constexpr std::string_view kNone = "{}";
  if (pids == kNone) return {};
  const auto patience = std::min(deadline, SessionScanner::Clock::now() + kOpeningPatience);
  for (;;) {
    const auto found = session.exec(fmt::format(kOpening, pids));
    if (found.empty()) return {};
    if (SessionScanner::Clock::now() < patience) {
      std::this_thread::sleep_for(kOpeningPoll);
      continue;
    }
    const auto past = std::ranges::find_if(found, [](const pqxx::row& row) { return row[1].as<bool>(); });
    return past == found.end() ? std::string() : (*past)[0].as<std::string>();
  }
}

Milliseconds left_until(SessionScanner::Clock::time_point deadline) {
  return std::max(Milliseconds{1}, std::chrono::ceil<Milliseconds>(deadline - SessionScanner::Clock::now()));
}

}  // namespace

SessionScanner::SessionScanner(std::string server, ConnectionOptions options, bool primary)
    : server_(std::move(server)),
      options_{.dsn = std::move(options.dsn),
               .application_name = std::move(options.application_name),
               .database = std::move(options.database),
               .connect_seconds = kConnectSeconds},
      primary_(primary),
      thread_([this](const std::stop_token& stop) { serve(stop); }) {}

std::future<SessionScanner::Answer> SessionScanner::ask(ports::SessionRequest request, Clock::time_point deadline) {
  Job job{.request = std::move(request), .deadline = deadline, .promise = {}};
  auto answer = job.promise.get_future();
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  asked_.notify_one();
  return answer;
}

SessionScanner::Answer SessionScanner::no_answer() const {
  Answer answer;
  answer.scan = {
      .server = server_, .failed = fmt::format("{} did not answer in time", options_.database), .logins = {}};
  return answer;
}

void SessionScanner::serve(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (!asked_.wait(lock, stop, [this] { return !jobs_.empty(); })) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    // Those that a hanging server has left behind are not asked for any more.
    job.promise.set_value(Clock::now() >= job.deadline ? no_answer() : look(job));
  }
}

// A session that was lost between two looks is no news of the server.
SessionScanner::Answer SessionScanner::look(const Job& job) {
  const bool kept = session_ != nullptr;
  auto answer = look_once(job);
  if (kept && session_ == nullptr && Clock::now() < job.deadline) return look_once(job);
  return answer;
}

SessionScanner::Answer SessionScanner::look_once(const Job& job) {
  Answer answer;
  answer.scan.server = server_;
  if (session_ && session_->spoiled()) session_.reset();
  if (!session_) {
    auto opened = Connection::open(options_);
    if (!opened) {
      answer.scan.failed = opened.error().message;
      return answer;
    }
    session_ = std::move(*opened);
  }
  const auto read_all = session_->run([&]() -> Result<void> {
    const Watchdog watchdog(session_->raw().sock(), left_until(job.deadline));
    read(job, answer);
    return {};
  });
  if (read_all) return answer;
  session_.reset();
  answer = {};
  answer.scan = {.server = server_, .failed = read_all.error().message, .logins = {}};
  if (Clock::now() >= job.deadline) return no_answer();
  return answer;
}

void SessionScanner::read(const Job& job, Answer& answer) {
  // Each statement is a transaction of its own: pg_stat_activity would else be frozen at its first reading.
  pqxx::nontransaction session(session_->raw());
  session.exec(fmt::format("SET statement_timeout = {0}; SET lock_timeout = {0}",
                           std::min(kStatementTime, left_until(job.deadline)).count()));
  const auto first = session.exec(kFirstLook)[0];
  if (!first[0].as<bool>()) {
    answer.scan.failed = fmt::format("our role does not see other roles' sessions on {}; GRANT pg_read_all_stats TO {}",
                                     options_.database, session.quote_name(first[1].as<std::string>()));
  }
  if (const auto pid = still_opening(session, first[3].as<std::string>(), job.deadline); !pid.empty()) {
    answer.scan.failed =
        fmt::format("session {} of {} is being opened, and it does not show yet whose", pid, options_.database);
  }
  for (const auto& row : session.exec(fmt::format(kSessions, kStartedUs))) {
    answer.sessions.push_back({.server = server_,
                               .pid = row[0].as<std::int64_t>(),
                               .started_us = row[1].as<std::int64_t>(0),
                               .role = row[2].as<std::string>(),
                               .application_name = row[3].as<std::string>(),
                               .database = row[4].as<std::string>(),
                               .since = WallTime{Milliseconds{row[5].as<std::int64_t>(0)}},
                               .prepared = row[6].as<std::string>()});
  }
  if (!job.request.roles.empty()) {
    for (const auto& row : session.exec(fmt::format(kLogins, text_array(session, job.request.roles))))
      answer.scan.logins.push_back({.role = row[0].as<std::string>(), .can_login = row[1].as<bool>()});
  }
  if (!primary_ || !first[2].as<bool>()) return;
  const auto age = query(session,
                         "SELECT (extract(epoch FROM clock_timestamp() - max(at)) * 1000)::bigint "
                         "FROM diastole.quarantine WHERE plan = $1",
                         job.request.plan.str())[0][0];
  if (!age.is_null()) answer.quarantined_for = Milliseconds{std::max<std::int64_t>(0, age.as<std::int64_t>())};
}

}  // namespace diastole::postgres
