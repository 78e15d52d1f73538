// What a rule is.
#pragma once

#include <array>
#include <limits>
#include <optional>
#include <string_view>

#include "diastole/core/plan.hpp"

namespace diastole::sql {

inline constexpr auto kError = core::Severity::error;
inline constexpr auto kWarning = core::Severity::warning;
inline constexpr std::optional<core::Severity> kPasses = std::nullopt;
inline constexpr auto kExpand = core::Phase::expand;
inline constexpr auto kBackfill = core::Phase::backfill;
inline constexpr auto kContract = core::Phase::contract;

// One step of the safe form. A text that comes out empty is left out.
struct SafeTemplate {
  std::optional<core::Phase> phase = std::nullopt;  // the statement's own where it is empty
  std::string_view text = {};
  std::string_view note = {};
  core::SafeStep::Form form = core::SafeStep::Form::sql;
};

// Texts have blanks: {table}, {column}, {object} (an index, constraint, type, …), {kind}, {name}, {type}, {statement}.
struct Rule {
  std::string_view name;
  std::optional<core::Severity> expand;
  std::optional<core::Severity> contract;
  std::string_view why;
  std::array<SafeTemplate, 3> safe = {};
  int since = 0;                                // server versions as PostgreSQL numbers them, from this one …
  int until = std::numeric_limits<int>::max();  // … up to, not including, this one
  std::string_view why_old_code = {};           // a second reason, which may hold without the first
};

}  // namespace diastole::sql
