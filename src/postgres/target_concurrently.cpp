// Statements that cannot run in a transaction. The ledger's row is 'started' in a fenced transaction of its own before,
// which is the claim: for an index it is made only while no relation of that name exists, so what is found there later
// is judged as ours.
#include <fmt/format.h>

#include <utility>

#include "outside_statement.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {

// How to go on with a statement outside a transaction.
struct OutsideClaim {
  enum class Next { nothing, record, run };
  Next next = Next::run;
  ports::WorkDone done;  // for nothing
  std::string leftover;  // for run: our INVALID index, to be dropped first
};

namespace {

using core::Applied;
using ports::StatementWork;
using ports::TargetError;
using ports::TargetResult;
using ports::WorkDone;

// For our own short transactions around the statement.
constexpr Milliseconds kClaimTimeout{5'000};

// A relation that has the index's name.
struct NamedRelation {
  std::int64_t oid = 0;
  std::string name;  // qualified and quoted
  bool index_on_table = false;
  bool valid = false;
};

// CREATE INDEX puts the index into its table's schema, whatever the search path; DROP INDEX finds it as any name.
std::optional<NamedRelation> find_relation(pqxx::transaction_base& transaction, const StatementWork& work,
                                           const OutsideStatement& outside) {
  const auto& index = work.statements.front().index;
  const bool creates = outside.kind == OutsideKind::create_index;
  const std::string wanted = creates
                                 ? "c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($2)) "
                                   "AND c.relname = (parse_ident($1))[array_length(parse_ident($1), 1)]"
                                 : "c.oid = to_regclass($1)";
  const auto found = query(transaction,
                           "SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname), "
                           "coalesce(i.indrelid = to_regclass($2), false), "
                           "coalesce(i.indisvalid AND i.indisready AND i.indislive, false) "
                           "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                           "LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE " +
                               wanted,
                           index, creates ? outside.table : index);
  if (found.empty()) return std::nullopt;
  return NamedRelation{.oid = found[0][0].as<std::int64_t>(),
                       .name = found[0][1].as<std::string>(),
                       .index_on_table = found[0][2].as<bool>(),
                       .valid = found[0][3].as<bool>()};
}

// Whether a valid index is what the statement makes. The server itself is asked: the same definition on an empty
// temporary copy of the table, and both written out by pg_get_indexdef. Names and schemas differ and come before USING.
bool same_definition(pqxx::work& work, const OutsideStatement& outside, const NamedRelation& existing) {
  const auto table =
      query(work, "SELECT quote_ident(relname) FROM pg_class WHERE oid = to_regclass($1)", outside.table)[0][0]
          .as<std::string>();
  work.exec(fmt::format("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP", table, outside.table));
  work.exec(fmt::format("CREATE {}INDEX diastole_probe ON pg_temp.{} {}", outside.unique ? "UNIQUE " : "", table,
                        outside.definition));
  const auto same =
      query(work,
            "WITH ours AS (SELECT indexrelid, indisunique FROM pg_index "
            "WHERE indexrelid = to_regclass('pg_temp.diastole_probe')), "
            "definition AS (SELECT indexrelid, pg_get_indexdef(indexrelid) AS text, indisunique FROM pg_index "
            "WHERE indexrelid = $1 OR indexrelid IN (SELECT indexrelid FROM ours)) "
            "SELECT count(DISTINCT (substr(text, position(' USING ' in text)), indisunique)) = 1, count(*) "
            "FROM definition",
            existing.oid);
  work.exec(fmt::format("DROP TABLE pg_temp.{}", table));
  return same[0][0].as<bool>() && same[0][1].as<int>() == 2;
}

std::unexpected<TargetError> not_ours(const NamedRelation& found) {
  return target_fail(
      ErrorCode::invalid_argument,
      fmt::format("relation {} exists already and is not this plan's; drop or rename one of the two", found.name),
      "42P07");
}

TargetResult<OutsideClaim> judge_create(pqxx::work& work, const OutsideStatement& outside, bool started,
                                        const std::optional<NamedRelation>& found) {
  if (!found) return OutsideClaim{};
  if (!started || !found->index_on_table) return not_ours(*found);
  if (!found->valid) return OutsideClaim{.next = OutsideClaim::Next::run, .done = {}, .leftover = found->name};
  if (same_definition(work, outside, *found))
    return OutsideClaim{.next = OutsideClaim::Next::record, .done = {}, .leftover = {}};
  return target_fail(
      ErrorCode::conflict,
      fmt::format("index {} exists, valid, with another definition than this plan gives it; drop or rename it",
                  found->name));
}

TargetResult<OutsideClaim> judge(pqxx::work& work, const StatementWork& spec, const OutsideStatement& outside,
                                 bool started) {
  switch (outside.kind) {
    case OutsideKind::create_index: return judge_create(work, outside, started, find_relation(work, spec, outside));
    case OutsideKind::drop_index:
      if (started && !find_relation(work, spec, outside))
        return OutsideClaim{.next = OutsideClaim::Next::record, .done = {}, .leftover = {}};
      return OutsideClaim{};
    case OutsideKind::repeatable: return OutsideClaim{};
    case OutsideKind::other:
      if (!started) return OutsideClaim{};
      return target_fail(
          ErrorCode::conflict,
          fmt::format(
              "an earlier attempt was cut off, and nobody can tell whether it took effect; look, and then either "
              "DELETE FROM diastole.ledger WHERE plan = '{0}' AND step = '{1}' to run it again, or UPDATE "
              "diastole.ledger "
              "SET state = 'done', finished_at = now() WHERE plan = '{0}' AND step = '{1}'",
              spec.id.plan.str(), spec.id.step.str()));
  }
  std::unreachable();
}

void write_claim(pqxx::work& work, const StatementWork& spec) {
  take_back_opposite(work, spec.id);
  query(
      work,
      "INSERT INTO diastole.ledger AS l (plan, step, direction, checksum, epoch, state, object, backend_pid, "
      "backend_start, "
      "started_at) SELECT $1, $2, $3, $4, $5::bigint, 'started', nullif($6, ''), pid, backend_start, clock_timestamp() "
      "FROM pg_stat_activity WHERE pid = pg_backend_pid() "
      "ON CONFLICT (plan, step, direction) DO UPDATE SET epoch = excluded.epoch, backend_pid = excluded.backend_pid, "
      "backend_start = excluded.backend_start, started_at = excluded.started_at",
      spec.id.plan.str(), spec.id.step.str(), direction_text(spec.id.direction), spec.id.checksum, spec.id.epoch.value,
      spec.statements.front().index);
}

// The statement has run without an error; is what it should leave there?
TargetResult<void> verify(pqxx::work& work, const StatementWork& spec, const OutsideStatement& outside) {
  if (outside.kind != OutsideKind::create_index && outside.kind != OutsideKind::drop_index) return {};
  const auto found = find_relation(work, spec, outside);
  const bool wanted = outside.kind == OutsideKind::create_index;
  if (wanted == found.has_value() && (!found || found->valid)) return {};
  return target_fail(ErrorCode::internal,
                     fmt::format("PostgreSQL reported success, but index {} is {}", spec.statements.front().index,
                                 !wanted ? "still there" : (found ? "INVALID" : "not there")));
}

// The server refused before it began: syntax, names, rights, or an unsupported form.
bool refused_at_once(std::string_view sqlstate) {
  return sqlstate.starts_with("42") || sqlstate.starts_with("0A") || sqlstate.starts_with("25");
}

}  // namespace

TargetResult<void> PgTarget::run_outside(Connection& connection, const StatementWork& work, const std::string& sql,
                                         const std::stop_token& stop) {
  SessionWatch watch(connection, pool_, stop, kLookEvery, work.on_blocked);
  try {
    pqxx::nontransaction session(connection.raw());
    claim_session(session, work.id, Milliseconds{0}, work.statement_timeout);
    session.exec(sql);
    return {};
  } catch (...) {
    auto error = target_error(connection, std::current_exception(), sql, 1);
    if (!connection.raw().is_open()) error.code = ErrorCode::outcome_unknown;
    const bool timed_out = error.failure.sqlstate == "57014";
    if (timed_out && stop.stop_requested()) return target_fail(ErrorCode::interrupted, "stopped on request");
    if (timed_out || error.code == ErrorCode::lock_timeout) error.failure.blockers = watch.blockers();
    return std::unexpected(std::move(error));
  }
}

// Looked at from another session, after the statement has failed.
Applied PgTarget::leftover_of(const StatementWork& work, const TargetError& error) {
  if (error.code == ErrorCode::outcome_unknown) return Applied::partial;
  const auto outside = read_outside_statement(work.statements.front().sql);
  if (outside.kind == OutsideKind::repeatable || outside.kind == OutsideKind::other) {
    return refused_at_once(error.failure.sqlstate) ? Applied::none : Applied::partial;
  }
  Applied applied = Applied::partial;
  const auto looked = inspect([&](Connection& connection) -> TargetResult<void> {
    pqxx::nontransaction session(connection.raw());
    const auto found = find_relation(session, work, outside);
    const bool untouched = outside.kind == OutsideKind::create_index ? !found : found && found->valid;
    applied = untouched ? Applied::none : Applied::partial;
    return {};
  });
  return looked ? applied : Applied::partial;
}

// Nothing of the statement is there, so a relation that appears under its name from now on is not ours.
void PgTarget::release_claim(const StatementWork& work) {
  const UnitSpec spec{.id = work.id, .lock_timeout = kClaimTimeout, .statement_timeout = kClaimTimeout};
  const auto released = transact(spec, {}, [&](Unit& unit) -> TargetResult<void> {
    query(unit.work,
          "DELETE FROM diastole.ledger WHERE plan = $1 AND step = $2 AND direction = $3 AND state = 'started'",
          work.id.plan.str(), work.id.step.str(), direction_text(work.id.direction));
    return {};
  });
  if (!released) {
    log_.warning("the claim of a failed statement stays in the ledger", {{"target", name_},
                                                                         {"plan", work.id.plan.str()},
                                                                         {"step", work.id.step.str()},
                                                                         {"error", released.error().failure.message}});
  }
}

TargetResult<OutsideClaim> PgTarget::claim_outside(Connection& connection, const StatementWork& work,
                                                   const OutsideStatement& outside, const std::stop_token& stop) {
  OutsideClaim claim;
  const UnitSpec spec{.id = work.id, .lock_timeout = kClaimTimeout, .statement_timeout = kClaimTimeout};
  auto claimed = transact_on(connection, spec, stop, [&](Unit& unit) -> TargetResult<void> {
    auto row = ledger_row(unit.work, work.id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (*row && (*row)->done) {
      claim.next = OutsideClaim::Next::nothing;
      claim.done = {.rows = (*row)->rows, .duration = (*row)->duration, .was_done = true};
      return {};
    }
    auto judged = judge(unit.work, work, outside, row->has_value());
    if (!judged) return std::unexpected(std::move(judged.error()));
    claim = std::move(*judged);
    if (claim.next == OutsideClaim::Next::record) return {};
    if (work.last_look) {
      if (auto looked = last_look(unit.work, work.id.plan, *work.last_look); !looked) return looked;
    }
    write_claim(unit.work, work);
    return {};
  });
  if (!claimed) return std::unexpected(std::move(claimed.error()));
  return claim;
}

TargetResult<void> PgTarget::run_claimed(Connection& connection, const StatementWork& work, const OutsideClaim& claim,
                                         const std::stop_token& stop) {
  TargetResult<void> ran;
  if (!claim.leftover.empty()) {
    log_.info(
        "dropping the INVALID index of an earlier attempt",
        {{"target", name_}, {"plan", work.id.plan.str()}, {"step", work.id.step.str()}, {"index", claim.leftover}});
    ran = run_outside(connection, work, "DROP INDEX CONCURRENTLY " + claim.leftover, stop);
  }
  if (ran) ran = run_outside(connection, work, work.statements.front().sql, stop);
  if (ran) return ran;
  ran.error().applied = leftover_of(work, ran.error());
  if (ran.error().applied == Applied::none) release_claim(work);
  return ran;
}

TargetResult<WorkDone> PgTarget::record_outside(Connection& connection, const StatementWork& work,
                                                const OutsideStatement& outside) {
  WorkDone done;
  const UnitSpec spec{.id = work.id, .lock_timeout = kClaimTimeout, .statement_timeout = kClaimTimeout};
  auto recorded = transact_on(connection, spec, {}, [&](Unit& unit) -> TargetResult<void> {
    if (auto verified = verify(unit.work, work, outside); !verified) return verified;
    const auto row =
        query(unit.work,
              "UPDATE diastole.ledger SET state = 'done', finished_at = clock_timestamp(), epoch = $4 "
              "WHERE plan = $1 AND step = $2 AND direction = $3 "
              "RETURNING (extract(epoch FROM finished_at - started_at) * 1000)::bigint",
              work.id.plan.str(), work.id.step.str(), direction_text(work.id.direction), work.id.epoch.value);
    done.duration = Milliseconds{row.at(0).at(0).as<std::int64_t>()};
    return {};
  });
  if (recorded) return done;
  // It has run; only our record of it is missing, and the next attempt finds what is there.
  recorded.error().applied = Applied::partial;
  return std::unexpected(std::move(recorded.error()));
}

TargetResult<WorkDone> PgTarget::execute_concurrently(const StatementWork& work, std::stop_token stop) {
  if (work.statements.size() != 1 || work.statements.front().transactional) {
    return target_fail(ErrorCode::invalid_argument,
                       "exactly one statement that cannot run in a transaction is wanted here");
  }
  const auto outside = read_outside_statement(work.statements.front().sql);
  if (outside.kind == OutsideKind::create_index && work.statements.front().index.empty()) {
    return target_fail(
        ErrorCode::invalid_argument,
        "the index needs a name: without one, what an interrupted build leaves behind cannot be recognised");
  }
  auto connection = pool_.checkout();
  if (!connection) return std::unexpected(target_error(connection.error()));
  // Its settings are changed for the whole session below, so nobody shall use it after us.
  (*connection)->spoil();

  auto claim = claim_outside(**connection, work, outside, stop);
  if (!claim) return std::unexpected(std::move(claim.error()));
  if (claim->next == OutsideClaim::Next::nothing) return claim->done;
  if (claim->next == OutsideClaim::Next::run) {
    if (auto ran = run_claimed(**connection, work, *claim, stop); !ran) return std::unexpected(std::move(ran.error()));
  }
  auto done = record_outside(**connection, work, outside);
  if (done) done->was_done = claim->next == OutsideClaim::Next::record;
  return done;
}

}  // namespace diastole::postgres
