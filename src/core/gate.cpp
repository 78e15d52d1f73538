#include "diastole/core/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "gate_reasons.hpp"
#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<GateState, 4> kGateStateNames{{{GateState::collecting, "collecting"},
                                               {GateState::held, "held"},
                                               {GateState::soaking, "soaking"},
                                               {GateState::open, "open"}}};
constexpr Names<GateStage, 7> kGateStageNames{{{GateStage::closed, "closed"},
                                               {GateStage::fencing, "fencing"},
                                               {GateStage::draining, "draining"},
                                               {GateStage::drained, "drained"},
                                               {GateStage::quarantining, "quarantining"},
                                               {GateStage::quarantined, "quarantined"},
                                               {GateStage::restoring, "restoring"}}};

// Which unmet conditions say that fence and drain rest on something untrue, and not merely that it is time to wait.
bool contradicts(ReasonKind kind) {
  return kind == ReasonKind::instance_old || kind == ReasonKind::version_unparsable ||
         kind == ReasonKind::sources_disagree || kind == ReasonKind::session_old ||
         kind == ReasonKind::session_unversioned || kind == ReasonKind::session_undeclared ||
         kind == ReasonKind::prepared_transaction || kind == ReasonKind::mass_silence || kind == ReasonKind::held;
}

bool closes_as_held(ReasonKind kind) {
  return kind == ReasonKind::mass_silence || kind == ReasonKind::held;
}

// What the database's sessions say of one version of a service.
struct VersionSessions {
  bool all_named = true;  // each says which instance it is of
  std::set<std::string> instances;
};
using SessionsByVersion = std::map<std::pair<ServiceName, std::string>, VersionSessions>;

SessionsByVersion sessions_by_version(const GateSpec& spec, const GateEvidence& evidence) {
  SessionsByVersion out;
  if (!evidence.sessions) return out;
  for (const auto& session : evidence.sessions->sessions) {
    const auto verdict = classify(session, spec, evidence.tools);
    if (!verdict.requirement) continue;
    auto& entry = out[{verdict.requirement->service, verdict.version}];
    if (verdict.instance.empty()) {
      entry.all_named = false;
    } else {
      entry.instances.insert(verdict.instance);
    }
  }
  return out;
}

bool fresh(const GateEvidence& evidence, Now now) {
  return evidence.sessions && now.mono - evidence.sessions->at < kScanValid;
}

// Goes through the evidence once and gathers what keeps the gate closed.
class Collection {
 public:
  Collection(const GateSpec& spec, const GateEvidence& evidence, Now now)
      : spec_(spec), evidence_(evidence), now_(now), sessions_(sessions_by_version(spec, evidence)) {}

  void run() {
    for (const auto& requirement : spec_.fleet) service(requirement);
    judge_sessions();
    if (evidence_.hold) reasons.push_back(held(*evidence_.hold));
  }

  std::vector<Reason> reasons;
  std::vector<ServiceVerdict> services;
  std::optional<MonoTime> last_violation;  // even if the condition holds again now
  std::uint64_t membership = 0;

 private:
  void violated_at(const std::optional<MonoTime>& at) {
    if (at && (!last_violation || *at > *last_violation)) last_violation = at;
  }

  void service(const FleetRequirement& requirement) {
    ServiceVerdict verdict;
    verdict.service = requirement.service;
    verdict.required = requirement.version.text();
    verdict.min_instances = requirement.min_instances;
    if (const auto* tally = evidence_.fleet.find(requirement.service)) {
      for (const auto& version : tally->versions) this->version(requirement, version, verdict);
      violated_at(tally->last_silence);
      membership = membership * 31 + tally->membership;
      if (tally->conflicts > 0) reasons.push_back(disagreement(requirement, *tally));
      const bool many =
          tally->fell_silent >= kMassSilenceLeast && tally->fell_silent * 100 >= tally->members * kMassSilencePercent;
      if (many) reasons.push_back(mass_silence(requirement, *tally));
    }
    if (verdict.on_new < verdict.min_instances) reasons.push_back(too_few(verdict));
    services.push_back(std::move(verdict));
  }

  void version(const FleetRequirement& requirement, const VersionTally& tally, ServiceVerdict& verdict) {
    const auto aside = set_aside(requirement.service, tally.version);
    const auto gone = proven_gone(requirement, tally, aside);
    verdict.overridden += aside.live + aside.silent;
    verdict.gone += gone;
    const auto silent = tally.silent - aside.silent - gone;
    verdict.unknown += silent;
    if (silent > 0) {
      add_members(reasons, ReasonKind::instance_unknown, requirement, tally, true, silent,
                  silence(tally.version, evidence_.fleet.suspect_after), kClearsSilence);
    }
    const auto live = tally.live - aside.live;
    // Discovery lists it, and it has never said what it runs.
    if (tally.version.empty()) {
      verdict.unknown += live;
      if (live > 0) {
        add_members(reasons, ReasonKind::instance_unknown, requirement, tally, false, live,
                    "is listed by discovery and has not said its version", kClearsSilence);
      }
      return;
    }
    switch (requirement.version.match(tally.version)) {
      case VersionMatch::satisfied: verdict.on_new += live; return;
      case VersionMatch::unsatisfied:
        verdict.on_old += live;
        violated_at(tally.last_report);
        if (live > 0) {
          add_members(reasons, ReasonKind::instance_old, requirement, tally, false, live,
                      fmt::format("runs {}, the plan requires {}", tally.version, requirement.version.text()),
                      fmt::format("deploy {} there", requirement.version.text()));
        }
        return;
      case VersionMatch::unparsable:
        verdict.unknown += live;
        violated_at(tally.last_report);
        if (live > 0) {
          add_members(reasons, ReasonKind::version_unparsable, requirement, tally, false, live,
                      fmt::format("reports '{}', which is no semantic version", tally.version),
                      "report versions like 2.3.0, or require build ids with one_of");
        }
        return;
    }
  }

  struct Aside {
    std::int64_t live = 0;
    std::int64_t silent = 0;
    std::int64_t long_silent = 0;
  };

  Aside set_aside(const ServiceName& service, const std::string& version) const {
    Aside out;
    for (const auto& member : evidence_.fleet.named) {
      if (member.name.service != service || member.version != version) continue;
      if (std::ranges::find(evidence_.set_aside, member.name) == evidence_.set_aside.end()) continue;
      (member.seen.silent ? out.silent : out.live) += 1;
      out.long_silent += member.long_silent;
    }
    return out;
  }

  // The database proves a member gone that has been silent for long, where a complete scan shows no session that may be
  // its own, and none of its version can begin that must not: its role has lost its login, or what would begin is new.
  std::int64_t proven_gone(const FleetRequirement& requirement, const VersionTally& tally, const Aside& aside) const {
    if (tally.long_silent == 0 || !fresh(evidence_, now_) || !evidence_.sessions->complete()) return 0;
    const bool tells_nothing = std::ranges::any_of(
        requirement.roles, [](const RoleMapping& mapping) { return mapping.tells == RoleMapping::Tells::nothing; });
    if (tells_nothing) return 0;
    if (requirement.version.match(tally.version) != VersionMatch::satisfied && !shut_out(requirement, tally.version)) {
      return 0;
    }
    auto provable = tally.long_silent - aside.long_silent;
    const auto found = sessions_.find({requirement.service, tally.version});
    if (found != sessions_.end()) {
      if (!found->second.all_named) return 0;
      for (const auto& member : evidence_.fleet.named) {
        const bool its_own = member.name.service == requirement.service && member.version == tally.version &&
                             member.long_silent && found->second.instances.contains(member.name.instance.str());
        if (its_own) --provable;
      }
    }
    return std::max<std::int64_t>(provable, 0);
  }

  // On every server, each role that stands for this version has no login.
  bool shut_out(const FleetRequirement& requirement, const std::string& version) const {
    bool mapped = false;
    for (const auto& mapping : requirement.roles) {
      if (mapping.tells != RoleMapping::Tells::version) return false;
      if (mapping.version != version) continue;
      mapped = true;
      for (const auto& server : evidence_.sessions->servers) {
        if (server.may_log_in(mapping.role)) return false;
      }
    }
    return mapped;
  }

  void judge_sessions() {
    if (!fresh(evidence_, now_)) {
      reasons.push_back(not_scanned());
      return;
    }
    for (const auto& server : evidence_.sessions->servers) {
      if (!server.failed.empty()) reasons.push_back(server_unseen(server));
    }
    std::ranges::copy(session_reasons(spec_, evidence_), std::back_inserter(reasons));
  }

  const GateSpec& spec_;
  const GateEvidence& evidence_;
  const Now now_;
  const SessionsByVersion sessions_;
};

// Two looks, at least this far apart, have to see the same members.
Milliseconds steady_for(const GateSpec& spec, const GateEvidence& evidence) {
  return std::min(spec.soak, evidence.fleet.suspect_after);
}

}  // namespace

std::string_view to_string(GateState state) {
  return name_of(kGateStateNames, state);
}
std::string_view to_string(GateStage stage) {
  return name_of(kGateStageNames, stage);
}
std::optional<GateStage> gate_stage_from(std::string_view text) {
  return value_of(kGateStageNames, text);
}

std::vector<InstanceName> names_wanted(const GateSpec& spec, const GateEvidence& evidence) {
  auto out = evidence.set_aside;
  if (evidence.sessions) {
    for (const auto& session : evidence.sessions->sessions) {
      const auto verdict = classify(session, spec, evidence.tools);
      if (verdict.requirement && !verdict.instance.empty())
        out.push_back({verdict.requirement->service, InstanceId(verdict.instance)});
    }
  }
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return out;
}

GateVerdict evaluate_gate(const GateSpec& spec, const GateEvidence& evidence, const GateMemory& memory, Now now) {
  Collection collected(spec, evidence, now);
  collected.run();
  GateVerdict verdict;
  verdict.reasons = std::move(collected.reasons);
  verdict.services = std::move(collected.services);
  std::ranges::copy_if(verdict.reasons, std::back_inserter(verdict.contradictions),
                       [](const Reason& reason) { return contradicts(reason.kind); });
  if (!evidence.backfill_complete) verdict.reasons.push_back(backfill_incomplete());
  // A record that was carried over a restart stands for the watching, where a soak that begins anew is as long.
  const bool carried = evidence.fleet.resumed && spec.soak >= evidence.fleet.suspect_after;
  const auto watched = now.mono - evidence.fleet.watching_since;
  if (watched < evidence.fleet.suspect_after && !carried)
    verdict.reasons.push_back(watching(watched, evidence.fleet.suspect_after));
  const bool same = memory.same_for && memory.membership == collected.membership;
  verdict.memory.membership = collected.membership;
  verdict.memory.same_for = same ? *memory.same_for : now.mono;
  if (!verdict.reasons.empty()) {
    if (std::ranges::any_of(verdict.reasons, [](const Reason& reason) { return closes_as_held(reason.kind); }))
      verdict.state = GateState::held;
    return verdict;
  }

  // Unbroken: anything bad seen at or after the soak's beginning, even between two evaluations, begins it anew.
  const bool broken =
      collected.last_violation && memory.soaking_since && *collected.last_violation >= *memory.soaking_since;
  verdict.memory.soaking_since = memory.soaking_since && !broken ? *memory.soaking_since : now.mono;
  const auto soaked = now.mono - *verdict.memory.soaking_since;
  const auto same_for = now.mono - *verdict.memory.same_for;
  if (soaked < spec.soak) {
    verdict.reasons.push_back(soaking(soaked, spec.soak));
  } else if (same_for < steady_for(spec, evidence)) {
    verdict.reasons.push_back(membership_changing(same_for, steady_for(spec, evidence)));
  }
  verdict.state = verdict.reasons.empty() ? GateState::open : GateState::soaking;
  return verdict;
}

DrainLook look_at_drain(const GateSpec& spec, const SessionScan& scan, const std::vector<Tool>& tools) {
  DrainLook out;
  for (const auto& server : scan.servers) {
    if (!server.failed.empty()) out.obstacles.push_back(server_unseen(server));
    for (const auto& role : roles_below(spec.fleet)) {
      if (server.may_log_in(role)) out.obstacles.push_back(role_can_login(server.server, role));
    }
  }
  if (scan.servers.empty()) out.obstacles.push_back(not_scanned());
  for (const auto& session : scan.sessions) {
    const auto verdict = classify(session, spec, tools);
    if (verdict.is == SessionClass::old || verdict.is == SessionClass::unversioned) out.below.push_back(session);
  }
  return out;
}

}  // namespace diastole::core
