// One place in libpg_query's parse tree.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace diastole::sql {

// A place in the tree: a reference, cheap to copy, that its Tree must outlive. A node of PostgreSQL's is
// {"Tag": {fields}}. Fields that are false, 0 or empty are absent; what is absent is null, and null has no fields, no
// items and no text. What looks through fields is in node.cpp, once: inlined wherever a rule reads a field, it made the
// analyser's code too large for the processor's instruction cache.
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
  [[nodiscard]] iterator begin() const;
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

inline Node::iterator Node::begin() const {
  if (!is_array()) return {};
  const auto array = element_.get_array().value_unsafe();
  return {array.begin(), array.end()};
}

inline std::string_view Node::as_text() const {
  std::string_view text;
  return set_ && element_.get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

inline bool Node::as_flag() const {
  bool flag = false;
  return set_ && element_.get(flag) == simdjson::SUCCESS && flag;
}

inline std::int64_t Node::as_number() const {
  std::int64_t number = 0;
  return set_ && element_.get(number) == simdjson::SUCCESS ? number : 0;
}

inline std::size_t Node::size() const {
  return is_array() ? element_.get_array().value_unsafe().size() : 0;
}

inline std::string_view Node::tag() const {
  if (!is_object()) return {};
  const auto fields = element_.get_object().value_unsafe();
  return fields.size() == 1 ? (*fields.begin()).key : std::string_view{};
}

inline Node Node::body() const {
  if (!is_object()) return {};
  const auto fields = element_.get_object().value_unsafe();
  return fields.size() == 1 ? Node((*fields.begin()).value) : Node{};
}

}  // namespace diastole::sql
