// What happens to a plan at its gate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diastole/core/gate.hpp"
#include "diastole/core/reason.hpp"

namespace diastole::core {

// The intent of the fence: from here on the services' floors hold, for heartbeats and for admission.
struct GateFencing {
  bool gate_open = false;  // the verdict inside the recording transaction
  friend bool operator==(const GateFencing&, const GateFencing&) = default;
};
// The target knows of it, and these roles have no login any more.
struct FenceRaised {
  std::vector<std::string> roles;
  friend bool operator==(const FenceRaised&, const FenceRaised&) = default;
};
// No session below the floor is left on any server.
struct GateDrained {
  std::int64_t terminated = 0;
  friend bool operator==(const GateDrained&, const GateDrained&) = default;
};
struct QuarantineStarted {
  friend bool operator==(const QuarantineStarted&, const QuarantineStarted&) = default;
};
struct Quarantined {
  std::vector<std::string> names;  // what was renamed, and to what: "users.name → …"
  friend bool operator==(const Quarantined&, const Quarantined&) = default;
};
// Bad evidence, a hold, or a drain that took too long: quarantine and fence are to be undone.
struct GateFellBack {
  std::vector<Reason> reasons;
  friend bool operator==(const GateFellBack&, const GateFellBack&) = default;
};
// Everything has its old name again and every role its login; the floors of this plan hold no longer.
struct FenceLowered {
  friend bool operator==(const FenceLowered&, const FenceLowered&) = default;
};
struct GateHeld {
  std::string by;
  std::string reason;
  friend bool operator==(const GateHeld&, const GateHeld&) = default;
};
struct GateReleased {
  std::string by;
  friend bool operator==(const GateReleased&, const GateReleased&) = default;
};
struct OverrideAsked {
  std::vector<InstanceName> instances;
  std::string reason;
  std::string by;
  std::int64_t gate_epoch = 0;
  Milliseconds lasts{};
  friend bool operator==(const OverrideAsked&, const OverrideAsked&) = default;
};
// By somebody else; of the latest that waits for it.
struct OverrideConfirmed {
  std::string by;
  friend bool operator==(const OverrideConfirmed&, const OverrideConfirmed&) = default;
};

}  // namespace diastole::core
