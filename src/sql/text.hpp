// SQL as text: what may be given to the parser, and where in it something stands.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "diastole/base/result.hpp"

namespace diastole::sql {

// Both 1-based; the column counts characters, as PostgreSQL's own positions do.
struct Place {
  int line = 1;
  int column = 1;
};

// Of a byte offset.
[[nodiscard]] Place place_at(std::string_view sql, std::size_t offset);
// Where one comes to from there through `text`.
[[nodiscard]] Place advanced(Place from, std::string_view text);
// The byte offset of the 0-based character; the size where there are fewer.
[[nodiscard]] std::size_t offset_of_character(std::string_view sql, std::size_t character);

// The first byte at or after `from` that is neither white space nor in a comment (block comments nest).
[[nodiscard]] std::size_t skip_blank(std::string_view sql, std::size_t from);
[[nodiscard]] std::string_view trim_end(std::string_view text);
[[nodiscard]] std::string_view trim(std::string_view text);

// The byte behind the literal, quoted identifier, dollar-quoted text, word or other single byte at `at`, which is no
// blank.
[[nodiscard]] std::size_t skip_token(std::string_view sql, std::size_t at);
// Trimmed, and with one blank for each run of white space and comments.
[[nodiscard]] std::string without_comments(std::string_view sql);

// Calls visitor(offset) for where each token from `from` on begins that stands outside parentheses and brackets, until
// it returns false, one closes that was not opened, or the text ends; where that was.
template <typename Visitor>
std::size_t visit_outside(std::string_view sql, std::size_t from, Visitor&& visitor) {
  int depth = 0;
  for (std::size_t i = skip_blank(sql, from); i < sql.size(); i = skip_blank(sql, skip_token(sql, i))) {
    const char c = sql[i];
    if (c == '(' || c == '[') ++depth;
    if ((c == ')' || c == ']') && --depth < 0) return i;
    if (depth == 0 && !visitor(i)) return i;
  }
  return sql.size();
}
// Where the keyword, in capitals, stands outside parentheses at or after `from`; the size where it does not.
[[nodiscard]] std::size_t find_keyword(std::string_view sql, std::string_view keyword, std::size_t from = 0);
// The token at `at` is the keyword, in capitals.
[[nodiscard]] bool is_keyword(std::string_view sql, std::size_t at, std::string_view keyword);

// The first identifier, with its quotes, of more bytes than PostgreSQL keeps; empty where there is none. Looks past
// strings and comments.
[[nodiscard]] std::string_view long_identifier(std::string_view sql);

// Why SQL cannot be read, and where.
struct SyntaxError {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string message;
  Place place;

  // "line L, column C: message".
  [[nodiscard]] Error as_error() const;
};
[[nodiscard]] std::unexpected<SyntaxError> fault_at(std::string_view sql, std::size_t offset, std::string_view message);
// The same as an Error.
[[nodiscard]] std::unexpected<Error> fail_at(std::string_view sql, std::size_t offset, std::string_view message);

// With U+FFFD for each byte that is not UTF-8.
[[nodiscard]] std::string well_formed(std::string_view text);

// The parser takes a C string, so a NUL would cut it off unseen, and it lets broken UTF-8 through to the server: both
// are refused here, and so is what is longer than kMaxSqlBytes or takes PostgreSQL's scanner too long.
[[nodiscard]] std::expected<void, SyntaxError> check_text(std::string_view sql);

}  // namespace diastole::sql
