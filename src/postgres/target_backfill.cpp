// Backfill: parts of the table, walked in batches, one transaction each, in which the part's cursor moves too. So every
// row is visited once a pass, whatever is killed at whatever moment.
#include <fmt/format.h>

#include <algorithm>
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

constexpr int kCountAtMost = 1'000;
constexpr std::string_view kZeroRows = "zero_rows";

// A one-dimensional text[]; none for NULL.
std::optional<std::vector<std::string>> texts_of(const pqxx::row::reference& field) {
  if (field.is_null()) return std::nullopt;
  std::vector<std::string> texts;
  auto parser = field.as_array();
  for (auto next = parser.get_next(); next.first != pqxx::array_parser::juncture::done; next = parser.get_next()) {
    if (next.first == pqxx::array_parser::juncture::string_value) texts.push_back(next.second);
  }
  return texts;
}

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

TargetResult<BackfillState> state_of(pqxx::work& work, const BackfillWork& backfill) {
  const auto row = locked_backfill(work, backfill);
  if (!row) return std::unexpected(row.error());
  const auto course = course_from(*row);
  BackfillState state{.walk = course.walk,
                      .pass = course.pass,
                      .rows = row->at(kCourseFields).as<std::int64_t>(),
                      .rows_changed = row->at(kCourseFields + 1).as<std::int64_t>(),
                      .rows_total = row->at(kCourseFields + 2).as<std::int64_t>(),
                      .open_parts = {}};
  for (const auto& part : query(work,
                                "SELECT part, done, rows + window_rows * stride / $3, rows_changed "
                                "FROM diastole.backfill_part WHERE plan = $1 AND step = $2 ORDER BY part",
                                backfill.id.plan.str(), backfill.id.step.str(), course.walk.strides)) {
    if (!part[1].as<bool>()) state.open_parts.push_back(part[0].as<int>());
    state.rows += part[2].as<std::int64_t>();
    state.rows_changed += part[3].as<std::int64_t>();
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

// Key columns with the types that their values are compared as.
std::vector<KeyColumn> typed(pqxx::work& work, const core::Backfill& backfill, const std::vector<std::string>& names) {
  std::vector<KeyColumn> key;
  for (const auto& name : names) {
    const auto row = query(work,
                           "SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute "
                           "WHERE attrelid = to_regclass($1) AND attname = $2",
                           backfill.table, name)[0];
    key.push_back({.name = row[0].as<std::string>(), .type = row[1].as<std::string>()});
  }
  return key;
}

// The first time: the way, the parts, and what says that it is a way.
TargetResult<void> begin(Unit& unit, const BackfillWork& work) {
  auto walk = walk_for(unit.work, unit.connection.server_version(), work.backfill);
  if (!walk) return std::unexpected(std::move(walk.error()));
  Course course{.walk = *std::move(walk), .key = {}, .pass = 1, .table = {}};
  course.key = typed(unit.work, work.backfill, course.walk.key);
  course.table = query(unit.work, "SELECT quote_ident(relname) FROM pg_class WHERE oid = to_regclass($1)",
                       work.backfill.table)[0][0]
                     .as<std::string>();
  CourseSql sql(unit.work, work.backfill, course);
  const auto parts = sql.parts();
  if (!parts.empty()) {
    if (auto found = sql.refuse_scans(parts.front(), kCountAtMost); !found) return found;
  }
  std::vector<std::string> names;
  std::vector<std::string> types;
  for (const auto& column : course.key) {
    names.push_back(column.name);
    types.push_back(column.type);
  }
  query(unit.work,
        fmt::format("INSERT INTO diastole.backfill (plan, step, checksum, rows_total, epoch, walk_by, key_names, "
                    "key_types, strides, workers, because) VALUES ($1, $2, $3, $4, $5, $6, {}, {}, $7, $8, {})",
                    text_array(unit.work, names), text_array(unit.work, types),
                    text_array(unit.work, course.walk.because)),
        work.id.plan.str(), work.id.step.str(), work.id.checksum, rows_in(parts), work.id.epoch.value,
        std::string(to_string(course.walk.by)), course.walk.strides, course.walk.workers);
  insert_parts(unit.work, work.id, parts);
  return {};
}

struct LockedPart {
  Course course;
  Part part;
};

TargetResult<LockedPart> locked_part(pqxx::work& work, const BackfillWork& backfill, int number) {
  const auto found =
      query(work,
            fmt::format("SELECT {}, p.relation, p.lower, p.upper, p.rows_total, p.window_rows, p.done_to, "
                        "p.window_to, p.stride, p.stride_to, p.last_window, p.done "
                        "FROM diastole.backfill_part p JOIN diastole.backfill b USING (plan, step) "
                        "WHERE p.plan = $1 AND p.step = $2 AND p.part = $4 FOR UPDATE OF p",
                        kCourse),
            backfill.id.plan.str(), backfill.id.step.str(), backfill.backfill.table, number);
  if (found.empty()) {
    return target_fail(ErrorCode::conflict, fmt::format("the target has no cursor of part {} of backfill {}", number,
                                                        backfill.id.step.str()));
  }
  const auto row = found[0];
  if (auto same = same_checksum(row, backfill.id); !same) return std::unexpected(std::move(same.error()));
  LockedPart locked{.course = course_from(row), .part = {}};
  const auto at = [&](int offset) { return row[kCourseFields + offset]; };
  locked.part = {.number = number,
                 .relation = at(0).as<std::string>(),
                 .lower = texts_of(at(1)),
                 .upper = texts_of(at(2)),
                 .rows_total = at(3).as<std::int64_t>(),
                 .window_rows = at(4).as<std::int64_t>(),
                 .cursor = {.done_to = texts_of(at(5)),
                            .window_to = texts_of(at(6)),
                            .stride = at(7).as<int>(),
                            .stride_to = texts_of(at(8)),
                            .last_window = at(9).as<bool>(),
                            .done = at(10).as<bool>()}};
  return locked;
}

// Deferred constraints speak up now, while their complaint still has its SQLSTATE and its statement.
void move_part(pqxx::work& work, const ports::WorkId& id, const Part& part, const BackfillBatch& added, bool closed) {
  const auto& cursor = part.cursor;
  work.exec(fmt::format(
      "SET CONSTRAINTS ALL IMMEDIATE; UPDATE diastole.backfill_part SET done_to = {}, window_to = {}, window_rows = "
      "{}, "
      "stride = {}, stride_to = {}, last_window = {}, done = {}, rows = rows + {}, rows_changed = rows_changed + {}, "
      "epoch = {}, updated_at = now() WHERE plan = {} AND step = {} AND part = {}",
      place_array(work, cursor.done_to), place_array(work, cursor.window_to), closed ? 0 : part.window_rows,
      cursor.stride, place_array(work, cursor.stride_to), cursor.last_window, cursor.done, closed ? part.window_rows : 0,
      added.rows_changed, id.epoch.value, work.quote(id.plan.str()), work.quote(id.step.str()), part.number));
}

// One batch inside its transaction.
TargetResult<BackfillBatch> advance(Unit& unit, const BackfillWork& work, int number, int rows) {
  auto locked = locked_part(unit.work, work, number);
  if (!locked) return std::unexpected(locked.error());
  auto& part = locked->part;
  if (part.cursor.done) return BackfillBatch{.rows = 0, .rows_changed = 0, .part_done = true};
  CourseSql sql(unit.work, work.backfill, locked->course);
  const int strides = locked->course.walk.strides;
  const auto visited = [&] { return part.window_rows * part.cursor.stride / strides; };
  BackfillBatch batch;
  if (!part.cursor.window_to) sql.open_window(part, rows);
  bool closed = false;
  if (part.cursor.window_to) {
    const auto to = sql.batch_to(part, rows);
    const auto update = sql.update(part, to);
    unit.at = {.statement = 1, .sql = update};
    batch.rows_changed = static_cast<std::int64_t>(unit.work.exec(update).affected_rows());
    const auto before = visited();
    part.cursor = core::moved(std::move(part.cursor), to, strides);
    closed = !part.cursor.window_to;
    batch.rows = (closed ? part.window_rows : visited()) - before;
  }
  move_part(unit.work, work.id, part, batch, closed);
  unit.at = {};
  batch.part_done = part.cursor.done;
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
    auto advanced = advance(unit, work, part, std::max(rows, 1));
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
          "UPDATE diastole.backfill SET pass = pass + 1, strides = 1, rows = $3, rows_changed = $4, epoch = $5, "
          "updated_at = now() WHERE plan = $1 AND step = $2",
          work.id.plan.str(), work.id.step.str(), state.rows, state.rows_changed, work.id.epoch.value);
    query(unit.work, "DELETE FROM diastole.backfill_part WHERE plan = $1 AND step = $2", work.id.plan.str(),
          work.id.step.str());
    insert_parts(unit.work, work.id, parts);
    found = state_of(unit.work, work);
    if (!found) return std::unexpected(std::move(found.error()));
    state = *std::move(found);
    return {};
  });
  if (!committed) return std::unexpected(std::move(committed.error()));
  return state;
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
    const auto state = state_of(unit.work, work);
    if (!state) return std::unexpected(state.error());
    if (!state->open_parts.empty()) {
      return target_fail(ErrorCode::conflict,
                         fmt::format("backfill {} has not reached the end of its table", work.id.step.str()));
    }
    finish_in_ledger(unit.work, work.id, state->rows_changed);
    return {};
  });
}

}  // namespace diastole::postgres
