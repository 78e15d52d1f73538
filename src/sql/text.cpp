#include "text.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "diastole/sql/analysis.hpp"

namespace diastole::sql {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f\v";

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// The length of the well-formed UTF-8 sequence at the front (Unicode 15, table 3-7); 0 where there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : (lead & 0xF0U) == 0xE0       ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!continues_character(text[i])) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

std::size_t skip_block_comment(std::string_view sql, std::size_t at) {
  int depth = 0;
  while (at < sql.size()) {
    const std::string_view two = sql.substr(at, 2);
    if (two == "/*") {
      ++depth;
      at += 2;
    } else if (two == "*/") {
      at += 2;
      if (--depth == 0) return at;
    } else {
      ++at;
    }
  }
  return sql.size();
}

constexpr std::size_t kMaxIdentifierBytes = 63;  // NAMEDATALEN - 1

bool word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Past a literal or quoted identifier that begins at `at` with `quote`; a doubled quote is one of its characters.
std::size_t skip_quoted(std::string_view sql, std::size_t at, char quote, bool backslashes) {
  for (++at; at < sql.size(); ++at) {
    if (backslashes && sql[at] == '\\') {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 >= sql.size() || sql[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return sql.size();
}

// Past $tag$ … $tag$, or past the $ where none begins.
std::size_t skip_dollars(std::string_view sql, std::size_t at) {
  std::size_t end = at + 1;
  while (end < sql.size() && sql[end] != '$' && word_byte(sql[end])) ++end;
  if (end >= sql.size() || sql[end] != '$') return at + 1;
  const std::string_view tag = sql.substr(at, end - at + 1);
  const std::size_t close = sql.find(tag, end + 1);
  return close == std::string_view::npos ? sql.size() : close + tag.size();
}

}  // namespace

namespace {

// A word that long lies over one of these bytes; in quotes it may hold anything.
bool may_be_long(std::string_view sql) {
  if (sql.find('"') != std::string_view::npos) return sql.size() > kMaxIdentifierBytes;
  for (std::size_t at = kMaxIdentifierBytes; at < sql.size(); at += kMaxIdentifierBytes) {
    std::size_t begin = at;
    while (begin > 0 && word_byte(sql[begin - 1])) --begin;
    std::size_t end = at;
    while (end < sql.size() && word_byte(sql[end])) ++end;
    if (end - begin > kMaxIdentifierBytes) return true;
  }
  return false;
}

}  // namespace

std::string_view long_identifier(std::string_view sql) {
  if (!may_be_long(sql)) return {};
  for (std::size_t at = skip_blank(sql, 0); at < sql.size(); at = skip_blank(sql, at)) {
    const std::size_t begin = at;
    const char c = sql[at];
    at = skip_token(sql, at);
    const bool name = word_byte(c) && c != '$' && !(c >= '0' && c <= '9');
    if (at - begin > kMaxIdentifierBytes + 2 && c == '"') return sql.substr(begin, at - begin);
    if (at - begin > kMaxIdentifierBytes && name) return sql.substr(begin, at - begin);
  }
  return {};
}

std::size_t skip_token(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  if (c == '\'') return skip_quoted(sql, at, '\'', at > 0 && (sql[at - 1] == 'E' || sql[at - 1] == 'e'));
  if (c == '"') return skip_quoted(sql, at, '"', false);
  if (c == '$') return skip_dollars(sql, at);
  if (!word_byte(c)) return at + 1;
  while (at < sql.size() && word_byte(sql[at])) ++at;
  return at;
}

std::string without_comments(std::string_view sql) {
  std::string plain;
  for (std::size_t at = skip_blank(sql, 0); at < sql.size();) {
    const std::size_t end = skip_token(sql, at);
    plain += sql.substr(at, end - at);
    at = skip_blank(sql, end);
    if (at == end || at == sql.size()) continue;
    // Two literals are one only over the end of a line.
    const bool continued = sql[at] == '\'' && sql.substr(end, at - end).find('\n') != std::string_view::npos;
    plain += continued ? '\n' : ' ';
  }
  return plain;
}

bool is_keyword(std::string_view sql, std::size_t at, std::string_view keyword) {
  return std::ranges::equal(sql.substr(at, skip_token(sql, at) - at), keyword,
                            [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b; });
}

std::size_t find_keyword(std::string_view sql, std::string_view keyword, std::size_t from) {
  const std::size_t at = visit_outside(sql, from, [&](std::size_t i) { return !is_keyword(sql, i, keyword); });
  return at < sql.size() && is_keyword(sql, at, keyword) ? at : sql.size();
}

Place place_at(std::string_view sql, std::size_t offset) {
  return advanced({}, sql.substr(0, offset));
}

Place advanced(Place place, std::string_view text) {
  for (const char byte : text) {
    if (byte == '\n') {
      ++place.line;
      place.column = 1;
    } else if (!continues_character(byte)) {
      ++place.column;
    }
  }
  return place;
}

std::size_t offset_of_character(std::string_view sql, std::size_t character) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (continues_character(sql[i])) continue;
    if (seen++ == character) return i;
  }
  return sql.size();
}

std::size_t skip_blank(std::string_view sql, std::size_t from) {
  while (from < sql.size()) {
    const std::string_view two = sql.substr(from, 2);
    if (two == "--") {
      from = std::min(sql.find('\n', from), sql.size());
    } else if (two == "/*") {
      from = skip_block_comment(sql, from);
    } else if (kBlanks.contains(sql[from])) {
      ++from;
    } else {
      break;
    }
  }
  return from;
}

std::string_view trim_end(std::string_view text) {
  const auto last = text.find_last_not_of(kBlanks);
  return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view{} : trim_end(text.substr(first));
}

Error SyntaxError::as_error() const {
  return {code, fmt::format("line {}, column {}: {}", place.line, place.column, message), {}};
}

std::unexpected<SyntaxError> fault_at(std::string_view sql, std::size_t offset, std::string_view message) {
  return std::unexpected(SyntaxError{.message = std::string(message), .place = place_at(sql, offset)});
}

std::unexpected<Error> fail_at(std::string_view sql, std::size_t offset, std::string_view message) {
  return std::unexpected(fault_at(sql, offset, message).error().as_error());
}

namespace {

// PostgreSQL's scanner takes all operator characters that stand together for one operator, and then begins anew behind
// the first sign of +-+-…, or the first beginning of a comment in /*/*…: a megabyte of them takes it many minutes.
constexpr std::size_t kMaxRestarts = 1000;

// Where more of these stand together, whatever they are part of; the size where none do.
std::size_t slow_operators(std::string_view sql) {
  constexpr std::string_view kOperators = "~!@#^&|`?+-*/%<>=";
  if (sql.size() <= kMaxRestarts) return sql.size();
  std::size_t restarts = 0;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (!kOperators.contains(sql[i])) {
      restarts = 0;
    } else if (sql[i] == '+' || sql.substr(i, 2) == "/*") {
      if (++restarts > kMaxRestarts) return i;
    }
  }
  return sql.size();
}

}  // namespace

std::string well_formed(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i));
    result += length == 0 ? "\xEF\xBF\xBD" : text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

std::expected<void, SyntaxError> check_text(std::string_view sql) {
  if (sql.size() > kMaxSqlBytes) {
    return fault_at(sql, kMaxSqlBytes,
                    fmt::format("the SQL is {} bytes long, at most {} are allowed", sql.size(), kMaxSqlBytes));
  }
  const bool well = simdjson::validate_utf8(sql) && !sql.contains('\0');
  for (std::size_t i = 0; !well && i < sql.size();) {
    if (sql[i] == '\0') return fault_at(sql, i, "a NUL character is not allowed in SQL");
    const std::size_t length = utf8_length(sql.substr(i));
    if (length == 0)
      return fault_at(sql, i, fmt::format("not UTF-8: byte 0x{:02x}", static_cast<unsigned char>(sql[i])));
    i += length;
  }
  if (const auto slow = slow_operators(sql); slow < sql.size())
    return fault_at(sql, slow, fmt::format("more than {} + or /* without anything between them", kMaxRestarts));
  return {};
}

}  // namespace diastole::sql
