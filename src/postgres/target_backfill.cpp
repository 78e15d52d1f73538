// Backfill: windows of the primary key, one transaction each, in which the cursor moves too. So every row is visited
// once a pass, whatever is killed at whatever moment.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "diastole/codec/plan_codec.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using ports::BackfillCursor;
using ports::BackfillWork;
using ports::TargetResult;

constexpr int kCountAtMost = 1'000;
constexpr std::string_view kZeroRows = "zero_rows";
constexpr pqxx::row::size_type kChecksumField = 5;

struct KeyColumn {
  std::string name;  // quoted
  std::string type;
};

// In the order of the primary key's index. Empty where there is no primary key.
std::vector<KeyColumn> key_of(pqxx::work& work, const std::string& table) {
  std::vector<KeyColumn> key;
  for (const auto& row :
       query(work,
             "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) "
             "FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) "
             "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
             "WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND k.n <= i.indnkeyatts ORDER BY k.n",
             table)) {
    key.push_back({row[0].as<std::string>(), row[1].as<std::string>()});
  }
  return key;
}

TargetResult<std::vector<KeyColumn>> usable_key(pqxx::work& work, const core::Backfill& backfill) {
  auto key = key_of(work, backfill.table);
  if (key.empty()) {
    return target_fail(
        ErrorCode::invalid_argument,
        fmt::format("table {} has no primary key to walk along; add one (CREATE UNIQUE INDEX CONCURRENTLY, then ALTER "
                    "TABLE ... ADD PRIMARY KEY USING INDEX), or update its rows in a step of statements",
                    backfill.table));
  }
  for (const auto& [column, expression] : backfill.set) {
    const auto quoted = work.quote_name(column);
    if (std::ranges::any_of(key, [&](const KeyColumn& k) { return k.name == column || k.name == quoted; })) {
      return target_fail(
          ErrorCode::invalid_argument,
          fmt::format("column {} belongs to the primary key of {}: a backfill that moves rows along its own path "
                      "would visit some twice and others never",
                      column, backfill.table));
    }
  }
  return key;
}

// "a, b", each between prefix and suffix.
std::string joined(const std::vector<KeyColumn>& key, std::string_view prefix = "", std::string_view suffix = "") {
  std::string list;
  for (const auto& column : key) list += fmt::format("{}{}{}{}", list.empty() ? "" : ", ", prefix, column.name, suffix);
  return list;
}

// "(a, b) > ('1'::integer, 'x'::text)": what an index on the key answers directly.
std::string compare(const pqxx::work& work, const std::vector<KeyColumn>& key, std::string_view op,
                    const std::vector<std::string>& values) {
  std::string right;
  for (std::size_t i = 0; i < key.size(); ++i) {
    right += fmt::format("{}{}::{}", i == 0 ? "" : ", ", work.quote(values[i]), key[i].type);
  }
  return fmt::format("({}) {} ({})", joined(key), op, right);
}

BackfillCursor cursor_from(const pqxx::row& row) {
  return {.pass = row[0].as<int>(),
          .rows = row[1].as<std::int64_t>(),
          .rows_changed = row[2].as<std::int64_t>(),
          .rows_total = row[3].as<std::int64_t>(),
          .pass_done = row[4].as<bool>()};
}

TargetResult<pqxx::row> locked_cursor(pqxx::work& work, const ports::WorkId& id, const std::string& more = {}) {
  const auto found = query(work,
                           "SELECT pass, rows, rows_changed, rows_total, pass_done, checksum" + more +
                               " FROM diastole.backfill b WHERE plan = $1 AND step = $2 FOR UPDATE",
                           id.plan.str(), id.step.str());
  if (found.empty()) {
    return target_fail(ErrorCode::conflict, fmt::format("the target has no cursor of backfill {}", id.step.str()));
  }
  if (found[0][kChecksumField].as<std::string>() != id.checksum) {
    return target_fail(
        ErrorCode::conflict,
        fmt::format("the target's cursor (diastole.backfill) of step {} of plan {} belongs to another backfill "
                    "(checksum {}, not {})",
                    id.step.str(), id.plan.str(), found[0][kChecksumField].as<std::string>(), id.checksum));
  }
  return found[0];
}

// The planner's idea of the rows in the table and its partitions; costs nothing, and is right to a few percent after an
// ANALYZE.
TargetResult<std::int64_t> estimated_rows(pqxx::work& work, const std::string& table) {
  const auto text = work.exec("EXPLAIN (FORMAT JSON) SELECT 1 FROM " + table)[0][0].as<std::string>();
  const auto plan = codec::parse_json(text);
  if (!plan) return std::unexpected(target_error(plan.error()));
  return plan->at(0).at("Plan").at("Plan Rows").get<std::int64_t>();
}

// `count` fields from `first` on.
std::vector<std::string> texts(const pqxx::row& row, pqxx::row::size_type first, std::size_t count) {
  std::vector<std::string> fields;
  while (fields.size() < count) fields.push_back(row.at(first++).as<std::string>());
  return fields;
}

struct Window {
  std::int64_t rows = 0;
  std::vector<std::string> last;  // its greatest key
};

// The next rows by key, whether or not `where` selects them, so that its cost is bounded by its size alone.
Window next_window(pqxx::work& work, const core::Backfill& backfill, const std::vector<KeyColumn>& key,
                   const std::string& after, int rows) {
  // Without its "w.", ORDER BY would mean the output column, and order by the text.
  const auto found =
      work.exec(fmt::format("WITH w AS (SELECT {0} FROM {1}{2} ORDER BY {0} LIMIT {3}) SELECT count(*) OVER (), {4} "
                            "FROM w ORDER BY {5} LIMIT 1",
                            joined(key), backfill.table, after.empty() ? "" : " WHERE " + after, rows,
                            joined(key, "w.", "::text"), joined(key, "w.", " DESC")));
  Window window;
  if (found.empty()) return window;
  window.rows = found[0][0].as<std::int64_t>();
  window.last = texts(found[0], 1, key.size());
  return window;
}

std::string update_statement(const pqxx::work& work, const core::Backfill& backfill, std::string range) {
  std::string assignments;
  for (const auto& [column, expression] : backfill.set) {
    // The line break ends a comment in the expression.
    assignments += fmt::format("{}{} = ({}\n)", assignments.empty() ? "" : ", ", work.quote_name(column), expression);
  }
  if (!backfill.where.empty()) range += fmt::format(" AND ({}\n)", backfill.where);
  return fmt::format("UPDATE {} SET {} WHERE {}", backfill.table, assignments, range);
}

UnitSpec spec_of(const BackfillWork& work) {
  return {.id = work.id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
}

// One batch inside its transaction.
TargetResult<BackfillCursor> advance(Unit& unit, const BackfillWork& work, int rows) {
  auto& transaction = unit.work;
  const auto key = usable_key(transaction, work.backfill);
  if (!key) return std::unexpected(key.error());
  std::string fields;
  for (std::size_t i = 1; i <= key->size(); ++i) fields += fmt::format(", b.cursor[{}]", i);
  const auto row = locked_cursor(transaction, work.id, fields);
  if (!row) return std::unexpected(row.error());
  auto cursor = cursor_from(*row);
  if (cursor.pass_done) return cursor;

  std::string after;
  if (!row->at(kChecksumField + 1).is_null())
    after = compare(transaction, *key, ">", texts(*row, kChecksumField + 1, key->size()));
  const auto window = next_window(transaction, work.backfill, *key, after, std::max(rows, 1));
  std::string moved = "cursor";
  if (window.rows > 0) {
    const auto up_to = compare(transaction, *key, "<=", window.last);
    const auto update =
        update_statement(transaction, work.backfill, after.empty() ? up_to : fmt::format("{} AND {}", after, up_to));
    unit.at = {.statement = 1, .sql = update};
    cursor.rows_changed += static_cast<std::int64_t>(transaction.exec(update).affected_rows());
    transaction.exec("SET CONSTRAINTS ALL IMMEDIATE");
    unit.at = {};
    moved = text_array(transaction, window.last);
  }
  cursor.rows += window.rows;
  // A window that is not full has reached the end. Going on until one is empty would chase an application that inserts
  // at the end; rows that come later are the next pass's, if the verification finds any.
  cursor.pass_done = window.rows < std::max(rows, 1);
  query(transaction,
        "UPDATE diastole.backfill SET cursor = " + moved +
            ", rows = $3, rows_changed = $4, pass_done = $5, epoch = $6, updated_at = now() WHERE plan = $1 AND step = "
            "$2",
        work.id.plan.str(), work.id.step.str(), cursor.rows, cursor.rows_changed, cursor.pass_done,
        work.id.epoch.value);
  return cursor;
}

}  // namespace

TargetResult<BackfillCursor> PgTarget::backfill_begin(const BackfillWork& work) {
  BackfillCursor cursor;
  auto committed = transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    if (const auto row = ledger_row(unit.work, work.id); !row) return std::unexpected(row.error());
    if (const auto key = usable_key(unit.work, work.backfill); !key) return std::unexpected(key.error());
    const auto total = estimated_rows(unit.work, work.backfill.table);
    if (!total) return std::unexpected(total.error());
    query(unit.work,
          "INSERT INTO diastole.backfill (plan, step, checksum, rows_total, epoch) VALUES ($1, $2, $3, $4, $5) "
          "ON CONFLICT (plan, step) DO NOTHING",
          work.id.plan.str(), work.id.step.str(), work.id.checksum, *total, work.id.epoch.value);
    const auto row = locked_cursor(unit.work, work.id);
    if (!row) return std::unexpected(row.error());
    cursor = cursor_from(*row);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return cursor;
}

TargetResult<BackfillCursor> PgTarget::backfill_batch(const BackfillWork& work, int rows, std::stop_token stop) {
  BackfillCursor cursor;
  auto committed = transact(spec_of(work), stop, [&](Unit& unit) -> TargetResult<void> {
    // Cursor and rows are lost together or not at all, and backfill_finish waits for the disk.
    unit.work.exec("SET LOCAL synchronous_commit = off");
    auto advanced = advance(unit, work, rows);
    if (!advanced) return std::unexpected(std::move(advanced.error()));
    cursor = *advanced;
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return cursor;
}

TargetResult<BackfillCursor> PgTarget::backfill_again(const BackfillWork& work) {
  BackfillCursor cursor;
  auto committed = transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    const auto row = locked_cursor(unit.work, work.id);
    if (!row) return std::unexpected(row.error());
    cursor = cursor_from(*row);
    // An answer that was lost must not cost a pass: asked again, the new pass has not ended yet.
    if (!cursor.pass_done) return {};
    ++cursor.pass;
    cursor.pass_done = false;
    query(unit.work,
          "UPDATE diastole.backfill SET pass = $3, pass_done = false, cursor = NULL, epoch = $4, updated_at = now() "
          "WHERE plan = $1 AND step = $2",
          work.id.plan.str(), work.id.step.str(), cursor.pass, work.id.epoch.value);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return cursor;
}

TargetResult<std::int64_t> PgTarget::backfill_remaining(const BackfillWork& work, std::stop_token stop) {
  const auto& backfill = work.backfill;
  std::string rows;
  if (backfill.verify == kZeroRows) {
    if (backfill.where.empty()) return 0;
    rows = fmt::format("SELECT 1 FROM {} WHERE ({}\n) LIMIT {}", backfill.table, backfill.where, kCountAtMost);
  } else {
    auto verification = backfill.verify;
    verification.erase(verification.find_last_not_of(" \t\r\n;") + 1);
    if (verification.empty()) return 0;
    rows = fmt::format("SELECT 1 FROM (\n{}\n) AS verification LIMIT {}", verification, kCountAtMost);
  }
  std::int64_t remaining = 0;
  const auto sql = fmt::format("SELECT count(*) FROM ({}) AS remaining", rows);
  auto counted = transact(spec_of(work), stop, [&](Unit& unit) -> TargetResult<void> {
    // A verification only looks.
    unit.work.exec("SET LOCAL transaction_read_only = on");
    unit.at = {.statement = 1, .sql = sql};
    remaining = unit.work.exec(sql)[0][0].as<std::int64_t>();
    return {};
  });
  if (counted) return remaining;
  auto& error = counted.error();
  // We made the transaction read-only, not the server: the query is at fault.
  if (error.failure.sqlstate == "25006" && error.failure.statement == 1) error.code = ErrorCode::invalid_argument;
  return std::unexpected(std::move(error));
}

TargetResult<void> PgTarget::backfill_finish(const BackfillWork& work) {
  return transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    const auto done = ledger_row(unit.work, work.id);
    if (!done) return std::unexpected(done.error());
    if (*done) return {};
    const auto cursor = locked_cursor(unit.work, work.id);
    if (!cursor) return std::unexpected(cursor.error());
    if (!cursor_from(*cursor).pass_done) {
      return target_fail(ErrorCode::conflict,
                         fmt::format("backfill {} has not reached the end of its table", work.id.step.str()));
    }
    query(unit.work,
          "INSERT INTO diastole.ledger (plan, step, direction, checksum, epoch, state, backend_pid, started_at, "
          "finished_at, rows) "
          "VALUES ($1, $2, $3, $4, $5, 'done', pg_backend_pid(), now(), clock_timestamp(), $6)",
          work.id.plan.str(), work.id.step.str(), direction_text(work.id.direction), work.id.checksum,
          work.id.epoch.value, cursor_from(*cursor).rows_changed);
    return {};
  });
}

}  // namespace diastole::postgres
