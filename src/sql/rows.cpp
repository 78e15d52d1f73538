#include "rows.hpp"

#include <algorithm>
#include <vector>

namespace diastole::sql {
namespace {

bool is_constant(Node node) {
  return node.tag() == "A_Const" || node.tag() == "ParamRef";
}

bool names_rows_here(Node comparison) {
  if (last_name(comparison["name"]) != "=" || comparison["lexpr"].tag() != "ColumnRef") return false;
  if (last_name(comparison["lexpr"].body()["fields"]) != "id") return false;
  const Node value = comparison["rexpr"];
  const std::string_view kind = comparison.text("kind");
  if (kind == "AEXPR_OP") return is_constant(value);
  return kind == "AEXPR_IN" && std::ranges::all_of(value.body()["items"], is_constant);
}

}  // namespace

bool writes_rows(std::string_view tag) {
  return tag == "InsertStmt" || tag == "UpdateStmt" || tag == "DeleteStmt" || tag == "MergeStmt";
}

bool names_rows(Node where) {
  std::vector<Node> open{where};  // of which all must hold
  while (!open.empty()) {
    const Node node = open.back();
    open.pop_back();
    if (node.tag() == "A_Expr" && names_rows_here(node.body())) return true;
    if (node.tag() != "BoolExpr" || node.body().text("boolop") != "AND_EXPR") continue;
    for (const Node condition : node.body()["args"]) open.push_back(condition);
  }
  return false;
}

}  // namespace diastole::sql
