// Which columns of which tables a query reads and writes: by PostgreSQL's own parser and a snapshot of the catalog.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::sql {

// In both, an empty schema is an unqualified name that is in no schema of the snapshot's search_path.
struct TableUse {
  core::RelationName table;
  core::Answer named = core::Answer::no;  // yes: by the query, or by a view it names; maybe: by a function it calls, …
  core::Answer reads = core::Answer::no;  // its rows
  core::Answer writes = core::Answer::no;
  friend bool operator==(const TableUse&, const TableUse&) = default;
};

struct ColumnUse {
  core::RelationName table;  // its name empty: some table, nobody can tell which; always maybe then
  std::string column;        // empty: any or every one, of a table whose columns the snapshot does not have
  core::Answer reads = core::Answer::no;
  core::Answer writes = core::Answer::no;
  friend bool operator==(const ColumnUse&, const ColumnUse&) = default;
};

struct QueryUse {
  std::vector<TableUse> tables = {};     // sorted by name, each once
  std::vector<ColumnUse> columns = {};   // sorted by table and column, each once
  std::vector<std::string> unsure = {};  // why something could not be told, in words with the name concerned
  bool any_column = false;               // it may use every column of every table
  bool any_table = false;                // it may name every table, though no more of their columns than said above
};

// Reads queries against one snapshot, which must outlive it. Building it costs a pass over the snapshot; keep it for
// many queries. Immutable: threads may share it.
//
// A column that a query uses is never answered with `no`: what cannot be told is `maybe`, and `unsure` says why. That
// holds as far as the snapshot does:
//  - Unqualified names are looked up in the snapshot's search_path. A query that another session ran under another
//    search_path needs a snapshot with that one.
//  - The snapshot must hold the tables asked about, all views above them, and all functions outside pg_catalog, or
//    else queries that call one are `maybe` for everything. A call of a function that the snapshot has is `maybe` for
//    the columns that the function hangs on as a dependent of their table, and `unsure` names it.
//  - What hangs on a table is found as its dependent, not here: triggers, rules, policies, defaults and generated
//    columns of a table that the query names, functions that a called function calls, functions behind operators, casts
//    and aggregates, and SQL that a function puts together at run time.
//
// What counts as use of a column:
//  - `*`, t.*, and the row as a value (SELECT t, row_to_json(t), t IS NULL) read every column; count(*) reads none.
//  - INSERT without a column list writes as many columns as its source has, in their order. Positions count elsewhere
//    too: FROM t AS x(a, b) may read the first two columns. NATURAL JOIN reads those that both sides have.
//  - SET a[1] = … and SET a.b = … read a as well as they write it.
//  - ON CONFLICT ON CONSTRAINT reads the constraint's columns, and may read what else its index holds; so may ON
//    CONFLICT (…) of the unique indexes on these columns.
//  - A query on a view also reads every column that the view hangs on; one that writes to a view may write to these.
//  - A name of a table's row type in a cast (NULL::users) may read every column of it.
//  - A sequence by name (nextval('s')) reads the column that owns it.
class UseFinder {
 public:
  explicit UseFinder(const core::CatalogSnapshot& catalog);
  ~UseFinder();
  UseFinder(UseFinder&&) noexcept;
  UseFinder& operator=(UseFinder&&) noexcept;

  // Of all statements in the text together, such as one of pg_stat_statements, where $1 may stand for any constant.
  // invalid_argument for what does not parse (cut off, newer syntax than PostgreSQL 15's): take that as maybe.
  [[nodiscard]] Result<QueryUse> find(std::string_view sql) const;

  // Would the query miss the column, or the table? An answer about a table holds for its partitions and heirs and for
  // those it is a partition or heir of: they share their columns. A column that the snapshot's table does not have is
  // at least maybe used by every query that names the table.
  [[nodiscard]] core::Answer uses(const QueryUse& query, const core::RelationName& table,
                                  std::string_view column) const;
  [[nodiscard]] core::Answer uses(const QueryUse& query, const core::RelationName& table) const;

 private:
  std::unique_ptr<const class UseIndex> index_;
};

}  // namespace diastole::sql
