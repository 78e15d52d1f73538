// Rules on dropping, renaming and changing whole objects, and on what hangs on them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

#include "contains.hpp"
#include "kinds.hpp"
#include "lint.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::CatalogDependent;
using core::DependentKind;

struct ObjectRule {
  std::string_view type;
  const Rule* rule;
};
constexpr auto kDropRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kBanDropTable},
    {"OBJECT_FOREIGN_TABLE", &kBanDropTable},
    {"OBJECT_SCHEMA", &kBanDropSchema},
    {"OBJECT_TRIGGER", &kBanDropObject},
    {"OBJECT_RULE", &kBanDropObject},
    {"OBJECT_POLICY", &kBanDropObject},
});
constexpr auto kRenameRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kRenamingTable},
    {"OBJECT_VIEW", &kRenamingTable},
    {"OBJECT_MATVIEW", &kRenamingTable},
    {"OBJECT_FOREIGN_TABLE", &kRenamingTable},
    {"OBJECT_COLUMN", &kRenamingColumn},
    {"OBJECT_SCHEMA", &kRenamingSchema},
});

// The type's own rule; the usual one where what goes would be missed.
const Rule* rule_for(std::span<const ObjectRule> rules, std::string_view type, bool destructive, const Rule& usual) {
  const auto found = std::ranges::find(rules, type, &ObjectRule::type);
  if (found != rules.end()) return found->rule;
  return destructive ? &usual : nullptr;
}

std::string described(const CatalogDependent& dependent) {
  std::string text = fmt::format("{} {}", to_string(dependent.kind), to_sql(dependent.name));
  if (!dependent.table.empty())
    text = fmt::format("{} {} of {}", to_string(dependent.kind), quote_identifier(dependent.name.name),
                       to_sql({dependent.name.schema, dependent.table}));
  if (!dependent.certain) text += " (its text names it)";
  return text;
}

// What PostgreSQL refuses to leave without what it hangs on. Of a column only what uses it depends on it.
bool blocks(const CatalogDependent& dependent, bool column) {
  switch (dependent.kind) {
    case DependentKind::view:
    case DependentKind::materialized_view:
    case DependentKind::foreign_key:
    case DependentKind::column_default: return true;  // of a sequence
    case DependentKind::function: return dependent.certain;
    case DependentKind::rule:
    case DependentKind::policy:
    case DependentKind::trigger:
    case DependentKind::generated_column:
    case DependentKind::partition_key: return column;
    case DependentKind::publication: return column && !dependent.columns.empty();
    case DependentKind::sequence:
    case DependentKind::statistics: return false;
  }
  return false;
}

// A table that goes takes its own things along without a word; only what others would miss is worth one.
bool worth_saying(const CatalogDependent& dependent, bool column) {
  return column || dependent.kind == DependentKind::function || dependent.kind == DependentKind::publication ||
         dependent.kind == DependentKind::trigger || dependent.kind == DependentKind::policy;
}

// As DROP names it; of a trigger, rule or policy its table.
std::string object_text(Node object, bool member) {
  const Node body = object.body();
  if (body["items"]) return dotted_name(body["items"], member ? 1 : 0);
  if (body["objname"]) return dotted_name(body["objname"]);
  return body["names"] ? dotted_name(body["names"]) : quote_identifier(body.text("sval"));
}

// The relations that a DROP of tables or views names and that are there.
std::vector<const core::CatalogRelation*> present_of(const Lint& lint) {
  std::vector<const core::CatalogRelation*> present;
  for (const Node object : lint.body()["objects"]) {
    const core::CatalogRelation* one = lint.known().relation(name_of_list(object.body()["items"]));
    if (one != nullptr) present.push_back(one);
  }
  return present;
}

void lint_dropped_table(const Lint& lint, const core::CatalogRelation& table) {
  std::vector<std::string> keys;
  for (const core::CatalogConstraint& constraint : table.constraints) {
    if (constraint.kind == core::ConstraintKind::foreign_key) keys.push_back(constraint.name);
  }
  if (keys.size() < 2) return;
  lint.reporter.report(kDropTableForeignKeys, {.table = lint.known().written(table.name),
                                               .object = quote_identifier(keys.front()),
                                               .name = fmt::to_string(keys.size())});
}

// A dependent that the same statement drops is no obstacle.
bool dropped_too(const CatalogDependent& dependent, std::span<const core::CatalogRelation* const> dropped) {
  const core::RelationName holder{dependent.name.schema,
                                  dependent.table.empty() ? dependent.name.name : dependent.table};
  return std::ranges::any_of(dropped, [&](const core::CatalogRelation* one) { return one->name == holder; });
}

void report_replaced(const Lint& lint, const std::string& object) {
  core::Finding* found = lint.reporter.report(kReplacing, {.object = object, .statement = std::string(lint.text())});
  if (found != nullptr && lint.known().catalog() == nullptr)
    found->sharper_with = fmt::format("whether {} is there already", object);
}

}  // namespace

std::string without_cascade(std::string_view statement) {
  constexpr std::string_view kWord = "CASCADE";
  const bool ends =
      statement.size() > kWord.size() && std::ranges::equal(statement.substr(statement.size() - kWord.size()), kWord,
                                                            [](char a, char b) { return (a & ~0x20) == b; });
  return std::string(ends ? trim_end(statement.substr(0, statement.size() - kWord.size())) : statement);
}

Dependents dependents_of(const core::CatalogRelation& relation, std::string_view column, const Known& known) {
  Dependents found;
  const bool of_column = !column.empty();
  for (const CatalogDependent& dependent : relation.dependents) {
    const bool whole = dependent.columns.empty();
    const bool carries = whole && (dependent.kind == DependentKind::publication || !dependent.certain);
    if (known.is_gone(dependent) || (of_column && !carries && !contains(dependent.columns, column))) continue;
    if (blocks(dependent, of_column)) {
      found.blocking.push_back(described(dependent));
    } else if (worth_saying(dependent, of_column)) {
      found.along.push_back(described(dependent));
    }
  }
  if (!of_column) return found;
  for (const core::CatalogIndex& index : relation.indexes) {
    if (contains(index.columns, column) || contains(index.uses, column))
      found.along.push_back(fmt::format("index {}", to_sql({relation.name.schema, index.name})));
  }
  for (const core::CatalogConstraint& constraint : relation.constraints) {
    const bool has_index = constraint.kind == core::ConstraintKind::primary_key ||
                           constraint.kind == core::ConstraintKind::unique ||
                           constraint.kind == core::ConstraintKind::exclusion;
    if (!has_index && contains(constraint.columns, column))
      found.along.push_back(fmt::format("constraint {}", quote_identifier(constraint.name)));
  }
  return found;
}

void lint_dependents(const Lint& lint, const core::CatalogRelation& relation, std::string_view column, bool cascade) {
  Dependents found = dependents_of(relation, column, lint.known());
  const std::string table = lint.known().written(relation.name);
  const std::string object = column.empty() ? table : fmt::format("{}.{}", table, quote_identifier(column));
  const Blanks blanks{.table = table,
                      .column = column.empty() ? std::string{} : quote_identifier(column),
                      .object = object,
                      .kind = lint.statement.statement.kind,
                      .statement = cascade ? without_cascade(lint.text()) : std::string(lint.text())};
  if (cascade) {
    std::ranges::move(found.along, std::back_inserter(found.blocking));
    if (core::Finding* reported = lint.reporter.report(kDropCascade, blanks))
      reported->concerned = std::move(found.blocking);
    return;
  }
  if (!found.blocking.empty()) {
    if (core::Finding* reported = lint.reporter.report(kDropBlocked, blanks)) reported->concerned = found.blocking;
  }
  if (found.along.empty()) return;
  if (core::Finding* reported = lint.reporter.report(kDropTakesAlong, blanks))
    reported->concerned = std::move(found.along);
}

namespace {

// Columns of a type or domain; whether the catalog knows all that are named.
bool lint_dropped_types(const Lint& lint, const Blanks& blanks, bool cascade) {
  std::vector<std::string> columns;
  bool known = lint.known().catalog() != nullptr;
  for (const Node object : lint.body()["objects"]) {
    const core::RelationName name = name_of_list(object.body()["names"]);
    const core::CatalogType* type = known && !name.name.empty() ? lint.known().catalog()->type(name) : nullptr;
    known &= type != nullptr;
    if (type == nullptr) continue;
    for (const core::RelationName& user : type->used_by) {
      const core::CatalogRelation* table = lint.known().relation(user);
      if (table == nullptr) continue;
      for (const core::CatalogColumn& column : table->columns) {
        std::string of = type_without_length(column.type);
        if (of.ends_with("[]")) of.resize(of.size() - 2);
        const bool same = name_of_identifier(of).name == type->name.name;
        if (same && !lint.known().is_dropped_column(user, column.name))
          columns.push_back(fmt::format("column {} of {}", quote_identifier(column.name), to_sql(user)));
      }
    }
  }
  if (!cascade && columns.empty()) return known;
  if (!known && columns.empty()) return false;
  if (core::Finding* found = lint.reporter.report(cascade ? kDropCascade : kDropBlocked, blanks))
    found->concerned = std::move(columns);
  return true;
}

}  // namespace

void lint_drop(const Lint& lint) {
  const Node body = lint.body();
  const std::string_view type = body.text("removeType");
  if (type == "OBJECT_INDEX") return lint_drop_index(lint);
  const Node objects = body["objects"];
  const bool cascade = body.text("behavior") == "DROP_CASCADE";
  const Rule* rule = rule_for(kDropRules, type, lint.statement.statement.destructive, kBanDropObject);
  const ObjectKind* kind = find_object_kind(type);
  const bool relations = kind != nullptr && kind->naming == Naming::relation;
  const bool members = kind != nullptr && kind->naming == Naming::member;
  std::vector<std::string> old;
  for (const Node object : objects) {
    const Node items = object.body()["items"];
    const std::string name = dotted_name(items, members ? 1 : 0);
    const auto named = named_object(type, object);
    if (relations ? lint.known().is_new(name) : named && lint.known().is_new(*named)) continue;
    const bool absent =
        relations ? lint.known().is_absent(name_of_list(items)) : named && lint.known().is_absent(*named);
    if (absent && body.flag("missing_ok")) continue;
    old.push_back(object_text(object, members));
  }
  if (old.empty()) return;
  const std::string listed = fmt::format("{}", fmt::join(old, ", "));
  const Blanks blanks{.table = relations || members ? listed : std::string{},
                      .object = relations ? std::string{} : listed,
                      .kind = lint.statement.statement.kind,
                      .statement = cascade ? without_cascade(lint.text()) : std::string(lint.text())};
  if (rule != nullptr) lint.reporter.report(*rule, blanks);
  const bool sequences = kind != nullptr && kind->naming == Naming::sequence;
  bool told = lint_dropped_types(lint, blanks, cascade);
  const auto present = relations || sequences ? present_of(lint) : std::vector<const core::CatalogRelation*>{};
  for (const core::CatalogRelation* relation : present) {
    core::CatalogRelation alone = *relation;
    std::erase_if(alone.dependents, [&](const CatalogDependent& one) { return dropped_too(one, present); });
    lint_dependents(lint, alone, {}, cascade);
    lint_dropped_table(lint, *relation);
  }
  told |= !present.empty();
  if (cascade && !told) lint.reporter.report(kDropCascade, blanks);
}

void lint_rename(const Lint& lint) {
  const Node body = lint.body();
  const Node relation = body["relation"];
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  const std::string_view type = body.text("renameType");
  const auto renaming = renamed_object(lint.statement.parsed);
  if (lint.known().is_new(table) || (renaming && lint.known().is_new(renaming->from))) return;
  if (type == "OBJECT_COLUMN" && lint.known().is_new_column(table, body.text("subname"))) return;
  const Rule* rule = rule_for(kRenameRules, type, lint.statement.statement.destructive, kRenamingObject);
  if (rule == nullptr) return;
  const std::string column_type = lint.known().column_type(table, body.text("subname"));
  core::Finding* found = lint.reporter.report(
      *rule, {.table = table,
              .column = name_or(type == "OBJECT_COLUMN" ? body.text("subname") : "", ""),
              .object = type == "OBJECT_SCHEMA" ? quote_identifier(body.text("subname")) : std::string{},
              .kind = lint.statement.statement.kind,
              .name = quote_identifier(body.text("newname")),
              .type = column_type.empty() ? "<type>" : column_type,
              .statement = std::string(lint.text())});
  if (found != nullptr && rule == &kRenamingColumn && column_type.empty())
    found->sharper_with = fmt::format("the type of {}.{}", table, quote_identifier(body.text("subname")));
}

// ALTER … SET SCHEMA gives a table another name, too.
void lint_set_schema(const Lint& lint) {
  const Node relation = lint.body()["relation"];
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  const auto renaming = renamed_object(lint.statement.parsed);
  if (lint.known().is_new(table) || (renaming && lint.known().is_new(renaming->from))) return;
  if (!lint.statement.statement.destructive) return;
  const Rule* rule = rule_for(kRenameRules, lint.body().text("objectType"), true, kRenamingObject);
  const std::string schema = quote_identifier(lint.body().text("newschema"));
  lint.reporter.report(*rule, {.table = table,
                               .kind = lint.statement.statement.kind,
                               .name = schema + "." + quote_identifier(relation.text("relname")),
                               .statement = std::string(lint.text())});
}

void lint_truncate(const Lint& lint) {
  std::vector<std::string> old;
  for (const Node relation : lint.body()["relations"]) {
    std::string name = relation_name(relation.body());
    if (!lint.known().is_new(name)) old.push_back(std::move(name));
  }
  if (old.empty()) return;
  const bool cascade = lint.body().text("behavior") == "DROP_CASCADE";
  const Blanks blanks{.table = fmt::format("{}", fmt::join(old, ", ")),
                      .statement = cascade ? without_cascade(lint.text()) : std::string(lint.text())};
  lint.reporter.report(kBanTruncate, blanks);
  if (!cascade) return;
  core::Finding* found = lint.reporter.report(kBanTruncateCascade, blanks);
  if (found == nullptr) return;
  for (const core::Touch& touch : lint.statement.statement.touches) {
    if (!touch.named) found->concerned.push_back(fmt::format("table {}", touch.relation));
  }
}

void lint_replace_view(const Lint& lint) {
  const Node view = lint.body()["view"];
  const std::string name = relation_name(view);
  const bool may_be_old = lint.body().flag("replace") && view.text("relpersistence") != "t";
  if (may_be_old && !lint.known().is_new(name) && !lint.known().is_absent(name_of(view)))
    report_replaced(lint, "view " + name);
}

// Of functions of one name the catalog does not say which has which arguments.
void lint_replace_object(const Lint& lint) {
  const auto made = created_object(lint.statement.parsed);
  if (!lint.body().flag("replace") || !made || lint.known().is_new(*made) || lint.known().is_absent(*made)) return;
  const std::string name = to_sql(made->name);
  report_replaced(lint, made->member.empty() ? fmt::format("function {}", name)
                                             : fmt::format("trigger {} of {}", quote_identifier(made->member), name));
}

namespace {

// Of a type that ALTER TYPE or ALTER DOMAIN names.
bool is_new_type(const Lint& lint) {
  return lint.known().is_new(type_named(name_of_list(lint.body()["typeName"])));
}

}  // namespace

void lint_enum(const Lint& lint) {
  const Node body = lint.body();
  const Blanks blanks{.object = dotted_name(body["typeName"]),
                      .name = fmt::format("'{}'", body.text("newVal")),
                      .statement = std::string(lint.text())};
  if (!body.text("oldVal").empty()) {
    if (is_new_type(lint)) return;
    lint.reporter.report(kRenamingEnumValue, blanks);
  } else if (body.text("newValNeighbor").empty()) {
    lint.reporter.report(kEnumOrdering, blanks);
  }
}

void lint_create_enum(const Lint& lint) {
  lint.reporter.report(kCreatingEnum, {.object = dotted_name(lint.body()["typeName"])});
}

void lint_domain(const Lint& lint) {
  const Node body = lint.body();
  const std::string_view action = body.text("subtype");  // C: add constraint, O: set not null (parsenodes.h)
  if ((action != "C" && action != "O") || is_new_type(lint)) return;
  const std::string domain = dotted_name(body["typeName"]);
  const std::string name = name_or(body["def"].body().text("conname"), domain + "_check");
  const bool not_valid = body["def"].body().flag("skip_validation");
  Blanks blanks{.table = "every table that uses the domain",
                .object = domain,
                .name = name,
                .statement = action == "C" && !not_valid ? with_not_valid(lint.text()) : std::string(lint.text())};
  const core::CatalogType* present =
      lint.known().catalog() == nullptr ? nullptr : lint.known().catalog()->type(name_of_list(body["typeName"]));
  const bool idle = present != nullptr && std::ranges::all_of(present->used_by, [&](const core::RelationName& table) {
                      return lint.idle(lint.known().written(table));
                    });
  if (!not_valid && !idle) {
    core::Finding* found = lint.reporter.report(kDomainConstraint, blanks);
    if (found != nullptr && present == nullptr) found->sharper_with = fmt::format("the tables that use {}", domain);
  }
  if (present != nullptr && present->used_by.empty()) return;
  core::Finding* found = lint.reporter.report(
      kCheckOldWriters, {.table = "columns of " + domain, .object = name, .statement = blanks.statement});
  if (found != nullptr) {
    found->subject = {.table = {}, .column = {}, .object = domain};
    found->safe_form.resize(1);
    found->safe_form.push_back({.phase = kContract,
                                .form = core::SafeStep::Form::sql,
                                .text = fmt::format("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", domain, name),
                                .note = "in a step of its own"});
  }
}

void lint_create_domain(const Lint& lint) {
  if (!lint.body()["constraints"]) return;
  lint.reporter.report(kCreateDomain,
                       {.object = dotted_name(lint.body()["domainname"]), .type = type_name(lint.body()["typeName"])});
}

void lint_refresh(const Lint& lint) {
  const std::string view = relation_name(lint.body()["relation"]);
  if (lint.body().flag("concurrent") || lint.idle(view)) return;
  lint.reporter.report(kConcurrentRefresh,
                       {.table = view, .statement = with_word(lint.text(), "VIEW", "CONCURRENTLY")});
}

void lint_vacuum(const Lint& lint) {
  const bool cluster = lint.statement.parsed.tag == "ClusterStmt";
  if (!cluster && !option_set(lint.body()["options"], "full")) return;
  const auto tables = lint.statement.statement.tables();
  if (!tables.empty() && std::ranges::all_of(tables, [&](const std::string& table) { return lint.idle(table); }))
    return;
  lint.reporter.report(
      kVacuumFull, {.table = fmt::format("{}", fmt::join(tables, ", ")), .kind = cluster ? "CLUSTER" : "VACUUM FULL"});
}

void lint_drop_owned(const Lint& lint) {
  lint.reporter.report(kBanDropObject, {.kind = lint.statement.statement.kind, .statement = std::string(lint.text())});
}

}  // namespace diastole::sql
