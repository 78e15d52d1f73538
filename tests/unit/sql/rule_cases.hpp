// For each rule a statement that breaks it and a near twin that does not, as data.
#pragma once

#include <ostream>
#include <span>
#include <string_view>

#include "diastole/core/statement.hpp"

namespace diastole::test {

// A statement that breaks a rule in expand, what contract says of it ("" for nothing), and a near twin that does not
// break it.
struct RuleCase {
  std::string_view rule;
  std::string_view caught;
  std::string_view in_contract;
  std::string_view twin;
};
inline constexpr std::string_view kSame = "same";
inline constexpr std::string_view kNothing = "";
inline constexpr std::string_view kOnlyWarning = "warning";
inline constexpr std::string_view kAdvice = "advice";  // a warning in every phase
inline constexpr std::string_view kDoubt = "doubt";    // a warning in expand
[[nodiscard]] std::span<const RuleCase> rule_cases();

// The same with shop_catalog() at hand: what the live schema adds and what it takes back.
struct CatalogRuleCase {
  std::string_view rule;
  core::Phase phase;
  std::string_view caught;
  std::string_view twin;
};
[[nodiscard]] std::span<const CatalogRuleCase> catalog_rule_cases();

void PrintTo(const RuleCase& one, std::ostream* out);
void PrintTo(const CatalogRuleCase& one, std::ostream* out);

}  // namespace diastole::test
