// The version gate, first form: from what the fleet reports, may contract begin? Pure: fleet view in, verdict out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/reason.hpp"

namespace diastole::core {

// One instance, named as an example of its tally.
struct Sighting {
  InstanceId instance;
  WallTime last_seen;
  bool silent = false;
};

// All instances of a service that report one version.
struct VersionTally {
  std::string version;
  std::int64_t live = 0;
  std::int64_t silent = 0;              // not heard of for longer than the suspect time: unknown, never gone
  std::optional<MonoTime> last_report;  // the latest report of this version by anyone, since the daemon began
  std::vector<Sighting> examples;       // at most FleetView::kExamples, silent ones first
};

struct ServiceTally {
  ServiceName service;
  std::vector<VersionTally> versions;
  std::optional<MonoTime> last_silence;  // the latest moment at which an instance fell silent, even if it came back
};

struct FleetView {
  static constexpr std::size_t kExamples = 10;
  std::vector<ServiceTally> services;
  MonoTime watching_since;  // the daemon's evidence is complete only one suspect time after this
  Milliseconds suspect_after{};

  [[nodiscard]] const ServiceTally* find(const ServiceName& service) const;
};

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
