// What PostgreSQL 15 does for each kind of statement, as tables. The locks were observed in pg_locks, not only read
// about.
#pragma once

#include <span>
#include <string_view>

#include "diastole/core/plan.hpp"
#include "effects.hpp"
#include "parse.hpp"

namespace diastole::sql {

// What the relation in a statement's `subject` field is to it.
enum class Role {
  none,      // it has no such field
  touches,   // an existing table, or several, locked as the row says
  creates,   // a new one
  sequence,  // one that is there
  unlisted,  // a composite type, or a new sequence
};

struct StatementKind {
  std::string_view tag;      // libpg_query's node
  std::string_view command;  // PostgreSQL's command tag; empty where `refine` finds it
  core::LockMode lock = core::LockMode::none;
  Role role = Role::none;
  const char* subject = "relation";
  bool destructive = false;
  bool transactional = true;
  bool opens = true;     // the relations it names, if only to look at their definitions
  bool queries = false;  // reads or writes their rows
  void (*refine)(Node body, const Known& known, Effects& effects) = nullptr;  // what the row cannot say
};
[[nodiscard]] const StatementKind* find_statement_kind(std::string_view tag);

// How an object is named in DROP, COMMENT and their like.
enum class Naming {
  relation,  // a table, view or materialised view
  member,    // of a table: the table's name and one part more
  index,
  sequence,
  other,  // no relation at all
};

struct ObjectKind {
  std::string_view type;  // libpg_query's ObjectType
  std::string_view noun;
  Naming naming = Naming::other;
  core::LockMode drop_lock = core::LockMode::none;
  core::LockMode rename_lock = core::LockMode::none;
  bool destructive = false;  // dropped or renamed, code that uses it breaks, and a dropped one's contents are lost
};
[[nodiscard]] const ObjectKind* find_object_kind(std::string_view type);

struct AlterKind {
  std::string_view subtype;  // libpg_query's AlterTableType
  core::LockMode lock = core::LockMode::access_exclusive;
  Reach reach = Reach::itself;
  bool destructive = false;
};
[[nodiscard]] const AlterKind* find_alter_kind(std::string_view subtype);

}  // namespace diastole::sql
