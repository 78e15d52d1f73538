// Identifiers: the one place where names are taken apart and quoted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "diastole/sql/analysis.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

constexpr std::size_t kMaxIdentifierBytes = 63;  // NAMEDATALEN - 1; PostgreSQL cuts off what is longer

constexpr bool identifier_start(char c) {
  return (c >= 'a' && c <= 'z') || c == '_';
}
constexpr bool identifier_byte(char c) {
  return identifier_start(c) || (c >= '0' && c <= '9');
}

// Words that cannot stand unquoted everywhere a name may: pg_get_keywords() of PostgreSQL 15 without the unreserved
// ones. Sorted.
constexpr auto kKeywords = std::to_array<std::string_view>({
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
});
static_assert(std::ranges::is_sorted(kKeywords));

// identifier_byte(), looked up.
constexpr auto kPlainBytes = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0; byte < plain.size(); ++byte) plain.at(byte) = identifier_byte(static_cast<char>(byte));
  return plain;
}();

// Where in the table the words of each letter begin.
constexpr auto kFirst = [] {
  std::array<std::uint8_t, 27> first{};
  for (std::size_t letter = 0; letter < first.size(); ++letter) {
    const auto wanted = static_cast<char>('a' + letter);
    const auto* at = std::ranges::find_if(kKeywords, [&](std::string_view word) { return word.front() >= wanted; });
    first.at(letter) = static_cast<std::uint8_t>(at - kKeywords.begin());
  }
  return first;
}();

bool unreserved(std::string_view word) {
  if (word.front() < 'a' || word.front() > 'z') return true;
  const auto letter = static_cast<std::size_t>(word.front() - 'a');
  for (std::size_t i = kFirst.at(letter); i < kFirst.at(letter + 1); ++i) {
    if (kKeywords.at(i) == word) return false;
  }
  return true;
}

std::string quoted(std::string_view name) {
  std::string result = "\"";
  for (const char c : name) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

// Takes one part off the front of `text`. Unquoted letters are folded as PostgreSQL does it: ASCII only.
Result<std::string> take_part(std::string_view text, std::size_t& at) {
  std::string name;
  if (at < text.size() && text[at] == '"') {
    for (++at;; ++at) {
      if (at >= text.size()) return fail_at(text, at, "the quoted identifier does not end");
      if (text[at] == '"' && (at + 1 >= text.size() || text[at + 1] != '"')) break;
      if (text[at] == '"') ++at;
      name += text[at];
    }
    ++at;
  } else {
    for (; at < text.size(); ++at) {
      const char c = text[at] >= 'A' && text[at] <= 'Z' ? static_cast<char>(text[at] - 'A' + 'a') : text[at];
      const bool first = name.empty();
      const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
      if (!beyond_ascii && !(first ? identifier_start(c) : identifier_byte(c) || c == '$')) break;
      name += c;
    }
  }
  if (name.empty()) return fail_at(text, at, "an identifier was expected");
  if (name.size() > kMaxIdentifierBytes) {
    return fail_at(
        text, at, fmt::format("an identifier has at most {} bytes, this one has {}", kMaxIdentifierBytes, name.size()));
  }
  return name;
}

}  // namespace

Result<std::vector<std::string>> split_identifier(std::string_view text, std::size_t max_parts) {
  if (auto valid = check_text(text); !valid) return std::unexpected(valid.error().as_error());
  std::vector<std::string> parts;
  for (std::size_t at = 0;; ++at) {
    auto part = take_part(text, at);
    if (!part) return std::unexpected(std::move(part.error()));
    parts.push_back(quote_identifier(*part));
    if (at == text.size()) break;
    if (text[at] != '.') return fail_at(text, at, "an identifier holds letters, digits and _, or is quoted with \"");
  }
  if (parts.size() > max_parts) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' has {} parts, at most {} are expected", text, parts.size(), max_parts));
  }
  return parts;
}

std::string quote_identifier(std::string_view name) {
  const bool plain = !name.empty() && identifier_start(name.front()) &&
                     std::ranges::all_of(name, [](char c) { return kPlainBytes[static_cast<unsigned char>(c)]; });
  return plain && unreserved(name) ? std::string(name) : quoted(name);
}

}  // namespace diastole::sql
