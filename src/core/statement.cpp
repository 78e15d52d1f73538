#include "diastole/core/statement.hpp"

#include <algorithm>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<Phase, 3> kPhaseNames{
    {{Phase::expand, "expand"}, {Phase::backfill, "backfill"}, {Phase::contract, "contract"}}};
constexpr Names<LockMode, 9> kLockNames{{{LockMode::none, "NONE"},
                                         {LockMode::access_share, "ACCESS SHARE"},
                                         {LockMode::row_share, "ROW SHARE"},
                                         {LockMode::row_exclusive, "ROW EXCLUSIVE"},
                                         {LockMode::share_update_exclusive, "SHARE UPDATE EXCLUSIVE"},
                                         {LockMode::share, "SHARE"},
                                         {LockMode::share_row_exclusive, "SHARE ROW EXCLUSIVE"},
                                         {LockMode::exclusive, "EXCLUSIVE"},
                                         {LockMode::access_exclusive, "ACCESS EXCLUSIVE"}}};
constexpr Names<Severity, 2> kSeverityNames{{{Severity::error, "error"}, {Severity::warning, "warning"}}};
constexpr Names<Answer, 3> kAnswerNames{{{Answer::no, "no"}, {Answer::maybe, "maybe"}, {Answer::yes, "yes"}}};
constexpr Names<SafeStep::Form, 3> kFormNames{{{SafeStep::Form::sql, "sql"},
                                               {SafeStep::Form::set_not_null, "set_not_null"},
                                               {SafeStep::Form::backfill, "backfill"}}};
constexpr Names<Touch::Kind, 3> kTouchNames{
    {{Touch::Kind::table, "table"}, {Touch::Kind::index, "index"}, {Touch::Kind::sequence, "sequence"}}};

}  // namespace

std::string_view to_string(Phase phase) {
  return name_of(kPhaseNames, phase);
}
std::optional<Phase> phase_from(std::string_view text) {
  return value_of(kPhaseNames, text);
}
std::string_view to_string(LockMode mode) {
  return name_of(kLockNames, mode);
}
std::optional<LockMode> lock_mode_from(std::string_view text) {
  return value_of(kLockNames, text);
}
std::string_view to_string(Severity severity) {
  return name_of(kSeverityNames, severity);
}
std::string_view to_string(Answer answer) {
  return name_of(kAnswerNames, answer);
}
std::optional<Answer> answer_from(std::string_view text) {
  return value_of(kAnswerNames, text);
}
std::string_view to_string(SafeStep::Form form) {
  return name_of(kFormNames, form);
}
std::optional<SafeStep::Form> safe_form_from(std::string_view text) {
  return value_of(kFormNames, text);
}
std::string_view to_string(Touch::Kind kind) {
  return name_of(kTouchNames, kind);
}
std::optional<Touch::Kind> touch_kind_from(std::string_view text) {
  return value_of(kTouchNames, text);
}

std::vector<std::string> Statement::tables() const {
  std::vector<std::string> tables;
  for (const Touch& touch : touches) {
    if (touch.named && touch.kind == Touch::Kind::table) tables.push_back(touch.relation);
  }
  return tables;
}
Answer Statement::scans() const {
  Answer worst = Answer::no;
  for (const Touch& touch : touches) worst = std::max(worst, touch.scans);
  return worst;
}
Answer Statement::rewrites() const {
  Answer worst = Answer::no;
  for (const Touch& touch : touches) worst = std::max(worst, touch.rewrites);
  return worst;
}

}  // namespace diastole::core
