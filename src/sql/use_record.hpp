// What has been found out about a query so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "diastole/sql/column_use.hpp"
#include "use_index.hpp"

namespace diastole::sql {

enum class Access { read, write };

using TableId = std::size_t;  // in one UseRecord
inline constexpr TableId kNoTable = static_cast<TableId>(-1);
inline constexpr std::size_t kSomeColumn = static_cast<std::size_t>(-1);

// Of a table, or of one of its columns.
struct Marks {
  core::Answer reads = core::Answer::no;
  core::Answer writes = core::Answer::no;
  void raise(Access access, core::Answer answer) {
    core::Answer& mark = access == Access::read ? reads : writes;
    mark = std::max(mark, answer);
  }
  [[nodiscard]] bool any() const { return reads != core::Answer::no || writes != core::Answer::no; }
};

class UseRecord {
 public:
  explicit UseRecord(const UseIndex& index) : index_(index) {}

  [[nodiscard]] const UseIndex& index() const { return index_; }

  // The query names the table (maybe: something it calls may). For a view, what it hangs on counts as well.
  TableId table(const core::CatalogRelation& relation, core::Answer named = core::Answer::yes);
  // One that the snapshot does not have.
  TableId unknown_table(std::string_view schema, std::string_view name, core::Answer named = core::Answer::yes);
  // Null for an unknown one.
  [[nodiscard]] const core::CatalogRelation* relation(TableId table) const { return states_[table].relation; }

  void rows(TableId table, Access access, core::Answer answer = core::Answer::yes);
  // kSomeColumn is every one.
  void column(TableId table, std::size_t column, Access access, core::Answer answer = core::Answer::yes);
  // By a name that the snapshot's table does not have.
  void column(TableId table, std::string_view column, Access access, core::Answer answer);
  void every_column(TableId table, Access access, core::Answer answer = core::Answer::yes);

  // Maybe a column of this name, in any table.
  void somewhere(std::string_view column) { somewhere_[std::string(column)].raise(Access::read, core::Answer::maybe); }
  // Maybe what hangs so, or all of the relation where it does not say on which columns.
  void maybe(const UseIndex::Hold& hold);
  void sequence(std::string_view schema, std::string_view name);

  void unsure(std::string why);
  void any_column(std::string why);
  void any_table(std::string why);

  [[nodiscard]] QueryUse take();

 private:
  struct State {
    const core::CatalogRelation* relation = nullptr;
    core::RelationName name = {};
    core::Answer named = core::Answer::no;
    Marks rows = {};
    Marks every = {};                                      // every column of an unknown table
    std::vector<Marks> columns = {};                       // as in the relation
    std::map<std::string, Marks, std::less<>> other = {};  // columns that the snapshot does not have
    bool below_written = false;
  };

  // A view has been named, or written to.
  void below(const core::CatalogRelation& view, Access access, core::Answer answer);
  void columns_of(const UseIndex::Hold& hold, Access access, core::Answer answer);

  const UseIndex& index_;
  std::vector<State> states_;
  std::unordered_map<const core::CatalogRelation*, TableId> known_;
  std::map<core::RelationName, TableId> unknown_;
  std::map<std::string, Marks, std::less<>> somewhere_;
  std::vector<std::string> unsure_;
  bool any_column_ = false;
  bool any_table_ = false;
};

}  // namespace diastole::sql
