// Statements that read and write rows.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "around.hpp"
#include "builtin_functions.hpp"
#include "contains.hpp"
#include "effects.hpp"
#include "refine.hpp"
#include "rows.hpp"

namespace diastole::sql::refine {
namespace {

using core::Answer;
using core::CatalogConstraint;
using core::CatalogDependent;
using core::CatalogRelation;
using core::ConstraintKind;
using core::LockMode;

// What is done to the rows of a table.
struct Write {
  bool inserts = false;
  bool removes = false;
  std::set<std::string_view> sets;  // columns of rows that stay
  Answer scans = Answer::no;
  Reach reach = Reach::family;

  [[nodiscard]] bool sets_any(const std::vector<std::string>& columns) const {
    return std::ranges::any_of(columns, [&](const std::string& column) { return sets.contains(column); });
  }
};

constexpr int kMaxDepth = 50;  // of views over views, and of cascades

bool is_view(const CatalogRelation* relation) {
  return relation != nullptr && relation->kind == core::RelationKind::view;
}

bool has_rules(const CatalogRelation& table) {
  return std::ranges::any_of(
      table.dependents, [](const CatalogDependent& dependent) { return dependent.kind == core::DependentKind::rule; });
}

void add_columns(Node targets, Write& write) {
  for (const Node target : targets) write.sets.insert(target.body().text("name"));
}

// The rows that a statement's WHERE selects. Named by a unique key they are found through its index.
Answer rows_read(Node statement, const CatalogRelation* present, const Known& known) {
  const Node where = statement["whereClause"];
  const bool joins = statement["fromClause"] || statement["usingClause"];
  if (present != nullptr && has_rules(*present)) return Answer::maybe;  // which may do anything instead
  if (!where) return joins ? Answer::maybe : Answer::yes;
  return present != nullptr && finds_rows(where, statement["relation"], joins, known) ? Answer::no : Answer::maybe;
}

Write write_of(std::string_view tag, Node node, const CatalogRelation* present, const Known& known) {
  Write write;
  if (tag == "InsertStmt") {
    write.inserts = true;
    write.reach = Reach::partitions;
    add_columns(node["onConflictClause"]["targetList"], write);
  } else if (tag == "UpdateStmt") {
    add_columns(node["targetList"], write);
    write.scans = rows_read(node, present, known);
  } else if (tag == "DeleteStmt") {
    write.removes = true;
    write.scans = rows_read(node, present, known);
  } else {
    write.scans = Answer::maybe;
    for (const Node clause : node["mergeWhenClauses"]) {
      const std::string_view command = clause.body().text("commandType");
      write.inserts |= command == "CMD_INSERT";
      write.removes |= command == "CMD_DELETE";
      if (command == "CMD_UPDATE") add_columns(clause.body()["targetList"], write);
    }
  }
  return write;
}

// A written row makes foreign keys look at the other table; what they do there goes on from there.
class ForeignKeys {
 public:
  ForeignKeys(const Known& known, Effects& effects) : known_(known), effects_(effects) {}

  void follow(const CatalogRelation& table, const Write& write, int depth = 0) {
    if (depth > kMaxDepth) return;
    for (const CatalogConstraint& constraint : table.constraints) {
      const bool looks = write.inserts || write.sets_any(constraint.columns);
      if (constraint.kind == ConstraintKind::foreign_key && looks)
        effects_.touch_too(constraint.references, LockMode::row_share);
    }
    for (const CatalogConstraint& constraint : table.constraints) {  // to itself
      if (constraint.kind == ConstraintKind::foreign_key && constraint.references == table.name)
        follow_to(table, constraint, write, depth);
    }
    for (const CatalogDependent& dependent : table.dependents) {
      const CatalogConstraint* constraint = key_of(dependent, known_);
      const CatalogRelation* other = known_.relation(table_of(dependent));
      if (constraint == nullptr || is_inherited(*other, *constraint, known_)) continue;  // its parent's is followed
      follow_to(*other, *constraint, write, depth);
    }
  }

 private:
  // Without an index on the key each row that goes makes the other table be read as a whole.
  void follow_to(const CatalogRelation& other, const CatalogConstraint& key, const Write& write, int depth) {
    const bool updates = write.sets_any(key.referenced_columns);
    if (!write.removes && !updates) return;
    const bool writes = (write.removes && key.changes_on_delete) || (updates && key.changes_on_update);
    const bool indexed = known_.has_index_on(known_.written(other.name), key.columns) == Answer::yes;
    effects_.touch_family_too(other.name, writes ? LockMode::row_exclusive : LockMode::row_share,
                              indexed ? Answer::no : Answer::maybe, Reach::partitions);
    if (!writes || !seen_.insert(&key).second) return;
    follow(other, {.inserts = false, .removes = true, .sets = {}, .scans = Answer::no, .reach = Reach::family},
           depth + 1);
  }

  const Known& known_;
  Effects& effects_;
  std::set<const CatalogConstraint*> seen_;
};

// Through a view over one relation, rows of that are written; through any other, triggers of the view write what only
// they know.
void write_below(const CatalogRelation& view, Write write, const Known& known, Effects& effects, int depth = 0) {
  if (depth > kMaxDepth) return;
  if (view.reads.size() != 1) return read_below(view, LockMode::access_share, Answer::maybe, known, effects);
  const CatalogRelation* below = known.relation(view.reads.front());
  if (write.removes || !write.sets.empty()) write.scans = Answer::maybe;
  effects.touch_family_too(view.reads.front(), LockMode::row_exclusive, write.scans, write.reach);
  if (below == nullptr) return;
  if (is_view(below)) return write_below(*below, write, known, effects, depth + 1);
  ForeignKeys(known, effects).follow(*below, write);
}

// The relations that a FROM clause names, with those in subqueries: all that FOR UPDATE may be about.
void add_locked(Node from, std::vector<Node>& relations) {
  if (is_relation(from)) relations.push_back(from);
  const Node body = is_relation(from.body()) ? from.body() : from;
  if (is_relation(body) && !is_relation(from)) relations.push_back(body);
  if (from.tag() == "JoinExpr") {
    add_locked(body["larg"], relations);
    add_locked(body["rarg"], relations);
  } else if (from.tag() == "RangeSubselect") {
    for (const Node inner : body["subquery"].body()["fromClause"]) add_locked(inner, relations);
  }
}

bool is_named(Node relation, Node names) {
  if (names.empty()) return true;
  const std::string_view alias = relation["alias"].text("aliasname");
  const std::string_view wanted = alias.empty() ? relation.text("relname") : alias;
  return std::ranges::any_of(names, [&](Node name) { return name.body().text("relname") == wanted; });
}

// It does what its body says. Only what PostgreSQL's own do, and those that may write nothing, is known.
bool does_anything(const core::RelationName& function, const Known& known) {
  const bool own = function.schema.empty() || function.schema == "pg_catalog";
  if (own && builtin_function(function.name) != nullptr) return false;
  const auto* present = known.catalog() == nullptr ? nullptr : known.catalog()->function(function);
  return present == nullptr || present->volatility == 'v';
}

// What PostgreSQL itself goes by: to write there is to change the schema behind its back.
bool is_system_catalog(Node relation, const CatalogRelation* present) {
  if (present != nullptr) return present->name.schema == "pg_catalog";
  const auto [schema, name] = range_name(relation);
  return schema == "pg_catalog" || (schema.empty() && name.starts_with("pg_"));
}

void lock_rows(Node select, const Known& known, Effects& effects) {
  std::vector<Node> relations;
  for (const Node from : select["fromClause"]) add_locked(from, relations);
  for (const Node clause : select["lockingClause"]) {
    for (const Node relation : relations) {
      if (!is_named(relation, clause.body()["lockedRels"])) continue;
      effects.touch_family(relation, LockMode::row_share);
      const CatalogRelation* present = known.relation(relation);
      if (is_view(present)) read_below(*present, LockMode::row_share, Answer::maybe, known, effects);
    }
  }
}

}  // namespace

void read_below(const CatalogRelation& view, LockMode lock, Answer scans, const Known& known, Effects& effects) {
  std::vector<const CatalogRelation*> open{&view};
  std::set<const CatalogRelation*> seen{&view};
  while (!open.empty()) {
    const CatalogRelation* next = open.back();
    open.pop_back();
    for (const core::RelationName& name : next->reads) {
      effects.touch_family_too(name, lock, scans);
      const CatalogRelation* below = known.relation(name);
      if (is_view(below) && seen.insert(below).second) open.push_back(below);
    }
  }
}

Mentions mentions_in(Node body) {
  Mentions found;
  visit_objects(body, [&](std::string_view key, Node node) {
    if (is_relation(node)) {
      found.relations.push_back({key, node});
    } else if (key == "CommonTableExpr") {
      found.with_names.push_back(node.text("ctename"));
    } else if (key.ends_with("Stmt") && key != "SelectStmt") {
      found.writes.push_back({key, node});
    }
  });
  return found;
}

void read_rows(const Mentions& mentions, bool queries, const Known& known, Effects& effects) {
  for (const auto& [key, relation] : mentions.relations) {
    if (queries && key == "relation") continue;  // see write_rows
    const bool with = !relation["schemaname"] && contains(mentions.with_names, relation.text("relname"));
    if (with) continue;
    if (!queries) {
      effects.touch(relation, LockMode::access_share);
      continue;
    }
    effects.touch_family(relation, LockMode::access_share, Answer::maybe);
    const CatalogRelation* present = known.relation(relation);
    if (is_view(present)) read_below(*present, LockMode::access_share, Answer::maybe, known, effects);
  }
}

// Wherever a data-modifying node stands: at the top, or in WITH.
void write_rows(std::string_view tag, Node node, const Known& known, Effects& effects) {
  const Node relation = node["relation"];
  const CatalogRelation* present = known.relation(relation);
  if (is_system_catalog(relation, present)) effects.unknown(fmt::format("a change of {}", relation_name(relation)));
  const Write write = write_of(tag, node, present, known);
  effects.touch_family(relation, LockMode::row_exclusive, write.scans, Answer::no, write.reach);
  if (present == nullptr) return;
  if (is_view(present)) return write_below(*present, write, known, effects);
  ForeignKeys keys(known, effects);
  keys.follow(*present, write);
  for (const auto* child : effects.below(*present, write.reach)) keys.follow(*child, write);
  if (present->partition_bound.empty() || tag == "DeleteStmt") return;
  // A row written to a partition must be within its bounds, which its parents say.
  for (const core::RelationName& parent : present->parents) effects.touch_too(parent, LockMode::access_share);
}

void name_written(std::string_view tag, Node node, const Known& /*known*/, Effects& effects) {
  if (writes_rows(tag) && is_relation(node["relation"])) effects.touch(node["relation"], LockMode::row_exclusive);
}

// Where it says FOR UPDATE or its like, or calls what may do as much as DO.
void select(Node body, const Known& known, Effects& effects) {
  visit_objects(body, [&](std::string_view key, Node node) {
    if (key == "intoClause") {
      effects.statement.kind = "SELECT INTO";
      effects.create(relation_name(node["rel"]));
    }
    if (node["lockingClause"]) lock_rows(node, known, effects);
    if (key == "FuncCall" && does_anything(name_of_list(node["funcname"]), known))
      effects.unknown(fmt::format("{}()", dotted_name(node["funcname"])));
    if (key == "UpdateStmt" || key == "DeleteStmt" || key == "MergeStmt") effects.statement.destructive = true;
  });
}

void insert(Node body, const Known& /*known*/, Effects& effects) {
  effects.statement.destructive = body["onConflictClause"].text("action") == "ONCONFLICT_UPDATE";
}

void merge(Node body, const Known& /*known*/, Effects& effects) {
  for (const Node clause : body["mergeWhenClauses"]) {
    const std::string_view command = clause.body().text("commandType");
    if (command == "CMD_UPDATE" || command == "CMD_DELETE") effects.statement.destructive = true;
  }
}

}  // namespace diastole::sql::refine
