// A safe form as a user would paste it into a plan document.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::test {

struct PastedForm {
  int steps = 0;                     // without those that have placeholders
  std::vector<std::string> refused;  // "rule: text" of findings that refuse the plan, and why a document is none
};
// `phase` is where the statement stood. Steps keep their order within each phase. What stands before the statement
// becomes a step before them, whose own findings do not count.
[[nodiscard]] PastedForm paste(const core::Finding& finding, core::Phase phase, const core::CatalogSnapshot* catalog,
                               std::string_view before = {});

}  // namespace diastole::test
