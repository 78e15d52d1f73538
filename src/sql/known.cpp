#include "known.hpp"

#include <algorithm>
#include <set>

#include "analyse.hpp"
#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::Answer;
using core::CatalogRelation;
using core::RelationName;

// Reading, copying and indexing this much takes some tens of milliseconds (README, "What the analyser knows").
constexpr std::int64_t kSmallRows = 10'000;
constexpr std::int64_t kSmallBytes = 8 * 1024 * 1024;
constexpr std::int64_t kSmallUncounted = 1024 * 1024;  // where the planner has no estimate of the rows yet

// A back-translation of an SQL identifier that quote_identifier() has written.
std::string unquoted(std::string_view part) {
  if (part.size() < 2 || part.front() != '"') return std::string(part);
  std::string name;
  for (std::size_t i = 1; i + 1 < part.size(); ++i) {
    name += part[i];
    if (part[i] == '"') ++i;
  }
  return name;
}

// "column IS NOT NULL" and nothing else; "" otherwise.
std::string not_null_test(Node expression) {
  if (expression.tag() != "NullTest") return {};
  const Node test = expression.body();
  if (test.text("nulltesttype") != "IS_NOT_NULL" || test["arg"].tag() != "ColumnRef") return {};
  return std::string(last_name(test["arg"].body()["fields"]));
}

// The same of a constraint that the catalog has, as pg_get_expr() prints it.
bool says_not_null(const core::CatalogConstraint& constraint) {
  return constraint.kind == core::ConstraintKind::check && constraint.columns.size() == 1 &&
         constraint.expression == "(" + quote_identifier(constraint.columns.front()) + " IS NOT NULL)";
}
// Or among other things, joined by AND.
bool implies_not_null(const core::CatalogConstraint& constraint, std::string_view column) {
  if (constraint.kind != core::ConstraintKind::check || !contains(constraint.columns, column)) return false;
  if (says_not_null(constraint)) return true;
  const std::string test = "(" + quote_identifier(column) + " IS NOT NULL)";
  if (constraint.expression.find(test) == std::string::npos) return false;
  const auto tree = parse(constraint.expression, "SELECT ");
  if (!tree || tree->statements.size() != 1) return false;
  std::vector<Node> all{tree->statements.front().body["targetList"].front().body()["val"]};
  while (!all.empty()) {
    const Node one = all.back();
    all.pop_back();
    if (not_null_test(one) == column) return true;
    if (one.tag() != "BoolExpr" || one.body().text("boolop") != "AND_EXPR") continue;
    for (const Node part : one.body()["args"]) all.push_back(part);
  }
  return false;
}

}  // namespace

RelationName name_of(Node relation) {
  return {.schema = std::string(relation.text("schemaname")), .name = std::string(relation.text("relname"))};
}

RelationName name_of_identifier(std::string_view identifier) {
  bool quoted = false;
  for (std::size_t i = 0; i < identifier.size(); ++i) {
    if (identifier[i] == '"') quoted = !quoted;
    if (identifier[i] == '.' && !quoted)
      return {.schema = unquoted(identifier.substr(0, i)), .name = unquoted(identifier.substr(i + 1))};
  }
  return {.schema = {}, .name = unquoted(identifier)};
}

RelationName name_of_list(Node strings, std::size_t drop) {
  std::vector<std::string_view> parts;
  for (const Node part : strings) parts.push_back(part.body().text("sval"));
  if (parts.size() <= drop) return {};
  parts.resize(parts.size() - drop);
  return {.schema = parts.size() > 1 ? std::string(parts[parts.size() - 2]) : std::string{},
          .name = std::string(parts.back())};
}

std::string to_sql(const RelationName& name) {
  std::string sql = quote_identifier(name.name);
  return name.schema.empty() ? sql : quote_identifier(name.schema) + "." + sql;
}

std::string_view table_key(std::string_view table) {
  constexpr std::string_view kUsualSchema = "public.";
  return table.starts_with(kUsualSchema) ? table.substr(kUsualSchema.size()) : table;
}

const CatalogRelation* Known::relation(const RelationName& name) const {
  if (catalog_ == nullptr || name.name.empty() || is_new(to_sql(name))) return nullptr;
  return catalog_->relation(name);
}

const CatalogRelation* Known::table(std::string_view identifier) const {
  return catalog_ == nullptr ? nullptr : relation(name_of_identifier(identifier));
}

core::CatalogSnapshot::IndexPlace Known::index(const RelationName& name) const {
  return catalog_ == nullptr ? core::CatalogSnapshot::IndexPlace{} : catalog_->index(name);
}

std::vector<const CatalogRelation*> Known::descendants(const CatalogRelation& relation) const {
  std::vector<const CatalogRelation*> found;
  std::set<RelationName> seen{relation.name};
  std::vector<const CatalogRelation*> open{&relation};
  while (!open.empty()) {
    const CatalogRelation* next = open.back();
    open.pop_back();
    for (const RelationName& child : next->children) {
      const CatalogRelation* one = seen.insert(child).second ? catalog_->relation(child) : nullptr;
      if (one == nullptr) continue;
      found.push_back(one);
      open.push_back(one);
    }
  }
  return found;
}

std::string Known::written(const RelationName& name) const {
  if (catalog_ != nullptr) {
    const RelationName bare{.schema = {}, .name = name.name};
    const CatalogRelation* first = catalog_->relation(bare);
    if (first != nullptr && first->name == name) return quote_identifier(name.name);
    // What the snapshot was not asked for, or an index: nothing is known that would stand before it.
    const CatalogRelation* table = first == nullptr ? catalog_->index(bare).table : nullptr;
    const bool before = first != nullptr || (table != nullptr && table->name.schema != name.schema);
    if (!before && contains(catalog_->search_path, name.schema)) return quote_identifier(name.name);
  }
  return to_sql(name);
}

const Known::Learned* Known::learned(std::string_view table) const {
  if (learned_.empty()) return nullptr;
  const auto found = learned_.find(table_key(table));
  return found == learned_.end() ? nullptr : &found->second;
}

bool Known::is_absent(const RelationName& name) const {
  if (catalog_ == nullptr || catalog_->relation(name) != nullptr || catalog_->index(name).table != nullptr)
    return false;
  const std::string identifier = to_sql(name);
  return learned(identifier) == nullptr &&
         std::ranges::find(indexes_, table_key(identifier), &Index::key) == indexes_.end();
}

bool Known::is_new(std::string_view table) const {
  const Learned* known = learned(table);
  return known != nullptr && known->created;
}

bool Known::is_small(std::string_view table) const {
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) return false;
  const auto small = [](const CatalogRelation& one) {
    const std::int64_t most = one.rows < 0 ? kSmallUncounted : kSmallBytes;
    return one.rows <= kSmallRows && one.bytes + one.index_bytes <= most;
  };
  return small(*known) && std::ranges::all_of(descendants(*known), [&](const auto* child) { return small(*child); });
}

bool Known::is_new_column(std::string_view table, std::string_view column) const {
  const Learned* known = learned(table);
  return known != nullptr && known->columns.contains(column);
}

std::string Known::column_type(std::string_view table, std::string_view column) const {
  if (const Learned* known = learned(table); known != nullptr) {
    if (const auto found = known->columns.find(column); found != known->columns.end()) return found->second;
  }
  const CatalogRelation* known = this->table(table);
  const core::CatalogColumn* found = known == nullptr ? nullptr : known->column(column);
  return found == nullptr ? std::string{} : found->type;
}

Answer Known::proven_not_null(std::string_view table, std::string_view column) const {
  std::vector<std::string_view> dropped;
  if (const Learned* mine = learned(table); mine != nullptr) {
    for (const Check& check : mine->checks) {
      if (check.dropped) dropped.push_back(check.name);
      if (!check.dropped && check.valid && check.not_null_column == column) return Answer::yes;
    }
  }
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) return Answer::maybe;
  const core::CatalogColumn* found = known->column(column);
  if (found != nullptr && found->not_null) return Answer::yes;
  const bool checked = std::ranges::any_of(known->constraints, [&](const core::CatalogConstraint& constraint) {
    return constraint.valid && implies_not_null(constraint, column) &&
           std::ranges::find(dropped, constraint.name) == dropped.end();
  });
  return checked ? Answer::yes : Answer::no;
}

Answer Known::is_valid(std::string_view table, std::string_view constraint) const {
  if (const Learned* mine = learned(table); mine != nullptr) {
    const auto found = std::ranges::find(mine->checks, constraint, &Check::name);
    if (found != mine->checks.end()) return found->valid ? Answer::yes : Answer::no;
  }
  const CatalogRelation* known = this->table(table);
  const core::CatalogConstraint* found = known == nullptr ? nullptr : known->constraint(constraint);
  if (found == nullptr) return Answer::maybe;
  return found->valid ? Answer::yes : Answer::no;
}

bool Known::has_valid_check(std::string_view table) const {
  if (const Learned* mine = learned(table); mine != nullptr) {
    if (std::ranges::any_of(mine->checks, [](const Check& check) { return check.valid && !check.dropped; }))
      return true;
  }
  const CatalogRelation* known = this->table(table);
  return known != nullptr && std::ranges::any_of(known->constraints, [](const core::CatalogConstraint& constraint) {
           return constraint.kind == core::ConstraintKind::check && constraint.valid;
         });
}

std::string Known::table_of(const RelationName& name) const {
  const std::string identifier = to_sql(name);
  const auto found = std::ranges::find(indexes_, table_key(identifier), &Index::key);
  if (found != indexes_.end()) return found->table;
  const auto place = index(name);
  return place.table == nullptr ? std::string{} : written(place.table->name);
}

std::vector<std::string> Known::index_columns(const RelationName& name) const {
  const std::string identifier = to_sql(name);
  const auto found = std::ranges::find(indexes_, table_key(identifier), &Index::key);
  if (found != indexes_.end()) return found->columns;
  const auto place = index(name);
  return place.index == nullptr ? std::vector<std::string>{} : place.index->columns;
}

bool Known::is_new_index(const RelationName& index) const {
  return std::ranges::find(indexes_, table_key(to_sql(index)), &Index::key) != indexes_.end();
}

bool Known::has_unique_index(std::string_view table, const RelationName& except,
                             const std::vector<std::string>& columns) const {
  const auto same = [&](const std::vector<std::string>& key) {
    return key.size() == columns.size() && !contains(key, "") &&
           std::is_permutation(key.begin(), key.end(), columns.begin());
  };
  const auto mine = [&](const Index& one) { return one.unique && one.table == table_key(table) && same(one.columns); };
  if (std::ranges::any_of(indexes_, mine)) return true;
  const CatalogRelation* known = this->table(table);
  return known != nullptr && std::ranges::any_of(known->indexes, [&](const core::CatalogIndex& one) {
           return one.name != except.name && one.unique && one.valid && !one.partial && same(one.columns);
         });
}

Answer Known::has_index_on(std::string_view table, const std::vector<std::string>& columns) const {
  const auto begins = [&](const std::vector<std::string>& indexed) {
    return indexed.size() >= columns.size() &&
           std::is_permutation(columns.begin(), columns.end(), indexed.begin(),
                               indexed.begin() + static_cast<std::ptrdiff_t>(columns.size()));
  };
  const auto mine = [&](const Index& one) { return one.table == table_key(table) && begins(one.columns); };
  if (std::ranges::any_of(indexes_, mine)) return Answer::yes;
  if (is_new(table)) return Answer::no;
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) return Answer::maybe;
  const auto theirs = [&](const core::CatalogIndex& one) { return !one.partial && one.valid && begins(one.columns); };
  return std::ranges::any_of(known->indexes, theirs) ? Answer::yes : Answer::no;
}

void Known::learn_index(std::string_view table, const RelationName& name, Node columns, bool unique) {
  Index index{.key = std::string(table_key(to_sql(name))),
              .table = std::string(table_key(table)),
              .columns = {},
              .unique = unique};
  for (const Node column : columns) {
    const bool element = column.tag() == "IndexElem";
    index.columns.emplace_back(element ? column.body().text("name") : column.body().text("sval"));
  }
  indexes_.push_back(std::move(index));
}

void Known::learn_constraint(std::string_view table, Node constraint) {
  const std::string_view kind = constraint.text("contype");
  if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY")
    learn_index(table, {.schema = {}, .name = std::string(constraint.text("conname"))}, constraint["keys"], true);
  if (constraint.text("conname").empty()) return;
  learned_[std::string(table_key(table))].checks.push_back({.name = std::string(constraint.text("conname")),
                                                            .not_null_column = not_null_test(constraint["raw_expr"]),
                                                            .valid = !constraint.flag("skip_validation"),
                                                            .dropped = false});
}

void Known::learn_column(std::string_view table, Node column) {
  const std::string name(column.text("colname"));
  for (const Node node : column["constraints"]) {
    const std::string_view kind = node.body().text("contype");
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY")
      indexes_.push_back({.key = {}, .table = std::string(table_key(table)), .columns = {name}, .unique = true});
  }
  learned_[std::string(table_key(table))].columns.emplace(name, type_name(column["typeName"]));
}

void Known::learn_alter(std::string_view table, Node command) {
  const std::string_view subtype = command.text("subtype");
  const Node definition = command["def"].body();
  if (subtype == "AT_AddColumn") {
    // With IF NOT EXISTS it is new only where the catalog says that it was not there.
    const CatalogRelation* present = this->table(table);
    const bool absent = present != nullptr && present->column(definition.text("colname")) == nullptr;
    if (!command.flag("missing_ok") || absent || is_new(table)) learn_column(table, definition);
  } else if (subtype == "AT_AddConstraint") {
    learn_constraint(table, definition);
  } else if (subtype == "AT_AlterColumnType") {
    auto& columns = learned_[std::string(table_key(table))].columns;
    if (const auto found = columns.find(command.text("name")); found != columns.end())
      found->second = type_name(definition["typeName"]);
  } else if (subtype == "AT_ValidateConstraint" || subtype == "AT_DropConstraint") {
    auto& checks = learned_[std::string(table_key(table))].checks;
    const std::string_view name = command.text("name");
    auto found = std::ranges::find(checks, name, &Check::name);
    if (found == checks.end()) {
      const CatalogRelation* present = this->table(table);
      const auto* old = present == nullptr ? nullptr : present->constraint(name);
      const std::string column = old != nullptr && says_not_null(*old) ? old->columns.front() : std::string{};
      found = checks.insert(found, {.name = std::string(name), .not_null_column = column});
    }
    if (subtype == "AT_ValidateConstraint") found->valid = true;
    if (subtype == "AT_DropConstraint") found->dropped = true;
  }
}

// What a relation is called from now on; of the rest of it nothing is known.
void Known::learn_name(Node body) {
  if (!is_relation(body["relation"])) return;
  if (body.text("renameType") == "OBJECT_COLUMN") {
    const std::string table = relation_name(body["relation"]);
    std::string type = column_type(table, body.text("subname"));
    learned_[std::string(table_key(table))].columns.emplace(body.text("newname"), std::move(type));
    return;
  }
  RelationName name = name_of(body["relation"]);
  if (const auto fresh = body.text("newname"); !fresh.empty()) name.name = fresh;
  if (const auto schema = body.text("newschema"); !schema.empty()) name.schema = schema;
  learned_.try_emplace(std::string(table_key(to_sql(name))));
}

void Known::learn(const Analysed& statement) {
  const Node body = statement.parsed.body;
  const std::string_view tag = statement.parsed.tag;
  // A temporary table hides another of its name only in its own session.
  const bool temporary = tag == "CreateStmt" && body["relation"].text("relpersistence") == "t";
  if (statement.surely_creates && !temporary) {
    for (const std::string& table : statement.statement.creates) learned_[std::string(table_key(table))].created = true;
  }
  if (tag == "AlterTableStmt") {
    const std::string table = relation_name(body["relation"]);
    for (const Node command : body["cmds"]) learn_alter(table, command.body());
  } else if (tag == "IndexStmt") {
    const Node relation = body["relation"];
    learn_index(relation_name(relation),
                {.schema = std::string(relation.text("schemaname")), .name = std::string(body.text("idxname"))},
                body["indexParams"], body.flag("unique") && !body["whereClause"]);
  } else if (tag == "RenameStmt" || tag == "AlterObjectSchemaStmt") {
    learn_name(body);
  } else if (tag == "CreateStmt") {
    const std::string table = relation_name(body["relation"]);
    for (const Node element : body["tableElts"]) {
      if (element.tag() == "ColumnDef") learn_column(table, element.body());
      if (element.tag() == "Constraint") learn_constraint(table, element.body());
    }
  }
}

void Known::phase_over() {
  for (auto& [table, known] : learned_) known.created = false;
}

}  // namespace diastole::sql
