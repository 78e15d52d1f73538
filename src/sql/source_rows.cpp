#include "source_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "builtin_functions.hpp"
#include "contains.hpp"
#include "rows.hpp"
#include "value.hpp"

namespace diastole::sql {
namespace {

constexpr int kMaxQueries = 50;  // one in the other

constexpr auto kAggregates = std::to_array<std::string_view>({"array_agg", "avg", "bool_and", "bool_or", "count",
                                                              "every", "json_agg", "json_object_agg", "jsonb_agg",
                                                              "jsonb_object_agg", "max", "min", "string_agg", "sum"});

Value constant_value(Node expression) {
  return evaluate(expression, [](std::string_view) { return Value{}; });
}

class Sources {
 public:
  explicit Sources(const Lint& lint) : lint_(lint) {
    visit_objects(lint.body(), [&](std::string_view key, Node node) {
      if (key == "CommonTableExpr") with_.insert_or_assign(node.text("ctename"), node["ctequery"]);
    });
  }

  void query(Node select) {
    if (depth_ == kMaxQueries) return doubt("a query of many levels");
    ++depth_;
    if (!is_limited(select)) unlimited(select);
    --depth_;
  }

  [[nodiscard]] LargeSources take() { return std::move(found_); }

 private:
  static bool is_limited(Node select) {
    const Value limit = select["limitCount"] ? constant_value(select["limitCount"]) : Value{};
    return limit.kind == Value::Kind::number && limit.number <= static_cast<double>(kFewRows);
  }

  void unlimited(Node select) {
    if (select["larg"]) {
      query(select["larg"]);
      if (select.text("op") == "SETOP_UNION") query(select["rarg"]);  // else it takes away from the left one
      return;
    }
    if (is_one_row(select)) return;
    for (const Node target : select["targetList"]) {
      if (const Node value = target.body()["val"]; value.tag() == "FuncCall") series(value.body());
    }
    const Node from = select["fromClause"];
    const bool joined = from.size() > 1 || from.front().tag() == "JoinExpr";
    for (const Node item : from) source(item, select["whereClause"], joined);
  }

  // An aggregate over all rows.
  static bool is_one_row(Node select) {
    if (select["groupClause"]) return false;
    bool aggregates = false;
    bool nested = false;
    visit_objects(select["targetList"], [&](std::string_view key, Node node) {
      nested |= key == "SubLink";
      aggregates |= key == "FuncCall" && !node["over"] && contains(kAggregates, last_name(node["funcname"]));
    });
    return aggregates && !nested;
  }

  void source(Node item, Node where, bool joined) {
    const Node body = item.body();
    if (item.tag() == "RangeVar") {
      relation(body, where, joined);
    } else if (item.tag() == "RangeTableSample") {
      relation(body["relation"].body(), where, joined);
    } else if (item.tag() == "RangeSubselect") {
      query(body["subquery"].body());
    } else if (item.tag() == "JoinExpr") {
      join(body, where);
    } else if (item.tag() == "RangeFunction") {
      for (const Node function : body["functions"]) {
        if (const Node call = function.body()["items"].front(); call.tag() == "FuncCall") series(call.body());
      }
    }
  }

  void join(Node body, Node where) {
    if (depth_ == kMaxQueries) return doubt("a join of many levels");
    ++depth_;
    source(body["larg"], where, true);
    source(body["rarg"], where, true);
    --depth_;
  }

  void relation(Node relation, Node where, bool joined) {
    const std::string name = relation_name(relation);
    const auto with = relation["schemaname"] ? with_.end() : with_.find(relation.text("relname"));
    if (with != with_.end()) return with_query(with->first, with->second);
    const bool few = lint_.idle(name) && !lint_.known().is_query(name);
    if (few || names_rows(where, relation, joined, lint_.known())) return;
    add(name, lint_.known().relation(relation) != nullptr);
  }

  // What writes rows itself is looked at for itself; one that reads itself goes on for as long as it likes.
  void with_query(std::string_view name, Node query) {
    if (query.tag() != "SelectStmt") return;
    if (contains(open_, name)) return doubt(std::string(name));
    open_.push_back(name);
    this->query(query.body());
    open_.pop_back();
  }

  void series(Node call) {
    const std::string_view name = last_name(call["funcname"]);
    if (name != "generate_series") {
      if (builtin_function(name) == nullptr) doubt(fmt::format("{}()", name));
      return;
    }
    std::vector<double> bounds;
    for (const Node argument : call["args"]) {
      const Value value = constant_value(argument);
      if (value.kind == Value::Kind::number) bounds.push_back(value.number);
    }
    const double step = bounds.size() > 2 ? std::abs(bounds[2]) : 1;
    if (bounds.size() < 2 || bounds.size() != call["args"].size() || step == 0) return doubt("generate_series()");
    if (std::abs(bounds[1] - bounds[0]) / step > static_cast<double>(kFewRows)) add("generate_series()", true);
  }

  void doubt(std::string name) { add(std::move(name), false); }
  void add(std::string name, bool sure) {
    if (contains(found_.names, name)) return;
    found_.names.push_back(std::move(name));
    found_.sure &= sure;
  }

  const Lint& lint_;
  std::map<std::string_view, Node> with_;
  std::vector<std::string_view> open_;
  int depth_ = 0;
  LargeSources found_;
};

}  // namespace

LargeSources large_sources(const Lint& lint, Node select) {
  Sources sources(lint);
  sources.query(select);
  return sources.take();
}

}  // namespace diastole::sql
