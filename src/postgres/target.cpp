#include "diastole/postgres/target.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

#include "diastole/codec/plan_codec.hpp"
#include "migrate.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using ports::TargetError;
using ports::TargetResult;
using ports::WorkDone;
using ports::WorkId;

constexpr int kOldestServer = 120000;
// A cap, not a reserve: sessions are opened when needed. Each work in hand needs one, and one more while it is blocked.
constexpr std::size_t kMaxSessions = 64;
constexpr Milliseconds kFencePatience{2'000};
constexpr int kFenceAttempts = 3;
constexpr std::chrono::seconds kSettlePatience{10};
constexpr std::chrono::milliseconds kSettlePoll{20};
constexpr std::size_t kMaxApplicationName = 63;  // NAMEDATALEN - 1
constexpr std::size_t kHashDigits = 16;

// Often enough to see a blocker before the lock timeout ends the wait.
Milliseconds look_every(Milliseconds lock_timeout) {
  if (lock_timeout.count() == 0) return kLookEvery;
  return std::clamp(lock_timeout / 3, Milliseconds{5}, kLookEvery);
}

std::unexpected<TargetError> rolled_back() {
  return target_fail(ErrorCode::interrupted, "stopped on request; rolled back");
}

void set_up(pqxx::work& work, const UnitSpec& spec) {
  work.exec(
      fmt::format("SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; SET LOCAL application_name = {}{}",
                  spec.lock_timeout.count(), spec.statement_timeout.count(), work.quote(session_name(spec.id)),
                  spec.lossy ? "; SET LOCAL synchronous_commit = off" : ""));
}

bool holds_fence(Connection& connection, pqxx::work& work, Epoch epoch, const std::string& owner) {
  connection.prepare("fence", "SELECT 1 FROM diastole.fence WHERE epoch = $1 AND owner = $2::uuid FOR SHARE");
  return !execute(work, "fence", epoch.value, owner).empty();
}

}  // namespace

std::unique_ptr<ports::Target> make_target(const TargetName& name, std::string dsn, std::string owner, ports::Log& log,
                                           std::filesystem::path disk, const std::vector<std::string>& replicas) {
  return std::make_unique<PgTarget>(name, std::move(dsn), std::move(owner), log, std::move(disk), replicas);
}

std::string direction_text(ports::Direction direction) {
  return direction == ports::Direction::forward ? "forward" : "undo";
}

std::string work_hash(const WorkId& id) {
  constexpr std::string_view kPrefix = "sha256-";
  return codec::sha256(id.plan.str() + '\n' + id.step.str()).substr(kPrefix.size(), kHashDigits);
}

std::string session_name(const WorkId& id) {
  return fmt::format("diastole/{}/{}/{}", id.epoch.value, work_hash(id), id.step.str()).substr(0, kMaxApplicationName);
}

void claim_session(pqxx::nontransaction& session, const WorkId& id, Milliseconds lock_timeout,
                   Milliseconds statement_timeout) {
  session.exec(fmt::format("SET lock_timeout = {}; SET statement_timeout = {}; SET application_name = {}",
                           lock_timeout.count(), statement_timeout.count(), session.quote(session_name(id))));
}

std::string text_array(const pqxx::transaction_base& transaction, const std::vector<std::string>& texts) {
  std::string array = "ARRAY[";
  for (const auto& text : texts) array += (array.ends_with('[') ? "" : ", ") + transaction.quote(text);
  return array + "]::text[]";
}

TargetResult<std::optional<LedgerRow>> ledger_row(pqxx::transaction_base& transaction, const WorkId& id) {
  const auto found = query(transaction,
                           "SELECT checksum, state = 'done', rows, "
                           "coalesce((extract(epoch FROM finished_at - started_at) * 1000)::bigint, 0) "
                           "FROM diastole.ledger WHERE plan = $1 AND step = $2 AND direction = $3",
                           id.plan.str(), id.step.str(), direction_text(id.direction));
  if (found.empty()) return std::nullopt;
  if (found[0][0].as<std::string>() != id.checksum) {
    return target_fail(
        ErrorCode::conflict,
        fmt::format("the target's ledger (diastole.ledger) has step {} of plan {} ({}) with other statements "
                    "(checksum {}, not {}): the plan was changed after it ran, or another plan had its name",
                    id.step.str(), id.plan.str(), direction_text(id.direction), found[0][0].as<std::string>(),
                    id.checksum));
  }
  return LedgerRow{.done = found[0][1].as<bool>(),
                   .rows = found[0][2].as<std::int64_t>(),
                   .duration = Milliseconds{found[0][3].as<std::int64_t>()}};
}

void take_back_opposite(pqxx::transaction_base& work, const WorkId& id) {
  query(work, "DELETE FROM diastole.ledger WHERE plan = $1 AND step = $2 AND direction <> $3", id.plan.str(),
        id.step.str(), direction_text(id.direction));
}

WorkDone finish_in_ledger(pqxx::transaction_base& work, const WorkId& id, std::int64_t rows) {
  take_back_opposite(work, id);
  const auto written =
      query(work,
            "INSERT INTO diastole.ledger (plan, step, direction, checksum, epoch, state, backend_pid, "
            "started_at, finished_at, rows) "
            "VALUES ($1, $2, $3, $4, $5, 'done', pg_backend_pid(), now(), clock_timestamp(), $6) "
            "RETURNING (extract(epoch FROM finished_at - started_at) * 1000)::bigint",
            id.plan.str(), id.step.str(), direction_text(id.direction), id.checksum, id.epoch.value, rows);
  return WorkDone{.rows = rows, .duration = Milliseconds{written[0][0].as<std::int64_t>()}};
}

PgTarget::PgTarget(const TargetName& name, std::string dsn, std::string owner, ports::Log& log,
                   std::filesystem::path disk, const std::vector<std::string>& replicas)
    : name_("target " + name.str()),
      owner_(std::move(owner)),
      disk_(std::move(disk)),
      log_(log),
      pool_({.dsn = dsn, .application_name = "diastole: target " + name.str(), .database = name_}, kMaxSessions) {
  ConnectionOptions options{
      .dsn = std::move(dsn), .application_name = "diastole: sessions of " + name.str(), .database = name_};
  scanners_.push_back(std::make_unique<SessionScanner>("primary", options, true));
  for (const auto& replica : replicas) {
    const auto server = fmt::format("replica {}", scanners_.size());
    options.dsn = replica;
    options.database = fmt::format("{} of {}", server, name_);
    scanners_.push_back(std::make_unique<SessionScanner>(server, options, false));
  }
}

TargetResult<void> PgTarget::transact(const UnitSpec& spec, const std::stop_token& stop, const UnitBody& body) {
  auto connection = pool_.checkout();
  if (!connection) return std::unexpected(target_error(connection.error()));
  return transact_on(**connection, spec, stop, body);
}

TargetResult<void> PgTarget::transact_on(Connection& connection, const UnitSpec& spec, const std::stop_token& stop,
                                         const UnitBody& body) {
  SessionWatch watch(connection, pool_, stop, look_every(spec.lock_timeout));
  Position at;
  try {
    pqxx::work work(connection.raw());
    Unit unit{.connection = connection, .work = work, .at = at};
    set_up(work, spec);
    if (!holds_fence(connection, work, spec.id.epoch, owner_)) {
      return target_fail(ErrorCode::fenced, fmt::format("epoch {} no longer rules {}", spec.id.epoch.value, name_));
    }
    if (auto done = body(unit); !done) return done;
    if (!watch.leave_alone()) {
      connection.spoil();
      return rolled_back();
    }
    if (auto committed = connection.commit(work); !committed) return std::unexpected(target_error(committed.error()));
    return {};
  } catch (...) {
    connection.spoil();
    auto error = target_error(connection, std::current_exception(), at.sql, at.statement);
    const bool timed_out = error.failure.sqlstate == "57014";
    if (timed_out && stop.stop_requested()) return rolled_back();
    if (timed_out || error.code == ErrorCode::lock_timeout) error.failure.blockers = watch.blockers();
    return std::unexpected(std::move(error));
  }
}

TargetResult<void> PgTarget::inspect(const std::function<TargetResult<void>(Connection&)>& body) {
  auto connection = pool_.checkout();
  if (!connection) return std::unexpected(target_error(connection.error()));
  try {
    return body(**connection);
  } catch (...) {
    (*connection)->spoil();
    return std::unexpected(target_error(**connection, std::current_exception()));
  }
}

TargetResult<void> PgTarget::prepare(Epoch epoch) {
  return inspect([&](Connection& connection) -> TargetResult<void> {
    if (connection.server_version() < kOldestServer) {
      return target_fail(ErrorCode::conflict,
                         fmt::format("{} runs PostgreSQL {}; 12 is the oldest that plans can run on", name_,
                                     connection.server_version() / 10'000));
    }
    {
      pqxx::nontransaction session(connection.raw());
      if (session.exec("SELECT pg_is_in_recovery()")[0][0].as<bool>()) {
        return target_fail(
            ErrorCode::unavailable,
            fmt::format("{} is in recovery (a standby, read-only): its DSN must lead to the primary", name_));
      }
    }
    if (auto migrated = migrate(connection, "target", target_migrations()); !migrated) {
      return std::unexpected(target_error(migrated.error()));
    }
    for (int attempt = 1;; ++attempt) {
      auto raised = raise_fence(connection, epoch);
      if (raised || raised.error().code != ErrorCode::lock_timeout || attempt == kFenceAttempts) return raised;
      end_retired_sessions(connection, epoch);
    }
  });
}

TargetResult<void> PgTarget::raise_fence(Connection& connection, Epoch epoch) {
  try {
    pqxx::work work(connection.raw());
    work.exec(fmt::format("SET LOCAL lock_timeout = {}", kFencePatience.count()));
    query(work, "INSERT INTO diastole.fence (epoch, owner) VALUES ($1, $2::uuid) ON CONFLICT DO NOTHING", epoch.value,
          owner_);
    const auto fence = work.exec("SELECT epoch, owner FROM diastole.fence");
    const auto ruling = fence[0][0].as<std::int64_t>();
    const auto owner = fence[0][1].as<std::string>();
    if (owner != owner_) {
      return target_fail(
          ErrorCode::conflict,
          fmt::format("{} is managed by the daemon whose state database has owner {}, not by ours ({}); once that "
                      "daemon is gone for good, run there: UPDATE diastole.fence SET owner = '{}', epoch = 0;",
                      name_, owner, owner_, owner_));
    }
    if (ruling > epoch.value) {
      return target_fail(ErrorCode::fenced,
                         fmt::format("{} is ruled by epoch {}, later than ours, {}", name_, ruling, epoch.value));
    }
    // Written only where it rises: our own transactions in flight hold the row.
    if (ruling < epoch.value &&
        query(work, "UPDATE diastole.fence SET epoch = $1 WHERE epoch <= $1 AND owner = $2::uuid", epoch.value, owner_)
                .affected_rows() == 0) {
      return target_fail(ErrorCode::fenced,
                         fmt::format("{} was taken over by a later epoch than {}", name_, epoch.value));
    }
    if (auto committed = connection.commit(work); !committed) return std::unexpected(target_error(committed.error()));
    return {};
  } catch (...) {
    // Not spoiled: a lock timeout is expected here and leaves the session as it was.
    return std::unexpected(target_error(connection, std::current_exception()));
  }
}

void PgTarget::end_retired_sessions(Connection& connection, Epoch epoch) {
  pqxx::nontransaction session(connection.raw());
  const auto ended = query(session,
                           "SELECT pid, application_name, pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE datname = current_database() "
                           "AND CASE WHEN application_name ~ '^diastole/[0-9]{1,18}/[0-9a-f]{16}/' "
                           "THEN split_part(application_name, '/', 2)::bigint < $1 ELSE false END",
                           epoch.value);
  for (const auto& row : ended) {
    log_.warning("ended a session of an earlier epoch that held up the takeover",
                 {{"target", name_}, {"pid", row[0].as<std::string>()}, {"session", row[1].as<std::string>()}});
  }
}

TargetResult<core::Applied> PgTarget::settle(const WorkId& id, bool /*transactional*/) {
  core::Applied applied = core::Applied::none;
  auto settled = inspect([&](Connection& connection) -> TargetResult<void> {
    const auto deadline = std::chrono::steady_clock::now() + kSettlePatience;
    pqxx::nontransaction session(connection.raw());
    for (;;) {
      // By its name, or as the session that the ledger says began a statement outside a transaction.
      const auto alive =
          query(session,
                "SELECT a.pid, pg_terminate_backend(a.pid) FROM pg_stat_activity a "
                "WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() "
                "AND (a.application_name ~ ('^diastole/[0-9]+/' || $1 || '/') OR EXISTS "
                "(SELECT FROM diastole.ledger l WHERE l.plan = $2 AND l.step = $3 AND l.state = 'started' "
                "AND l.backend_pid = a.pid AND l.backend_start = a.backend_start))",
                work_hash(id), id.plan.str(), id.step.str());
      if (alive.empty()) break;
      const auto pid = alive[0][0].as<std::string>();
      if (std::chrono::steady_clock::now() >= deadline) {
        return target_fail(
            ErrorCode::unavailable,
            fmt::format("{}: session {} of an earlier attempt does not end; end it, then this goes on", name_, pid));
      }
      log_.info("ending a session of an earlier attempt",
                {{"target", name_}, {"plan", id.plan.str()}, {"step", id.step.str()}, {"pid", pid}});
      std::this_thread::sleep_for(kSettlePoll);
    }
    const auto row = ledger_row(session, id);
    if (!row) return std::unexpected(row.error());
    if (*row) {
      applied = (*row)->done ? core::Applied::full : core::Applied::partial;
    } else if (id.direction == ports::Direction::forward) {
      const auto visited = query(session,
                                 "SELECT FROM diastole.backfill_part WHERE plan = $1 AND step = $2 AND "
                                 "(done_to IS NOT NULL OR window_to IS NOT NULL OR done) UNION ALL "
                                 "SELECT FROM diastole.backfill WHERE plan = $1 AND step = $2 AND pass > 1",
                                 id.plan.str(), id.step.str());
      if (!visited.empty()) applied = core::Applied::partial;
    }
    return {};
  });
  if (!settled) return std::unexpected(std::move(settled.error()));
  return applied;
}

TargetResult<WorkDone> PgTarget::execute(const ports::StatementWork& work, std::stop_token stop) {
  WorkDone done;
  const UnitSpec spec{.id = work.id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
  auto committed = transact(spec, stop, [&](Unit& unit) -> TargetResult<void> {
    auto row = ledger_row(unit.work, work.id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (*row && (*row)->done) {
      done = {.rows = (*row)->rows, .duration = (*row)->duration, .was_done = true};
      return {};
    }
    // The statements may leave settings or temporary tables behind: nobody else shall inherit them.
    unit.connection.spoil();
    if (auto released = release_for(unit, work); !released) return released;
    std::int64_t rows = 0;
    for (const auto& statement : work.statements) {
      if (stop.stop_requested()) return rolled_back();
      ++unit.at.statement;
      unit.at.sql = statement.sql;
      rows += static_cast<std::int64_t>(unit.work.exec(statement.sql).affected_rows());
    }
    // Deferred constraints speak up now, while their complaint still has its SQLSTATE and its statement.
    unit.work.exec("SET CONSTRAINTS ALL IMMEDIATE");
    unit.at = {};
    if (work.last_look) {
      if (auto looked = last_look(unit.work, work.id.plan, *work.last_look); !looked) return looked;
    }
    done = finish_in_ledger(unit.work, work.id, rows);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return done;
}

}  // namespace diastole::postgres
