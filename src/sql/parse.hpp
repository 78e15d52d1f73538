// libpg_query's parse tree and how to read it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node.hpp"
#include "text.hpp"

namespace diastole::sql {

struct ParsedStatement {
  std::string_view tag;   // e.g. AlterTableStmt
  Node body;              // its fields
  std::size_t offset;     // in the SQL, past leading blanks and comments
  std::string_view text;  // the statement there, without its semicolon
};

// Keeps a parser, whose buffers are costly to make, for the thread's next tree.
struct KeepParser {
  void operator()(simdjson::dom::parser* parser) const;
};

// Owns what the nodes of its statements refer to.
struct Tree {
  std::unique_ptr<simdjson::dom::parser, KeepParser> owner;
  std::vector<ParsedStatement> statements;
};

// `sql` must outlive the result. Between `prefix` and `suffix` it may be a fragment; places in errors are in `sql` all
// the same, offsets and texts of the result are in the whole. invalid_argument as classify() says; no statement at all
// is not an error here.
[[nodiscard]] std::expected<Tree, SyntaxError> parse(std::string_view sql, std::string_view prefix = {},
                                                     std::string_view suffix = {});
// The same; no statement at all is an error.
[[nodiscard]] std::expected<Tree, SyntaxError> parse_statements(std::string_view sql);

// An option's value as PostgreSQL reads it: (FULL), (FULL true), (FULL false).
[[nodiscard]] bool option_set(Node options, std::string_view name);

[[nodiscard]] bool is_relation(Node node);
// Of a relation, unquoted.
struct RangeName {
  std::string_view schema;  // empty where none is written
  std::string_view name;
};
[[nodiscard]] RangeName range_name(Node relation);
// As an SQL identifier, with its schema where one is written.
[[nodiscard]] std::string relation_name(Node relation);
// Of a list of String nodes, without the last `drop` of them.
[[nodiscard]] std::string dotted_name(Node strings, std::size_t drop = 0);
// The last of a list of String nodes, unquoted: what a qualified name calls its object.
[[nodiscard]] std::string_view last_name(Node strings);

// Names and lengths, under which there is nothing to find: most of a tree.
[[nodiscard]] inline bool is_leaf(std::string_view key) {
  switch (key.size()) {
    case 5: return key == "names";
    case 6: return key == "String" || key == "fields";
    case 7: return key == "typmods";
    case 8: return key == "funcname";
    default: return false;
  }
}

// What holds nothing but such.
[[nodiscard]] inline bool holds_leaves(std::string_view key) {
  switch (key.size()) {
    case 7: return key == "A_Const";
    case 8: return key == "typeName" || key == "TypeName";
    case 9: return key == "ColumnRef";
    default: return false;
  }
}

// Calls visitor(key, object) for every object in the tree but leaves, parents first, with the key it stands under (""
// in a list). Iterative: the tree may be tens of thousands of levels deep.
template <typename Visitor>
void visit_objects(Node root, Visitor&& visitor) {
  // Kept from one visit to the next; a visit within a visit has its own.
  thread_local std::vector<std::pair<std::string_view, Node>> spare;
  auto stack = std::move(spare);
  stack.assign(1, {std::string_view{}, root});
  while (!stack.empty()) {
    const auto [key, node] = stack.back();
    stack.pop_back();
    const std::size_t mark = stack.size();
    if (node.is_object()) {
      visitor(key, node);
      if (holds_leaves(key)) continue;
      for (const auto field : node.fields()) {
        const bool inner = field.value.is_object() || field.value.is_array();
        if (inner && !is_leaf(field.key)) stack.emplace_back(field.key, Node(field.value));
      }
    } else {
      for (const Node child : node) stack.emplace_back(std::string_view{}, child);
    }
    std::reverse(stack.begin() + static_cast<std::ptrdiff_t>(mark), stack.end());
  }
  constexpr std::size_t kKeep = 4096;
  if (stack.capacity() <= kKeep) spare = std::move(stack);
}

}  // namespace diastole::sql
