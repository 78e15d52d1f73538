#include "sql_error.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "connection.hpp"

namespace diastole::postgres {
namespace {

constexpr std::string_view kLine = "LINE ";
constexpr std::string_view kCut = "...";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// The 1-based line as libpq counts and shows it: \n, \r\n and \r end a line, tabs are blanks.
std::string line_of_statement(std::string_view statement, int number) {
  std::size_t begin = 0;
  for (int line = 1; line < number; ++line) {
    const auto end = statement.find_first_of("\r\n", begin);
    if (end == std::string_view::npos) return {};
    begin = end + (statement.substr(end).starts_with("\r\n") ? 2 : 1);
  }
  std::string line(statement.substr(begin, statement.find_first_of("\r\n", begin) - begin));
  std::ranges::replace(line, '\t', ' ');
  return line;
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// The byte of `text` that is shown in screen column `column`, by the same widths with which libpq has placed its caret.
std::size_t byte_at_column(const std::string& text, std::size_t column) {
  static const int kUtf8 = pg_char_to_encoding("UTF8");
  std::size_t byte = 0;
  for (std::size_t at = 0; byte < text.size() && at < column;) {
    at += static_cast<std::size_t>(std::max(PQdsplen(text.c_str() + byte, kUtf8), 1));
    byte += static_cast<std::size_t>(std::max(PQmblen(text.c_str() + byte, kUtf8), 1));
  }
  return std::min(byte, text.size());
}

// The 1-based column in characters, from the excerpt libpq shows and the caret's screen column in it; 0 where the
// excerpt cannot be found in the line, or in more than one place.
int column_of(std::string_view line, std::string excerpt, std::size_t caret) {
  const auto marked = byte_at_column(excerpt, caret);
  if (excerpt == line) return static_cast<int>(characters(line.substr(0, marked))) + 1;
  const bool cut_left = excerpt.starts_with(kCut) && !line.starts_with(excerpt);
  if (excerpt.ends_with(kCut) && !line.ends_with(excerpt.substr(cut_left ? kCut.size() : 0))) {
    excerpt.resize(excerpt.size() - kCut.size());
  }
  const std::size_t skipped = cut_left ? kCut.size() : 0;
  const auto shown = std::string_view(excerpt).substr(skipped);
  const auto found = cut_left ? line.find(shown) : (line.starts_with(shown) ? 0 : std::string_view::npos);
  if (found == std::string_view::npos || marked < skipped) return 0;
  if (cut_left && line.find(shown, found + 1) != std::string_view::npos) return 0;
  return static_cast<int>(characters(line.substr(0, found + marked - skipped))) + 1;
}

// "LINE 3: SELECT nme FROM users" and the line below it.
void read_position(std::string_view shown, std::string_view caret_line, std::string_view statement,
                   core::Failure& failure) {
  const auto colon = shown.find(": ");
  if (colon == std::string_view::npos) return;
  int number = 0;
  const auto digits = shown.substr(kLine.size(), colon - kLine.size());
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{}) return;
  failure.line = number;
  const auto label = colon + 2;
  const auto caret = caret_line.find('^');
  if (caret == std::string_view::npos || caret < label) return;
  failure.column = column_of(line_of_statement(statement, number), std::string(shown.substr(label)), caret - label);
}

ErrorCode code_on_target(ErrorCode code, bool from_server) {
  switch (code) {
    case ErrorCode::interrupted:  // a cancelled statement
    case ErrorCode::internal: return from_server ? ErrorCode::invalid_argument : ErrorCode::internal;
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::conflict:
    case ErrorCode::fenced:
    case ErrorCode::unavailable:
    case ErrorCode::lock_timeout:
    case ErrorCode::outcome_unknown: return code;
  }
  std::unreachable();
}

}  // namespace

core::Failure parse_server_message(std::string_view text, std::string_view statement) {
  core::Failure failure;
  std::string ignored;
  std::string* field = &failure.message;
  bool inner_query = false;
  const std::array<std::pair<std::string_view, std::string*>, 5> labels{{{"DETAIL:  ", &failure.detail},
                                                                         {"HINT:  ", &failure.hint},
                                                                         {"QUERY:  ", &ignored},
                                                                         {"CONTEXT:  ", &ignored},
                                                                         {"LOCATION:  ", &ignored}}};
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto line = lines[i];
    if (i == 0) {
      // The severity is in the server's language.
      if (const auto label = line.find(":  "); label != std::string_view::npos) line.remove_prefix(label + 3);
      field->append(line);
      continue;
    }
    if (line.starts_with(kLine) && i + 1 < lines.size() &&
        lines[i + 1].find_first_not_of(' ') == lines[i + 1].find('^')) {
      read_position(line, lines[i + 1], statement, failure);
      ++i;
      continue;
    }
    const auto label = std::ranges::find_if(labels, [&](const auto& entry) { return line.starts_with(entry.first); });
    if (label != labels.end()) {
      field = label->second;
      line.remove_prefix(label->first.size());
      inner_query = inner_query || label->first.starts_with("QUERY");
    } else {
      field->push_back('\n');
    }
    field->append(line);
  }
  if (inner_query) failure.line = failure.column = 0;
  return failure;
}

ports::TargetError target_error(const Connection& connection, const std::exception_ptr& exception,
                                std::string_view statement, int number) {
  auto general = connection.error_of(exception);
  const auto sqlstate = sqlstate_of(exception);
  ports::TargetError error{.code = code_on_target(general.code, !sqlstate.empty()), .failure = {}};
  if (sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("57P")) {
    // Not the server's words on a statement: libpq's, on a lost connection, may name the host.
    error.failure.message = std::move(general.message);
  } else {
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& thrown) {
      error.failure = parse_server_message(thrown.what(), statement);
    } catch (...) {
      error.failure.message = std::move(general.message);
    }
  }
  error.failure.sqlstate = sqlstate;
  error.failure.statement = number;
  return error;
}

ports::TargetError target_error(Error error) {
  ports::TargetError result{.code = error.code, .failure = {}};
  result.failure.message = std::move(error.message);
  return result;
}

std::unexpected<ports::TargetError> target_fail(ErrorCode code, std::string message, std::string sqlstate) {
  ports::TargetError error{.code = code, .failure = {}};
  error.failure.message = std::move(message);
  error.failure.sqlstate = std::move(sqlstate);
  return std::unexpected(std::move(error));
}

}  // namespace diastole::postgres
