#include "object_name.hpp"

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "known.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

constexpr auto kRoutines =
    std::to_array<std::string_view>({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"});
constexpr auto kMembers = std::to_array<std::string_view>({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"});
constexpr auto kRelations =
    std::to_array<std::string_view>({"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE",
                                     "OBJECT_INDEX", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"});
constexpr std::string_view kRoutine = "OBJECT_FUNCTION";

struct Creation {
  std::string_view tag;
  std::string_view type;
  std::string_view name;        // the field
  std::string_view table = {};  // likewise, of a member
};
constexpr auto kCreations = std::to_array<Creation>({
    {"CompositeTypeStmt", "OBJECT_TYPE", "typevar"},
    {"CreateDomainStmt", "OBJECT_TYPE", "domainname"},
    {"CreateEnumStmt", "OBJECT_TYPE", "typeName"},
    {"CreateEventTrigStmt", "OBJECT_EVENT_TRIGGER", "trigname"},
    {"CreateExtensionStmt", "OBJECT_EXTENSION", "extname"},
    {"CreateFdwStmt", "OBJECT_FDW", "fdwname"},
    {"CreateForeignServerStmt", "OBJECT_FOREIGN_SERVER", "servername"},
    {"CreateFunctionStmt", kRoutine, "funcname"},
    {"CreatePolicyStmt", "OBJECT_POLICY", "policy_name", "table"},
    {"CreatePublicationStmt", "OBJECT_PUBLICATION", "pubname"},
    {"CreateRangeStmt", "OBJECT_TYPE", "typeName"},
    {"CreateSchemaStmt", "OBJECT_SCHEMA", "schemaname"},
    {"CreateSeqStmt", "OBJECT_SEQUENCE", "sequence"},
    {"CreateStatsStmt", "OBJECT_STATISTIC_EXT", "defnames"},
    {"CreateTrigStmt", "OBJECT_TRIGGER", "trigname", "relation"},
    {"DefineStmt", "", "defnames"},
    {"RuleStmt", "OBJECT_RULE", "rulename", "relation"},
});

std::string_view shared_type(std::string_view type) {
  if (contains(kRoutines, type)) return kRoutine;
  return type == "OBJECT_DOMAIN" ? "OBJECT_TYPE" : type;
}

// "public" is what an unqualified name most often means.
core::RelationName usual(core::RelationName name) {
  if (name.schema == "public") name.schema.clear();
  return name;
}

core::RelationName name_in(Node node) {
  if (node.is_array()) return name_of_list(node);
  if (is_relation(node)) return name_of(node);
  return {.schema = {}, .name = std::string(node.as_text())};
}

void add_type(std::string& inputs, Node type) {
  inputs += (inputs.empty() ? "" : ", ") + type_name(type);
}

std::string inputs_of(Node parameters) {
  std::string inputs;
  for (const Node node : parameters) {
    const std::string_view mode = node.body().text("mode");
    if (mode != "FUNC_PARAM_OUT" && mode != "FUNC_PARAM_TABLE") add_type(inputs, node.body()["argType"]);
  }
  return inputs;
}

}  // namespace

bool ObjectName::matches(const ObjectName& other) const {
  return type == other.type && name == other.name && member == other.member &&
         (any_inputs || other.any_inputs || inputs == other.inputs);
}

ObjectName type_named(core::RelationName name) {
  return {.type = "OBJECT_TYPE", .name = usual(std::move(name))};
}

ObjectName sequence_named(core::RelationName name) {
  return {.type = "OBJECT_SEQUENCE", .name = usual(std::move(name))};
}

ObjectName policy_named(core::RelationName table, std::string_view name) {
  return {.type = "OBJECT_POLICY", .name = usual(std::move(table)), .member = std::string(name)};
}

std::optional<ObjectName> created_object(const ParsedStatement& statement) {
  const auto* found = std::ranges::find(kCreations, statement.tag, &Creation::tag);
  if (found == kCreations.end()) return std::nullopt;
  const Node body = statement.body;
  ObjectName made{.type = std::string(shared_type(found->type.empty() ? body.text("kind") : found->type)),
                  .name = usual(name_in(body[found->table.empty() ? found->name : found->table]))};
  if (!found->table.empty()) made.member = body.text(found->name);
  if (made.type == kRoutine) {
    const bool aggregate = statement.tag == "DefineStmt";
    made.inputs = inputs_of(aggregate ? body["args"].front().body()["items"] : body["parameters"]);
  }
  if (made.name.name.empty()) return std::nullopt;
  return made;
}

std::optional<ObjectName> named_object(std::string_view type, Node object) {
  if (contains(kRelations, type)) return std::nullopt;
  ObjectName named{.type = std::string(shared_type(type)), .name = {}};
  const Node body = object.body();
  if (object.tag() == "ObjectWithArgs") {
    named.name = name_of_list(body["objname"]);
    named.any_inputs = body.flag("args_unspecified");
    for (const Node input : body["objargs"]) add_type(named.inputs, input.body());
  } else if (object.tag() == "TypeName") {
    named.name = name_of_list(body["names"]);
  } else if (object.tag() == "RangeVar") {
    named.name = name_of(body);
  } else if (object.tag() == "String") {
    named.name.name = body.text("sval");
  } else if (contains(kMembers, type)) {
    named.name = name_of_list(body["items"], 1);
    named.member = last_name(body["items"]);
  } else {
    named.name = name_of_list(body["items"]);
  }
  named.name = usual(std::move(named.name));
  if (named.name.name.empty()) return std::nullopt;
  return named;
}

std::optional<Renaming> renamed_object(const ParsedStatement& statement) {
  const Node body = statement.body;
  const std::string_view type = body.text(statement.tag == "RenameStmt" ? "renameType" : "objectType");
  const Node relation = body["relation"];
  std::optional<ObjectName> from;
  if (contains(kMembers, type)) {
    from = ObjectName{
        .type = std::string(type), .name = usual(name_of(relation)), .member = std::string(body.text("subname"))};
  } else if (type == "OBJECT_SEQUENCE" && is_relation(relation)) {
    from = ObjectName{.type = std::string(type), .name = usual(name_of(relation))};
  } else if (body["object"]) {
    from = named_object(type, body["object"]);
  } else if (type == "OBJECT_SCHEMA") {
    from = ObjectName{.type = std::string(type), .name = {.schema = {}, .name = std::string(body.text("subname"))}};
  }
  if (!from) return std::nullopt;
  ObjectName to = *from;
  if (const auto fresh = body.text("newname"); !fresh.empty()) (to.member.empty() ? to.name.name : to.member) = fresh;
  if (const auto schema = body.text("newschema"); !schema.empty()) to.name.schema = schema;
  to.name = usual(std::move(to.name));
  return Renaming{.from = *std::move(from), .to = std::move(to)};
}

bool ObjectNames::contain(const ObjectName& name) const {
  const auto found = by_name_.find(name.name);
  return found != by_name_.end() &&
         std::ranges::any_of(found->second, [&](const ObjectName& one) { return one.matches(name); });
}

void ObjectNames::remove(const ObjectName& name) {
  if (const auto found = by_name_.find(name.name); found != by_name_.end())
    std::erase_if(found->second, [&](const ObjectName& one) { return one.matches(name); });
}

void ObjectNames::rename(const Renaming& renaming) {
  const auto found = by_name_.find(renaming.from.name);
  if (found != by_name_.end()) {
    std::vector<ObjectName> all = std::move(found->second);
    by_name_.erase(found);
    for (ObjectName& one : all) {
      if (one.matches(renaming.from)) {
        one.name = renaming.to.name;
        one.member = renaming.to.member;
      }
      add(std::move(one));
    }
  }
  if (renaming.from.type == "OBJECT_SCHEMA") rename_schema(renaming.from.name.name, renaming.to.name.name);
}

void ObjectNames::rename_schema(const std::string& from, const std::string& to) {
  if (from == to) return;
  while (true) {
    const auto found = by_name_.lower_bound({.schema = from, .name = {}});
    if (found == by_name_.end() || found->first.schema != from) return;
    std::vector<ObjectName> all = std::move(found->second);
    by_name_.erase(found);
    for (ObjectName& one : all) {
      one.name.schema = to;
      add(std::move(one));
    }
  }
}

}  // namespace diastole::sql
