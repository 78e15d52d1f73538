// Statements on rows, and what a WHERE says of them.
#pragma once

#include "known.hpp"
#include "parse.hpp"

namespace diastole::sql {

// As many as one statement may write without hurting anybody.
inline constexpr std::int64_t kFewRows = 10'000;

// INSERT, UPDATE, DELETE or MERGE, by libpg_query's tag.
[[nodiscard]] bool writes_rows(std::string_view tag);

// The rows of a relation that a WHERE selects are named one by one: all columns of a unique index equal constants,
// alone or with further conditions. Where nobody knows the indexes, `id` has one.
[[nodiscard]] bool names_rows(Node where, Node relation, bool joined, const Known& known);
// The same, and PostgreSQL finds them by that index: a constant is of the column's type, or becomes it.
[[nodiscard]] bool finds_rows(Node where, Node relation, bool joined, const Known& known);

}  // namespace diastole::sql
