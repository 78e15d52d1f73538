// The version gate: from what is known of the fleet and of the database's sessions, may contract begin? Pure: evidence
// in, verdict out. Evidence decides when to try; a fence and a drain decide whether the destructive statement runs.
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
#include "diastole/core/sessions.hpp"

namespace diastole::core {

//   collecting ──(every condition holds)──▶ soaking ──(unbroken for the whole soak)──▶ open
//    ▲      ▲                                  │                                        │
//    │      └─────────(any condition fails, or failed since the soak began)─────────────┘
//    └──▶ held: an operator holds it, or so many fell silent at once that the network is more likely at fault
enum class GateState { collecting, held, soaking, open };
[[nodiscard]] std::string_view to_string(GateState state);

struct ServiceVerdict {
  ServiceName service;
  std::string required;
  std::int64_t min_instances = 0;
  std::int64_t on_new = 0;
  std::int64_t on_old = 0;
  std::int64_t unknown = 0;
  std::int64_t gone = 0;        // silent for long, and proven gone by the database
  std::int64_t overridden = 0;  // set aside by an override
};

// What a process remembers of a gate from one look to the next. A restart forgets it, and so begins the soak anew.
struct GateMemory {
  std::optional<MonoTime> soaking_since;
  std::uint64_t membership = 0;      // of the declared services, at the latest look
  std::optional<MonoTime> same_for;  // since when it has been that
};

// An operator keeps the gate closed.
struct GateHold {
  std::string by;
  std::string reason;
  WallTime at;
  friend bool operator==(const GateHold&, const GateHold&) = default;
};

// Two people set the instances named aside: they count as gone, until it expires or the gate falls back. It skips
// neither fence nor drain.
struct GateOverride {
  std::vector<InstanceName> instances;
  std::string reason;
  std::string by;
  std::string confirmed_by;     // empty: has no effect yet
  std::int64_t gate_epoch = 0;  // of the gate when it was asked for; with another it has no effect
  WallTime at;
  WallTime expires;
  friend bool operator==(const GateOverride&, const GateOverride&) = default;
};

struct GateEvidence {
  FleetView fleet;
  std::optional<SessionScan> sessions;  // the latest; none: not scanned yet
  std::vector<Tool> tools;
  bool backfill_complete = false;
  std::optional<GateHold> hold;
  std::vector<InstanceName> set_aside;  // by overrides that have effect now
};

struct GateVerdict {
  GateState state = GateState::collecting;
  std::vector<Reason> reasons;  // every unmet condition; empty only when open
  // Of them, those that contradict what fence and drain rely on: an old or unreadable member, sources that disagree, an
  // old or undeclared session, a hold, mass silence. From fencing up to the drop they undo quarantine and fence.
  std::vector<Reason> contradictions;
  std::vector<ServiceVerdict> services;
  GateMemory memory;  // to be passed to the next evaluation

  [[nodiscard]] bool open() const { return state == GateState::open; }
};

// How old a scan may be to count; what is older is as good as none.
inline constexpr Milliseconds kScanValid{30'000};
// The share of a service's members that, silent within one suspect time, is a mass silence; with fewer than
// kMassSilenceLeast it is not.
inline constexpr std::int64_t kMassSilencePercent = 15;
inline constexpr std::int64_t kMassSilenceLeast = 2;

// An instance counts for every requirement of its service. Monotone: more old or unknown evidence, or less new
// evidence, never opens a closed gate (invariant S5).
[[nodiscard]] GateVerdict evaluate_gate(const GateSpec& spec, const GateEvidence& evidence, const GateMemory& memory,
                                        Now now);

// The instances that an evaluation must be able to look up by name: ask the registry for them.
[[nodiscard]] std::vector<InstanceName> names_wanted(const GateSpec& spec, const GateEvidence& evidence);

// Under a fence: which sessions have to end, and what else keeps a scan from being clean. Clean: both are empty.
struct DrainLook {
  std::vector<Session> below;     // on a version below the floor, or on one that cannot be told
  std::vector<Reason> obstacles;  // a server not scanned, a role that can still log in there
  [[nodiscard]] bool clean() const { return below.empty() && obstacles.empty(); }
};
[[nodiscard]] DrainLook look_at_drain(const GateSpec& spec, const SessionScan& scan, const std::vector<Tool>& tools);

// How far a plan has come behind its gate; each is durable before the act that it names.
//
//   closed ─gate_fencing─▶ fencing ─fence_raised─▶ draining ─gate_drained─▶ drained ─quarantine_started─▶ quarantining
//      ▲                      │                       │                        │         quarantined ◀─quarantined─┘
//      └──fence_lowered── restoring ◀──(gate_fell_back: bad evidence, a hold; abort)───────────┴──────────────┘
enum class GateStage { closed, fencing, draining, drained, quarantining, quarantined, restoring };
inline constexpr GateStage kGateStages[] = {GateStage::closed,   GateStage::fencing,      GateStage::draining,
                                            GateStage::drained,  GateStage::quarantining, GateStage::quarantined,
                                            GateStage::restoring};
[[nodiscard]] std::string_view to_string(GateStage stage);
[[nodiscard]] std::optional<GateStage> gate_stage_from(std::string_view text);

struct GateProgress {
  GateStage stage = GateStage::closed;
  std::int64_t epoch = 1;  // grows each time the gate falls back: what was decided before has no effect after
  std::optional<WallTime> since;
  std::vector<std::string> fenced_roles;  // that have lost their login
  std::vector<std::string> quarantined;   // what was renamed, and to what
  std::vector<Reason> fell_back;          // why, the last time
  std::optional<GateHold> hold;
  std::vector<GateOverride> overrides;

  friend bool operator==(const GateProgress&, const GateProgress&) = default;
};

// The least that instances of a service must run from now on.
struct Floor {
  ServiceName service;
  VersionRequirement version;
  PlanId plan;
  friend bool operator==(const Floor&, const Floor&) = default;
};

}  // namespace diastole::core
