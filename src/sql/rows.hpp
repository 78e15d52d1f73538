// What a WHERE says of the rows.
#pragma once

#include "parse.hpp"

namespace diastole::sql {

// The rows are named one by one: id = 7, id IN (7, 8), alone or with further conditions.
[[nodiscard]] bool names_rows(Node where);

}  // namespace diastole::sql
