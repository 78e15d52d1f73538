#include "reporter.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace diastole::sql {
namespace {

std::string fill(std::string_view text, const Blanks& blanks) {
  return fmt::format(fmt::runtime(text), fmt::arg("table", blanks.table), fmt::arg("column", blanks.column),
                     fmt::arg("constraint", blanks.constraint), fmt::arg("object", blanks.object),
                     fmt::arg("kind", blanks.kind), fmt::arg("name", blanks.name),
                     fmt::arg("statement", blanks.statement));
}

bool word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool same_letter(char a, char b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  return upper(a) == upper(b);
}

}  // namespace

core::Finding make_finding(const Rule& rule, core::Severity severity, const Blanks& blanks) {
  return {.rule = std::string(rule.name),
          .severity = severity,
          .message = fill(rule.message, blanks),
          .safe_form = fill(rule.safe_form, blanks),
          .path = {},
          .line = 0,
          .column = 0,
          .allowed_because = {}};
}

void Reporter::report(const Rule& rule, const Blanks& blanks) {
  const auto severity = phase_ == core::Phase::contract ? rule.contract : rule.expand;
  if (!severity) return;
  core::Finding finding = make_finding(rule, *severity, blanks);
  finding.line = place_.line;
  finding.column = place_.column;
  findings_.push_back(std::move(finding));
}

std::string with_word(std::string_view text, std::string_view after, std::string_view word) {
  auto from = text.begin();
  while (true) {
    const auto found = std::search(from, text.end(), after.begin(), after.end(), same_letter);
    if (found == text.end()) return std::string(text);
    const auto end = found + static_cast<std::ptrdiff_t>(after.size());
    const bool whole = (found == text.begin() || !word_byte(*(found - 1))) && (end == text.end() || !word_byte(*end));
    if (whole)
      return fmt::format("{} {}{}", std::string_view(text.begin(), end), word, std::string_view(end, text.end()));
    from = end;
  }
}

}  // namespace diastole::sql
