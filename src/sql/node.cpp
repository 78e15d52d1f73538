#include "node.hpp"

namespace diastole::sql {

Node Node::operator[](std::string_view key) const {
  if (!is_object()) return {};
  const simdjson::dom::object all = fields();
  const auto end = all.end();
  for (auto field = all.begin(); field != end; ++field) {
    if (field.key_equals(key)) return Node(field.value());
  }
  return {};
}

std::string_view Node::text(std::string_view key) const {
  return operator[](key).as_text();
}

Node Node::front() const {
  for (const Node item : *this) return item;
  return {};
}

Node Node::back() const {
  Node last;
  for (const Node item : *this) last = item;
  return last;
}

}  // namespace diastole::sql
