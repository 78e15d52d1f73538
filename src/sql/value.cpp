#include "value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "contains.hpp"

namespace diastole::sql {
namespace {

using Kind = Value::Kind;

constexpr int kMaxExpressionDepth = 100;

// Functions of PostgreSQL's that are NULL where an argument is.
constexpr auto kStrict = std::to_array<std::string_view>({
    "abs",          "age",
    "array_length", "array_ndims",
    "btrim",        "cardinality",
    "ceil",         "ceiling",
    "char_length",  "character_length",
    "date_part",    "date_trunc",
    "extract",      "floor",
    "isempty",      "isfinite",
    "json_typeof",  "jsonb_array_length",
    "jsonb_typeof", "left",
    "length",       "lower",
    "lower_inf",    "ltrim",
    "md5",          "mod",
    "octet_length", "position",
    "regexp_like",  "regexp_replace",
    "replace",      "right",
    "round",        "rtrim",
    "sign",         "similar_to_escape",
    "split_part",   "starts_with",
    "strpos",       "substr",
    "substring",    "to_char",
    "trunc",        "upper",
    "upper_inf",
});
constexpr auto kDistinct = std::to_array<std::string_view>(
    {"nextval", "gen_random_uuid", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4", "uuidv4", "uuidv7"});
constexpr auto kPresent = std::to_array<std::string_view>(
    {"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random"});

Value make_value(Kind kind) {
  return {.kind = kind};
}
Value make_value(bool boolean) {
  return {.kind = Kind::boolean, .boolean = boolean};
}
Value make_value(double number) {
  return {.kind = Kind::number, .number = number};
}

Value opposite(const Value& value) {
  if (value.kind == Kind::boolean) return make_value(!value.boolean);
  return make_value(value.is_null() ? Kind::null : Kind::unknown);
}

// AND, or with `decides` true OR: the value that decides whatever the others are.
Value combined(const std::vector<Value>& values, bool decides) {
  Value result = make_value(!decides);
  for (const Value& value : values) {
    if (value.is(decides)) return value;
    if (value.is_null() && result.kind == Kind::boolean) result = value;
    if (!value.is_null() && value.kind != Kind::boolean) result = make_value(Kind::unknown);
  }
  return result;
}

// Texts that differ may be of a type for which they are equal.
Value equals(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return make_value(Kind::null);
  if (a.kind != b.kind) return make_value(Kind::unknown);
  if (a.kind == Kind::number) return make_value(a.number == b.number);
  if (a.kind == Kind::boolean) return make_value(a.boolean == b.boolean);
  return a.kind == Kind::text && a.text == b.text ? make_value(true) : make_value(Kind::unknown);
}

Value compare(std::string_view name, const Value& a, const Value& b) {
  if (name == "||") return make_value(Kind::unknown);  // NULL at an array's end is an element
  if (a.is_null() || b.is_null()) return make_value(Kind::null);
  if (name == "=") return equals(a, b);
  if (name == "<>") return opposite(equals(a, b));
  if (a.kind != Kind::number || b.kind != Kind::number) return make_value(Kind::unknown);
  if (name == "<") return make_value(a.number < b.number);
  if (name == ">") return make_value(a.number > b.number);
  if (name == "<=") return make_value(a.number <= b.number);
  return name == ">=" ? make_value(a.number >= b.number) : make_value(Kind::present);
}

Value constant(Node node) {
  if (node.flag("isnull")) return make_value(Kind::null);
  if (node["ival"]) return make_value(static_cast<double>(node["ival"].number("ival")));
  if (node["boolval"]) return make_value(node["boolval"].flag("boolval"));
  if (node["sval"]) return {.kind = Kind::text, .text = std::string(node["sval"].text("sval"))};
  const std::string_view digits = node["fval"].text("fval");
  double number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = !digits.empty() && read.ec == std::errc{} && read.ptr == digits.data() + digits.size();
  return whole ? make_value(number) : make_value(Kind::present);
}

class Evaluation {
 public:
  explicit Evaluation(const ColumnValue& column) : column_(column) {}

  Value value(Node node) {
    if (depth_ == kMaxExpressionDepth) return make_value(Kind::unknown);
    ++depth_;
    Value result = value_of(node.tag(), node.body());
    --depth_;
    return result;
  }

 private:
  Value value_of(std::string_view tag, Node node) {
    if (tag == "A_Const") return constant(node);
    if (tag == "ColumnRef")
      return node["fields"].back().tag() == "String" ? column_(last_name(node["fields"])) : make_value(Kind::unknown);
    if (tag == "A_Expr") return operation(node);
    if (tag == "TypeCast" || tag == "CollateClause") return value(node["arg"]);
    if (tag == "BoolExpr") return boolean(node);
    if (tag == "NullTest") return null_test(node);
    if (tag == "BooleanTest") return boolean_test(node);
    if (tag == "CoalesceExpr") return coalesce(node["args"]);
    if (tag == "FuncCall") return call(node);
    if (tag == "CaseExpr") return choice(node);
    if (tag == "A_Indirection")
      return value(node["arg"]).is_null() ? make_value(Kind::null) : make_value(Kind::unknown);
    return make_value(tag == "SQLValueFunction" || tag == "A_ArrayExpr" ? Kind::present : Kind::unknown);
  }

  std::vector<Value> values(Node list) {
    std::vector<Value> all;
    for (const Node node : list) all.push_back(value(node));
    return all;
  }

  Value boolean(Node node) {
    const std::string_view kind = node.text("boolop");
    if (kind == "NOT_EXPR") return opposite(value(node["args"].front()));
    return combined(values(node["args"]), kind == "OR_EXPR");
  }

  Value null_test(Node node) {
    Value tested = value(node["arg"]);
    if (tested.kind == Kind::unknown) return tested;
    return make_value(tested.is_null() == (node.text("nulltesttype") == "IS_NULL"));
  }

  Value boolean_test(Node node) {
    const Value tested = value(node["arg"]);
    if (tested.kind != Kind::boolean && !tested.is_null()) return make_value(Kind::unknown);
    const std::string_view kind = node.text("booltesttype");
    const bool negates = kind.starts_with("IS_NOT_");
    const bool holds = kind.ends_with("UNKNOWN") ? tested.is_null() : tested.is(kind.ends_with("TRUE"));
    return make_value(holds != negates);
  }

  Value coalesce(Node list) {
    for (const Node node : list) {
      Value one = value(node);
      if (!one.is_null()) return one;
    }
    return make_value(Kind::null);
  }

  Value operation(Node node) {
    const std::string_view kind = node.text("kind");
    const std::string_view name = last_name(node["name"]);
    if (kind == "AEXPR_IN") return in(name, value(node["lexpr"]), values(node["rexpr"].body()["items"]));
    if (kind == "AEXPR_OP_ANY" || kind == "AEXPR_OP_ALL") return any(kind, name, node);
    if (kind.find("BETWEEN") != std::string_view::npos) return between(kind, node);
    const Value left = node["lexpr"] ? value(node["lexpr"]) : make_value(Kind::present);
    const Value right = value(node["rexpr"]);
    if (kind == "AEXPR_OP") return node["name"].size() == 1 ? compare(name, left, right) : make_value(Kind::unknown);
    if (kind == "AEXPR_DISTINCT") return opposite(same(left, right));
    if (kind == "AEXPR_NOT_DISTINCT") return same(left, right);
    const bool null = left.is_null() || (kind != "AEXPR_NULLIF" && right.is_null());  // LIKE and its like
    return make_value(null ? Kind::null : Kind::unknown);
  }

  static Value same(const Value& a, const Value& b) {
    if (a.kind == Kind::unknown || b.kind == Kind::unknown) return make_value(Kind::unknown);
    if (a.is_null() || b.is_null()) return make_value(a.is_null() && b.is_null());
    return equals(a, b);
  }

  // The operator is = or, behind NOT, <>.
  static Value in(std::string_view name, const Value& wanted, const std::vector<Value>& items) {
    std::vector<Value> each;
    each.reserve(items.size());
    for (const Value& item : items) each.push_back(equals(wanted, item));
    const Value found = combined(each, true);
    return name == "=" ? found : opposite(found);
  }

  Value any(std::string_view kind, std::string_view name, Node node) {
    Node array = node["rexpr"];
    while (array.tag() == "TypeCast") array = array.body()["arg"];
    const Node elements = array.body()["elements"];
    const bool plain = (kind == "AEXPR_OP_ANY" && name == "=") || (kind == "AEXPR_OP_ALL" && name == "<>");
    if (array.tag() != "A_ArrayExpr" || elements.empty() || !plain) return make_value(Kind::unknown);
    return in(name, value(node["lexpr"]), values(elements));
  }

  Value between(std::string_view kind, Node node) {
    Value tested = value(node["lexpr"]);
    if (tested.is_null()) return tested;
    if (kind.ends_with("_SYM")) return make_value(Kind::unknown);
    const auto bounds = values(node["rexpr"].body()["items"]);
    const Value inside = combined({compare(">=", tested, bounds.front()), compare("<=", tested, bounds.back())}, false);
    return kind == "AEXPR_BETWEEN" ? inside : opposite(inside);
  }

  Value call(Node node) {
    const Node names = node["funcname"];
    if (names.size() > 1 && names.front().body().text("sval") != "pg_catalog") return make_value(Kind::unknown);
    const std::string_view name = last_name(names);
    if (contains(kDistinct, name)) return make_value(Kind::distinct);
    if (contains(kPresent, name)) return make_value(Kind::present);
    const auto arguments = values(node["args"]);
    if (name == "num_nulls" || name == "num_nonnulls") return count(arguments, name == "num_nulls");
    if (!contains(kStrict, name)) return make_value(Kind::unknown);
    if (std::ranges::any_of(arguments, &Value::is_null)) return make_value(Kind::null);
    const bool counts = name == "length" || name == "char_length" || name == "character_length";
    if (!counts || arguments.size() != 1 || arguments.front().kind != Kind::text) return make_value(Kind::unknown);
    // Of UTF-8, all bytes but those that go on with a character.
    return make_value(static_cast<double>(std::ranges::count_if(
        arguments.front().text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; })));
  }

  static Value count(const std::vector<Value>& arguments, bool nulls) {
    double found = 0;
    for (const Value& argument : arguments) {
      if (argument.kind == Kind::unknown) return argument;
      found += argument.is_null() == nulls ? 1 : 0;
    }
    return make_value(found);
  }

  Value choice(Node node) {
    if (node["arg"]) return make_value(Kind::unknown);
    for (const Node when : node["args"]) {
      const Value holds = value(when.body()["expr"]);
      if (holds.is(true)) return value(when.body()["result"]);
      if (!holds.is(false) && !holds.is_null()) return make_value(Kind::unknown);
    }
    return node["defresult"] ? value(node["defresult"]) : make_value(Kind::null);
  }

  const ColumnValue& column_;
  int depth_ = 0;
};

}  // namespace

Value evaluate(Node expression, const ColumnValue& column) {
  return Evaluation(column).value(expression);
}

}  // namespace diastole::sql
