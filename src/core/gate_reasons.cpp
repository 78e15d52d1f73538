#include "gate_reasons.hpp"

#include <fmt/format.h>

#include <map>
#include <tuple>
#include <utility>

namespace diastole::core {
namespace {

std::string plural(std::int64_t count, std::string_view what = "instance") {
  return count == 1 ? fmt::format("1 {}", what) : fmt::format("{} {}s", count, what);
}

Reason timed(ReasonKind kind, Milliseconds age, std::string message, std::string clears) {
  Reason reason;
  reason.kind = kind;
  reason.age = age;
  reason.message = std::move(message);
  reason.clears = std::move(clears);
  return reason;
}

struct Like {
  const Session* first = nullptr;
  std::int64_t count = 0;
};

std::string called(const Session& session, std::int64_t count) {
  if (!session.prepared.empty())
    return fmt::format("prepared transaction '{}' (role {})", session.prepared, session.role);
  return fmt::format("session {} (role {}, application_name '{}'{})", session.pid, session.role,
                     session.application_name,
                     count > 1 ? fmt::format(", and {} more like it", count - 1) : std::string());
}

Reason session_reason(ReasonKind kind, const Like& like, const SessionVerdict& verdict) {
  const auto& session = *like.first;
  Reason reason;
  reason.kind = kind;
  reason.source = session.server;
  reason.service = verdict.requirement ? verdict.requirement->service.str() : "";
  reason.version = verdict.version;
  reason.instance = verdict.instance;
  reason.object = session.role;
  reason.pid = session.pid;
  reason.count = like.count;
  reason.since = session.since;
  reason.message = fmt::format("{}: {}", session.server, called(session, like.count));
  return reason;
}

}  // namespace

std::string silence(const std::string& version, Milliseconds suspect_after) {
  return fmt::format("is silent for more than {}, last with version {}", format_duration(suspect_after),
                     version.empty() ? "unknown" : version);
}

void add_members(std::vector<Reason>& reasons, ReasonKind kind, const FleetRequirement& requirement,
                 const VersionTally& tally, bool silent, std::int64_t count, std::string_view what,
                 std::string_view clears) {
  std::int64_t named = 0;
  const auto base = [&] {
    Reason reason;
    reason.kind = kind;
    reason.service = requirement.service.str();
    reason.version = tally.version;
    reason.source = to_string(Source::heartbeat);
    reason.clears = clears;
    return reason;
  };
  for (const auto& sighting : tally.examples) {
    if (sighting.silent != silent || named == count) continue;
    auto reason = base();
    reason.instance = sighting.instance.str();
    reason.source = to_string(sighting.source);
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

Reason too_few(const ServiceVerdict& verdict) {
  Reason reason;
  reason.kind = ReasonKind::too_few_instances;
  reason.service = verdict.service.str();
  reason.version = verdict.required;
  reason.source = to_string(Source::heartbeat);
  reason.count = verdict.min_instances - verdict.on_new;
  reason.message = fmt::format("{} of {} needed instances of {} run {}", verdict.on_new, verdict.min_instances,
                               verdict.service.str(), verdict.required);
  reason.clears = fmt::format("{} more reporting {}", plural(reason.count), verdict.required);
  return reason;
}

Reason disagreement(const FleetRequirement& requirement, const ServiceTally& tally) {
  Reason reason;
  reason.kind = ReasonKind::sources_disagree;
  reason.service = requirement.service.str();
  reason.count = tally.conflicts;
  if (!tally.conflict_examples.empty()) reason.instance = tally.conflict_examples.front().instance.str();
  reason.message = fmt::format("{} of {} report one version and answer another when asked{}", plural(tally.conflicts),
                               reason.service, reason.instance.empty() ? "" : fmt::format(": {}", reason.instance));
  reason.clears =
      "that both agree: is another process reporting under its name, or another one answering at its address?";
  return reason;
}

Reason mass_silence(const FleetRequirement& requirement, const ServiceTally& tally) {
  Reason reason;
  reason.kind = ReasonKind::mass_silence;
  reason.service = requirement.service.str();
  reason.count = tally.fell_silent;
  reason.message = fmt::format(
      "{} of the {} instances of {} fell silent at about the same time: the network is more likely at fault "
      "than they are",
      tally.fell_silent, tally.members, reason.service);
  reason.clears = "their reports; what is silent for longer is judged one by one";
  return reason;
}

Reason held(const GateHold& hold) {
  Reason reason;
  reason.kind = ReasonKind::held;
  reason.source = hold.by;
  reason.since = hold.at;
  reason.message = fmt::format("{} holds the gate: {}", hold.by, hold.reason);
  reason.clears = "DELETE /v1/plans/{plan}/gate/hold, or diastole release PLAN";
  return reason;
}

Reason backfill_incomplete() {
  Reason reason;
  reason.kind = ReasonKind::backfill_incomplete;
  reason.object = "backfill";
  reason.message = "expand and backfill are not finished";
  reason.clears = "finishing them";
  return reason;
}

Reason watching(Milliseconds watched, Milliseconds suspect_after) {
  return timed(ReasonKind::watching, watched,
               fmt::format("the daemon has not watched the fleet for {} yet", format_duration(suspect_after)),
               "time: an instance that reports less often than that cannot be missed then");
}

Reason soaking(Milliseconds soaked, Milliseconds soak) {
  return timed(ReasonKind::soaking, soaked,
               fmt::format("every condition holds, and has to hold for {}", format_duration(soak)),
               "time, if nothing old, unknown or silent shows up");
}

Reason membership_changing(Milliseconds same, Milliseconds needed) {
  return timed(
      ReasonKind::membership_changing, same,
      fmt::format("instances come and go: two looks {} apart have not seen the same ones yet", format_duration(needed)),
      "time without an instance that starts or leaves");
}

Reason not_scanned() {
  Reason reason;
  reason.kind = ReasonKind::sessions_unseen;
  reason.message = "the database's sessions have not been looked at in the last half minute";
  reason.clears = "the target's answer; it is asked again by itself";
  return reason;
}

Reason server_unseen(const ServerScan& server) {
  Reason reason;
  reason.kind = ReasonKind::sessions_unseen;
  reason.source = server.server;
  reason.message = fmt::format("{}: {}", server.server, server.failed);
  reason.clears = "a scan of this server that sees everything";
  return reason;
}

Reason role_can_login(const std::string& server, const std::string& role) {
  Reason reason;
  reason.kind = ReasonKind::role_can_login;
  reason.source = server;
  reason.object = role;
  reason.message = fmt::format("{}: role {} can still log in", server, role);
  reason.clears = "the fence's ALTER ROLE … NOLOGIN reaching this server";
  return reason;
}

std::vector<Reason> session_reasons(const GateSpec& spec, const GateEvidence& evidence) {
  std::map<std::tuple<SessionClass, std::string, std::string, std::string>, std::pair<Like, SessionVerdict>> alike;
  for (const auto& session : evidence.sessions->sessions) {
    const auto verdict = classify(session, spec, evidence.tools);
    switch (verdict.is) {
      case SessionClass::current:
      case SessionClass::untold:
      case SessionClass::tool: continue;
      case SessionClass::old:
      case SessionClass::unversioned:
      case SessionClass::undeclared: break;
    }
    auto& [like, of] = alike[{verdict.is, session.server, session.role,
                              session.prepared.empty() ? session.application_name : "prepared " + session.prepared}];
    if (!like.first || session.since < like.first->since) like.first = &session;
    ++like.count;
    of = verdict;
  }
  std::vector<Reason> out;
  for (const auto& [key, entry] : alike) {
    const auto& [like, verdict] = entry;
    const bool prepared = !like.first->prepared.empty();
    if (verdict.is == SessionClass::old) {
      auto reason =
          session_reason(prepared ? ReasonKind::prepared_transaction : ReasonKind::session_old, like, verdict);
      reason.message += fmt::format(" is {} {}, the plan requires {}", reason.service, verdict.version,
                                    verdict.requirement->version.text());
      reason.clears = prepared ? "COMMIT PREPARED or ROLLBACK PREPARED" : "its end";
      out.push_back(std::move(reason));
    } else if (verdict.is == SessionClass::unversioned) {
      auto reason =
          session_reason(prepared ? ReasonKind::prepared_transaction : ReasonKind::session_unversioned, like, verdict);
      reason.message += fmt::format(" is of {}, and its version cannot be told", reason.service);
      reason.clears = prepared ? "COMMIT PREPARED or ROLLBACK PREPARED"
                               : fmt::format("application_name '{}@<version>', or its end", reason.service);
      out.push_back(std::move(reason));
    } else {
      auto reason =
          session_reason(prepared ? ReasonKind::prepared_transaction : ReasonKind::session_undeclared, like, verdict);
      reason.message += " is of no service that the plan declares";
      reason.clears = prepared
                          ? "COMMIT PREPARED or ROLLBACK PREPARED"
                          : "its end; or naming its service in the plan's fleet, or it under tools of the target in "
                            "the daemon's configuration";
      out.push_back(std::move(reason));
    }
  }
  return out;
}

}  // namespace diastole::core
