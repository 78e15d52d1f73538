#include "outside_statement.hpp"

#include <algorithm>
#include <cctype>

namespace diastole::postgres {
namespace {

bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || c == '_' || c == '$' || byte >= 0x80;
}

// Reads words, quoted identifiers and single signs, past blanks and comments.
class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  // Empty at the end.
  std::string_view next() {
    skip_blanks();
    const auto begin = at_;
    if (at_ >= sql_.size()) return {};
    if (sql_[at_] == '"') {
      skip_quoted();
    } else if (is_word_byte(sql_[at_])) {
      while (at_ < sql_.size() && is_word_byte(sql_[at_])) ++at_;
    } else {
      ++at_;
    }
    return sql_.substr(begin, at_ - begin);
  }

  // Takes the keyword if it comes next.
  bool accept(std::string_view keyword) {
    const auto before = at_;
    const auto word = next();
    if (std::ranges::equal(word, keyword,
                           [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; })) {
      return true;
    }
    at_ = before;
    return false;
  }

  // name, or name.name, as written.
  std::string qualified_name() {
    std::string name(next());
    while (accept(".")) name += "." + std::string(next());
    return name;
  }

  [[nodiscard]] std::string_view rest() const { return sql_.substr(at_); }

 private:
  void skip_blanks() {
    for (;;) {
      const auto rest = sql_.substr(at_);
      if (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.front())) != 0) {
        ++at_;
      } else if (rest.starts_with("--")) {
        at_ += std::min(rest.find_first_of("\r\n"), rest.size());
      } else if (rest.starts_with("/*")) {
        skip_comment();
      } else {
        return;
      }
    }
  }

  void skip_comment() {  // they nest
    int depth = 0;
    do {
      const auto rest = sql_.substr(at_);
      const bool opens = rest.starts_with("/*");
      const bool closes = rest.starts_with("*/");
      depth += opens ? 1 : (closes ? -1 : 0);
      at_ += opens || closes ? 2 : 1;
    } while (depth > 0 && at_ < sql_.size());
  }

  void skip_quoted() {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (sql_[at_] != '"') continue;
      if (!sql_.substr(at_ + 1).starts_with('"')) {
        ++at_;
        return;
      }
      ++at_;
    }
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

}  // namespace

OutsideStatement read_outside_statement(std::string_view sql) {
  Scanner scanner(sql);
  for (const std::string_view repeatable : {"REINDEX", "VACUUM", "ANALYZE", "CLUSTER"}) {
    if (scanner.accept(repeatable)) return {.kind = OutsideKind::repeatable, .table = {}, .definition = {}};
  }
  if (scanner.accept("DROP")) {
    const bool index = scanner.accept("INDEX") && scanner.accept("CONCURRENTLY");
    return {.kind = index ? OutsideKind::drop_index : OutsideKind::other, .table = {}, .definition = {}};
  }
  OutsideStatement statement{.table = {}, .definition = {}};
  if (!scanner.accept("CREATE")) return statement;
  statement.unique = scanner.accept("UNIQUE");
  if (!scanner.accept("INDEX") || !scanner.accept("CONCURRENTLY")) return statement;
  if (scanner.accept("IF") && (!scanner.accept("NOT") || !scanner.accept("EXISTS"))) return statement;
  if (!scanner.accept("ON")) {  // else it has no name
    scanner.next();
    if (!scanner.accept("ON")) return statement;
  }
  scanner.accept("ONLY");
  statement.kind = OutsideKind::create_index;
  statement.table = scanner.qualified_name();
  statement.definition = scanner.rest();
  while (!statement.definition.empty() &&
         (statement.definition.back() == ';' ||
          std::isspace(static_cast<unsigned char>(statement.definition.back())) != 0)) {
    statement.definition.pop_back();
  }
  return statement;
}

}  // namespace diastole::postgres
