// Objects that are no tables or views, as statements name them: types, functions, schemas, triggers, policies, ….
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct ObjectName {
  std::string type;         // libpg_query's ObjectType; one for all that share their names
  core::RelationName name;  // of a trigger, rule or policy: its table
  std::string member = {};  // the trigger, rule or policy
  std::string inputs = {};  // a routine's, operator's or cast's types, "integer, text"; an operator class's "btree"
  bool any_inputs = false;  // it is named without them

  // Whether one can be the other.
  [[nodiscard]] bool matches(const ObjectName& other) const;
};

// Without "public", which is what an unqualified name most often means.
[[nodiscard]] core::RelationName usual(core::RelationName name);
// Lists of types that can be the same ones: "text, mood" and "text, app.mood".
[[nodiscard]] bool same_inputs(std::string_view a, std::string_view b);
// What core::CatalogObject calls libpg_query's ObjectType; empty for none.
[[nodiscard]] std::string catalog_kind(std::string_view type);
// The ObjectType of what core::CatalogDependent::identity begins with; empty for none.
[[nodiscard]] std::string type_of_identity(std::string_view identity);

// A type that the plan makes.
struct MadeType {
  core::Answer checked = core::Answer::no;  // it is a domain with constraints
  std::string base = {};                    // of a domain
};

[[nodiscard]] ObjectName type_named(core::RelationName name);
[[nodiscard]] ObjectName sequence_named(core::RelationName name);
[[nodiscard]] ObjectName policy_named(core::RelationName table, std::string_view name);
// What a CREATE statement makes; nothing for tables and views.
[[nodiscard]] std::optional<ObjectName> created_object(const ParsedStatement& statement);
// What an entry of DROP, GRANT or REVOKE names, or the `object` of ALTER … RENAME and SET SCHEMA.
[[nodiscard]] std::optional<ObjectName> named_object(std::string_view type, Node object);
// The same with its schema even where that is "public".
[[nodiscard]] std::optional<ObjectName> written_object(std::string_view type, Node object);
// The subject of ALTER … RENAME or SET SCHEMA, and what it is called from then on.
struct Renaming {
  ObjectName from;
  ObjectName to;
};
[[nodiscard]] std::optional<Renaming> renamed_object(const ParsedStatement& statement);

class ObjectNames {
 public:
  void add(ObjectName name) { by_name_[name.name].push_back(std::move(name)); }
  [[nodiscard]] bool contain(const ObjectName& name) const;
  void remove(const ObjectName& name);
  void rename(const Renaming& renaming);
  void clear() { by_name_.clear(); }

 private:
  void rename_schema(const std::string& from, const std::string& to);

  std::map<core::RelationName, std::vector<ObjectName>> by_name_;
};

}  // namespace diastole::sql
