#include "diastole/core/gate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<GateState, 3> kGateStateNames{
    {{GateState::collecting, "collecting"}, {GateState::soaking, "soaking"}, {GateState::open, "open"}}};

std::string plural(std::int64_t count) {
  return count == 1 ? "1 instance" : fmt::format("{} instances", count);
}

// One reason an example instance, the last of them carrying how many more are meant, so that a list stays readable at
// any size.
void add_instances(std::vector<Reason>& reasons, ReasonKind kind, const FleetRequirement& requirement,
                   const VersionTally& tally, bool silent, std::int64_t count, std::string_view what,
                   std::string_view clears) {
  std::int64_t named = 0;
  const auto base = [&] {
    Reason reason;
    reason.kind = kind;
    reason.service = requirement.service.str();
    reason.version = tally.version;
    reason.source = "heartbeat";
    reason.clears = clears;
    return reason;
  };
  for (const auto& sighting : tally.examples) {
    if (sighting.silent != silent || named == count) continue;
    auto reason = base();
    reason.instance = sighting.instance.str();
    reason.since = sighting.last_seen;
    reason.count = 1;
    reason.message = fmt::format("{} {} {}", requirement.service.str(), sighting.instance.str(), what);
    reasons.push_back(std::move(reason));
    ++named;
  }
  if (named < count) {
    auto reason = base();
    reason.count = count - named;
    reason.message = fmt::format("{} of {}: each {}", plural(count - named), requirement.service.str(), what);
    reasons.push_back(std::move(reason));
  }
}

struct Collected {
  std::vector<Reason> reasons;
  std::vector<ServiceVerdict> services;
  std::optional<MonoTime> last_violation;  // even if the condition holds again now
};

void violated_at(Collected& out, const std::optional<MonoTime>& at) {
  if (at && (!out.last_violation || *at > *out.last_violation)) out.last_violation = at;
}

void collect_version(const FleetRequirement& requirement, const VersionTally& tally, Milliseconds suspect_after,
                     ServiceVerdict& verdict, Collected& out) {
  const auto match = requirement.version.match(tally.version);
  verdict.unknown += tally.silent;
  if (tally.silent > 0) {
    add_instances(
        out.reasons, ReasonKind::instance_unknown, requirement, tally, true, tally.silent,
        fmt::format("is silent for more than {}, last with version {}", format_duration(suspect_after), tally.version),
        "a heartbeat from it; or its sign-off; or DELETE /v1/services/{service}/instances/{instance} with a reason, if "
        "it is gone for good");
  }
  switch (match) {
    case VersionMatch::satisfied: verdict.on_new += tally.live; return;
    case VersionMatch::unsatisfied:
      verdict.on_old += tally.live;
      violated_at(out, tally.last_report);
      if (tally.live > 0) {
        add_instances(out.reasons, ReasonKind::instance_old, requirement, tally, false, tally.live,
                      fmt::format("runs {}, the plan requires {}", tally.version, requirement.version.text()),
                      fmt::format("deploy {} there", requirement.version.text()));
      }
      return;
    case VersionMatch::unparsable:
      verdict.unknown += tally.live;
      violated_at(out, tally.last_report);
      if (tally.live > 0) {
        add_instances(out.reasons, ReasonKind::version_unparsable, requirement, tally, false, tally.live,
                      fmt::format("reports '{}', which is no semantic version", tally.version),
                      "report versions like 2.3.0, or require build ids with one_of");
      }
      return;
  }
}

Collected collect(const GateSpec& spec, const FleetView& fleet) {
  Collected out;
  for (const auto& requirement : spec.fleet) {
    ServiceVerdict verdict;
    verdict.service = requirement.service;
    verdict.required = requirement.version.text();
    verdict.min_instances = requirement.min_instances;
    if (const auto* service = fleet.find(requirement.service)) {
      for (const auto& tally : service->versions)
        collect_version(requirement, tally, fleet.suspect_after, verdict, out);
      violated_at(out, service->last_silence);
    }
    if (verdict.on_new < verdict.min_instances) {
      Reason reason;
      reason.kind = ReasonKind::too_few_instances;
      reason.service = requirement.service.str();
      reason.version = verdict.required;
      reason.source = "heartbeat";
      reason.count = verdict.min_instances - verdict.on_new;
      reason.message = fmt::format("{} of {} needed instances of {} run {}", verdict.on_new, verdict.min_instances,
                                   requirement.service.str(), verdict.required);
      reason.clears = fmt::format("{} more reporting {}", plural(reason.count), verdict.required);
      out.reasons.push_back(std::move(reason));
    }
    out.services.push_back(std::move(verdict));
  }
  return out;
}

}  // namespace

std::string_view to_string(GateState state) {
  return name_of(kGateStateNames, state);
}

GateVerdict evaluate_gate(const GateSpec& spec, const FleetView& fleet, bool backfill_complete,
                          std::optional<MonoTime> soaking_since, Now now) {
  auto collected = collect(spec, fleet);
  GateVerdict verdict;
  verdict.reasons = std::move(collected.reasons);
  verdict.services = std::move(collected.services);
  if (!backfill_complete) {
    Reason reason;
    reason.kind = ReasonKind::backfill_incomplete;
    reason.object = "backfill";
    reason.message = "expand and backfill are not finished";
    reason.clears = "finishing them";
    verdict.reasons.push_back(std::move(reason));
  }
  if (const auto watched = now.mono - fleet.watching_since; watched < fleet.suspect_after) {
    Reason reason;
    reason.kind = ReasonKind::watching;
    reason.age = watched;
    reason.message =
        fmt::format("the daemon has not watched the fleet for {} yet", format_duration(fleet.suspect_after));
    reason.clears = "time: an instance that reports less often than that cannot be missed then";
    verdict.reasons.push_back(std::move(reason));
  }
  if (!verdict.reasons.empty()) return verdict;

  // Unbroken: anything bad seen at or after the soak's beginning, even between two evaluations, begins it anew.
  const bool broken = collected.last_violation && soaking_since && *collected.last_violation >= *soaking_since;
  verdict.soaking_since = soaking_since && !broken ? *soaking_since : now.mono;
  const auto soaked = now.mono - *verdict.soaking_since;
  if (soaked >= spec.soak) {
    verdict.state = GateState::open;
    return verdict;
  }
  verdict.state = GateState::soaking;
  Reason reason;
  reason.kind = ReasonKind::soaking;
  reason.age = soaked;
  reason.message = fmt::format("every condition holds, and has to hold for {}", format_duration(spec.soak));
  reason.clears = "time, if nothing old, unknown or silent shows up";
  verdict.reasons.push_back(std::move(reason));
  return verdict;
}

}  // namespace diastole::core
