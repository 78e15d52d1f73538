#include "object_name.hpp"

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "kinds.hpp"
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
// Those that something else can depend on, or be.
constexpr auto kNamed = std::to_array<std::string_view>({
    kRoutine,
    "OBJECT_TYPE",
    "OBJECT_OPERATOR",
    "OBJECT_OPCLASS",
    "OBJECT_OPFAMILY",
    "OBJECT_CAST",
    "OBJECT_COLLATION",
    "OBJECT_CONVERSION",
    "OBJECT_LANGUAGE",
    "OBJECT_EXTENSION",
    "OBJECT_EVENT_TRIGGER",
    "OBJECT_FOREIGN_SERVER",
    "OBJECT_TSCONFIGURATION",
    "OBJECT_TSDICTIONARY",
    "OBJECT_TSPARSER",
    "OBJECT_TSTEMPLATE",
});

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

core::RelationName name_in(Node node) {
  if (node.is_array()) return name_of_list(node);
  if (is_relation(node)) return name_of(node);
  return {.schema = {}, .name = std::string(node.as_text())};
}

// An operator has no left type, or none on its right.
void add_type(std::string& inputs, Node type) {
  inputs += (inputs.empty() ? "" : ", ") + (type["names"] ? type_name(type) : std::string("NONE"));
}

// A schema that is not written can be any.
bool same_type(std::string_view a, std::string_view b) {
  const std::string one = type_without_length(a);
  const std::string other = type_without_length(b);
  if (one == other) return true;
  const auto longer = [](std::string_view full, std::string_view bare) {
    return full.size() > bare.size() && full.ends_with(bare) && full[full.size() - bare.size() - 1] == '.';
  };
  return longer(one, other) || longer(other, one);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
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

core::RelationName usual(core::RelationName name) {
  if (name.schema == "public") name.schema.clear();
  return name;
}

bool same_inputs(std::string_view a, std::string_view b) {
  constexpr std::string_view kBetween = ", ";
  while (a != b) {
    const std::size_t end_a = std::min(a.find(kBetween), a.size());
    const std::size_t end_b = std::min(b.find(kBetween), b.size());
    if ((end_a == a.size()) != (end_b == b.size()) || !same_type(a.substr(0, end_a), b.substr(0, end_b))) return false;
    a.remove_prefix(std::min(end_a + kBetween.size(), a.size()));
    b.remove_prefix(std::min(end_b + kBetween.size(), b.size()));
  }
  return true;
}

std::string catalog_kind(std::string_view type) {
  const ObjectKind* kind = find_object_kind(shared_type(type));
  return kind == nullptr ? std::string{} : lower(kind->noun);
}

std::string type_of_identity(std::string_view identity) {
  std::string_view found;
  std::size_t longest = 0;  // "operator class" is no "operator"
  for (const std::string_view type : kNamed) {
    const std::string kind = catalog_kind(type) + " ";
    if (kind.size() <= longest || !identity.starts_with(kind)) continue;
    found = type;
    longest = kind.size();
  }
  return std::string(found);
}

bool ObjectName::matches(const ObjectName& other) const {
  return type == other.type && name == other.name && member == other.member &&
         (any_inputs || other.any_inputs || same_inputs(inputs, other.inputs));
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

namespace {

// {access method, name}: a name of one part or two behind that.
void name_operator_class(Node items, ObjectName& named) {
  named.inputs = items.front().body().text("sval");
  named.name = name_of_list(items);
  if (items.size() == 2) named.name.schema.clear();
}

void name_with_inputs(Node body, ObjectName& named) {
  named.name = name_of_list(body["objname"]);
  named.any_inputs = body.flag("args_unspecified");
  for (const Node input : body["objargs"]) {
    named.any_inputs |= input.body().flag("pct_type");
    add_type(named.inputs, input.body());
  }
}

}  // namespace

std::optional<ObjectName> written_object(std::string_view type, Node object) {
  if (contains(kRelations, type)) return std::nullopt;
  ObjectName named{.type = std::string(shared_type(type)), .name = {}};
  const Node body = object.body();
  if (object.tag() == "ObjectWithArgs") {
    name_with_inputs(body, named);
  } else if (object.tag() == "TypeName") {
    named.name = name_of_list(body["names"]);
  } else if (object.tag() == "RangeVar") {
    named.name = name_of(body);
  } else if (object.tag() == "String") {
    named.name.name = body.text("sval");
  } else if (contains(kMembers, type)) {
    named.name = name_of_list(body["items"], 1);
    named.member = last_name(body["items"]);
  } else if (type == "OBJECT_CAST") {
    named.name.name = "cast";
    for (const Node end : body["items"]) add_type(named.inputs, end.body());
  } else if (type == "OBJECT_OPCLASS" || type == "OBJECT_OPFAMILY") {
    name_operator_class(body["items"], named);
  } else {
    named.name = name_of_list(body["items"]);
  }
  if (named.name.name.empty()) return std::nullopt;
  return named;
}

std::optional<ObjectName> named_object(std::string_view type, Node object) {
  auto named = written_object(type, object);
  if (named) named->name = usual(std::move(named->name));
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
