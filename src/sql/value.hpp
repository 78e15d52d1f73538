// What an expression comes to, as far as its text tells.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "parse.hpp"

namespace diastole::sql {

struct Value {
  enum class Kind {
    unknown,   // NULL or not
    present,   // not NULL
    distinct,  // not NULL, and another one in each row: nextval(), a random uuid
    null,
    boolean,
    number,
    text,
  };
  Kind kind = Kind::unknown;
  bool boolean = false;
  double number = 0;
  std::string text = {};

  [[nodiscard]] bool is_null() const { return kind == Kind::null; }
  [[nodiscard]] bool is_constant() const { return kind >= Kind::null; }
  [[nodiscard]] bool is(bool wanted) const { return kind == Kind::boolean && boolean == wanted; }
};

// What a row has in a column.
using ColumnValue = std::function<Value(std::string_view column)>;

[[nodiscard]] Value evaluate(Node expression, const ColumnValue& column);

}  // namespace diastole::sql
