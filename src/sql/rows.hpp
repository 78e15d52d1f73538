// Statements on rows, and what a WHERE says of them.
#pragma once

#include "parse.hpp"

namespace diastole::sql {

// INSERT, UPDATE, DELETE or MERGE, by libpg_query's tag.
[[nodiscard]] bool writes_rows(std::string_view tag);

// The rows are named one by one: id = 7, id IN (7, 8), alone or with further conditions.
[[nodiscard]] bool names_rows(Node where);

}  // namespace diastole::sql
