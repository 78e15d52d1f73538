// SQL as text: what may be given to the parser, and where in it something stands.
#pragma once

#include <cstddef>
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
// The byte offset of the 0-based character; the size where there are fewer.
[[nodiscard]] std::size_t offset_of_character(std::string_view sql, std::size_t character);

// The first byte at or after `from` that is neither white space nor in a comment (block comments nest).
[[nodiscard]] std::size_t skip_blank(std::string_view sql, std::size_t from);
[[nodiscard]] std::string_view trim_end(std::string_view text);

// An invalid_argument that begins with the place of `offset` in `sql`.
[[nodiscard]] std::unexpected<Error> fail_at(std::string_view sql, std::size_t offset, std::string_view message);

// The parser takes a C string, so a NUL would cut it off unseen, and it lets broken UTF-8 through to the server: both
// are refused here, and so is what is longer than kMaxSqlBytes.
[[nodiscard]] Result<void> check_text(std::string_view sql);

}  // namespace diastole::sql
