// Which names a query sees, and which columns they stand for: as PostgreSQL's namespaces.
#pragma once

#include <string_view>
#include <vector>

#include "use_record.hpp"

namespace diastole::sql {

// What a query yields, in order. Names are of the tree or of the snapshot; empty where PostgreSQL says ?column?.
struct Output {
  std::vector<std::string_view> names = {};
  bool open = false;  // there may be more of them, anywhere among these
};

// Something in FROM.
struct Range {
  struct Base {
    TableId table = kNoTable;
    std::size_t column = kSomeColumn;  // in the snapshot's table
  };
  // Its use is that of its bases. What a subquery computes has none: the subquery itself has read what it needs.
  struct Column {
    std::string_view name;
    std::vector<Base> bases;
  };

  std::string_view name = {};
  std::string_view schema = {};                     // of a table without an alias: it can be said in front
  bool any_schema = false;                          // the same, of one that is not known
  TableId table = kNoTable;                         // of a table, known or not
  const core::CatalogRelation* relation = nullptr;  // a known table under its own columns' names; then no `columns`
  std::vector<Column> columns = {};
  bool open = false;                          // may have columns beside these
  std::vector<TableId> open_tables = {};      // whose they would be
  bool open_rows = false;                     // or a table's that nobody knows: rows of a function
  std::vector<std::string_view> hidden = {};  // by USING: they stand under another range
  bool qualified = true;                      // its name can be said before a column
  bool unqualified = true;                    // its columns can be said without

  [[nodiscard]] std::size_t size() const { return relation != nullptr ? relation->columns.size() : columns.size(); }
  [[nodiscard]] std::string_view column_name(std::size_t at) const {
    return relation != nullptr ? std::string_view(relation->columns[at].name) : columns[at].name;
  }
  [[nodiscard]] bool hides(std::string_view column) const;
  [[nodiscard]] std::vector<Base> bases(std::size_t at) const;
  // maybe: among those it is open to.
  struct Spot {
    core::Answer has = core::Answer::no;
    std::size_t at = kSomeColumn;
  };
  [[nodiscard]] Spot look(std::string_view column) const;
};

// One query's FROM, and the query around it.
struct Level {
  const Level* outer = nullptr;
  std::vector<Range> ranges = {};
  std::size_t first = 0;  // the ranges before are not visible at present

  [[nodiscard]] bool has_column(std::string_view column) const;  // or may have
};

[[nodiscard]] bool is_system_column(std::string_view column);

// The column at the spot is used.
void use_column(UseRecord& record, const Range& range, Range::Spot spot, std::string_view name, Access access,
                core::Answer answer);
void use_row(UseRecord& record, const Range& range, Access access, core::Answer answer = core::Answer::yes);
// The table whose row type a column's values are of; null where they are of none that is known.
[[nodiscard]] const core::CatalogRelation* row_type_of(const UseRecord& record, const Range& range, Range::Spot spot);

// By its name, in the innermost level that has it; null where none has.
[[nodiscard]] const Range* find_range(const Level& level, std::string_view name);
[[nodiscard]] const Range* find_range(const Level& level, std::string_view schema, std::string_view name);

// What `column` without a qualifier may be, from the innermost level outward.
struct Candidates {
  struct One {
    const Range* range;
    Range::Spot spot;
  };
  std::vector<One> found;     // of the innermost level that has any
  std::vector<One> possible;  // open ranges there and further in
};
[[nodiscard]] Candidates candidates(const Level& level, std::string_view column);

}  // namespace diastole::sql
