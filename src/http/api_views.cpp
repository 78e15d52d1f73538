#include "api_views.hpp"

#include <algorithm>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/core/command.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

// What an operator can do next, so that nobody has to know the state machine by heart.
json ways_on(const core::PlanState& state) {
  json out = json::array();
  const auto possible = [&](const core::Command& command) { return core::command(state, command).has_value(); };
  for (const auto phase : core::kPhases) {
    if (state.approvals_given(phase) < state.plan.approvals_needed(phase) &&
        possible(core::Approve{phase, "", "", true})) {
      out.push_back("approve " + std::string(to_string(phase)));
    }
  }
  if (possible(core::Pause{})) out.push_back("pause");
  if (possible(core::Resume{})) out.push_back("resume");
  if (possible(core::Retry{})) out.push_back("retry");
  if (possible(core::Abort{})) out.push_back("abort");
  if (possible(core::HoldGate{})) out.push_back("hold");
  if (possible(core::ReleaseGate{})) out.push_back("release");
  return out;
}

json approvals_view(const core::PlanState& state) {
  json out = json::object();
  for (const auto phase : core::kPhases) {
    json given = json::array();
    for (const auto& approval : state.approvals) {
      if (approval.phase != phase) continue;
      given.push_back({{"by", approval.by}, {"at", to_rfc3339(approval.at)}, {"note", approval.note}});
    }
    out[std::string(to_string(phase))] = {{"needed", state.plan.approvals_needed(phase)}, {"given", std::move(given)}};
  }
  return out;
}

// What the fence and the last look prove, and what they do not.
std::string guarantee(const core::GateSpec& spec) {
  const auto fenced = [](const core::FleetRequirement& requirement) {
    return !requirement.roles.empty() && std::ranges::all_of(requirement.roles, [](const core::RoleMapping& mapping) {
      return mapping.tells == core::RoleMapping::Tells::version;
    });
  };
  if (std::ranges::all_of(spec.fleet, fenced))
    return "proof: every service logs in by roles that name its version; those of older versions lose their login "
           "before the last scan, so that no session of theirs is there or can begin when contract commits";
  return "evidence: not every service logs in by a role for each version, so that old code cannot be kept out by the "
         "database; no session of it was there at the scan inside the transaction that drops";
}

json sessions_view(const core::SessionScan& scan, Now now) {
  json servers = json::array();
  for (const auto& server : scan.servers) {
    json entry{{"server", server.server},
               {"sessions", std::ranges::count(scan.sessions, server.server, &core::Session::server)}};
    if (!server.failed.empty()) entry["failed"] = server.failed;
    servers.push_back(std::move(entry));
  }
  return {{"servers", std::move(servers)}, {"at", to_rfc3339(now.wall - (now.mono - scan.at))}};
}

constexpr std::size_t kAdviceShown = 20;

void put_advice(json& out, const core::StatementAdvice& advice) {
  out["advice"] = json::array();
  for (const auto& each : advice.statements) {
    if (out["advice"].size() == kAdviceShown) break;
    json entry{{"query", each.statement.query}, {"queryid", std::to_string(each.statement.query_id)},
               {"role", each.statement.role},   {"server", each.server},
               {"uses", each.use.uses},         {"sure", each.use.sure},
               {"calls", each.statement.calls}, {"first_seen", to_rfc3339(each.first_seen)}};
    entry["last_grew"] = each.last_grew ? json(to_rfc3339(*each.last_grew)) : json(nullptr);
    out["advice"].push_back(std::move(entry));
  }
  out["advice_at"] = to_rfc3339(advice.at);
  out["advice_more"] = advice.statements.size() - out["advice"].size();
  if (!advice.missing.empty()) out["advice_missing"] = advice.missing;
}

}  // namespace

json step_view(const core::Step& step) {
  json out{{"id", step.id.str()},
           {"phase", to_string(step.phase)},
           {"lock", to_string(step.lock())},
           {"transactional", step.transactional()},
           {"destructive", step.destructive()},
           {"findings", json::array()}};
  out["sql"] = json::array();
  out["statements"] = json::array();
  for (const auto& statement : step.statements) {
    out["sql"].push_back(statement.sql);
    out["statements"].push_back(codec::statement_to_json(statement));
  }
  out["undo"] = json::array();
  for (const auto& statement : step.undo) out["undo"].push_back(statement.sql);
  if (!step.no_undo.empty()) out["no_undo"] = step.no_undo;
  for (const auto& finding : step.findings) out["findings"].push_back(codec::finding_to_json(finding));
  if (step.backfill) {
    json set = json::object();
    for (const auto& [column, expression] : step.backfill->set) set[column] = expression;
    out["backfill"] = {{"table", step.backfill->table},
                       {"set", std::move(set)},
                       {"where", step.backfill->where},
                       {"verify", step.backfill->verify}};
    if (!step.backfill->sql.empty()) out["backfill"]["sql"] = step.backfill->sql;
    out["backfill"]["on_error"] = to_string(step.backfill->on_error);
    out["backfill"]["recheck"] = codec::recheck_to_json(step.backfill->recheck);
    if (step.backfill->walk) out["backfill"]["walk"] = codec::walk_to_json(*step.backfill->walk);
  }
  return out;
}

json plan_row(const core::PlanState& state) {
  return {{"id", state.plan.id.str()},
          {"plan", state.plan.name},
          {"target", state.plan.target.str()},
          {"summary", state.plan.summary},
          {"state", state.state_text()},
          {"stage", to_string(state.stage)},
          {"condition", to_string(state.condition)},
          {"hash", state.plan.hash},
          {"submitted_by", state.submitted_by},
          {"submitted_at", to_rfc3339(state.submitted_at)},
          {"changed_at", to_rfc3339(state.changed_at)}};
}

json plan_view(const core::PlanState& state) {
  json out = plan_row(state);
  const json stored = codec::state_to_json(state);
  out["seq"] = state.seq;
  out["approvals"] = approvals_view(state);
  out["steps"] = json::array();
  for (std::size_t i = 0; i < state.steps.size(); ++i) {
    auto step = step_view(state.plan.steps[i]);
    step.update(stored.at("steps").at(i));
    out["steps"].push_back(std::move(step));
  }
  out["waiting"] = stored.at("waiting");
  out["ways_on"] = ways_on(state);
  if (!state.abort_reason.empty()) out["abort_reason"] = state.abort_reason;
  if (stored.contains("gate")) out["gate"] = stored["gate"];
  return out;
}

json gate_view(const core::PlanState& state, const engine::Gates& gates, Now now) {
  json out = codec::gate_to_json(gates.contract, now);
  // Of a plan that is over nothing is asked any more; its fence stays.
  if (core::terminal(state.stage))
    out = {{"state", to_string(state.stage)}, {"reasons", json::array()}, {"services", json::array()}};
  out["progress"] = codec::gate_progress_to_json(state.gate);
  out["floors"] = json::array();
  for (const auto& floor : core::floors(state))
    out["floors"].push_back({{"service", floor.service.str()}, {"floor", floor.version.text()}});
  out["guarantee"] = guarantee(state.plan.gate);
  if (gates.sessions) out["sessions"] = sessions_view(*gates.sessions, now);
  if (gates.advice) put_advice(out, *gates.advice);
  out["needs"] = json::object();
  for (const auto& [step, verdict] : gates.needs) out["needs"][step.str()] = codec::gate_to_json(verdict, now);
  return out;
}

json preview_view(const StepId& step, const ports::BackfillPreview& preview) {
  json parts = json::array();
  std::int64_t rows = 0;
  for (const auto& part : preview.parts) {
    parts.push_back({{"relation", part.relation}, {"rows", part.rows}});
    rows += part.rows;
  }
  json out{{"step", step.str()},
           {"walk", codec::walk_to_json(preview.walk)},
           {"parts", std::move(parts)},
           {"estimate", {{"rows", rows}, {"time_ms", core::estimated_time(rows, preview.walk.workers).count()}}}};
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) out[key] = text;
  };
  put("window_sql", preview.window_sql);
  put("batch_sql", preview.batch_sql);
  put("explain", preview.explain);
  put("refused", preview.refused);
  return out;
}

json event_view(const ports::StoredEvent& event) {
  json out = codec::event_to_json(event.event);
  out["id"] = event.id;
  out["plan_id"] = event.plan.str();
  out["seq"] = event.seq;
  out["at"] = to_rfc3339(event.at);
  out["kind"] = core::kind(event.event);
  return out;
}

json services_view(const core::FleetView& fleet) {
  json out = json::array();
  for (const auto& service : fleet.services) {
    json versions = json::array();
    for (const auto& tally : service.versions) {
      if (tally.live + tally.silent == 0) continue;
      versions.push_back({{"version", tally.version}, {"live", tally.live}, {"silent", tally.silent}});
    }
    out.push_back({{"service", service.service.str()}, {"versions", std::move(versions)}});
  }
  return {{"services", std::move(out)}};
}

json instance_view(const engine::InstanceView& instance) {
  json out{{"instance", instance.instance.str()},
           {"version", instance.version},
           {"state", instance.silent ? "silent" : "live"},
           {"source", core::to_string(instance.source)},
           {"listed", instance.listed},
           {"last_seen", to_rfc3339(instance.last_seen)}};
  if (!instance.incarnation.empty()) out["incarnation"] = instance.incarnation;
  return out;
}

}  // namespace diastole::http
