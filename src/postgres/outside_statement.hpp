// What must be known of a statement that cannot run in a transaction, to run it again safely. PostgreSQL's own parser
// is another room's; here the statement's first words are enough.
#pragma once

#include <string>
#include <string_view>

namespace diastole::postgres {

enum class OutsideKind {
  create_index,  // leaves an INVALID index when it breaks off
  drop_index,    // leaves the index, INVALID, when it breaks off
  repeatable,    // may simply run again: REINDEX, VACUUM, ANALYZE, CLUSTER
  other,         // nobody can tell whether it has happened
};

struct OutsideStatement {
  OutsideKind kind = OutsideKind::other;
  // create_index: the same index on `on`, made in a transaction, is "CREATE <unique>INDEX <name> ON <on> <definition>".
  bool unique = false;
  std::string table;       // as written
  std::string definition;  // all after the table
};

[[nodiscard]] OutsideStatement read_outside_statement(std::string_view sql);

}  // namespace diastole::postgres
