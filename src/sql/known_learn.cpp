// What is known once a statement has run.
#include <algorithm>

#include "analyse.hpp"
#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"
#include "known.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::CatalogRelation;
using core::RelationName;

// What CREATE makes, where that is a relation.
Node created_relation(const ParsedStatement& statement) {
  const Node body = statement.body;
  if (statement.tag == "CreateStmt") return body["relation"];
  if (statement.tag == "CreateTableAsStmt") return body["into"]["rel"];
  if (statement.tag == "CreateSeqStmt") return body["sequence"];
  return statement.tag == "ViewStmt" ? body["view"] : Node{};
}

}  // namespace

void Known::learn(const Analysed& statement) {
  const Node body = statement.parsed.body;
  const std::string_view tag = statement.parsed.tag;
  const Node relation = body["relation"];
  if (body.flag("missing_ok") && is_relation(relation) && is_absent(name_of(relation))) return;  // it does nothing
  // A temporary table hides another of its name, but only in its own session.
  const Node made = created_relation(statement.parsed);
  if (made.text("relpersistence") == "t" && !is_absent(name_of(made))) return;
  learn_created(statement);
  learn_object(statement);
  learn_changed(statement.parsed);
  if (tag == "AlterTableStmt") {
    const std::string table = relation_name(relation);
    for (const Node command : body["cmds"]) learn_alter(table, command.body());
  } else if (tag == "IndexStmt") {
    learn_index(relation_name(relation),
                {.schema = std::string(relation.text("schemaname")), .name = std::string(body.text("idxname"))}, body);
  } else if (tag == "RenameStmt" || tag == "AlterObjectSchemaStmt") {
    learn_renaming(statement.parsed);
  } else if (tag == "DropStmt") {
    learn_drop(body);
  } else if (tag == "ViewStmt" && body.flag("replace") && this->relation(body["view"]) != nullptr) {
    learned_of(relation_name(body["view"])).replaced = true;
  }
}

// Where something of the name is there, CREATE fails or, with IF NOT EXISTS, does nothing.
void Known::learn_created(const Analysed& statement) {
  const Node body = statement.parsed.body;
  for (const std::string& table : statement.statement.creates) {
    const Learned* before = learned(table);
    const bool there = before != nullptr ? !before->gone && !before->made
                                         : catalog_ != nullptr && catalog_->relation(name_of_identifier(table));
    const bool surely = statement.surely_creates || is_absent(name_of_identifier(table));
    if (there) continue;
    if (surely) {
      const bool used = before != nullptr && before->used_name;
      const bool view = statement.parsed.tag == "ViewStmt";
      const bool queries = view || (body["into"] && !body["into"].flag("skipData")) || body["intoClause"];
      learned_of(table) = {.made = true, .empty = true, .view = view, .queries = queries, .used_name = used};
    }
    if (statement.parsed.tag == "CreateStmt") learn_table(body, surely);
  }
}

void Known::learn_table(Node body, bool created) {
  const std::string table = relation_name(body["relation"]);
  for (const Node element : body["tableElts"]) {
    if (element.tag() == "ColumnDef") learn_column(table, element.body(), created);
    if (element.tag() == "Constraint") learn_constraint(table, element.body());
  }
}

// A domain says what its values must be, or another that it stands on may.
void Known::learn_type(const ObjectName& type, Node domain) {
  MadeType made;
  if (const Node base = domain["typeName"]; domain["domainname"]) {
    made.base = type_name(base);
    if (!is_builtin_type(made.base)) made.checked = is_checked_type(name_of_list(base["names"]));
  }
  for (const Node node : domain["constraints"]) {
    const std::string_view kind = node.body().text("contype");
    if (kind == "CONSTR_CHECK" || kind == "CONSTR_NOTNULL") made.checked = core::Answer::yes;
  }
  types_.insert_or_assign(type.name, std::move(made));
}

void Known::learn_object(const Analysed& statement) {
  const Node body = statement.parsed.body;
  const bool demands = body.text("subtype") == "C" || body.text("subtype") == "O";  // ADD CONSTRAINT, SET NOT NULL
  if (statement.parsed.tag == "AlterDomainStmt" && demands) {
    const auto altered = types_.find(type_named(name_of_list(body["typeName"])).name);
    if (altered != types_.end()) altered->second.checked = core::Answer::yes;
  }
  const auto made = created_object(statement.parsed);
  if (made && made->type == "OBJECT_TYPE") learn_type(*made, body);
  if (!made || (!statement.surely_creates && !is_absent(*made))) return;
  const bool there = catalog_ != nullptr && ((made->type == "OBJECT_TYPE" && catalog_->type(made->name) != nullptr) ||
                                             (made->type == "OBJECT_SEQUENCE" && relation(made->name) != nullptr));
  if (!there && !dropped_.contain(*made)) objects_.add(*made);
}

void Known::learn_changed(const ParsedStatement& statement) {
  const Node body = statement.body;
  if (body.flag("replace")) {
    if (auto made = created_object(statement)) changed_.add(*std::move(made));
  } else if (statement.tag == "AlterPolicyStmt") {
    changed_.add(policy_named(name_of(body["table"]), body.text("policy_name")));
  } else if (statement.tag == "AlterDomainStmt" && body.text("subtype") == "X") {  // DROP CONSTRAINT
    ObjectName constraint = type_named(name_of_list(body["typeName"]));
    constraint.member = body.text("name");
    changed_.add(std::move(constraint));
  }
}

void Known::learn_drop(Node body) {
  const std::string_view type = body.text("removeType");
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr) return;
  for (const Node object : body["objects"]) {
    const Node items = object.body()["items"];
    if (kind->naming == Naming::relation || kind->naming == Naming::sequence) learn_gone(dotted_name(items));
    if (kind->naming == Naming::index) dropped_indexes_.emplace(table_key(dotted_name(items)));
    const auto name = named_object(type, object);
    if (!name) continue;
    if (!is_new(*name)) dropped_.add(*name);
    objects_.remove(*name);
  }
}

void Known::learn_gone(const std::string& table) {
  if (is_absent(name_of_identifier(table))) return;
  const bool used = !is_new(table);
  learned_of(table) = {.gone = true, .used_name = used};
}

void Known::learn_renaming(const ParsedStatement& statement) {
  const Node body = statement.body;
  if (const auto renaming = renamed_object(statement)) rename_object(*renaming);
  const Node relation = body["relation"];
  const std::string_view type = body.text(statement.tag == "RenameStmt" ? "renameType" : "objectType");
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr || !is_relation(relation)) return;
  const std::string table = relation_name(relation);
  if (type == "OBJECT_COLUMN") return rename_column(table, body.text("subname"), body.text("newname"));
  if (type == "OBJECT_TABCONSTRAINT") {
    for (Check& check : learned_of(table).checks) {
      if (check.name == body.text("subname")) check.name = body.text("newname");
    }
  }
  RelationName name = name_of(relation);
  if (const auto fresh = body.text("newname"); !fresh.empty()) name.name = fresh;
  if (const auto schema = body.text("newschema"); !schema.empty()) name.schema = schema;
  if (kind->naming == Naming::index) {
    for (Index& index : indexes_) {
      if (index.key == table_key(table)) index.key = table_key(to_sql(name));
    }
  } else if (kind->naming == Naming::relation || kind->naming == Naming::sequence) {
    rename_table(table, to_sql(name));
  }
}

void Known::rename_table(const std::string& from, const std::string& to) {
  const CatalogRelation* was = table(from);
  const bool used = !is_new(from);
  Learned moved = std::move(learned_of(from));
  learned_of(from) = {.gone = true, .used_name = used};
  moved.was = was;
  moved.used_name = learned_of(to).used_name;
  learned_of(to) = std::move(moved);
  for (Index& index : indexes_) {
    if (index.table == table_key(from)) index.table = table_key(to);
  }
}

void Known::rename_column(std::string_view table, std::string_view from, std::string_view to) {
  Column moved{.what = {.type = column_type(table, from)}};
  if (const NewColumn* added = new_column(table, from)) moved = {.what = *added, .added = true};
  drop_column(table, from);
  Learned& mine = learned_of(table);
  mine.columns.insert_or_assign(std::string(to), std::move(moved));
  for (Check& check : mine.checks) {
    if (check.not_null_column == from) check.not_null_column = to;
  }
}

void Known::rename_object(const Renaming& renaming) {
  if (!is_new(renaming.from)) dropped_.add(renaming.from);
  objects_.rename(renaming);
  if (const auto type = types_.find(renaming.from.name); type != types_.end() && renaming.from.type == "OBJECT_TYPE")
    types_.insert_or_assign(renaming.to.name, type->second);
  if (renaming.from.type == "OBJECT_SCHEMA") rename_schema(renaming.from.name.name, renaming.to.name.name);
}

void Known::rename_schema(const std::string& from, const std::string& to) {
  const std::string prefix = quote_identifier(from) + ".";
  const std::string fresh = quote_identifier(to) + ".";
  std::vector<std::string> names;
  for (auto at = learned_.lower_bound(prefix); at != learned_.end() && at->first.starts_with(prefix); ++at)
    names.push_back(at->first.substr(prefix.size()));
  for (const std::string& name : names) rename_table(prefix + name, fresh + name);
  for (Index& index : indexes_) {
    if (index.key.starts_with(prefix)) index.key = fresh + index.key.substr(prefix.size());
  }
}

void Known::learn_alter(std::string_view table, Node command) {
  const std::string_view subtype = command.text("subtype");
  if (subtype == "AT_AddColumn") return learn_added(table, command);
  if (subtype == "AT_DropColumn") return drop_column(table, command.text("name"));
  if (subtype == "AT_AddConstraint") return learn_constraint(table, command["def"].body());
  if (subtype == "AT_ValidateConstraint" || subtype == "AT_DropConstraint") return change_constraint(table, command);
  change_column(table, command);
}

// With IF NOT EXISTS it is new only where the catalog says that it was not there.
void Known::learn_added(std::string_view table, Node command) {
  const Node definition = command["def"].body();
  const CatalogRelation* present = this->table(table);
  const bool there = present != nullptr && present->column(definition.text("colname")) != nullptr;
  if (command.flag("missing_ok") && there) return;
  learn_column(table, definition, !command.flag("missing_ok") || present != nullptr || is_empty(table));
}

void Known::learn_column(std::string_view table, Node column, bool added) {
  const std::string name(column.text("colname"));
  Learned& mine = learned_of(table);
  bool not_null = false;
  for (const Node node : column["constraints"]) {
    const std::string_view kind = node.body().text("contype");
    const bool indexed = kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY";
    if (indexed)
      indexes_.push_back({.key = {}, .table = std::string(table_key(table)), .columns = {name}, .unique = true});
    if (kind == "CONSTR_CHECK") learn_constraint(table, node.body());
    not_null |= kind == "CONSTR_NOTNULL" || kind == "CONSTR_PRIMARY" || kind == "CONSTR_IDENTITY";
  }
  std::string type = type_name(column["typeName"]);
  if (added && (not_null || type.find("serial") != std::string::npos)) mine.not_null[name] = true;
  mine.columns.insert_or_assign(name, Column{.what = sql::new_column(column, std::move(type)), .added = added});
}

void Known::change_column(std::string_view table, Node command) {
  const std::string_view subtype = command.text("subtype");
  const std::string_view name = command.text("name");
  if (subtype == "AT_SetNotNull" || subtype == "AT_DropNotNull") {
    learned_of(table).not_null[std::string(name)] = subtype == "AT_SetNotNull";
    return;
  }
  if (subtype == "AT_ColumnDefault" || subtype == "AT_DropExpression") learned_of(table).defaults.emplace(name);
  if (subtype == "AT_AlterColumnType") learned_of(table).retyped.emplace(name);
  auto& columns = learned_of(table).columns;
  const auto found = columns.find(name);
  if (found == columns.end()) return;
  NewColumn& column = found->second.what;
  if (subtype == "AT_AlterColumnType") column.type = type_name(command["def"].body()["typeName"]);
  if (subtype == "AT_ColumnDefault") column.in_inserts = default_value(command["def"]);
  if (subtype == "AT_AddIdentity") column.in_inserts = {.kind = Value::Kind::distinct};
  if (subtype == "AT_DropIdentity") column.in_inserts = {.kind = Value::Kind::null};
}

void Known::drop_column(std::string_view table, std::string_view column) {
  const bool known_to_old_code = new_column(table, column) == nullptr;
  Learned& mine = learned_of(table);
  if (known_to_old_code) mine.used_columns.emplace(column);
  if (const auto found = mine.columns.find(column); found != mine.columns.end()) mine.columns.erase(found);
  if (const auto found = mine.not_null.find(column); found != mine.not_null.end()) mine.not_null.erase(found);
}

void Known::learn_constraint(std::string_view table, Node constraint) {
  const std::string_view kind = constraint.text("contype");
  if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY")
    learn_index(table, {.schema = {}, .name = std::string(constraint.text("conname"))}, constraint);
  if (kind == "CONSTR_PRIMARY") {
    for (const Node key : constraint["keys"]) learned_of(table).not_null[std::string(key.body().text("sval"))] = true;
  }
  const Node expression = constraint["raw_expr"];
  if (constraint.text("conname").empty() && !expression) return;
  Check check{.name = std::string(constraint.text("conname")),
              .not_null_column = not_null_test(expression),
              .valid = !constraint.flag("skip_validation")};
  visit_objects(expression, [&](std::string_view key, Node node) {
    if (key == "ColumnRef") check.columns.emplace_back(last_name(node["fields"]));
  });
  learned_of(table).checks.push_back(std::move(check));
}

void Known::change_constraint(std::string_view table, Node command) {
  auto& checks = learned_of(table).checks;
  const std::string_view name = command.text("name");
  auto found = std::ranges::find(checks, name, &Check::name);
  if (found == checks.end()) {
    const CatalogRelation* present = this->table(table);
    const auto* old = present == nullptr ? nullptr : present->constraint(name);
    const std::string column = old == nullptr ? std::string{} : not_null_test(*old);
    found = checks.insert(found, {.name = std::string(name), .not_null_column = column});
  }
  if (command.text("subtype") == "AT_ValidateConstraint") found->valid = true;
  if (command.text("subtype") == "AT_DropConstraint") found->dropped = true;
}

// An IndexStmt, or a Constraint that has one.
void Known::learn_index(std::string_view table, const RelationName& name, Node index) {
  Index made{.key = std::string(table_key(to_sql(name))),
             .table = std::string(table_key(table)),
             .columns = {},
             .unique = index.flag("unique") || static_cast<bool>(index["contype"]),
             .partial = static_cast<bool>(index["whereClause"])};
  for (const Node column : index["indexParams"]) made.columns.emplace_back(column.body().text("name"));
  for (const Node column : index["keys"]) made.columns.emplace_back(column.body().text("sval"));
  dropped_indexes_.erase(made.key);
  indexes_.push_back(std::move(made));
}

void Known::phase_over() {
  for (auto& [table, known] : learned_) known.empty = false;
  objects_.clear();
}

}  // namespace diastole::sql
