// What people and pipelines ask of a plan, and the events that it leads to.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "diastole/core/machine.hpp"

namespace diastole::core {

struct Approve {
  Phase phase;
  std::string by;
  std::string note;
  bool by_submitter_allowed = false;
};
struct Pause {
  std::string by;
};
struct Resume {
  std::string by;
};
struct Retry {
  std::string by;
};
struct Abort {
  std::string by;
  std::string reason;
};
struct SetPace {
  StepId step;
  Pace pace;
  std::string by;
};
// Keeps the gate closed, and brings back what is fenced or in quarantine, until it is released.
struct HoldGate {
  std::string by;
  std::string reason;
};
struct ReleaseGate {
  std::string by;
};
// By one person; by another with the same instances it is confirmed and has effect.
struct OverrideGate {
  std::vector<InstanceName> instances;
  std::string reason;
  std::string by;
  Milliseconds lasts{};
  WallTime now;
};
using Command = std::variant<Approve, Pause, Resume, Retry, Abort, SetPace, HoldGate, ReleaseGate, OverrideGate>;

// The events the command leads to (none for a repeated approval, or a pace that it has), or conflict saying why it
// makes no sense now.
[[nodiscard]] Result<std::vector<Event>> command(const PlanState& state, const Command& command);

}  // namespace diastole::core
