// Rules on dropping, renaming and changing whole objects, and on what hangs on them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

#include "contains.hpp"
#include "definition_text.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"
#include "lint.hpp"
#include "lint_dependents.hpp"
#include "safe_form.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::CatalogDependent;

constexpr auto kDropRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kBanDropTable},
    {"OBJECT_FOREIGN_TABLE", &kBanDropTable},
    {"OBJECT_SCHEMA", &kBanDropSchema},
    {"OBJECT_TRIGGER", &kBanDropObject},
    {"OBJECT_RULE", &kBanDropObject},
    {"OBJECT_POLICY", &kBanDropObject},
});
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

const Rule* rule_for(std::span<const ObjectRule> rules, std::string_view type, bool destructive, const Rule& usual) {
  const auto found = std::ranges::find(rules, type, &ObjectRule::type);
  if (found != rules.end()) return found->rule;
  return destructive ? &usual : nullptr;
}

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
  if (kind != nullptr && kind->naming == Naming::other) return lint_dropped_objects(lint, rule, blanks, cascade);
  const bool sequences = kind != nullptr && kind->naming == Naming::sequence;
  const auto present = relations || sequences ? present_of(lint) : std::vector<const core::CatalogRelation*>{};
  std::vector<core::CatalogRelation> alone;
  alone.reserve(present.size());
  for (const core::CatalogRelation* relation : present) {
    std::erase_if(alone.emplace_back(*relation).dependents,
                  [&](const CatalogDependent& one) { return dropped_too(one, present); });
  }
  const SafeSteps form = drop_form(lint, alone, {}, blanks.statement);
  if (core::Finding* found = rule == nullptr ? nullptr : lint.reporter.report(*rule, blanks)) found->safe_form = form;
  for (const core::CatalogRelation& relation : alone) lint_dependents(lint, relation, {}, cascade, form);
  for (const core::CatalogRelation* relation : present) lint_dropped_table(lint, *relation);
  if (!cascade || !present.empty()) return;
  if (core::Finding* found = lint.reporter.report(kDropCascade, blanks)) found->safe_form = form;
}

namespace {

// Whose foreign keys point to what TRUNCATE … CASCADE names; the partitions of what is named go with it anyway.
std::vector<std::string> emptied_too(const Lint& lint) {
  std::vector<std::string> tables;
  for (const core::Touch& touch : lint.statement.statement.touches) {
    const core::CatalogRelation* present = lint.known().table(touch.relation);
    const bool partition = present != nullptr && !present->partition_bound.empty();
    if (!touch.named && touch.kind == core::Touch::Kind::table && !partition) tables.push_back(touch.relation);
  }
  return tables;
}

std::vector<core::SafeStep> truncate_form(const Lint& lint) {
  std::vector<std::string> tables;
  bool all_known = true;
  for (const Node relation : lint.body()["relations"]) {
    all_known &= lint.known().relation(relation.body()) != nullptr;
    tables.push_back((relation.body().flag("inh") ? "" : "ONLY ") + relation_name(relation.body()));
  }
  std::ranges::move(emptied_too(lint), std::back_inserter(tables));
  if (!all_known) tables.emplace_back("<each table that references them>");
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  steps.sql(fmt::format("TRUNCATE {}{}", fmt::join(tables, ", "),
                        lint.body().flag("restart_seqs") ? " RESTART IDENTITY" : ""));
  return steps.take();
}

}  // namespace

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
  const std::size_t first = lint.reporter.count();
  lint.reporter.report(kBanTruncate, blanks);
  if (!cascade) return;
  core::Finding* found = lint.reporter.report(kBanTruncateCascade, blanks);
  if (found == nullptr) return;
  for (const std::string& table : emptied_too(lint)) found->concerned.push_back(fmt::format("table {}", table));
  lint.reporter.reform(first, truncate_form(lint));
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
                      .name = sql_literal(body.text("newVal")),
                      .type = sql_literal(body.text("oldVal")),
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

namespace {

// New values are checked from then on; those that are there are read under a lock that blocks writers.
SafeSteps domain_form(const Lint& lint, const std::string& domain, std::string_view name) {
  const bool not_null = lint.body().text("subtype") == "O";
  const std::string definition =
      not_null ? "CHECK (VALUE IS NOT NULL)" : constraint_text(lint.statement.parsed, lint.body()["def"].body());
  const std::string quoted = quote_identifier(name);
  StepWriter steps(lint.known(), {});
  steps.in_phase(kContract);
  steps.sql(fmt::format("ALTER DOMAIN {} ADD CONSTRAINT {} {} NOT VALID", domain, quoted, definition));
  steps.sql(fmt::format("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", domain, quoted),
            "in a step of its own, and at a quiet time: writes to each table wait until it is read");
  return steps.take();
}

}  // namespace

// C: add constraint, O: set not null, V: validate (parsenodes.h).
void lint_domain(const Lint& lint) {
  const Node body = lint.body();
  const std::string_view action = body.text("subtype");
  if ((action != "C" && action != "O" && action != "V") || is_new_type(lint)) return;
  const Node constraint = body["def"].body();
  const std::string domain = dotted_name(body["typeName"]);
  const core::CatalogType* present =
      lint.known().catalog() == nullptr ? nullptr : lint.known().catalog()->type(name_of_list(body["typeName"]));
  const bool idle = present != nullptr && std::ranges::all_of(present->used_by, [&](const core::RelationName& table) {
                      return lint.idle(lint.known().written(table));
                    });
  std::string name(action == "V" ? body.text("name") : constraint.text("conname"));
  if (name.empty()) name = made_name(name_of_list(body["typeName"]).name, {}, action == "O" ? "not_null" : "check");
  const Blanks blanks{
      .table = "columns of " + domain, .object = domain, .name = quote_identifier(name), .statement = {}};
  const std::size_t first = lint.reporter.count();
  if (!constraint.flag("skip_validation") && !idle) {
    // What VALIDATE does is no more than ADD would, and there is no other way to do it.
    const auto severity = action == "V" ? kWarning : kError;
    core::Finding* found = lint.reporter.report(kDomainConstraint, blanks, severity, severity);
    if (found != nullptr && present == nullptr) found->sharper_with = fmt::format("the tables that use {}", domain);
  }
  const bool unused = present != nullptr && present->used_by.empty();
  if (action != "V" && !unused) {
    Blanks of_constraint = blanks;
    of_constraint.object = blanks.name;
    if (core::Finding* found = lint.reporter.report(kCheckOldWriters, of_constraint))
      found->subject = {.table = {}, .column = {}, .object = domain};
  }
  lint.reporter.reform(first, action == "V" ? SafeSteps{} : domain_form(lint, domain, name));
}

void lint_create_domain(const Lint& lint) {
  if (!lint.body()["constraints"]) return;
  lint.reporter.report(kCreateDomain,
                       {.object = dotted_name(lint.body()["domainname"]), .type = type_name(lint.body()["typeName"])});
}

void lint_refresh(const Lint& lint) {
  const std::string view = relation_name(lint.body()["relation"]);
  if (lint.body().flag("skipData")) {
    if (!lint.known().is_new(view))
      lint.reporter.report(
          kBanDropObject,
          {.table = view, .kind = "REFRESH MATERIALIZED VIEW … WITH NO DATA", .statement = std::string(lint.text())});
    return;
  }
  if (lint.body().flag("concurrent") || lint.idle(view)) return;
  core::Finding* found = lint.reporter.report(
      kConcurrentRefresh, {.table = view, .statement = with_word(lint.text(), "VIEW", "CONCURRENTLY")});
  const core::CatalogRelation* present = lint.known().relation(lint.body()["relation"]);
  if (found == nullptr || present == nullptr) return;
  const bool has_key = std::ranges::any_of(present->indexes, [](const core::CatalogIndex& index) {
    return index.unique && index.valid && !index.partial && !contains(index.columns, "");
  });
  if (has_key) return;
  StepWriter steps(lint.known(), view);
  steps.index(made_name(present->name.name, {}, "key"), "(<columns that are unique>)", true);
  steps.sql(with_word(lint.text(), "VIEW", "CONCURRENTLY"));
  found->safe_form = steps.take();
}

void lint_vacuum(const Lint& lint) {
  const bool cluster = lint.statement.parsed.tag == "ClusterStmt";
  if (!cluster && !option_set(lint.body()["options"], "full")) return;
  const auto tables = lint.statement.statement.tables();
  if (!tables.empty() && std::ranges::all_of(tables, [&](const std::string& table) { return lint.idle(table); }))
    return;
  const std::string listed = fmt::format("{}", fmt::join(tables, ", "));
  const std::string_view all = cluster ? "every table that was clustered before" : "every table";
  lint.reporter.report(kVacuumFull, {.table = listed,
                                     .kind = cluster ? "CLUSTER" : "VACUUM FULL",
                                     .name = listed.empty() ? std::string(all) : listed,
                                     .statement = listed.empty() ? "VACUUM" : "VACUUM " + listed});
}

void lint_drop_owned(const Lint& lint) {
  lint.reporter.report(kBanDropObject, {.kind = lint.statement.statement.kind, .statement = std::string(lint.text())});
}

}  // namespace diastole::sql
