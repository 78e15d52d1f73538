#include "rows.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "contains.hpp"

namespace diastole::sql {
namespace {

constexpr std::size_t kMaxNamed = 1000;  // in one IN
constexpr int kMaxNested = 50;           // ORs and ANDs

class RowNames {
 public:
  // `casts`: a constant may be of any type.
  RowNames(Node relation, bool joined, bool casts, const Known& known)
      : relation_(relation),
        joined_(joined),
        casts_(casts),
        present_(known.relation(relation)),
        keys_(known.unique_keys(relation_name(relation))) {}

  [[nodiscard]] bool in(Node where, int depth = 0) const {
    if (depth > kMaxNested) return false;
    std::set<std::string_view> fixed;
    std::vector<Node> open{where};  // of which all must hold
    while (!open.empty()) {
      const Node node = open.back();
      open.pop_back();
      const Node body = node.body();
      if (node.tag() == "A_Expr") fix(body, fixed);
      if (node.tag() != "BoolExpr") continue;
      const auto names = [&](Node one) { return in(one, depth + 1); };
      if (body.text("boolop") == "OR_EXPR" && std::ranges::all_of(body["args"], names)) return true;
      if (body.text("boolop") != "AND_EXPR") continue;
      for (const Node condition : body["args"]) open.push_back(condition);
    }
    return std::ranges::any_of(keys_, [&](const std::vector<std::string>& key) {
      return std::ranges::all_of(key, [&](const std::string& column) { return fixed.contains(column); });
    });
  }

 private:
  void fix(Node comparison, std::set<std::string_view>& fixed) const {
    if (last_name(comparison["name"]) != "=") return;
    const Node left = comparison["lexpr"];
    const Node right = comparison["rexpr"];
    const std::string_view kind = comparison.text("kind");
    const auto constant = [&](Node node) { return is_constant(node); };
    if (kind == "AEXPR_OP" && left.tag() == "RowExpr" && right.tag() == "RowExpr") {
      if (std::ranges::all_of(right.body()["args"], constant)) add_all(left.body()["args"], fixed);
    } else if (kind == "AEXPR_OP") {
      if (is_constant(right)) add(left, fixed);
      if (is_constant(left)) add(right, fixed);
    } else if (kind == "AEXPR_IN" && right.body()["items"].size() <= kMaxNamed) {
      const auto row = [&](Node node) { return std::ranges::all_of(node.body()["args"], constant); };
      const Node items = right.body()["items"];
      if (std::ranges::all_of(items, constant)) add(left, fixed);
      if (left.tag() == "RowExpr" && std::ranges::all_of(items, row)) add_all(left.body()["args"], fixed);
    } else if (kind == "AEXPR_OP_ANY") {
      Node array = right;
      while (casts_ && array.tag() == "TypeCast") array = array.body()["arg"];
      const Node elements = array.body()["elements"];
      const bool listed = !elements.empty() && elements.size() <= kMaxNamed && std::ranges::all_of(elements, constant);
      if (listed || array.tag() == "ParamRef" || array.tag() == "A_Const") add(left, fixed);
    }
  }

  // Of a number with a fraction a whole column is first made one, too, and its index of no use.
  [[nodiscard]] bool is_constant(Node node) const {
    while (casts_ && node.tag() == "TypeCast") node = node.body()["arg"];
    return node.tag() == "ParamRef" || (node.tag() == "A_Const" && (casts_ || !node.body()["fval"]));
  }

  void add_all(Node columns, std::set<std::string_view>& fixed) const {
    for (const Node column : columns) add(column, fixed);
  }
  void add(Node column, std::set<std::string_view>& fixed) const {
    if (column.tag() != "ColumnRef") return;
    const Node fields = column.body()["fields"];
    if (fields.empty() || fields.back().tag() != "String" || !is_ours(fields)) return;
    fixed.insert(last_name(fields));
  }

  [[nodiscard]] bool is_ours(Node fields) const {
    if (fields.size() == 1) return !joined_ || (present_ != nullptr && present_->column(last_name(fields)) != nullptr);
    const std::string_view alias = relation_["alias"].text("aliasname");
    std::string_view qualifier;
    for (std::size_t left = fields.size() - 1; const Node field : fields) {
      if (left-- == 0) break;
      qualifier = field.body().text("sval");
    }
    return qualifier == (alias.empty() ? relation_.text("relname") : alias);
  }

  Node relation_;
  bool joined_;
  bool casts_;
  const core::CatalogRelation* present_;
  std::vector<std::vector<std::string>> keys_;
};

}  // namespace

bool writes_rows(std::string_view tag) {
  return tag == "InsertStmt" || tag == "UpdateStmt" || tag == "DeleteStmt" || tag == "MergeStmt";
}

bool names_rows(Node where, Node relation, bool joined, const Known& known) {
  return where && RowNames(relation, joined, true, known).in(where);
}

bool finds_rows(Node where, Node relation, bool joined, const Known& known) {
  return where && RowNames(relation, joined, false, known).in(where);
}

}  // namespace diastole::sql
