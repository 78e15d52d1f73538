// Pieces of SQL that a plan gives and the daemon puts into statements of its own: they must not reach out of their
// place.
#include <array>

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "parse.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

std::unexpected<Error> not_an_expression(std::string_view why) {
  return fail(ErrorCode::invalid_argument, "one SQL expression is expected: " + std::string(why));
}
std::unexpected<Error> not_a_query(std::string_view why) {
  return fail(ErrorCode::invalid_argument, "one SELECT is expected: " + std::string(why));
}

bool has_object(Node tree, std::string_view wanted) {
  bool found = false;
  visit_objects(tree, [&](std::string_view key, Node) { found |= key == wanted; });
  return found;
}

// SELECT <expression> and nothing besides.
bool bare_select(Node body) {
  constexpr auto kFields = std::to_array<std::string_view>({"targetList", "limitOption", "op"});
  for (const auto field : body.fields()) {
    if (!contains(kFields, field.key)) return false;
  }
  return true;
}

}  // namespace

Result<void> check_expression(std::string_view expression) {
  const auto bare = parse(expression, "SELECT ");
  if (!bare) return std::unexpected(bare.error().as_error());
  if (bare->statements.size() != 1) return not_an_expression("this is more than one statement");
  const ParsedStatement& statement = bare->statements.front();
  Node targets = statement.body["targetList"];
  if (statement.tag != "SelectStmt" || !bare_select(statement.body)) return not_an_expression("this is more than that");
  if (targets.size() != 1) return not_an_expression(targets.empty() ? "this is empty" : "these are several");
  Node target = targets.front().body();
  if (target["name"]) return not_an_expression("it cannot have a name");
  Node fields = target["val"].body()["fields"];
  if (fields.is_array() && fields.back().tag() == "A_Star") return not_an_expression("* stands for several");
  if (has_object(statement.body, "ParamRef")) return not_an_expression("parameters such as $1 have no value here");
  // In parentheses a semicolon or an open comment at its end shows.
  if (!parse(expression, "SELECT (", ")")) return not_an_expression("no semicolon and no -- comment may end it");
  return {};
}

Result<void> check_query(std::string_view query) {
  const auto parsed = parse(query);
  if (!parsed) return std::unexpected(parsed.error().as_error());
  if (parsed->statements.size() != 1)
    return not_a_query(parsed->statements.empty() ? "this is empty" : "these are several statements");
  const ParsedStatement& statement = parsed->statements.front();
  if (statement.tag != "SelectStmt") return not_a_query("this is another statement");
  constexpr auto kRefused = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"intoClause", "it cannot create a table"},
      {"InsertStmt", "it cannot change rows"},
      {"UpdateStmt", "it cannot change rows"},
      {"DeleteStmt", "it cannot change rows"},
      {"MergeStmt", "it cannot change rows"},
      {"LockingClause", "it cannot lock rows"},
      {"ParamRef", "parameters such as $1 have no value here"},
  });
  for (const auto& [node, why] : kRefused) {
    if (has_object(statement.body, node)) return not_a_query(why);
  }
  if (!parse(query, "SELECT FROM (", ") q")) return not_a_query("no semicolon and no -- comment may end it");
  return {};
}

}  // namespace diastole::sql
