#include "window.hpp"

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "parse.hpp"
#include "rows.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

using core::kWindowFrom;
using core::kWindowTo;

std::vector<std::string> pieces_of(std::string_view sql) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (std::size_t at = skip_blank(sql, 0); at < sql.size();) {
    std::size_t end = skip_token(sql, at);
    const bool cast = at > 0 && sql[at - 1] == ':';
    if (sql[at] == ':' && !cast && end < sql.size()) {
      const std::size_t name_end = skip_token(sql, end);
      const std::string_view parameter = sql.substr(at, name_end - at);
      if (parameter == kWindowFrom || parameter == kWindowTo) {
        if (at > begin) pieces.emplace_back(sql.substr(begin, at - begin));
        pieces.emplace_back(parameter);
        begin = end = name_end;
      }
    }
    at = skip_blank(sql, end);
  }
  if (begin < sql.size()) pieces.emplace_back(sql.substr(begin));
  return pieces;
}

}  // namespace

std::string plain_window(const std::vector<std::string>& pieces) {
  std::string sql;
  for (const std::string& piece : pieces) {
    const bool parameter = piece == kWindowFrom || piece == kWindowTo;
    sql += parameter ? "0" + std::string(piece.size() - 1, ' ') : piece;
  }
  return sql;
}

Result<std::vector<std::string>> cut_window(std::string_view sql) {
  if (auto valid = check_text(sql); !valid) return std::unexpected(valid.error().as_error());
  auto pieces = pieces_of(sql);
  const std::string plain = plain_window(pieces);
  const auto tree = parse_statements(plain);
  if (!tree) return std::unexpected(tree.error().as_error());
  if (tree->statements.size() > 1) {
    return fail_at(sql, tree->statements[1].offset, "one statement is expected: this begins another");
  }
  const ParsedStatement& statement = tree->statements.front();
  if (!writes_rows(statement.tag)) {
    return fail_at(sql, statement.offset,
                   "INSERT, UPDATE, DELETE or MERGE is expected; DDL belongs into expand or contract");
  }
  bool numbered = false;
  visit_objects(statement.body, [&](std::string_view key, Node) { numbered |= key == "ParamRef"; });
  if (numbered) {
    return fail(ErrorCode::invalid_argument, "parameters such as $1 have no value here: write :from and :to");
  }
  for (const std::string_view parameter : {kWindowFrom, kWindowTo}) {
    if (contains(pieces, parameter)) continue;
    return fail(ErrorCode::invalid_argument,
                std::string(parameter) +
                    " is missing: the statement runs once for each window and has to keep to its keys, e.g. WHERE id "
                    "BETWEEN :from AND :to");
  }
  return pieces;
}

}  // namespace diastole::sql
