// The version gate, first form: from what the fleet reports, may contract begin? Pure: fleet view in, verdict out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/fleet.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/reason.hpp"

namespace diastole::core {

//   collecting ──(every condition holds)──▶ soaking ──(unbroken for the whole soak)──▶ open
//        ▲                                     │                                        │
//        └────────────(any condition fails, or failed since the soak began)─────────────┘
enum class GateState { collecting, soaking, open };
[[nodiscard]] std::string_view to_string(GateState state);

struct ServiceVerdict {
  ServiceName service;
  std::string required;
  std::int64_t min_instances = 0;
  std::int64_t on_new = 0;
  std::int64_t on_old = 0;
  std::int64_t unknown = 0;
};

struct GateVerdict {
  GateState state = GateState::collecting;
  std::vector<Reason> reasons;  // every unmet condition; empty only when open
  std::vector<ServiceVerdict> services;
  std::optional<MonoTime> soaking_since;  // to be passed to the next evaluation

  [[nodiscard]] bool open() const { return state == GateState::open; }
};

// `soaking_since` is what the previous verdict of this process said; a restart passes nothing and so begins the soak
// anew. An instance counts for every requirement of its service. Monotone: more old or unknown evidence, or less new
// evidence, never opens a closed gate (invariant S5).
[[nodiscard]] GateVerdict evaluate_gate(const GateSpec& spec, const FleetView& fleet, bool backfill_complete,
                                        std::optional<MonoTime> soaking_since, Now now);

}  // namespace diastole::core
