// Finds where the rules are broken.
#pragma once

#include <string_view>
#include <vector>

#include "analyse.hpp"
#include "diastole/core/plan.hpp"
#include "reporter.hpp"

namespace diastole::sql {

// The rules of `phase`. Tables that the statements create join `created` for those that follow.
[[nodiscard]] std::vector<core::Finding> lint_statements(std::string_view sql, const std::vector<Analysed>& statements,
                                                         core::Phase phase, NewTables& created);
// Only the structural rules, which hold for an undo as well.
[[nodiscard]] std::vector<core::Finding> lint_undo(std::string_view sql, const std::vector<Analysed>& statements);

}  // namespace diastole::sql
