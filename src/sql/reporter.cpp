#include "reporter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "known.hpp"
#include "safe_form.hpp"

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

// "key: value" lines, of which `set: { column: expression }` is one. What fills them must be read as it is; a column to
// set is named exactly, without quotes.
std::string fill_backfill(std::string_view text, const Blanks& blanks) {
  constexpr std::string_view kSet = "set: { ";
  std::string filled;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::size_t value = std::min(line.find(": ", line.starts_with(kSet) ? kSet.size() : 0), line.size());
    if (!filled.empty()) filled += '\n';
    if (value == line.size()) {
      filled += fill(line, blanks);
    } else if (line.starts_with(kSet)) {
      const std::string column = fill(line.substr(kSet.size(), value - kSet.size()), blanks);
      const std::string_view expression = line.substr(value + 2, line.size() - value - 4);
      filled += fmt::format("{}{}: {} }}", kSet, yaml_scalar(name_of_identifier(column).name),
                            yaml_scalar(fill(expression, blanks)));
    } else {
      filled += fmt::format("{}: {}", line.substr(0, value), yaml_scalar(fill(line.substr(value + 2), blanks)));
    }
    at = end + 1;
  }
  return filled;
}

}  // namespace

core::Finding make_finding(const Rule& rule, core::Severity severity, const Blanks& blanks, Because because) {
  core::Finding finding;
  finding.rule = rule.name;
  finding.severity = severity;
  if (because.itself) finding.message = fill(rule.why, blanks);
  if (because.old_code && !rule.why_old_code.empty())
    finding.message += (finding.message.empty() ? "" : "; ") + fill(rule.why_old_code, blanks);
  finding.subject = {.table = blanks.table, .column = blanks.column, .object = blanks.object};
  for (const SafeTemplate& safe : rule.safe) {
    if (safe.text.empty()) continue;
    std::string text =
        safe.form == core::SafeStep::Form::backfill ? fill_backfill(safe.text, blanks) : fill(safe.text, blanks);
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
                                std::optional<core::Severity> in_contract, Because because) {
  if (!holds(rule)) return nullptr;
  if (in_expand == kError) refused_in_expand_ = true;
  if (in_contract == kError) refused_in_contract_ = true;
  const auto severity = phase_ == core::Phase::contract ? in_contract : in_expand;
  if (!severity) return nullptr;
  core::Finding finding = make_finding(rule, *severity, blanks, because);
  finding.line = place_.line;
  finding.column = place_.column;
  findings_.push_back(std::move(finding));
  return &findings_.back();
}

std::string with_word(std::string_view text, std::string_view after, std::string_view word) {
  for (std::size_t at = skip_blank(text, 0); at < text.size(); at = skip_blank(text, skip_token(text, at))) {
    if (!is_keyword(text, at, after)) continue;
    const std::size_t end = at + after.size();
    return fmt::format("{} {}{}", text.substr(0, end), word, text.substr(end));
  }
  return std::string(text);
}

}  // namespace diastole::sql
