// Backfill: parts of the table, walked in batches, one transaction each, in which the part's cursor moves too. So every
// row is visited once a pass, whatever is killed at whatever moment.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "backfill_course.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using core::Place;
using ports::BackfillBatch;
using ports::BackfillState;
using ports::BackfillWork;
using ports::TargetResult;

constexpr std::int64_t kSkippedAtMost = 1'000;

std::string place_array(const pqxx::transaction_base& work, const std::optional<Place>& place) {
  return place ? text_array(work, *place) : "NULL";
}

UnitSpec spec_of(const BackfillWork& work) {
  return {.id = work.id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
}

constexpr std::string_view kCourse =
    "b.checksum, b.pass, b.walk_by, b.key_names, b.key_types, b.strides, b.workers, b.because, "
    "(SELECT quote_ident(relname) FROM pg_class WHERE oid = to_regclass($3))";
constexpr int kCourseFields = 9;

TargetResult<void> same_checksum(const pqxx::row& row, const ports::WorkId& id) {
  const auto found = row[0].as<std::string>();
  if (found == id.checksum) return {};
  return target_fail(ErrorCode::conflict,
                     fmt::format("the target's cursor (diastole.backfill) of step {} of plan {} belongs to another "
                                 "backfill (checksum {}, not {})",
                                 id.step.str(), id.plan.str(), found, id.checksum));
}

// From the fields of kCourse, which begin the row.
Course course_from(const pqxx::row& row) {
  Course course;
  course.pass = row[1].as<int>();
  course.walk.by = *core::walk_by_from(row[2].as<std::string>());
  const auto names = *texts_of(row[3]);
  const auto types = *texts_of(row[4]);
  for (std::size_t i = 0; i < names.size(); ++i) course.key.push_back({.name = names[i], .type = types[i]});
  course.walk.key = names;
  course.walk.strides = row[5].as<int>();
  course.walk.workers = row[6].as<int>();
  course.walk.because = *texts_of(row[7]);
  course.table = row[8].as<std::string>("");
  return course;
}

TargetResult<pqxx::row> locked_backfill(pqxx::work& work, const BackfillWork& backfill) {
  const auto found = query(work,
                           fmt::format("SELECT {}, b.rows, b.rows_changed, b.rows_total FROM diastole.backfill b "
                                       "WHERE b.plan = $1 AND b.step = $2 FOR UPDATE",
                                       kCourse),
                           backfill.id.plan.str(), backfill.id.step.str(), backfill.backfill.table);
  if (found.empty()) {
    return target_fail(ErrorCode::not_found,
                       fmt::format("the target has no cursor of backfill {}", backfill.id.step.str()));
  }
  if (auto same = same_checksum(found[0], backfill.id); !same) return std::unexpected(std::move(same.error()));
  return found[0];
}

std::int64_t skipped_rows(pqxx::work& work, const ports::WorkId& id) {
  return query(work, "SELECT count(*) FROM diastole.backfill_skipped WHERE plan = $1 AND step = $2", id.plan.str(),
               id.step.str())[0][0]
      .as<std::int64_t>();
}

constexpr std::string_view kPart =
    "p.part, p.relation, p.lower, p.upper, p.rows_total, p.rows, p.window_rows, p.done_to, p.window_to, p.stride, "
    "p.stride_to, p.last_window, p.done, to_regclass(p.relation) IS NULL";
constexpr int kPartFields = 14;

// From the fields of kPart, which begin at `first`.
Part part_from(const pqxx::row& row, int first) {
  const auto at = [&](int offset) { return row[first + offset]; };
  return {.number = at(0).as<int>(),
          .relation = at(1).as<std::string>(),
          .lower = texts_of(at(2)),
          .upper = texts_of(at(3)),
          .rows_total = at(4).as<std::int64_t>(),
          .rows = at(5).as<std::int64_t>(),
          .window_rows = at(6).as<std::int64_t>(),
          .cursor = {.done_to = texts_of(at(7)),
                     .window_to = texts_of(at(8)),
                     .stride = at(9).as<int>(),
                     .stride_to = texts_of(at(10)),
                     .last_window = at(11).as<bool>(),
                     .done = at(12).as<bool>()},
          .gone = at(13).as<bool>()};
}

// The part's share of the whole way.
double weight(const Part& part, std::int64_t rows_total) {
  return rows_total > 0 ? static_cast<double>(part.rows_total) / static_cast<double>(rows_total) : 0;
}

TargetResult<BackfillState> state_of(pqxx::work& work, const BackfillWork& backfill) {
  const auto row = locked_backfill(work, backfill);
  if (!row) return std::unexpected(row.error());
  const auto course = course_from(*row);
  BackfillState state{.walk = course.walk,
                      .pass = course.pass,
                      .rows = row->at(kCourseFields).as<std::int64_t>(),
                      .rows_changed = row->at(kCourseFields + 1).as<std::int64_t>(),
                      .rows_before = row->at(kCourseFields).as<std::int64_t>(),
                      .rows_total = row->at(kCourseFields + 2).as<std::int64_t>(),
                      .share = 0,
                      .open_parts = {},
                      .rows_skipped = skipped_rows(work, backfill.id)};
  for (const auto& found : query(work,
                                 fmt::format("SELECT {}, p.rows_changed FROM diastole.backfill_part p "
                                             "WHERE p.plan = $1 AND p.step = $2 ORDER BY p.part",
                                             kPart),
                                 backfill.id.plan.str(), backfill.id.step.str())) {
    const auto part = part_from(found, 0);
    if (!part.cursor.done) state.open_parts.push_back(part.number);
    state.rows += part.rows + part.window_rows * part.cursor.stride / course.walk.strides;
    state.rows_changed += found[kPartFields].as<std::int64_t>();
    state.share += passed(part, course.walk) * weight(part, state.rows_total);
  }
  return state;
}

void insert_parts(pqxx::work& work, const ports::WorkId& id, const std::vector<Part>& parts) {
  for (const auto& part : parts) {
    query(
        work,
        fmt::format("INSERT INTO diastole.backfill_part (plan, step, part, relation, lower, upper, rows_total, epoch) "
                    "VALUES ($1, $2, $3, $4, {}, {}, $5, $6)",
                    place_array(work, part.lower), place_array(work, part.upper)),
        id.plan.str(), id.step.str(), part.number, part.relation, part.rows_total, id.epoch.value);
  }
}

std::int64_t rows_in(const std::vector<Part>& parts) {
  std::int64_t rows = 0;
  for (const auto& part : parts) rows += part.rows_total;
  return rows;
}

// The first time: the way, the parts, and what says that it is a way.
TargetResult<void> begin(Unit& unit, const BackfillWork& work) {
  auto walk = walk_for(unit.work, unit.connection.server_version(), work.backfill);
  if (!walk) return std::unexpected(std::move(walk.error()));
  const auto course = course_of(unit.work, work.backfill, *std::move(walk));
  CourseSql sql(unit.work, work.backfill, course);
  const auto parts = sql.parts();
  for (const auto& part : parts) {
    if (auto found = sql.refuse_scans(part); !found) return found;
  }
  std::vector<std::string> types;
  types.reserve(course.key.size());
  for (const auto& column : course.key) types.push_back(column.type);
  query(unit.work,
        fmt::format("INSERT INTO diastole.backfill (plan, step, checksum, rows_total, epoch, walk_by, key_names, "
                    "key_types, strides, workers, because) VALUES ($1, $2, $3, $4, $5, $6, {}, {}, $7, $8, {})",
                    text_array(unit.work, course.names()), text_array(unit.work, types),
                    text_array(unit.work, course.walk.because)),
        work.id.plan.str(), work.id.step.str(), work.id.checksum, rows_in(parts), work.id.epoch.value,
        std::string(to_string(course.walk.by)), course.walk.strides, course.walk.workers);
  insert_parts(unit.work, work.id, parts);
  return {};
}

struct LockedPart {
  Course course;
  Part part;
  double weight = 0;
};

TargetResult<LockedPart> locked_part(Unit& unit, const BackfillWork& backfill, int number) {
  static const auto kSql = fmt::format(
      "SELECT {}, {}, b.rows_total FROM diastole.backfill_part p JOIN diastole.backfill b USING (plan, step) "
      "WHERE p.plan = $1 AND p.step = $2 AND p.part = $4 FOR UPDATE OF p",
      kCourse, kPart);
  unit.connection.prepare("part", kSql);
  const auto found =
      execute(unit.work, "part", backfill.id.plan.str(), backfill.id.step.str(), backfill.backfill.table, number);
  if (found.empty()) {
    return target_fail(ErrorCode::conflict, fmt::format("the target has no cursor of part {} of backfill {}", number,
                                                        backfill.id.step.str()));
  }
  const auto row = found[0];
  if (auto same = same_checksum(row, backfill.id); !same) return std::unexpected(std::move(same.error()));
  LockedPart locked{.course = course_from(row), .part = part_from(row, kCourseFields)};
  locked.weight = weight(locked.part, row[kCourseFields + kPartFields].as<std::int64_t>());
  return locked;
}

// Deferred constraints speak up now, while their complaint still has its SQLSTATE and its statement.
void move_part(Unit& unit, const ports::WorkId& id, const Part& part, const BackfillBatch& added, bool closed) {
  const auto& cursor = part.cursor;
  auto& work = unit.work;
  // The statistics shall know of our own writes before the verification asks them.
  const bool flush = cursor.done && unit.connection.server_version() >= 150000;
  work.exec(fmt::format(
      "SET CONSTRAINTS ALL IMMEDIATE; UPDATE diastole.backfill_part SET done_to = {}, window_to = {}, "
      "window_rows = {}, stride = {}, stride_to = {}, last_window = {}, done = {}, rows = rows + {}, "
      "rows_changed = rows_changed + {}, epoch = {}, updated_at = now() WHERE plan = {} AND step = {} AND part = {}{}",
      place_array(work, cursor.done_to), place_array(work, cursor.window_to), closed ? 0 : part.window_rows,
      cursor.stride, place_array(work, cursor.stride_to), cursor.last_window, cursor.done,
      closed ? part.window_rows : 0, added.rows_changed, id.epoch.value, work.quote(id.plan.str()),
      work.quote(id.step.str()), part.number, flush ? "; SELECT pg_stat_force_next_flush()" : ""));
}

// A batch, from where its part's cursor stands.
struct BatchRows {
  Unit& unit;
  const BackfillWork& work;
  CourseSql& sql;
  const Course& course;
  const Part& part;
  Place to;
};

TargetResult<void> change_at_once(const BatchRows& rows, BackfillBatch& batch) {
  const auto change = rows.sql.change(rows.part, rows.to);
  if (change.empty()) return {};
  rows.unit.at = {.statement = 1, .sql = change};
  batch.rows_changed = static_cast<std::int64_t>(rows.unit.work.exec(change).affected_rows());
  return {};
}

struct FaultyRow {
  Place key;
  core::Failure failure;
};

// Changes the row alone; what is wrong with it, where something is.
std::optional<core::Failure> change_row(Unit& unit, const std::string& change, BackfillBatch& batch) {
  try {
    pqxx::subtransaction alone(unit.work, "diastole_row");
    batch.rows_changed += static_cast<std::int64_t>(alone.exec(change).affected_rows());
    alone.commit();
    return std::nullopt;
  } catch (const pqxx::sql_error&) {
    auto error = target_error(unit.connection, std::current_exception(), change, 1);
    if (!core::blames_row(error.failure.sqlstate)) throw;
    return std::move(error.failure);
  }
}

// "id = 7, day = 2026-11-25"
std::string named(const std::vector<std::string>& names, const Place& key) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) text += fmt::format("{}{} = {}", i == 0 ? "" : ", ", names[i], key[i]);
  return text;
}

ports::TargetError stopped_by(const BatchRows& rows, const std::vector<std::string>& names,
                              std::vector<FaultyRow> found) {
  std::vector<core::RowFault> faults;
  faults.reserve(found.size());
  for (const auto& row : found) {
    faults.push_back({.relation = rows.part.relation,
                      .key = named(names, row.key),
                      .sqlstate = row.failure.sqlstate,
                      .message = row.failure.message});
  }
  ports::TargetError error{.code = ErrorCode::invalid_argument, .failure = std::move(found.front().failure)};
  if (!error.failure.detail.empty()) error.failure.detail += '\n';
  error.failure.detail += core::shown(faults);
  error.failure.hint =
      "mend the rows that the detail names, then retry: it goes on from there; or let a plan say on_error: skip";
  return error;
}

// A row that moves meanwhile may be met twice in a walk by blocks.
TargetResult<void> skip(const BatchRows& rows, const std::vector<std::string>& names,
                        const std::vector<FaultyRow>& found, BackfillBatch& batch) {
  const auto& id = rows.work.id;
  auto& work = rows.unit.work;
  const auto before = skipped_rows(work, id);
  for (const auto& row : found) {
    query(work,
          fmt::format(
              "INSERT INTO diastole.backfill_skipped (plan, step, relation, key_names, key, sqlstate, message) "
              "VALUES ($1, $2, $3, {}, {}, $4, $5) ON CONFLICT (plan, step, relation, key) DO UPDATE SET sqlstate "
              "= excluded.sqlstate, message = excluded.message",
              text_array(work, names), text_array(work, row.key)),
          id.plan.str(), id.step.str(), rows.part.relation, row.failure.sqlstate, row.failure.message);
  }
  const auto after = skipped_rows(work, id);
  batch.rows_skipped = after - before;
  if (after <= kSkippedAtMost) return {};
  return target_fail(
      ErrorCode::invalid_argument,
      fmt::format("more than {} rows cannot be changed (diastole.backfill_skipped lists them); the last "
                  "is {} {}: {}",
                  kSkippedAtMost, rows.part.relation, named(names, found.back().key), found.back().failure.message),
      found.back().failure.sqlstate);
}

TargetResult<void> change_one_by_one(const BatchRows& rows, BackfillBatch& batch) {
  rows.unit.work.exec("SET CONSTRAINTS ALL IMMEDIATE");
  std::vector<FaultyRow> found;
  for (auto& row : rows.sql.rows(rows.part, rows.to)) {
    auto failure = change_row(rows.unit, rows.sql.change(rows.part, row), batch);
    if (failure) found.push_back({.key = std::move(row.key), .failure = *std::move(failure)});
  }
  if (found.empty()) return {};
  const auto names = row_names(rows.unit.work, rows.course.names(), rows.work.backfill.table);
  if (rows.work.backfill.on_error == core::OnError::stop)
    return std::unexpected(stopped_by(rows, names, std::move(found)));
  return skip(rows, names, found, batch);
}

using ChangeRows = TargetResult<void> (*)(const BatchRows& rows, BackfillBatch& batch);

// A partition may be dropped amid a backfill. Without a verification nothing would tell of one that was renamed.
TargetResult<void> without_partition(Unit& unit, const BackfillWork& work, const Part& part) {
  if (!work.backfill.verify.empty()) return {};
  const auto unknown = query(unit.work,
                             family_of(3) +
                                 " SELECT oid::regclass::text FROM family JOIN pg_class USING (oid) "
                                 "WHERE relkind <> 'p' AND oid NOT IN (SELECT to_regclass(relation) "
                                 "FROM diastole.backfill_part WHERE plan = $1 AND step = $2 AND "
                                 "to_regclass(relation) IS NOT NULL) LIMIT 1",
                             work.id.plan.str(), work.id.step.str(), work.backfill.table);
  if (unknown.empty()) return {};
  auto failed = target_fail(ErrorCode::invalid_argument,
                            fmt::format("{} is gone, and {} has come since the backfill began", part.relation,
                                        unknown[0][0].as<std::string>()),
                            "42P01");
  failed.error().failure.hint = fmt::format(
      "if it was renamed, give it its name again, then retry; if it was dropped, make an empty table {}, then retry",
      part.relation);
  return failed;
}

// One batch inside its transaction.
TargetResult<BackfillBatch> advance(Unit& unit, const BackfillWork& work, int number, int rows, ChangeRows change) {
  auto locked = locked_part(unit, work, number);
  if (!locked) return std::unexpected(locked.error());
  auto& part = locked->part;
  BackfillBatch batch;
  batch.part_done = part.cursor.done;
  if (batch.part_done) return batch;
  if (locked->course.table.empty())
    return target_fail(ErrorCode::invalid_argument, fmt::format("there is no table {} any more", work.backfill.table),
                       "42P01");
  CourseSql sql(unit.work, work.backfill, locked->course);
  const auto& walk = locked->course.walk;
  // The planner multiplies the shares of both bounds of a key of several columns, as if they were apart: to it a batch
  // amid the table is a quarter of it, and to scan all of it the cheaper way.
  if (walk.key.size() > 1) unit.work.exec("SET LOCAL enable_seqscan = off; SET LOCAL jit = off");
  const double before = passed(part, walk);
  bool closed = false;
  using Clock = std::chrono::steady_clock;
  auto began = Clock::now();
  if (part.gone) {
    if (auto known = without_partition(unit, work, part); !known) return std::unexpected(std::move(known.error()));
    part.cursor = core::ended({});
  } else if (!part.cursor.window_to) {
    sql.open_window(part, rows);
  }
  if (part.cursor.window_to) {
    const auto reach = sql.batch_to(part, rows);
    began = Clock::now();
    if (auto changed = change({unit, work, sql, locked->course, part, reach.to}, batch); !changed)
      return std::unexpected(std::move(changed.error()));
    batch.rows = reach.rows;
    part.cursor = core::moved(std::move(part.cursor), reach.to, walk.strides);
    closed = !part.cursor.window_to;
  }
  move_part(unit, work.id, part, batch, closed);
  batch.changing = std::chrono::round<Milliseconds>(Clock::now() - began);
  unit.at = {};
  if (closed) part.rows += std::exchange(part.window_rows, 0);
  batch.share = (passed(part, walk) - before) * locked->weight;
  batch.part_done = part.cursor.done;
  batch.window_done = closed;
  return batch;
}

}  // namespace

TargetResult<BackfillState> PgTarget::backfill_begin(const BackfillWork& work) {
  BackfillState state;
  auto committed = transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    if (const auto row = ledger_row(unit.work, work.id); !row) return std::unexpected(row.error());
    const auto known = query(unit.work, "SELECT FROM diastole.backfill WHERE plan = $1 AND step = $2",
                             work.id.plan.str(), work.id.step.str());
    if (known.empty()) {
      if (auto begun = begin(unit, work); !begun) return begun;
    }
    auto found = state_of(unit.work, work);
    if (!found) return std::unexpected(std::move(found.error()));
    state = *std::move(found);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return state;
}

TargetResult<BackfillBatch> PgTarget::backfill_batch(const BackfillWork& work, int part, int rows,
                                                     std::stop_token stop) {
  BackfillBatch batch;
  auto spec = spec_of(work);
  // Cursor and rows are lost together or not at all, and backfill_finish waits for the disk.
  spec.lossy = true;
  auto committed = transact(spec, stop, [&](Unit& unit) -> TargetResult<void> {
    auto advanced = advance(unit, work, part, std::max(rows, 1), change_at_once);
    if (!advanced) return std::unexpected(std::move(advanced.error()));
    batch = *advanced;
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return batch;
}

TargetResult<BackfillBatch> PgTarget::backfill_isolate(const BackfillWork& work, int part, int rows,
                                                       std::stop_token stop) {
  BackfillBatch batch;
  auto committed = transact(spec_of(work), stop, [&](Unit& unit) -> TargetResult<void> {
    auto advanced = advance(unit, work, part, std::max(rows, 1), change_one_by_one);
    if (!advanced) return std::unexpected(std::move(advanced.error()));
    batch = *advanced;
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return batch;
}

TargetResult<BackfillState> PgTarget::backfill_again(const BackfillWork& work) {
  BackfillState state;
  auto committed = transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    auto found = state_of(unit.work, work);
    if (!found) return std::unexpected(std::move(found.error()));
    state = *std::move(found);
    // An answer that was lost must not cost a pass: asked again, the new pass has not ended yet.
    if (!state.open_parts.empty()) return {};
    const auto row = locked_backfill(unit.work, work);
    if (!row) return std::unexpected(row.error());
    auto course = course_from(*row);
    // Few rows are left, and no window has many: strides would only read the table several times.
    course.walk.strides = 1;
    const auto parts = CourseSql(unit.work, work.backfill, course).parts();
    query(unit.work,
          "UPDATE diastole.backfill SET pass = pass + 1, strides = 1, rows = $3, rows_changed = $4, rows_total = $5, "
          "epoch = $6, updated_at = now() WHERE plan = $1 AND step = $2",
          work.id.plan.str(), work.id.step.str(), state.rows, state.rows_changed, rows_in(parts), work.id.epoch.value);
    for (const auto* table : {"backfill_part", "backfill_skipped"}) {
      query(unit.work, fmt::format("DELETE FROM diastole.{} WHERE plan = $1 AND step = $2", table), work.id.plan.str(),
            work.id.step.str());
    }
    insert_parts(unit.work, work.id, parts);
    found = state_of(unit.work, work);
    if (!found) return std::unexpected(std::move(found.error()));
    state = *std::move(found);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return state;
}

TargetResult<std::vector<core::RowFault>> PgTarget::backfill_finish(const BackfillWork& work) {
  std::vector<core::RowFault> skipped;
  auto committed = transact(spec_of(work), {}, [&](Unit& unit) -> TargetResult<void> {
    for (const auto& row : query(unit.work,
                                 "SELECT relation, key_names, key, sqlstate, message FROM diastole.backfill_skipped "
                                 "WHERE plan = $1 AND step = $2 ORDER BY skipped_at, relation, key",
                                 work.id.plan.str(), work.id.step.str())) {
      skipped.push_back({.relation = row[0].as<std::string>(),
                         .key = named(*texts_of(row[1]), *texts_of(row[2])),
                         .sqlstate = row[3].as<std::string>(),
                         .message = row[4].as<std::string>()});
    }
    const auto done = ledger_row(unit.work, work.id);
    if (!done) return std::unexpected(done.error());
    if (*done) return {};
    const auto state = state_of(unit.work, work);
    if (!state) return std::unexpected(state.error());
    if (!state->open_parts.empty()) {
      return target_fail(ErrorCode::conflict,
                         fmt::format("backfill {} has not reached the end of its table", work.id.step.str()));
    }
    finish_in_ledger(unit.work, work.id, state->rows_changed);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return skipped;
}

}  // namespace diastole::postgres
