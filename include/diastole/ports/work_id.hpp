// What a step does on a target, by name.
#pragma once

#include <string>

#include "diastole/base/ids.hpp"

namespace diastole::ports {

enum class Direction { forward, undo };

// Names a step's work in the target's ledger.
struct WorkId {
  PlanId plan;
  StepId step;
  Direction direction = Direction::forward;
  std::string checksum;  // over the statements; a ledger row with another one is a conflict
  Epoch epoch;
};

}  // namespace diastole::ports
