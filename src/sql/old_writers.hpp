// Whether writes of old code, which does not know of a new constraint, meet it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/plan.hpp"
#include "value.hpp"

namespace diastole::sql {

// A column that old code does not know, and what its writes leave in it.
struct NewColumn {
  std::string type = {};
  Value in_rows = {};     // that were there when it was added
  Value in_inserts = {};  // its default now
};
// Of a ColumnDef.
[[nodiscard]] NewColumn new_column(Node column, std::string type);
// What DEFAULT puts into a row that does not name the column.
[[nodiscard]] Value default_value(Node expression);

// Null for a column that old code knows and may write anything to.
using NewColumns = std::function<const NewColumn*(std::string_view column)>;

// A CHECK holds on NULL, which is what old code leaves in columns without a default; unless it asks just for that.
[[nodiscard]] bool check_holds(Node expression, const NewColumns& columns);

// Whether two rows of old code may be the same by a unique key, which is an IndexStmt or a Constraint. yes: the second
// INSERT fails.
[[nodiscard]] core::Answer collides(Node key, const std::vector<std::string>& columns, const NewColumns& new_columns);

// Whether a foreign key over the columns may miss what it points to.
[[nodiscard]] bool may_dangle(Node constraint, const std::vector<std::string>& keys, const NewColumns& columns);

// Whether old code may leave NULL in the column.
[[nodiscard]] bool may_be_null(std::string_view column, const NewColumns& columns);

}  // namespace diastole::sql
