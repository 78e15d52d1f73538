// libpg_query's parse tree and how to read it.
#pragma once

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text.hpp"

namespace diastole::sql {

// A place in the tree: a reference, cheap to copy, that its Tree must outlive. A node of PostgreSQL's is
// {"Tag": {fields}}. Fields that are false, 0 or empty are absent; what is absent is null, and null has no fields, no
// items and no text.
class Node {
 public:
  class iterator {
   public:
    using value_type = Node;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    iterator(simdjson::dom::array::iterator at, simdjson::dom::array::iterator end) : at_(at), end_(end) {}
    Node operator*() const { return Node(*at_); }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++at_;
      return before;
    }
    bool operator==(std::default_sentinel_t) const { return !(at_ != end_); }

   private:
    simdjson::dom::array::iterator at_;
    simdjson::dom::array::iterator end_;
  };

  Node() = default;
  explicit Node(simdjson::dom::element element) : element_(element), set_(true) {}

  [[nodiscard]] explicit operator bool() const { return set_; }
  [[nodiscard]] bool is_object() const { return set_ && element_.is_object(); }
  [[nodiscard]] bool is_array() const { return set_ && element_.is_array(); }

  // An object's field.
  [[nodiscard]] Node operator[](std::string_view key) const;
  [[nodiscard]] std::string_view text(std::string_view key) const;  // "" where it is no string
  [[nodiscard]] bool flag(std::string_view key) const { return operator[](key).as_flag(); }
  [[nodiscard]] std::int64_t number(std::string_view key) const { return operator[](key).as_number(); }
  [[nodiscard]] simdjson::dom::object fields() const { return element_.get_object().value_unsafe(); }  // is_object()

  [[nodiscard]] std::string_view as_text() const;
  [[nodiscard]] bool as_flag() const;
  [[nodiscard]] std::int64_t as_number() const;  // 0 where it is none

  // A list's items.
  [[nodiscard]] inline iterator begin() const;
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] Node front() const;
  [[nodiscard]] Node back() const;

  // {"Tag": body} into its two parts; "" and null for anything else.
  [[nodiscard]] std::string_view tag() const;
  [[nodiscard]] Node body() const;

 private:
  simdjson::dom::element element_;
  bool set_ = false;
};

Node::iterator Node::begin() const {
  if (!is_array()) return {};
  const auto array = element_.get_array().value_unsafe();
  return {array.begin(), array.end()};
}

struct ParsedStatement {
  std::string_view tag;   // e.g. AlterTableStmt
  Node body;              // its fields
  std::size_t offset;     // in the SQL, past leading blanks and comments
  std::string_view text;  // the statement there, without its semicolon
};

// Owns what the nodes of its statements refer to.
struct Tree {
  std::unique_ptr<simdjson::dom::parser> owner;
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
// As an SQL identifier, with its schema where one is written.
[[nodiscard]] std::string relation_name(Node relation);
// Of a list of String nodes, without the last `drop` of them.
[[nodiscard]] std::string dotted_name(Node strings, std::size_t drop = 0);
// The last of a list of String nodes, unquoted: what a qualified name calls its object.
[[nodiscard]] std::string_view last_name(Node strings);

// Calls visitor(key, object) for every object in the tree, parents first, with the key it stands under ("" in a list).
// Iterative: the tree may be tens of thousands of levels deep.
template <typename Visitor>
void visit_objects(Node root, Visitor&& visitor) {
  std::vector<std::pair<std::string_view, Node>> stack{{std::string_view{}, root}};
  while (!stack.empty()) {
    const auto [key, node] = stack.back();
    stack.pop_back();
    const std::size_t mark = stack.size();
    if (node.is_object()) {
      visitor(key, node);
      for (const auto field : node.fields()) {
        if (field.value.is_object() || field.value.is_array()) stack.emplace_back(field.key, Node(field.value));
      }
    } else {
      for (const Node child : node) stack.emplace_back(std::string_view{}, child);
    }
    std::reverse(stack.begin() + static_cast<std::ptrdiff_t>(mark), stack.end());
  }
}

}  // namespace diastole::sql
