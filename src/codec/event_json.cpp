// Events and states, for the log and the projection.
#include "diastole/codec/plan_codec.hpp"
#include "values.hpp"

namespace diastole::codec {
namespace {

using namespace core;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

StepId step_id(const json& in) {
  return StepId(in.at("step").get<std::string>());
}
std::string by(const json& in) {
  return in.at("by").get<std::string>();
}
Applied applied(const json& in) {
  return required(applied_from(in.at("applied").get_ref<const std::string&>()), in.at("applied"));
}

Event event_from(std::string_view kind, const json& in) {
  using Reader = Event (*)(const json&);
  static const std::map<std::string_view, Reader> kReaders{
      {"plan_submitted", [](const json& j) -> Event { return PlanSubmitted{plan_from(j.at("plan")), by(j)}; }},
      {"phase_approved",
       [](const json& j) -> Event { return PhaseApproved{phase_of(j), by(j), take<std::string>(j, "note")}; }},
      {"phase_started", [](const json& j) -> Event { return PhaseStarted{phase_of(j), take<bool>(j, "gate_open")}; }},
      {"phase_finished", [](const json& j) -> Event { return PhaseFinished{phase_of(j)}; }},
      {"step_started", [](const json& j) -> Event { return StepStarted{step_id(j), j.at("attempt").get<int>()}; }},
      {"step_progressed",
       [](const json& j) -> Event { return StepProgressed{step_id(j), progress_from(j.at("progress"))}; }},
      {"lock_waited",
       [](const json& j) -> Event {
         return LockWaited{step_id(j), j.at("attempt").get<int>(), take_ms(j, "retry_in_ms"), blockers_from(j)};
       }},
      {"step_finished",
       [](const json& j) -> Event {
         return StepFinished{step_id(j), take<std::int64_t>(j, "rows"), take_ms(j, "duration_ms"),
                             take<std::string>(j, "note")};
       }},
      {"step_failed",
       [](const json& j) -> Event { return StepFailed{step_id(j), applied(j), failure_from(j.at("failure"))}; }},
      {"step_interrupted",
       [](const json& j) -> Event { return StepInterrupted{step_id(j), applied(j), take<std::string>(j, "why")}; }},
      {"plan_paused", [](const json& j) -> Event { return PlanPaused{by(j)}; }},
      {"backfill_begun",
       [](const json& j) -> Event {
         return BackfillBegun{step_id(j), walk_from(j.at("walk")), take<std::int64_t>(j, "rows_total")};
       }},
      {"backfill_paced",
       [](const json& j) -> Event { return BackfillPaced{step_id(j), pace_from(j.at("pace")), by(j)}; }},
      {"plan_resumed", [](const json& j) -> Event { return PlanResumed{by(j)}; }},
      {"retry_requested", [](const json& j) -> Event { return RetryRequested{by(j)}; }},
      {"abort_requested", [](const json& j) -> Event { return AbortRequested{by(j), take<std::string>(j, "reason")}; }},
      {"undo_started", [](const json& j) -> Event { return UndoStarted{step_id(j)}; }},
      {"undo_finished", [](const json& j) -> Event { return UndoFinished{step_id(j), take<std::string>(j, "note")}; }},
      {"undo_failed", [](const json& j) -> Event { return UndoFailed{step_id(j), failure_from(j.at("failure"))}; }},
      {"undo_interrupted",
       [](const json& j) -> Event { return UndoInterrupted{step_id(j), take<std::string>(j, "why")}; }},
      {"plan_aborted", [](const json&) -> Event { return PlanAborted{}; }},
      {"plan_waits", [](const json& j) -> Event { return PlanWaits{list_from<Reason>(j, "reasons", reason_from)}; }},
  };
  if (auto event = gate_event_from(kind, in)) return *std::move(event);
  const auto reader = kReaders.find(kind);
  if (reader == kReaders.end()) throw BadValue("unknown kind " + std::string(kind));
  return reader->second(in);
}

json step_state_to(const StepState& step) {
  json out{{"status", to_string(step.status)}, {"applied", to_string(step.applied)}, {"attempts", step.attempts}};
  if (step.progress != Progress{}) out["progress"] = progress_to(step.progress);
  if (step.walk) out["walk"] = walk_to_json(*step.walk);
  if (step.pace != Pace{}) out["pace"] = pace_to_json(step.pace);
  put(out, "paced_by", step.paced_by);
  put(out, "duration_ms", step.duration);
  put(out, "note", step.note);
  if (step.failure) out["failure"] = failure_to(*step.failure);
  if (step.started) out["started_at"] = to_rfc3339(*step.started);
  if (step.finished) out["finished_at"] = to_rfc3339(*step.finished);
  return out;
}

StepState step_state_from(const json& in) {
  StepState step;
  step.status = required(step_status_from(in.at("status").get_ref<const std::string&>()), in.at("status"));
  step.applied = applied(in);
  step.attempts = in.at("attempts").get<int>();
  if (in.contains("progress")) step.progress = progress_from(in["progress"]);
  if (in.contains("walk")) step.walk = walk_from(in["walk"]);
  if (in.contains("pace")) step.pace = pace_from(in["pace"]);
  step.paced_by = take<std::string>(in, "paced_by");
  step.duration = take_ms(in, "duration_ms");
  step.note = take<std::string>(in, "note");
  if (in.contains("failure")) step.failure = failure_from(in["failure"]);
  step.started = take_time(in, "started_at");
  step.finished = take_time(in, "finished_at");
  return step;
}

json approval_to(const Approval& approval) {
  json out{{"phase", to_string(approval.phase)}, {"by", approval.by}, {"at", to_rfc3339(approval.at)}};
  put(out, "note", approval.note);
  return out;
}

Approval approval_from(const json& in) {
  return {phase_of(in), by(in), take<std::string>(in, "note"), take_time(in, "at").value_or(WallTime{})};
}

PlanState state_from(const json& in) {
  PlanState state;
  state.plan = plan_from(in.at("plan"));
  state.seq = in.at("seq").get<std::int64_t>();
  state.stage = required(stage_from(in.at("stage").get_ref<const std::string&>()), in.at("stage"));
  state.condition = required(condition_from(in.at("condition").get_ref<const std::string&>()), in.at("condition"));
  state.steps = list_from<StepState>(in, "steps", step_state_from);
  if (state.steps.size() != state.plan.steps.size()) throw BadValue("steps and plan differ in length");
  state.approvals = list_from<Approval>(in, "approvals", approval_from);
  state.waiting = list_from<Reason>(in, "waiting", reason_from);
  state.submitted_by = take<std::string>(in, "submitted_by");
  state.submitted_at = take_time(in, "submitted_at").value_or(WallTime{});
  state.changed_at = take_time(in, "changed_at").value_or(WallTime{});
  state.abort_reason = take<std::string>(in, "abort_reason");
  if (in.contains("gate")) state.gate = gate_progress_from(in["gate"]);
  return state;
}

}  // namespace

json event_to_json(const Event& event) {
  return std::visit(
      Overloaded{
          [](const PlanSubmitted& e) { return json{{"plan", plan_to_json(e.plan)}, {"by", e.by}}; },
          [](const PhaseApproved& e) {
            json out{{"phase", to_string(e.phase)}, {"by", e.by}};
            put(out, "note", e.note);
            return out;
          },
          [](const PhaseStarted& e) {
            json out{{"phase", to_string(e.phase)}};
            if (e.phase == Phase::contract) out["gate_open"] = e.gate_open;
            return out;
          },
          [](const PhaseFinished& e) { return json{{"phase", to_string(e.phase)}}; },
          [](const StepStarted& e) { return json{{"step", e.step.str()}, {"attempt", e.attempt}}; },
          [](const StepProgressed& e) { return json{{"step", e.step.str()}, {"progress", progress_to(e.progress)}}; },
          [](const LockWaited& e) {
            return json{{"step", e.step.str()},
                        {"attempt", e.attempt},
                        {"retry_in_ms", e.retry_in.count()},
                        {"blockers", blockers_to(e.blockers)}};
          },
          [](const StepFinished& e) {
            json out{{"step", e.step.str()}, {"rows", e.rows}, {"duration_ms", e.duration.count()}};
            put(out, "note", e.note);
            return out;
          },
          [](const StepFailed& e) {
            return json{{"step", e.step.str()}, {"applied", to_string(e.applied)}, {"failure", failure_to(e.failure)}};
          },
          [](const StepInterrupted& e) {
            return json{{"step", e.step.str()}, {"applied", to_string(e.applied)}, {"why", e.why}};
          },
          [](const PlanPaused& e) { return json{{"by", e.by}}; },
          [](const PlanResumed& e) { return json{{"by", e.by}}; },
          [](const RetryRequested& e) { return json{{"by", e.by}}; },
          [](const AbortRequested& e) {
            json out{{"by", e.by}};
            put(out, "reason", e.reason);
            return out;
          },
          [](const UndoStarted& e) { return json{{"step", e.step.str()}}; },
          [](const UndoFinished& e) {
            json out{{"step", e.step.str()}};
            put(out, "note", e.note);
            return out;
          },
          [](const UndoFailed& e) { return json{{"step", e.step.str()}, {"failure", failure_to(e.failure)}}; },
          [](const UndoInterrupted& e) { return json{{"step", e.step.str()}, {"why", e.why}}; },
          [](const PlanAborted&) { return json::object(); },
          [](const BackfillBegun& e) {
            return json{{"step", e.step.str()}, {"walk", walk_to_json(e.walk)}, {"rows_total", e.rows_total}};
          },
          [](const BackfillPaced& e) {
            return json{{"step", e.step.str()}, {"pace", pace_to_json(e.pace)}, {"by", e.by}};
          },
          [](const PlanWaits& e) { return json{{"reasons", list_to(e.reasons, reason_to_json)}}; },
          [&](const auto&) { return gate_event_to(event); },
      },
      event);
}

Result<Event> event_from_json(std::string_view kind, const json& in) {
  return reading("event", [&] { return event_from(kind, in); });
}

json state_to_json(const PlanState& state) {
  json out{{"plan", plan_to_json(state.plan)},
           {"seq", state.seq},
           {"stage", to_string(state.stage)},
           {"condition", to_string(state.condition)},
           {"steps", list_to(state.steps, step_state_to)},
           {"approvals", list_to(state.approvals, approval_to)},
           {"waiting", list_to(state.waiting, reason_to_json)},
           {"submitted_by", state.submitted_by},
           {"submitted_at", to_rfc3339(state.submitted_at)},
           {"changed_at", to_rfc3339(state.changed_at)}};
  put(out, "abort_reason", state.abort_reason);
  if (state.gate != GateProgress{}) out["gate"] = gate_progress_to_json(state.gate);
  return out;
}

Result<PlanState> state_from_json(const json& in) {
  return reading("state", [&] { return state_from(in); });
}

}  // namespace diastole::codec
