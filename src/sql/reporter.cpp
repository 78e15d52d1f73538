#include "reporter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace diastole::sql {
namespace {

std::string_view blank(std::string_view name, const Blanks& blanks) {
  if (name == "table") return blanks.table;
  if (name == "column") return blanks.column;
  if (name == "object") return blanks.object;
  if (name == "kind") return blanks.kind;
  if (name == "name") return blanks.name;
  if (name == "type") return blanks.type;
  return name == "statement" ? std::string_view(blanks.statement) : std::string_view{};
}

std::string fill(std::string_view text, const Blanks& blanks) {
  std::string filled;
  filled.reserve(text.size() + 64);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = std::min(text.find('{', at), text.size());
    filled += text.substr(at, open - at);
    if (open == text.size()) break;
    const std::size_t close = text.find('}', open);
    const bool is_blank = close != std::string_view::npos && text[open + 1] != ' ';  // YAML's { stands apart
    filled += is_blank ? blank(text.substr(open + 1, close - open - 1), blanks) : "{";
    at = is_blank ? close + 1 : open + 1;
  }
  return filled;
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
  core::Finding finding;
  finding.rule = rule.name;
  finding.severity = severity;
  finding.message = fill(rule.why, blanks);
  finding.subject = {.table = blanks.table, .column = blanks.column, .object = blanks.object};
  for (const SafeTemplate& safe : rule.safe) {
    if (safe.text.empty()) continue;
    std::string text = fill(safe.text, blanks);
    if (text.empty()) continue;
    finding.safe_form.push_back(
        {.phase = safe.phase, .form = safe.form, .text = std::move(text), .note = fill(safe.note, blanks)});
  }
  return finding;
}

core::Finding* Reporter::report(const Rule& rule, const Blanks& blanks) {
  return report(rule, blanks, rule.expand, rule.contract);
}

core::Finding* Reporter::report(const Rule& rule, const Blanks& blanks, std::optional<core::Severity> in_expand,
                                std::optional<core::Severity> in_contract) {
  if (!holds(rule)) return nullptr;
  if (in_expand == kError) refused_in_expand_ = true;
  if (in_contract == kError) refused_in_contract_ = true;
  const auto severity = phase_ == core::Phase::contract ? in_contract : in_expand;
  if (!severity) return nullptr;
  core::Finding finding = make_finding(rule, *severity, blanks);
  finding.line = place_.line;
  finding.column = place_.column;
  findings_.push_back(std::move(finding));
  return &findings_.back();
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
