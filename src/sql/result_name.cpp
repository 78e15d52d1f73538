// What PostgreSQL calls a result column, as its FigureColname does.
#include <algorithm>
#include <array>
#include <utility>

#include "query_walk.hpp"

namespace diastole::sql {
namespace {

using Called = std::pair<std::string_view, std::string_view>;

// By the kind of the expression.
constexpr std::array<Called, 7> kCalledByTag = {{{"CoalesceExpr", "coalesce"},
                                                 {"A_ArrayExpr", "array"},
                                                 {"RowExpr", "row"},
                                                 {"GroupingFunc", "grouping"},
                                                 {"XmlSerialize", "xmlserialize"},
                                                 {"CaseExpr", "case"},
                                                 {"CurrentOfExpr", ""}}};
// By a field that tells its kind apart.
constexpr std::array<Called, 30> kCalledByKind = {{
    {"IS_GREATEST", "greatest"},
    {"IS_LEAST", "least"},
    {"SVFOP_CURRENT_DATE", "current_date"},
    {"SVFOP_CURRENT_TIME", "current_time"},
    {"SVFOP_CURRENT_TIME_N", "current_time"},
    {"SVFOP_CURRENT_TIMESTAMP", "current_timestamp"},
    {"SVFOP_CURRENT_TIMESTAMP_N", "current_timestamp"},
    {"SVFOP_LOCALTIME", "localtime"},
    {"SVFOP_LOCALTIME_N", "localtime"},
    {"SVFOP_LOCALTIMESTAMP", "localtimestamp"},
    {"SVFOP_LOCALTIMESTAMP_N", "localtimestamp"},
    {"SVFOP_CURRENT_ROLE", "current_role"},
    {"SVFOP_CURRENT_USER", "current_user"},
    {"SVFOP_USER", "user"},
    {"SVFOP_SESSION_USER", "session_user"},
    {"SVFOP_CURRENT_CATALOG", "current_catalog"},
    {"SVFOP_CURRENT_SCHEMA", "current_schema"},
    {"IS_XMLCONCAT", "xmlconcat"},
    {"IS_XMLELEMENT", "xmlelement"},
    {"IS_XMLFOREST", "xmlforest"},
    {"IS_XMLPARSE", "xmlparse"},
    {"IS_XMLPI", "xmlpi"},
    {"IS_XMLROOT", "xmlroot"},
    {"IS_DOCUMENT", ""},
    {"EXISTS_SUBLINK", "exists"},
    {"ARRAY_SUBLINK", "array"},
    {"AEXPR_NULLIF", "nullif"},
    {"ALL_SUBLINK", ""},
    {"ANY_SUBLINK", ""},
    {"ROWCOMPARE_SUBLINK", ""},
}};

template <std::size_t Count>
std::string_view called_of(const std::array<Called, Count>& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &Called::first);
  return found == table.end() ? std::string_view{} : found->second;
}

std::string_view kind_of(std::string_view tag, Node body) {
  if (tag == "A_Expr") return body.text("kind");
  if (tag == "SubLink") return body.text("subLinkType");
  return body.text("op");
}

std::string_view last_field(Node parts) {
  std::string_view name;
  for (const Node part : parts) {
    if (part.tag() == "String") name = part.body().text("sval");
  }
  return name;
}

}  // namespace

std::string_view bare_name(Node node) {
  if (node.tag() != "ColumnRef") return {};
  const Node fields = node.body()["fields"];
  return fields.size() == 1 && fields.front().tag() == "String" ? last_name(fields) : std::string_view{};
}

std::string_view result_name(Node target) {
  // What stands further in names the column before what stands around it: a cast or CASE has a name only if that has
  // none.
  std::string_view fallback;
  const auto else_name = [&](std::string_view name) {
    if (fallback.empty()) fallback = name;
  };
  for (Node node = target; node;) {
    const std::string_view tag = node.tag();
    const Node body = node.body();
    if (tag == "ResTarget") {
      if (!body.text("name").empty()) return body.text("name");
      node = body["val"];
    } else if (tag == "ColumnRef") {
      return last_field(body["fields"]);
    } else if (tag == "FuncCall") {
      return last_name(body["funcname"]);
    } else if (tag == "A_Indirection") {
      if (const std::string_view name = last_field(body["indirection"]); !name.empty()) return name;
      node = body["arg"];
    } else if (tag == "CollateClause") {
      node = body["arg"];
    } else if (tag == "TypeCast") {
      else_name(last_name(body["typeName"]["names"]));
      node = body["arg"];
    } else if (tag == "CaseExpr" && body["defresult"]) {
      else_name("case");
      node = body["defresult"];
    } else if (tag == "SubLink" && body.text("subLinkType") == "EXPR_SUBLINK") {
      // The first arm's first column.
      fallback = {};
      Node query = body["subselect"].body();
      while (query["larg"]) query = query["larg"];
      if (query["valuesLists"]) return "column1";
      node = query["targetList"].front();
    } else {
      std::string_view name = called_of(kCalledByTag, tag);
      if (name.empty()) name = called_of(kCalledByKind, kind_of(tag, body));
      return name.empty() || (tag == "CaseExpr" && !fallback.empty()) ? fallback : name;
    }
  }
  return fallback;
}

}  // namespace diastole::sql
