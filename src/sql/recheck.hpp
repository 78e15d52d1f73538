// What each backfill's verification asks once more before contract.
#pragma once

#include "diastole/core/plan.hpp"

namespace diastole::sql {

// Fills in the rechecks that the plan does not give. A `where` that names a column which contract drops or renames
// cannot be asked again, since the new code need not write that column any more: then only rows are looked for that
// nobody has set.
void add_rechecks(core::Plan& plan);

}  // namespace diastole::sql
