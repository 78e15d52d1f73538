// What the model covers, and the gate with one of its guards taken out beside the invariant that has to notice.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "model/gate_rules.hpp"
#include "model/gate_scopes.hpp"

namespace diastole::test::gate::mutant {

using namespace core;

struct Mutant {
  std::string name;
  const char* caught_by;
  Scope scope;
  Rules rules;
};

// evaluate_gate over evidence or a memory that has been tampered with.
template <typename Tamper>
Rules blind(Tamper tamper) {
  Rules rules;
  rules.evaluate = [tamper](GateSpec spec, GateEvidence evidence, GateMemory memory, Now now) {
    tamper(spec, evidence, memory);
    return evaluate_gate(spec, evidence, memory, now);
  };
  return rules;
}

template <typename Tamper>
Rules blind_to_tallies(Tamper tamper) {
  return blind([tamper](GateSpec&, GateEvidence& evidence, GateMemory&) {
    for (auto& service : evidence.fleet.services) tamper(service);
  });
}

template <typename Which>
Rules blind_to_sessions(Which which) {
  return blind([which](GateSpec& spec, GateEvidence& evidence, GateMemory&) {
    if (!evidence.sessions) return;
    std::erase_if(evidence.sessions->sessions,
                  [&](const Session& session) { return which(classify(session, spec, {}).is); });
  });
}

template <typename T>
Rules without(T Rules::* guard, T value = {}) {
  Rules rules;
  rules.*guard = std::move(value);
  return rules;
}

// set_aside over overrides that have been tampered with.
template <typename Tamper>
Rules overrides_as(Tamper tamper) {
  Rules rules;
  rules.set_aside = [tamper](PlanState state, WallTime now) {
    for (auto& known : state.gate.overrides) tamper(known, state);
    return set_aside(state, now);
  };
  return rules;
}

inline Rules contradictions_ignored() {
  Rules rules;
  rules.decide = [](const PlanState& state, Observation seen, Now now) {
    seen.gate.contradictions.clear();
    return decide(state, seen, now);
  };
  return rules;
}

inline Rules drain_removed() {
  Rules rules;
  rules.look_at_drain = [](const GateSpec&, const SessionScan&, const std::vector<Tool>&) { return DrainLook{}; };
  return rules;
}

inline Rules floor_lowered_after_contract() {
  Rules rules;
  rules.floors = [](const PlanState& state) {
    return state.stage == Stage::completed ? std::vector<Floor>{} : floors(state);
  };
  return rules;
}

inline std::vector<Mutant> all() {
  const auto old = [](SessionClass is) { return is == SessionClass::old; };
  const auto undeclared = [](SessionClass is) { return is == SessionClass::undeclared; };
  return {
      {"FenceRemoved", kS3, names(), without(&Rules::fences)},
      {"FenceAfterTheLastScan", kS3, names(), without(&Rules::fences_first)},
      {"DrainRemoved", kS3, names(), drain_removed()},
      {"LastLookRemoved", kS2, names(), without(&Rules::looks_last)},
      {"LastLookRemovedWhereRolesTell", kS1, daemons(), without(&Rules::looks_last)},
      {"LeaseEpochUnchecked", kS2, daemons(), without(&Rules::checks_lease)},
      {"LeaseEpochUncheckedAtAll", kS8, daemons(), without(&Rules::checks_lease)},
      {"GateEpochUnchecked", kS2, forgetful(), without(&Rules::checks_gate)},
      {"GateEpochUncheckedByFenceAndQuarantine", kUndone, daemons(), without(&Rules::checks_gate)},
      {"LoginsNotLookedAtLast", kS1, daemons(), without(&Rules::looks_at_logins)},
      {"LostFenceTriedForEver", kL1, forgetful(), without(&Rules::leads_back_when_lost)},
      {"LostQuarantineWaitedForForEver", kL1, daemons(), without(&Rules::leads_back_when_lost)},
      {"QuarantineNotUndone", kUndone, people(), without(&Rules::ends_quarantine)},
      {"RolesNotGivenBack", kUndone, people(), without(&Rules::gives_back_roles)},
      {"FloorLoweredAfterContract", kS3, names(), floor_lowered_after_contract()},
      {"MemoryKeptOverARestart", kS7, resumed(), without(&Rules::forgets_at_restart)},
      {"SoakKeptOverARestart", kSoaked, short_soak(), without(&Rules::forgets_at_restart)},
      {"EvidenceBeforeThePlanCounts", kS6, short_soak(), without(&Rules::counts_from_the_plan)},
      {"SoakNotReset", kSoaked, names(), blind_to_tallies([](ServiceTally& tally) { tally.last_silence.reset(); })},
      {"MembershipIgnored", kSoaked, names(), blind([](GateSpec&, GateEvidence& evidence, GateMemory& memory) {
         for (const auto& service : evidence.fleet.services) memory.membership = service.membership;
       })},
      {"MinimumIgnored", kS4, names(),
       blind([](GateSpec& spec, GateEvidence&, GateMemory&) { spec.fleet[0].min_instances = 0; })},
      {"UnknownIsNew", kS4, names(), blind_to_tallies([](ServiceTally& tally) {
         for (auto& version : tally.versions) version.live += std::exchange(version.silent, 0);
       })},
      {"SilentIsGone", kS4, mass(), blind_to_tallies([](ServiceTally& tally) {
         for (auto& version : tally.versions) version.silent = version.long_silent = 0;
       })},
      {"LongSilentIsGone", kS4, mass(), blind_to_tallies([](ServiceTally& tally) {
         for (auto& version : tally.versions) version.silent -= std::exchange(version.long_silent, 0);
       })},
      {"MassSilenceIgnored", kFallsBack, mass(), blind_to_tallies([](ServiceTally& tally) { tally.fell_silent = 0; })},
      {"OldSessionIgnored", kS2, names(), blind_to_sessions(old)},
      {"UndeclaredSessionIgnored", kS2, names(), blind_to_sessions(undeclared)},
      {"HoldIgnored", kFallsBack, people(),
       blind([](GateSpec&, GateEvidence& evidence, GateMemory&) { evidence.hold.reset(); })},
      {"ContradictionsIgnored", kFallsBack, names(), contradictions_ignored()},
      {"OverrideByOnePerson", kS4, overrides(),
       overrides_as([](GateOverride& known, const PlanState&) { known.confirmed_by = "nobody"; })},
      {"OverrideOfAnEarlierEpoch", kS4, overrides(),
       overrides_as([](GateOverride& known, const PlanState& state) { known.gate_epoch = state.gate.epoch; })},
      {"OverrideForEver", kS4, overrides(),
       overrides_as([](GateOverride& known, const PlanState&) { known.expires = WallTime::max(); })},
  };
}

}  // namespace diastole::test::gate::mutant
