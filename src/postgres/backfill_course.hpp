// A backfill's way in SQL: its parts, their windows, and the statement of a batch. What moves the cursor is
// core/walk.hpp; when a batch runs, and how large it is, the engine says.
#pragma once

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "diastole/core/plan.hpp"
#include "diastole/core/walk.hpp"
#include "diastole/ports/target.hpp"

namespace diastole::postgres {

struct KeyColumn {
  std::string name;  // quoted
  std::string type;
};

// SQL that begins with "WITH RECURSIVE family(oid) AS (…)": the relation that the parameter names, and what inherits
// from it.
[[nodiscard]] std::string family_of(int parameter);

// What all parts of a backfill share.
struct Course {
  core::Walk walk;  // strides is 1 from the second pass on: few rows are left then
  std::vector<KeyColumn> key;
  int pass = 1;
  std::string table;  // the plan's, quoted, without its schema: its expressions may use that name

  [[nodiscard]] std::vector<std::string> names() const;  // of the key, quoted
};

struct Part {
  int number = 0;
  std::string relation;  // as an SQL identifier, with its schema
  std::optional<core::Place> lower;
  std::optional<core::Place> upper;
  std::int64_t rows_total = 0;  // estimate
  std::int64_t rows = 0;        // visited, in windows that are closed
  std::int64_t window_rows = 0;
  core::PartCursor cursor;
  bool gone = false;  // there is no relation of that name any more

  [[nodiscard]] const std::optional<core::Place>& from() const { return cursor.from() ? cursor.from() : lower; }
};

// How much of the part was visited, 0 to 1, all strides over a window counting as one visit: by blocks exactly, by key
// as far as rows_total is right.
[[nodiscard]] double passed(const Part& part, const core::Walk& walk);

// core::choose_walk() by the catalogs as they are now. The transaction needs a lock_timeout.
[[nodiscard]] ports::TargetResult<core::Walk> walk_for(pqxx::transaction_base& work, int server_version,
                                                       const core::Backfill& backfill);

// A backfill's course at its beginning.
[[nodiscard]] Course course_of(pqxx::transaction_base& work, const core::Backfill& backfill, core::Walk walk);

// A row as one batch meets it.
struct RowAt {
  std::string ctid;
  core::Place key;  // the values of row_names()
};

// The columns, quoted, that name a row: the walk's key, else the table's primary key, else its place and version (ctid,
// xmin).
[[nodiscard]] std::vector<std::string> row_names(pqxx::transaction_base& work, const std::vector<std::string>& walk_key,
                                                 const std::string& table);

// A one-dimensional text[]; none for NULL.
[[nodiscard]] std::optional<std::vector<std::string>> texts_of(const pqxx::row::reference& field);

class CourseSql {
 public:
  CourseSql(pqxx::transaction_base& work, const core::Backfill& backfill, const Course& course)
      : work_(work), backfill_(backfill), course_(course) {}

  // The table's relations as they are now, cut into ranges for the workers.
  [[nodiscard]] std::vector<Part> parts();

  // Opens the part's next window, for batches of about `rows` rows, or ends the part.
  void open_window(Part& part, int rows);
  struct Reach {
    core::Place to;
    std::int64_t rows = 0;  // that are visited up to there; by blocks an estimate
  };
  // Where a batch of about `rows` rows ends that begins where the part's cursor stands. Only while a window is open.
  [[nodiscard]] Reach batch_to(const Part& part, int rows);
  // The statement of that batch; empty where the plan's own `sql` would have no key left in it.
  [[nodiscard]] std::string change(const Part& part, const core::Place& to);
  // The batch's rows, locked (not for a plan's own sql), and the statement that changes one of them alone.
  [[nodiscard]] std::vector<RowAt> rows(const Part& part, const core::Place& to);
  [[nodiscard]] std::string change(const Part& part, const RowAt& row) const;
  // What looks for the end of the window of about `rows` rows that the part begins with; empty by blocks.
  [[nodiscard]] std::string window_sql(const Part& part, int rows) const;
  // invalid_argument where PostgreSQL has no other way to a batch than to scan the relation: it would at each.
  [[nodiscard]] ports::TargetResult<void> refuse_scans(Part part);

 private:
  struct Found {
    std::int64_t rows = 0;
    core::Place last;
  };
  [[nodiscard]] std::vector<Part> cut(const std::string& relation, std::int64_t rows, int ranges);
  [[nodiscard]] std::vector<core::Place> block_bounds(const std::string& relation, int ranges);
  [[nodiscard]] std::vector<core::Place> key_bounds(const std::string& relation, std::int64_t rows, int ranges);
  // The first `limit` rows by key behind `from`, of all strides or of one.
  [[nodiscard]] std::string keys_sql(const std::string& relation, const std::string& range, int limit) const;
  [[nodiscard]] Found next_keys(const std::string& relation, const std::string& range, int limit);
  // Its statements see all of a partitioned table at once.
  [[nodiscard]] bool by_own_sql() const { return !backfill_.sql.empty(); }
  [[nodiscard]] std::string source(const std::string& relation) const;
  [[nodiscard]] std::string update(const Part& part, const std::string& of) const;
  [[nodiscard]] std::string own_sql(const std::string& from, const std::string& to) const;
  [[nodiscard]] std::string stride_filter(const Part& part) const;
  [[nodiscard]] std::string range(const std::optional<core::Place>& from, const std::optional<core::Place>& to) const;
  [[nodiscard]] std::string compare(std::string_view op, const core::Place& place) const;

  pqxx::transaction_base& work_;
  const core::Backfill& backfill_;
  const Course& course_;
};

}  // namespace diastole::postgres
