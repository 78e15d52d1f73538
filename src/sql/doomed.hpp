// What contract drops for good.
#pragma once

#include "diastole/core/plan.hpp"

namespace diastole::sql {

// Fills in the tables and columns that contract's steps drop: what quarantine renames first, and what nobody may use
// any more. Not what the plan itself has made.
void add_doomed(core::Plan& plan);

}  // namespace diastole::sql
