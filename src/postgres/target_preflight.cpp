// Obstacles to a phase, each as a reason that says what would clear it. Looks only: takes no lock on any of the tables.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "backfill_course.hpp"
#include "outside_statement.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

constexpr Milliseconds kPreflightLockPatience{2'000};  // for a moment of ACCESS SHARE, to print an expression

using core::Reason;
using core::ReasonKind;
using ports::PreflightRequest;
using ports::TargetResult;

// A relation's locks are taken on its partitions and children too.
constexpr std::string_view kFamily =
    "WITH RECURSIVE family(oid) AS (SELECT unnest({}::oid[]) UNION "
    "SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid) ";

// Only owners may do these. Of ALTER TABLE the first table is altered; others are referenced.
constexpr std::string_view kOwnerOfAll[] = {"DROP TABLE", "DROP INDEX", "REINDEX", "CREATE INDEX",
                                            "DROP MATERIALIZED VIEW"};

// The tables of the steps, as they will be when each step comes.
struct Concerns {
  std::vector<std::string> existing;  // must exist, in order of mention
  std::vector<std::string> owned;
  std::vector<std::string> indexed;  // get an index: their schema must let us create
  std::vector<std::string> created;
  std::vector<std::string> repaired;  // indexes that a step drops or rebuilds: may be INVALID
  std::vector<const core::Step*> backfills;
};

void add(std::vector<std::string>& list, const std::string& name) {
  if (std::ranges::find(list, name) == list.end()) list.push_back(name);
}

void add_statement(Concerns& concerns, const core::Statement& statement, const std::set<std::string>& made) {
  const bool owner_of_all =
      std::ranges::any_of(kOwnerOfAll, [&](std::string_view kind) { return statement.kind.starts_with(kind); });
  const auto tables = statement.tables();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto& table = tables[i];
    if (made.contains(table)) continue;
    add(concerns.existing, table);
    if (owner_of_all || (i == 0 && statement.kind.starts_with("ALTER TABLE"))) add(concerns.owned, table);
    if (statement.kind.starts_with("CREATE INDEX")) add(concerns.indexed, table);
  }
  for (const auto& table : statement.creates) add(concerns.created, table);
  if (!statement.index.empty() && read_outside_statement(statement.sql).kind != OutsideKind::create_index) {
    add(concerns.repaired, statement.index);
  }
}

Concerns concerns_of(const PreflightRequest& request) {
  Concerns concerns;
  std::set<std::string> made(request.created.begin(), request.created.end());
  for (const auto& step : request.steps) {
    for (const auto& statement : step.statements) {
      add_statement(concerns, statement, made);
      made.insert(statement.creates.begin(), statement.creates.end());
    }
    if (step.backfill && !made.contains(step.backfill->table)) {
      add(concerns.existing, step.backfill->table);
      concerns.backfills.push_back(&step);
    }
  }
  return concerns;
}

WallTime wall(std::int64_t milliseconds) {
  return WallTime{Milliseconds{milliseconds}};
}

Reason of_object(ReasonKind kind, std::string object, std::string message, std::string clears, std::string source) {
  Reason reason;
  reason.kind = kind;
  reason.object = std::move(object);
  reason.message = std::move(message);
  reason.clears = std::move(clears);
  reason.source = std::move(source);
  return reason;
}

// Everything runs in one transaction, which is rolled back.
class Preflight {
 public:
  Preflight(pqxx::work& work, int server_version, const PreflightRequest& request, std::vector<Reason>& reasons)
      : work_(work),
        server_version_(server_version),
        request_(request),
        concerns_(concerns_of(request)),
        reasons_(reasons) {}

  void run() {
    if (!writable()) return;
    relations();
    long_transactions();
    prepared_transactions();
    invalid_indexes();
    ownership();
    create_privileges();
    backfills();
  }

 private:
  bool writable();
  void relations();
  void long_transactions();
  void prepared_transactions();
  void invalid_indexes();
  void ownership();
  void create_privileges();
  void backfills();
  void backfill_privileges(const core::Backfill& backfill);

  [[nodiscard]] std::string family() const { return fmt::format(fmt::runtime(kFamily), oids_); }

  pqxx::work& work_;
  const int server_version_;
  const PreflightRequest& request_;
  const Concerns concerns_;
  std::vector<Reason>& reasons_;
  std::string oids_;  // of the tables that exist, as SQL
};

bool Preflight::writable() {
  const auto row = work_.exec("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool")[0];
  if (row[0].as<bool>()) {
    reasons_.push_back(of_object(ReasonKind::target_read_only, {},
                                 "the target is in recovery (a standby): it cannot be changed",
                                 "lead its DSN to the primary", "pg_is_in_recovery"));
  } else if (row[1].as<bool>()) {
    reasons_.push_back(of_object(ReasonKind::target_read_only, {}, "transactions on the target are read-only",
                                 "set default_transaction_read_only = off for its role or database",
                                 "default_transaction_read_only"));
  }
  return !row[1].as<bool>();
}

void Preflight::relations() {
  oids_ = "ARRAY[";
  for (const auto& row :
       work_.exec("SELECT t, to_regclass(t)::oid FROM unnest(" + text_array(work_, concerns_.existing) + ") AS t")) {
    const auto table = row[0].as<std::string>();
    if (row[1].is_null()) {
      reasons_.push_back(of_object(ReasonKind::relation_missing, table,
                                   fmt::format("relation {} does not exist", table),
                                   "create it, or correct the plan (or the role's search_path)", "pg_class"));
    } else {
      oids_ += (oids_.ends_with('[') ? "" : ", ") + row[1].as<std::string>();
    }
  }
  // A DROP INDEX names no table, but locks the index's.
  for (const auto& row : work_.exec("SELECT i.indrelid FROM unnest(" + text_array(work_, concerns_.repaired) +
                                    ") AS t JOIN pg_index i ON i.indexrelid = to_regclass(t)")) {
    oids_ += (oids_.ends_with('[') ? "" : ", ") + row[0].as<std::string>();
  }
  oids_ += "]";
}

void Preflight::long_transactions() {
  if (!work_.exec("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')")[0][0].as<bool>()) {
    reasons_.push_back(of_object(ReasonKind::privilege_missing, "pg_read_all_stats",
                                 "our role may not see how long other sessions' transactions last",
                                 "GRANT pg_read_all_stats TO the target's role", "pg_stat_activity"));
  }
  const auto found = query(
      work_,
      family() +
          "SELECT DISTINCT ON (a.xact_start, a.pid) a.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), "
          "coalesce(a.state, ''), (extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::bigint, "
          "(extract(epoch FROM a.xact_start) * 1000)::bigint, coalesce(left(a.query, 200), ''), "
          "l.relation::regclass::text "
          "FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'relation' AND l.granted "
          "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
          "JOIN family f ON f.oid = l.relation "
          "WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() "
          "AND a.xact_start < clock_timestamp() - $1 * interval '1 millisecond' ORDER BY a.xact_start, a.pid, "
          "l.relation",
      request_.long_transaction.count());
  for (const auto& row : found) {
    const auto pid = row[0].as<std::int64_t>();
    const Milliseconds age{row[4].as<std::int64_t>()};
    auto reason =
        of_object(ReasonKind::long_transaction, row[7].as<std::string>(),
                  fmt::format("session {} ({} as {}, {}) has held a lock on {} in a transaction for {}", pid,
                              row[1].as<std::string>(), row[2].as<std::string>(), row[3].as<std::string>(),
                              row[7].as<std::string>(), format_duration(age)),
                  fmt::format("end that transaction, or SELECT pg_terminate_backend({})", pid), "pg_stat_activity");
    reason.pid = pid;
    reason.age = age;
    reason.since = wall(row[5].as<std::int64_t>());
    reason.query = row[6].as<std::string>();
    reasons_.push_back(std::move(reason));
  }
}

void Preflight::prepared_transactions() {
  // Its locks have no pid, and its virtual transaction is not derived from its xid in every version: the lock that it
  // holds on its own xid leads from one to the other.
  const auto found =
      query(work_,
            family() +
                "SELECT p.gid, p.owner, (extract(epoch FROM clock_timestamp() - p.prepared) * 1000)::bigint, "
                "(extract(epoch FROM p.prepared) * 1000)::bigint, coalesce(min(f.oid::regclass::text), '') "
                "FROM pg_prepared_xacts p LEFT JOIN pg_locks x ON x.pid IS NULL AND x.locktype = 'transactionid' AND "
                "x.granted "
                "AND x.transactionid = p.transaction LEFT JOIN pg_locks l ON l.pid IS NULL AND l.locktype = 'relation' "
                "AND l.virtualtransaction = x.virtualtransaction LEFT JOIN family f ON f.oid = l.relation "
                "WHERE p.database = current_database() GROUP BY p.gid, p.owner, p.prepared "
                "HAVING count(f.oid) > 0 OR p.prepared < clock_timestamp() - $1 * interval '1 millisecond' ORDER BY "
                "p.prepared",
            request_.long_transaction.count());
  for (const auto& row : found) {
    const auto gid = row[0].as<std::string>();
    const auto table = row[4].as<std::string>();
    const Milliseconds age{row[2].as<std::int64_t>()};
    auto reason = of_object(
        ReasonKind::prepared_transaction, table,
        fmt::format("prepared transaction {} of {} is open since {}{}", work_.quote(gid), row[1].as<std::string>(),
                    format_duration(age), table.empty() ? "" : fmt::format(" and holds a lock on {}", table)),
        fmt::format("COMMIT PREPARED {0} or ROLLBACK PREPARED {0}", work_.quote(gid)), "pg_prepared_xacts");
    reason.age = age;
    reason.since = wall(row[3].as<std::int64_t>());
    reasons_.push_back(std::move(reason));
  }
}

void Preflight::invalid_indexes() {
  // The index of a partitioned table is INVALID by design until each partition has its own.
  const auto found = query(
      work_,
      family() +
          "SELECT c.oid::regclass::text, i.indrelid::regclass::text, format('%I.%I', n.nspname, c.relname) FROM "
          "pg_index i "
          "JOIN family f ON f.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = "
          "c.relnamespace "
          "WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready) AND NOT EXISTS (SELECT FROM diastole.ledger l "
          "WHERE l.plan = $1 AND l.state = 'started' AND (parse_ident(l.object))[array_length(parse_ident(l.object), "
          "1)] = c.relname) "
          "AND c.oid NOT IN (SELECT to_regclass(t)::oid FROM unnest(" +
          text_array(work_, concerns_.repaired) + ") AS t WHERE to_regclass(t) IS NOT NULL) ORDER BY 1",
      request_.ledger_plan);
  for (const auto& row : found) {
    reasons_.push_back(of_object(
        ReasonKind::invalid_index, row[0].as<std::string>(),
        fmt::format("index {} of {} is INVALID: left behind by an interrupted build, or being built",
                    row[0].as<std::string>(), row[1].as<std::string>()),
        fmt::format("DROP INDEX CONCURRENTLY {0}, or REINDEX INDEX CONCURRENTLY {0}", row[2].as<std::string>()),
        "pg_index"));
  }
}

void Preflight::ownership() {
  for (const auto& row :
       work_.exec("SELECT t, pg_get_userbyid(c.relowner) FROM unnest(" + text_array(work_, concerns_.owned) +
                  ") AS t JOIN pg_class c ON c.oid = to_regclass(t) "
                  "WHERE NOT pg_has_role(current_user, c.relowner, 'USAGE')")) {
    reasons_.push_back(of_object(
        ReasonKind::privilege_missing, row[0].as<std::string>(),
        fmt::format("only the owner of {} ({}) may alter it, and our role is not a member of that",
                    row[0].as<std::string>(), row[1].as<std::string>()),
        fmt::format("GRANT {} TO the target's role, or make it the owner", work_.quote_name(row[1].as<std::string>())),
        "pg_class"));
  }
}

void Preflight::create_privileges() {
  const auto found = work_.exec(
      "SELECT DISTINCT s FROM (SELECT CASE WHEN array_length(parse_ident(t), 1) > 1 THEN (parse_ident(t))[1] "
      "ELSE current_schema()::text END FROM unnest(" +
      text_array(work_, concerns_.created) + ") AS t UNION SELECT n.nspname::text FROM unnest(" +
      text_array(work_, concerns_.indexed) +
      ") AS t JOIN pg_class c ON c.oid = to_regclass(t) JOIN pg_namespace n ON n.oid = c.relnamespace) AS schemas(s) "
      "JOIN pg_namespace n ON n.nspname = s WHERE NOT has_schema_privilege(n.oid, 'CREATE') ORDER BY 1");
  for (const auto& row : found) {
    const auto schema = work_.quote_name(row[0].as<std::string>());
    reasons_.push_back(
        of_object(ReasonKind::privilege_missing, schema, fmt::format("our role may not create in schema {}", schema),
                  fmt::format("GRANT CREATE ON SCHEMA {} TO the target's role", schema), "pg_namespace"));
  }
}

void Preflight::backfills() {
  for (const auto* step : concerns_.backfills) {
    const auto& table = step->backfill->table;
    if (query(work_, "SELECT to_regclass($1)", table)[0][0].is_null()) continue;  // said above
    if (const auto walk = walk_for(work_, server_version_, *step->backfill); !walk) {
      reasons_.push_back(of_object(ReasonKind::no_usable_key, table, walk.error().failure.message,
                                   "what the message says, or another plan", "pg_index"));
    }
    backfill_privileges(*step->backfill);
  }
}

void Preflight::backfill_privileges(const core::Backfill& backfill) {
  std::vector<std::string> columns;
  columns.reserve(backfill.set.size());
  for (const auto& [column, expression] : backfill.set) columns.push_back(column);
  const auto row =
      query(work_,
            "SELECT has_table_privilege(to_regclass($1), 'SELECT'), NOT EXISTS (SELECT FROM pg_attribute a "
            "WHERE a.attrelid = to_regclass($1) AND a.attname = ANY (" +
                text_array(work_, columns) +
                ") AND NOT a.attisdropped AND NOT has_column_privilege(a.attrelid, a.attnum, 'UPDATE'))",
            backfill.table)[0];
  std::string missing;
  if (!row[0].as<bool>()) missing = "SELECT";
  if (!row[1].as<bool>()) missing += missing.empty() ? "UPDATE" : ", UPDATE";
  if (missing.empty()) return;
  reasons_.push_back(of_object(
      ReasonKind::privilege_missing, backfill.table, fmt::format("our role lacks {} on {}", missing, backfill.table),
      fmt::format("GRANT {} ON {} TO the target's role", missing, backfill.table), "pg_class"));
}

}  // namespace

TargetResult<std::vector<Reason>> PgTarget::preflight(const PreflightRequest& request) {
  std::vector<Reason> reasons;
  auto looked = inspect([&](Connection& connection) -> TargetResult<void> {
    pqxx::work work(connection.raw());
    work.exec(fmt::format("SET LOCAL lock_timeout = {}", kPreflightLockPatience.count()));
    Preflight(work, connection.server_version(), request, reasons).run();
    return {};
  });
  if (!looked) return std::unexpected(std::move(looked.error()));
  if (!request.quarantine) return reasons;
  if (auto followers = look_for_followers(*request.quarantine); !followers) {
    if (followers.error().code != ErrorCode::conflict) return std::unexpected(std::move(followers.error()));
    reasons.push_back(of_object(ReasonKind::quarantine_blocked, "quarantine", followers.error().failure.message,
                                "what the message says", "pg_depend"));
  }
  return reasons;
}

}  // namespace diastole::postgres
