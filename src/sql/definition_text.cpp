#include "definition_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace diastole::sql {
namespace {

std::size_t place_in(const ParsedStatement& statement, Node node) {
  const auto at = static_cast<std::size_t>(node.number("location"));
  return at < statement.offset ? statement.text.size() : std::min(at - statement.offset, statement.text.size());
}

// Where the next of ALTER TABLE's subcommands, or the statement's end, is.
std::size_t end_of_subcommand(std::string_view text, std::size_t from) {
  return visit_outside(text, from, [&](std::size_t i) { return text[i] != ',' && text[i] != ';'; });
}

std::size_t next_token(std::string_view text, std::size_t at) {
  return skip_blank(text, skip_token(text, at));
}

std::string without_name(std::string_view text) {
  if (text.empty() || !is_keyword(text, 0, "CONSTRAINT")) return without_comments(text);
  return without_comments(text.substr(std::min(next_token(text, next_token(text, 0)), text.size())));
}

// Past a name with its schema.
std::size_t end_of_name(std::string_view text, std::size_t at) {
  if (at >= text.size()) return text.size();
  std::size_t end = skip_token(text, at);
  for (std::size_t dot = skip_blank(text, end); dot < text.size() && text[dot] == '.'; dot = skip_blank(text, end)) {
    const std::size_t part = skip_blank(text, dot + 1);
    if (part >= text.size()) return text.size();
    end = skip_token(text, part);
  }
  return end;
}

}  // namespace

ColumnText column_text(const ParsedStatement& statement, Node column) {
  struct Part {
    std::size_t begin;
    Node constraint;
  };
  const std::string_view text = statement.text;
  std::vector<Part> parts{{.begin = place_in(statement, column["typeName"]), .constraint = {}}};
  if (const Node collation = column["collClause"])
    parts.push_back({.begin = place_in(statement, collation), .constraint = {}});
  for (const Node node : column["constraints"])
    parts.push_back({.begin = place_in(statement, node.body()), .constraint = node.body()});
  std::ranges::sort(parts, {}, &Part::begin);
  ColumnText found;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t begin = parts[i].begin;
    const std::size_t end = i + 1 < parts.size() ? parts[i + 1].begin : end_of_subcommand(text, begin);
    const Node constraint = parts[i].constraint;
    const std::string_view kind = constraint.text("contype");
    if (!constraint) {
      found.type += (found.type.empty() ? "" : " ") + without_comments(text.substr(begin, end - begin));
    } else if (!kind.starts_with("CONSTR_ATTR_")) {
      found.clauses.push_back({.constraint = constraint, .text = without_name(text.substr(begin, end - begin))});
    } else if (!found.clauses.empty()) {
      found.clauses.back().deferrable |= kind == "CONSTR_ATTR_DEFERRABLE";
      found.clauses.back().deferred |= kind == "CONSTR_ATTR_DEFERRED";
    }
  }
  return found;
}

std::string constraint_text(const ParsedStatement& statement, Node constraint) {
  const std::size_t begin = place_in(statement, constraint);
  std::string text = without_name(statement.text.substr(begin, end_of_subcommand(statement.text, begin) - begin));
  if (!constraint.flag("skip_validation")) return text;
  for (std::size_t at = find_keyword(text, "NOT"); at < text.size(); at = find_keyword(text, "NOT", at + 1)) {
    const std::size_t valid = next_token(text, at);
    if (valid < text.size() && is_keyword(text, valid, "VALID"))
      return without_comments(text.replace(at, skip_token(text, valid) - at, ""));
  }
  return text;
}

std::string using_text(const ParsedStatement& statement, Node column) {
  if (!column["raw_default"]) return {};
  const std::size_t begin = place_in(statement, column["typeName"]);
  return text_behind(statement.text.substr(begin, end_of_subcommand(statement.text, begin) - begin), "USING");
}

std::string with_type(const ParsedStatement& statement, Node column, std::string_view type) {
  const std::string_view text = statement.text;
  const std::size_t begin = place_in(statement, column["typeName"]);
  std::size_t end = end_of_subcommand(text, begin);
  if (const Node collation = column["collClause"]) end = std::min(end, place_in(statement, collation));
  for (const Node constraint : column["constraints"]) end = std::min(end, place_in(statement, constraint.body()));
  const std::string_view old = trim_end(text.substr(begin, end - begin));
  return fmt::format("{}{}{}", text.substr(0, begin), type, text.substr(begin + old.size()));
}

std::string alter_text(const ParsedStatement& statement, Node relation) {
  return without_comments(statement.text.substr(0, end_of_name(statement.text, place_in(statement, relation))));
}

std::string text_behind_name(const ParsedStatement& statement, Node relation) {
  const std::size_t end = end_of_name(statement.text, place_in(statement, relation));
  std::string text = without_comments(statement.text.substr(end));
  return text.starts_with('*') ? std::string(trim(std::string_view(text).substr(1))) : text;
}

std::string bounds_text(const ParsedStatement& statement, const core::CatalogRelation* table, Node bound) {
  const bool range = bound.text("strategy") == "r";
  if (table == nullptr || (!range && bound.text("strategy") != "l")) return {};
  const std::string_view kind = range ? "RANGE (" : "LIST (";
  const std::string_view key = table->partition_key;
  if (!key.starts_with(kind) || !key.ends_with(')')) return {};
  const std::string_view column = key.substr(kind.size(), key.size() - kind.size() - 1);
  if (column.find_first_of(", (") != std::string_view::npos) return {};
  const std::string_view text = statement.text.substr(place_in(statement, bound));
  const auto values = [&](std::string_view keyword) {
    const std::string found = text_in_parentheses(text, keyword);
    return found.substr(std::min(found.find('('), found.size()));
  };
  std::string says = fmt::format("{} IS NOT NULL", column);
  if (!range) {
    for (const Node value : bound["listdatums"]) {
      if (value.body().flag("isnull")) return {};
    }
    return fmt::format("{} AND {} IN {}", says, column, values("IN"));
  }
  if (bound["lowerdatums"].size() != 1 || bound["upperdatums"].size() != 1) return {};
  // MINVALUE and MAXVALUE come as names.
  if (bound["lowerdatums"].front().tag() != "ColumnRef") says += fmt::format(" AND {} >= {}", column, values("FROM"));
  if (bound["upperdatums"].front().tag() != "ColumnRef") says += fmt::format(" AND {} < {}", column, values("TO"));
  return says;
}

std::string text_behind(std::string_view text, std::string_view keyword) {
  const std::size_t at = find_keyword(text, keyword);
  return at == text.size() ? std::string{} : without_comments(text.substr(at + keyword.size()));
}

std::string text_in_parentheses(std::string_view text, std::string_view keyword) {
  const std::size_t at = find_keyword(text, keyword);
  const std::size_t open = at == text.size() ? at : skip_blank(text, at + keyword.size());
  if (open >= text.size() || text[open] != '(') return {};
  const std::size_t close = visit_outside(text, open + 1, [](std::size_t) { return true; });
  return without_comments(text.substr(at, close + 1 - at));
}

}  // namespace diastole::sql
