// libpg_query's parse tree and how to read it.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::sql {

// A node is {"Tag": {fields}}. Fields that are false, 0 or empty are absent. Never copied: copying recurses as deep as
// the tree.
using Json = nlohmann::json;

struct ParsedStatement {
  std::string tag;        // e.g. AlterTableStmt
  Json body;              // its fields
  std::size_t offset;     // in the SQL, past leading blanks and comments
  std::string_view text;  // the statement there, without its semicolon
};

// `sql` must outlive the result. Between `prefix` and `suffix` it may be a fragment; places in errors are in `sql` all
// the same, offsets and texts of the result are in the whole. invalid_argument as classify() says; no statement at all
// is not an error here.
[[nodiscard]] Result<std::vector<ParsedStatement>> parse(std::string_view sql, std::string_view prefix = {},
                                                         std::string_view suffix = {});

[[nodiscard]] std::string_view text_field(const Json& node, const char* key);
[[nodiscard]] bool flag_field(const Json& node, const char* key);
// Null where absent; iterating over null visits nothing.
[[nodiscard]] const Json& field(const Json& node, const char* key);

// {"Tag": body} into its two parts; ("", null) for anything else.
[[nodiscard]] std::pair<std::string_view, const Json&> open_node(const Json& node);

// An option's value as PostgreSQL reads it: (FULL), (FULL true), (FULL false).
[[nodiscard]] bool option_set(const Json& options, std::string_view name);

[[nodiscard]] bool is_relation(const Json& node);
// As an SQL identifier, with its schema where one is written.
[[nodiscard]] std::string relation_name(const Json& relation);
// Of a list of String nodes, without the last `drop` of them.
[[nodiscard]] std::string dotted_name(const Json& strings, std::size_t drop = 0);

// Calls visitor(key, object) for every object in the tree, parents first, with the key it stands under ("" in a list).
// Iterative: the tree may be tens of thousands of levels deep.
template <typename Visitor>
void visit_objects(const Json& root, Visitor&& visitor) {
  static const std::string kNoKey;
  std::vector<std::pair<const std::string*, const Json*>> stack{{&kNoKey, &root}};
  while (!stack.empty()) {
    const auto [key, node] = stack.back();
    stack.pop_back();
    const std::size_t mark = stack.size();
    if (node->is_object()) {
      visitor(std::string_view(*key), *node);
      for (const auto& [name, child] : node->get_ref<const Json::object_t&>()) {
        if (child.is_structured()) stack.emplace_back(&name, &child);
      }
    } else {
      for (const auto& child : *node) stack.emplace_back(&kNoKey, &child);
    }
    std::reverse(stack.begin() + static_cast<std::ptrdiff_t>(mark), stack.end());
  }
}

}  // namespace diastole::sql
