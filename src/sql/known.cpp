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

// That it says so, or among other things joined by AND.
bool implies_not_null(const core::CatalogConstraint& constraint, std::string_view column) {
  if (constraint.kind != core::ConstraintKind::check || !contains(constraint.columns, column)) return false;
  if (not_null_test(constraint) == column) return true;
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

std::string not_null_test(Node expression) {
  if (expression.tag() != "NullTest") return {};
  const Node test = expression.body();
  if (test.text("nulltesttype") != "IS_NOT_NULL" || test["arg"].tag() != "ColumnRef") return {};
  return std::string(last_name(test["arg"].body()["fields"]));
}

// As pg_get_expr() prints it.
std::string not_null_test(const core::CatalogConstraint& constraint) {
  const bool one = constraint.kind == core::ConstraintKind::check && constraint.columns.size() == 1;
  const bool says =
      one && constraint.expression == "(" + quote_identifier(constraint.columns.front()) + " IS NOT NULL)";
  return says ? constraint.columns.front() : std::string{};
}

RelationName name_of(Node relation) {
  const auto [schema, name] = range_name(relation);
  return {.schema = std::string(schema), .name = std::string(name)};
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

Known::Known(const core::CatalogSnapshot* catalog) : catalog_(catalog) {
  if (catalog == nullptr) return;
  for (const core::CatalogObject& object : catalog->objects) objects_by_name_.emplace(object.name.name, &object);
}

const CatalogRelation* Known::relation(const RelationName& name) const {
  if (catalog_ == nullptr || name.name.empty()) return nullptr;
  if (const Learned* known = learned_.empty() ? nullptr : learned(to_sql(name)); known != nullptr) {
    if (known->made || known->gone) return nullptr;
    if (known->was != nullptr) return known->was;
  }
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
  if (catalog_ == nullptr) return false;
  const std::string identifier = to_sql(name);
  if (const Learned* known = learned(identifier)) return known->gone;
  return catalog_->relation(name) == nullptr && catalog_->index(name).table == nullptr &&
         std::ranges::find(indexes_, table_key(identifier), &Index::key) == indexes_.end();
}

bool Known::is_absent(const ObjectName& name) const {
  if (catalog_ == nullptr || is_new(name)) return false;
  if (name.type == "OBJECT_SEQUENCE") return is_absent(name.name);
  if (name.type == "OBJECT_FUNCTION") return catalog_->function(name.name) == nullptr;
  if (name.type == "OBJECT_TYPE") return catalog_->type(name.name) == nullptr;
  if (name.member.empty()) return false;
  const CatalogRelation* table = relation(name.name);
  if (table == nullptr) return is_absent(name.name);
  const auto kind = name.type == "OBJECT_TRIGGER" ? core::DependentKind::trigger
                    : name.type == "OBJECT_RULE"  ? core::DependentKind::rule
                                                  : core::DependentKind::policy;
  return std::ranges::none_of(table->dependents, [&](const core::CatalogDependent& one) {
    return one.kind == kind && one.name.name == name.member && one.table == table->name.name;
  });
}

bool Known::is_empty(std::string_view table) const {
  const Learned* known = learned(table);
  return known != nullptr && known->empty;
}

bool Known::is_query(std::string_view table) const {
  const Learned* known = learned(table);
  return known != nullptr && known->queries;
}

bool Known::is_made_view(std::string_view table) const {
  const Learned* known = learned(table);
  return known != nullptr && known->view;
}

bool Known::is_new(std::string_view table) const {
  const Learned* known = learned(table);
  if (known == nullptr || !known->empty || known->used_name) return false;
  return catalog_ == nullptr || catalog_->relation(name_of_identifier(table)) == nullptr;
}

bool Known::is_new(const ObjectName& object) const {
  if (!object.member.empty() && is_new(to_sql(object.name))) return true;
  return objects_.contain(object);
}

bool Known::is_small(std::string_view table) const {
  const CatalogRelation* known = this->table(table);
  return known != nullptr && is_small(*known, 0);
}

// A view is as large as what it reads. Of a foreign table nobody knows the size but by its rows.
bool Known::is_small(const CatalogRelation& one, int depth) const {
  constexpr int kMaxViews = 20;
  if (one.kind == core::RelationKind::view) {
    return depth < kMaxViews && std::ranges::all_of(
                                    one.reads,
                                    [&](const RelationName& name) {
                                      const CatalogRelation* below = relation(name);
                                      return below != nullptr && is_small(*below, depth + 1);
                                    });
  }
  const auto small = [](const CatalogRelation& part) {
    if (part.kind == core::RelationKind::foreign_table && part.rows < 0) return false;
    const std::int64_t most = part.rows < 0 ? kSmallUncounted : kSmallBytes;
    return part.rows <= kSmallRows && part.bytes + part.index_bytes <= most;
  };
  return small(one) && std::ranges::all_of(descendants(one), [&](const auto* child) { return small(*child); });
}

const NewColumn* Known::new_column(std::string_view table, std::string_view column) const {
  const Learned* known = learned(table);
  if (known == nullptr || (known->made && known->used_name)) return nullptr;
  const auto found = known->columns.find(column);
  if (found == known->columns.end() || !found->second.added || known->used_columns.contains(column)) return nullptr;
  const CatalogRelation* present = this->table(table);
  return present != nullptr && present->column(column) != nullptr ? nullptr : &found->second.what;
}

std::string Known::column_type(std::string_view table, std::string_view column) const {
  if (const Learned* known = learned(table); known != nullptr) {
    if (const auto found = known->columns.find(column); found != known->columns.end()) return found->second.what.type;
  }
  const CatalogRelation* known = this->table(table);
  const core::CatalogColumn* found = known == nullptr ? nullptr : known->column(column);
  return found == nullptr ? std::string{} : found->type;
}

Answer Known::proven_not_null(std::string_view table, std::string_view column) const {
  std::vector<std::string_view> dropped;
  bool nullable = false;
  if (const Learned* mine = learned(table); mine != nullptr) {
    for (const Check& check : mine->checks) {
      if (check.dropped) dropped.push_back(check.name);
      if (!check.dropped && check.valid && check.not_null_column == column) return Answer::yes;
    }
    const auto found = mine->not_null.find(column);
    if (found != mine->not_null.end() && found->second) return Answer::yes;
    nullable = found != mine->not_null.end();
  }
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) return nullable ? Answer::no : Answer::maybe;
  const core::CatalogColumn* found = known->column(column);
  if (found != nullptr && found->not_null && !nullable) return Answer::yes;
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
    if (std::ranges::any_of(mine->checks,
                            [](const Check& check) { return check.valid && !check.dropped && !check.name.empty(); }))
      return true;
  }
  const CatalogRelation* known = this->table(table);
  return known != nullptr && std::ranges::any_of(known->constraints, [](const core::CatalogConstraint& constraint) {
           return constraint.kind == core::ConstraintKind::check && constraint.valid;
         });
}

Answer Known::is_checked_type(const RelationName& type) const {
  if (const auto made = types_.find(type_named(type).name); made != types_.end()) return made->second.checked;
  const auto* present = catalog_ == nullptr ? nullptr : catalog_->type(type);
  if (present == nullptr) return Answer::maybe;
  return present->constrained ? Answer::yes : Answer::no;
}

std::string Known::base_type(const RelationName& domain) const {
  constexpr int kMaxDomains = 50;
  std::string base;
  RelationName name = domain;
  for (int i = 0; i < kMaxDomains; ++i) {
    const auto made = types_.find(type_named(name).name);
    const auto* present = catalog_ == nullptr ? nullptr : catalog_->type(name);
    if (made == types_.end() && present == nullptr) break;
    const std::string& below = made != types_.end() ? made->second.base : present->base;
    if (below.empty()) break;
    base = below;
    name = name_of_identifier(base);
  }
  return base;
}

bool Known::is_constrained(std::string_view table, std::string_view column) const {
  const auto unique = [&](const Index& one) {
    return one.unique && one.table == table_key(table) && contains(one.columns, column);
  };
  if (std::ranges::any_of(indexes_, unique)) return true;
  const Learned* mine = learned(table);
  return mine != nullptr && std::ranges::any_of(mine->checks, [&](const Check& check) {
           return !check.dropped && contains(check.columns, column);
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
  const auto mine = [&](const Index& one) {
    return one.unique && !one.partial && one.table == table_key(table) && same(one.columns);
  };
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
  if (is_empty(table)) return Answer::no;
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) return Answer::maybe;
  const auto theirs = [&](const core::CatalogIndex& one) {
    return !one.partial && one.valid && begins(one.columns) &&
           !dropped_indexes_.contains(table_key(to_sql({known->name.schema, one.name})));
  };
  return std::ranges::any_of(known->indexes, theirs) ? Answer::yes : Answer::no;
}

std::vector<core::CatalogIndex> Known::indexes_made(std::string_view table) const {
  std::vector<core::CatalogIndex> made;
  for (const Index& index : indexes_) {
    if (index.table != table_key(table)) continue;
    made.push_back(
        {.name = index.key, .columns = index.columns, .uses = {}, .unique = index.unique, .partial = index.partial});
  }
  return made;
}

std::vector<std::vector<std::string>> Known::unique_keys(std::string_view table) const {
  std::vector<std::vector<std::string>> keys;
  const auto add = [&](const std::vector<std::string>& columns) {
    if (!columns.empty() && !contains(columns, std::string_view{})) keys.push_back(columns);
  };
  for (const Index& index : indexes_) {
    if (index.unique && !index.partial && index.table == table_key(table)) add(index.columns);
  }
  const CatalogRelation* known = this->table(table);
  if (known == nullptr) {
    add({"id"});
    return keys;
  }
  if (known->kind == core::RelationKind::view && known->reads.size() == 1) known = relation(known->reads.front());
  if (known == nullptr) return keys;
  for (const core::CatalogIndex& index : known->indexes) {
    const bool gone = dropped_indexes_.contains(table_key(to_sql({known->name.schema, index.name})));
    if (index.unique && index.valid && !index.partial && !gone) add(index.columns);
  }
  return keys;
}

// A plan may leave out a schema that the search_path finds.
const Known::Learned* Known::learned(const RelationName& full) const {
  if (learned_.empty()) return nullptr;
  const Learned* found = learned(to_sql(full));
  return found != nullptr ? found : learned(written(full));
}

bool Known::is_dropped_column(const RelationName& table, std::string_view column) const {
  const Learned* known = learned(table);
  return known != nullptr && (known->gone || known->used_columns.contains(column));
}

}  // namespace diastole::sql
