// ALTER COLUMN … TYPE: what it asks of the rows that are there.
#pragma once

#include <string>
#include <string_view>

#include "known.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct TypeChange {
  std::string from;  // empty where nobody says
  std::string to;
  core::Answer rewrites = core::Answer::maybe;
  core::Answer scans = core::Answer::maybe;        // for a rewrite, a CHECK, or an index that is built anew
  core::Answer checks_keys = core::Answer::maybe;  // foreign keys over the column are checked anew
  bool widens = false;                             // old code can go on as it is
  bool builds_index = false;                       // with the table's lock held
  std::string check;                               // a valid CHECK that uses the column, and is checked anew
};

// `definition` is the ColumnDef of AT_AlterColumnType.
[[nodiscard]] TypeChange type_change(const Known& known, std::string_view table, std::string_view column,
                                     Node definition);

}  // namespace diastole::sql
