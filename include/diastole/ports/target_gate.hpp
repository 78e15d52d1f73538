// What the gate asks of a target: who is connected, keeping old code out, and quarantine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/reason.hpp"
#include "diastole/core/sessions.hpp"
#include "diastole/core/statements.hpp"

namespace diastole::ports {

struct SessionRequest {
  PlanId plan;                     // whose quarantine's age is asked for
  std::vector<std::string> roles;  // whose right to log in is asked for, on each server
};

// A plan's fence on its target, and what it puts into quarantine.
struct GateWork {
  PlanId plan;
  std::int64_t gate_epoch = 0;
  Epoch epoch;
  std::vector<std::string> roles;  // lose their login
  std::vector<core::Doomed> doomed;
  Milliseconds lock_timeout{};
  Milliseconds statement_timeout{};
};

// Before a transaction of contract commits, while it holds its locks: the gate's epoch on the target, and a fresh scan
// of every server, which `judge` finds reasons against or none.
struct LastLook {
  std::int64_t gate_epoch = 0;
  SessionRequest request;
  std::function<std::vector<core::Reason>(const core::SessionScan&)> judge;
};

}  // namespace diastole::ports
