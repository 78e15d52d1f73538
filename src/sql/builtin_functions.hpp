// What is known of PostgreSQL's own functions by their names alone.
#pragma once

#include <string_view>

namespace diastole::sql {

struct BuiltinFunction {
  std::string_view columns;  // of its rows, "key,value"; empty: a plain value
  bool open = false;         // its rows' columns depend on its arguments
};
// Null: not one of PostgreSQL's, or newer than this list.
[[nodiscard]] const BuiltinFunction* builtin_function(std::string_view name);

// A built-in one that takes, as text or regclass, the name of what it works on.
enum class NamesInText {
  nothing,
  table,           // of which it reads no column
  sequence,        // which a column may own
  owned_sequence,  // that of a table's column
  anything,        // it runs a query, or reads whole tables
};
[[nodiscard]] NamesInText names_in_text(std::string_view name);

}  // namespace diastole::sql
