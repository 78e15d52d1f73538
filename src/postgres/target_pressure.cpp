// The load on a target, from its statistics. Each reading is a short transaction of its own, so that one which cannot
// be made leaves the others alone; together they are bounded in time whatever the server does.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>

#include "backfill_course.hpp"
#include "pg_target.hpp"
#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

using core::Pressure;
using ports::TargetResult;

constexpr int kLockWaitStart = 140000;     // pg_locks.waitstart
constexpr int kCheckpointerView = 170000;  // pg_stat_checkpointer
constexpr Milliseconds kSlotPatience{1'000};
constexpr Milliseconds kStatementTime{1'000};
constexpr Milliseconds kReadingTime{5'000};

std::string kept_text(const pqxx::row::reference& field) {
  return field.as<std::string>("");
}

Milliseconds milliseconds(const pqxx::row::reference& field) {
  return Milliseconds{field.as<std::int64_t>(0)};
}

class PressureReader {
 public:
  PressureReader(Connection& connection, const ports::BackfillWork& work, const core::ThrottleLimits& limits,
                 const std::filesystem::path& disk)
      : connection_(connection), work_(work), limits_(limits), disk_(disk) {}

  Pressure read(const std::stop_token& stop) {
    using Reading = void (PressureReader::*)();
    for (const Reading reading :
         {&PressureReader::read_sessions, &PressureReader::read_standbys, &PressureReader::read_vacuums,
          &PressureReader::read_archiving, &PressureReader::read_checkpoints, &PressureReader::read_disk,
          &PressureReader::read_probe, &PressureReader::read_hold_while}) {
      if (stop.stop_requested()) break;
      (this->*reading)();
    }
    return std::move(pressure_);
  }

 private:
  // Runs body in a transaction that can change nothing; what PostgreSQL refuses is its answer's to report.
  template <typename Body>
  std::string attempt(Body body) {
    try {
      pqxx::work work(connection_.raw());
      work.exec(fmt::format(
          "SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
          kStatementTime.count(), kStatementTime.count() / 2));
      body(work);
      return {};
    } catch (const pqxx::broken_connection&) {
      throw;
    } catch (const pqxx::sql_error& error) {
      if (error.sqlstate() == "57014") return fmt::format("no answer within {}", format_duration(kStatementTime));
      return target_error(connection_, std::current_exception()).failure.message;
    }
  }
  template <typename Body>
  void reading(std::string_view what, Body body) {
    if (auto why = attempt(body); !why.empty()) pressure_.unreadable.push_back(fmt::format("{}: {}", what, why));
  }

  void read_sessions();
  void read_standbys();
  void read_vacuums();
  void read_archiving();
  void read_checkpoints();
  void read_disk();
  void read_probe();
  void read_hold_while();

  Connection& connection_;
  const ports::BackfillWork& work_;
  const core::ThrottleLimits& limits_;
  const std::filesystem::path& disk_;
  Pressure pressure_;
};

void PressureReader::read_sessions() {
  reading("statistics of other sessions", [&](pqxx::work& work) {
    if (!work.exec("SELECT pg_has_role('pg_read_all_stats', 'USAGE')")[0][0].as<bool>())
      pressure_.unreadable.emplace_back(
          "statistics of other sessions: the daemon's role is not a member of pg_monitor, so that standbys, vacuums "
          "and old snapshots stay unseen");
    // Whoever prunes looks at the oldest transaction of the database, but passes over vacuums.
    const auto oldest = work.exec(
        "SELECT who, (extract(epoch FROM age) * 1000)::bigint FROM ("
        "SELECT format('session %s (%s)', a.pid, a.application_name) AS who, clock_timestamp() - a.xact_start AS age "
        "FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_type = 'client backend' "
        "AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.application_name !~ '^diastole' "
        "AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid) "
        "UNION ALL SELECT format('prepared transaction %s', gid), clock_timestamp() - prepared FROM pg_prepared_xacts "
        "WHERE database = current_database()) AS snapshots ORDER BY age DESC NULLS LAST LIMIT 1");
    if (!oldest.empty())
      pressure_.oldest_snapshot = Pressure::Snapshot{.who = kept_text(oldest[0][0]), .age = milliseconds(oldest[0][1])};
    if (limits_.lock_wait.count() == 0) return;
    const auto waits = query(
        work,
        fmt::format("WITH ours AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name ~ ('^diastole/[0-9]+/' || $1 || '/')), "
                    "waiting AS MATERIALIZED (SELECT a.pid, a.application_name, {} AS since FROM pg_locks l "
                    "JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.application_name !~ '^diastole/') "
                    "SELECT application_name, pid, (extract(epoch FROM clock_timestamp() - since) * 1000)::bigint "
                    "FROM waiting WHERE EXISTS (SELECT FROM ours WHERE ours.pid = ANY (pg_blocking_pids(waiting.pid))) "
                    "ORDER BY since LIMIT 1",
                    connection_.server_version() >= kLockWaitStart ? "coalesce(l.waitstart, a.state_change)"
                                                                   : "a.state_change"),
        work_hash(work_.id));
    if (!waits.empty())
      pressure_.lock_wait = Pressure::LockWait{.application = kept_text(waits[0][0]),
                                               .pid = waits[0][1].as<std::int64_t>(),
                                               .time = milliseconds(waits[0][2])};
  });
}

// Physical standbys only: a subscriber of logical replication confirms what concerns it, and may be behind for ever.
void PressureReader::read_standbys() {
  if (limits_.replica_lag.count() == 0 && limits_.replica_bytes == 0 && limits_.replica_gone.count() == 0) return;
  reading("standbys", [&](pqxx::work& work) {
    if (!work.exec("SELECT pg_has_role('pg_read_all_stats', 'USAGE')")[0][0].as<bool>()) return;
    const auto found = work.exec(
        "SELECT coalesce('slot ' || s.slot_name, format('%s at %s', r.application_name, r.client_addr)), "
        "r.application_name, pg_wal_lsn_diff(r.replay_lsn, '0/0')::bigint, "
        "greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn), 0)::bigint, "
        "(extract(epoch FROM r.replay_lag) * 1000)::bigint, coalesce(s.slot_name, ''), true "
        "FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid "
        "WHERE r.state IN ('streaming', 'catchup') AND r.replay_lsn IS NOT NULL "
        "AND s.slot_type IS DISTINCT FROM 'logical' "
        "UNION ALL SELECT 'slot ' || slot_name, slot_name, pg_wal_lsn_diff(restart_lsn, '0/0')::bigint, "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, NULL, slot_name, false "
        "FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active AND restart_lsn IS NOT NULL "
        "ORDER BY 1");
    std::vector<Pressure::Standby> standbys;
    std::map<std::string, int> same;  // several on one host may share a name
    for (const auto& row : found) {
      auto id = kept_text(row[0]);
      if (const int number = ++same[id]; number > 1) id += fmt::format(" #{}", number);
      standbys.push_back({.id = std::move(id),
                          .name = kept_text(row[1]),
                          .replayed = row[2].as<std::int64_t>(),
                          .behind = row[3].as<std::int64_t>(),
                          .lag = row[4].is_null() ? std::nullopt : std::optional(milliseconds(row[4])),
                          .slot = kept_text(row[5]),
                          .connected = row[6].as<bool>()});
    }
    pressure_.standbys = std::move(standbys);
  });
}

void PressureReader::read_vacuums() {
  if (!limits_.vacuum) return;
  reading("vacuums", [&](pqxx::work& work) {
    // Those of the table, of its partitions and of their TOAST tables; not those that plans ask for.
    for (const auto& row :
         query(work,
               family_of(1) + " SELECT c.oid::regclass::text, a.query LIKE '%(to prevent wraparound)' "
                              "FROM pg_stat_progress_vacuum v JOIN pg_class c ON v.relid IN (c.oid, c.reltoastrelid) "
                              "JOIN pg_stat_activity a ON a.pid = v.pid "
                              "WHERE v.datname = current_database() AND c.oid IN (SELECT oid FROM family) "
                              "AND a.application_name !~ '^diastole/'",
               work_.backfill.table)) {
      pressure_.vacuums.push_back({.relation = kept_text(row[0]), .wraparound = row[1].as<bool>(false)});
    }
  });
}

void PressureReader::read_archiving() {
  if (limits_.unarchived == 0) return;
  reading("WAL archiving", [&](pqxx::work& work) {
    if (work.exec("SELECT current_setting('archive_mode') = 'off'")[0][0].as<bool>()) return;
    pressure_.unarchived =
        work.exec(
                "SELECT count(*) * pg_size_bytes(current_setting('wal_segment_size')) FROM pg_ls_archive_statusdir() "
                "WHERE name LIKE '%.ready'")[0][0]
            .as<std::int64_t>();
  });
}

void PressureReader::read_checkpoints() {
  if (limits_.checkpoint_gap.count() == 0) return;
  reading("checkpoints", [&](pqxx::work& work) {
    pressure_.forced_checkpoints = work.exec(connection_.server_version() >= kCheckpointerView
                                                 ? "SELECT num_requested FROM pg_stat_checkpointer"
                                                 : "SELECT checkpoints_req FROM pg_stat_bgwriter")[0][0]
                                       .as<std::int64_t>();
  });
}

void PressureReader::read_disk() {
  if (limits_.disk_free == 0 || disk_.empty()) return;
  std::error_code error;
  const auto space = std::filesystem::space(disk_, error);
  if (error)
    pressure_.unreadable.push_back(fmt::format("free disk: {}: {}", disk_.string(), error.message()));
  else
    pressure_.disk_free = static_cast<std::int64_t>(space.available);
}

void PressureReader::read_probe() {
  if (limits_.probe.count() == 0 || work_.backfill.probe.empty()) return;
  using Clock = std::chrono::steady_clock;
  auto began = Clock::now();
  const auto why = attempt([&](pqxx::work& work) {
    began = Clock::now();
    query(work, work_.backfill.probe);
    pressure_.probe = std::chrono::round<Milliseconds>(Clock::now() - began);
  });
  if (why.empty()) return;
  // One that is too slow to be measured is slow.
  if (Clock::now() - began >= kStatementTime)
    pressure_.probe = kStatementTime;
  else
    pressure_.unreadable.push_back("probe: " + why);
}

void PressureReader::read_hold_while() {
  const auto& sql = work_.backfill.hold_while;
  if (sql.empty()) return;
  std::string unfit;
  const auto refused = attempt([&](pqxx::work& work) {
    const auto answer = query(work, sql);
    const bool one = answer.size() == 1 && answer.columns() == 1 && !answer[0][0].is_null();
    const auto text = one ? kept_text(answer[0][0]) : "";
    if (text == "t" || text == "f")
      pressure_.hold_while = text == "t";
    else
      unfit = "it does not return one true or false";
  });
  pressure_.hold_while_error = refused.empty() ? unfit : refused;
}

}  // namespace

TargetResult<Pressure> PgTarget::backfill_pressure(const ports::BackfillWork& work, const core::ThrottleLimits& limits,
                                                   std::stop_token stop) {
  auto connection = pool_.checkout(kSlotPatience);
  if (!connection) return std::unexpected(target_error(connection.error()));
  const Watchdog watchdog((*connection)->raw().sock(), kReadingTime);
  try {
    return PressureReader(**connection, work, limits, disk_).read(stop);
  } catch (...) {
    (*connection)->spoil();
    return std::unexpected(target_error(**connection, std::current_exception()));
  }
}

}  // namespace diastole::postgres
