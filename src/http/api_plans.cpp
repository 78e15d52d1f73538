// Calls about plans.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "api_calls.hpp"
#include "api_views.hpp"
#include "diastole/core/command.hpp"
#include "diastole/engine/submission.hpp"
#include "problem.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

constexpr int kEventsAPage = 500;
constexpr Milliseconds kLongestWait{600'000};

std::string etag(const core::Plan& plan) {
  return '"' + plan.hash + '"';
}

Response plan_response(int status, const core::PlanState& state) {
  auto response = json_response(status, plan_view(state));
  response.headers.emplace_back("ETag", etag(state.plan));
  return response;
}

Response submitted_response(int status, const core::PlanState& state) {
  auto response = plan_response(status, state);
  response.headers.emplace_back("Location", "/v1/plans/" + state.plan.id.str());
  return response;
}

// Whether the analysis knew the target's tables, or why it did not.
std::string catalog_text(const std::string& missing) {
  return missing.empty() ? "read" : missing;
}

Response refusal_response(const engine::Refusal& refusal) {
  json errors = json::array();
  for (const auto& error : refusal.errors) errors.push_back({{"path", error.path}, {"detail", error.message}});
  json findings = json::array();
  std::size_t refusing = 0;
  for (const auto& finding : refusal.findings) {
    findings.push_back(codec::finding_to_json(finding));
    if (finding.severity == core::Severity::error && finding.allowed_because.empty()) ++refusing;
  }
  const auto detail =
      !refusal.errors.empty()
          ? (refusal.errors.front().path.empty() ? "" : refusal.errors.front().path + ": ") +
                refusal.errors.front().message
          : fmt::format("{} finding{} of the analyser refuse{} the plan; each has its safe form beside it", refusing,
                        refusing == 1 ? "" : "s", refusing == 1 ? "s" : "");
  return problem(422, "Plan refused", detail,
                 {{"errors", std::move(errors)},
                  {"findings", std::move(findings)},
                  {"catalog", catalog_text(refusal.catalog_missing)}});
}

// How far a plan has come, for until=; an aborted one has passed nothing.
bool reached(const core::PlanState& state, core::Stage until) {
  if (core::terminal(state.stage) || state.condition == core::Condition::failed) return true;
  return state.stage != core::Stage::aborting && state.stage >= until;
}

std::optional<Error> unknown_key(const json& body, std::initializer_list<std::string_view> known) {
  if (!body.is_object()) return std::nullopt;
  for (const auto& [key, unused] : body.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    return Error{ErrorCode::invalid_argument, fmt::format("unknown key; known: {}", fmt::join(known, ", ")), "/" + key};
  }
  return std::nullopt;
}

// The backfill that a call names, or the plan's only one.
Result<StepId> backfill_meant(const core::Plan& plan, const std::optional<StepId>& named) {
  std::vector<std::string> backfills;
  for (const auto& step : plan.steps) {
    if (!step.backfill) continue;
    if (step.id == named) return step.id;
    backfills.push_back(step.id.str());
  }
  if (backfills.size() == 1 && !named) return StepId(backfills.front());
  return fail(ErrorCode::invalid_argument,
              backfills.empty() ? "the plan has no backfill"
                                : fmt::format("name one of its backfills: {}", fmt::join(backfills, ", ")),
              "/step");
}

std::string sse_block(const ports::StoredEvent& event) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id, core::kind(event.event), event_view(event).dump());
}

}  // namespace

Answer ApiCalls::submit(const Call& call) {
  auto document = json_body(call.request, settings_.plan_bytes);
  if (!document) return std::move(document.error());
  // Submitted before: accepted, whatever its own steps have made of the target since.
  if (const auto read = codec::plan_from_document(*document, settings_.plan_defaults)) {
    const auto present = parts_.journal.get(read->id);
    if (present && (*present)->plan.hash == read->hash) return submitted_response(200, **present);
  }
  const auto examined = engine::examine(*document, settings_.plan_defaults, parts_.targets, settings_.analysis);
  if (!examined) return refusal_response(examined.error());
  const auto submitted = parts_.journal.submit(examined->plan, call.principal.name);
  if (!submitted) return problem(submitted.error());
  return submitted_response(submitted->created ? 201 : 200, *submitted->state);
}

Answer ApiCalls::check(const Call& call) {
  auto document = json_body(call.request, settings_.plan_bytes);
  if (!document) return std::move(document.error());
  const auto examined = engine::examine(*document, settings_.plan_defaults, parts_.targets, settings_.analysis);
  if (!examined) return refusal_response(examined.error());
  const auto& plan = examined->plan;
  json steps = json::array();
  json findings = json::array();
  for (const auto& step : plan.steps) {
    auto view = step_view(step);
    for (const auto& finding : view["findings"]) findings.push_back(finding);
    steps.push_back(std::move(view));
  }
  return json_response(200, {{"id", plan.id.str()},
                             {"hash", plan.hash},
                             {"catalog", catalog_text(examined->catalog_missing)},
                             {"steps", std::move(steps)},
                             {"findings", std::move(findings)}});
}

Answer ApiCalls::list_plans(const Call&) {
  const auto plans = parts_.journal.list();
  if (!plans) return problem(plans.error());
  json out = json::array();
  for (const auto& plan : *plans) out.push_back(plan_row(*plan));
  return json_response(200, {{"plans", std::move(out)}});
}

Answer ApiCalls::get_plan(const Call& call) {
  const PlanId id(call.parameters.front());
  const auto state = parts_.journal.get(id);
  if (!state) return problem(state.error());
  const auto& query = call.request.query;
  if (!query.contains("wait") && !query.contains("until")) return plan_response(200, **state);

  auto until = core::Stage::completed;
  if (const auto given = query.find("until"); given != query.end()) {
    const auto stage = core::stage_from(given->second);
    if (!stage) {
      return problem(
          {ErrorCode::invalid_argument,
           fmt::format(
               "'{}' is no stage; wait until expanding, expanded, backfilling, backfilled, contracting or completed",
               given->second),
           "until"});
    }
    until = *stage;
  }
  const auto wait =
      query.contains("wait") ? parse_duration(query.at("wait")) : Result<Milliseconds>(Milliseconds{60'000});
  if (!wait) return problem({ErrorCode::invalid_argument, wait.error().message, "wait"});
  return LongPoll{.timeout = std::min(*wait, kLongestWait),
                  .attempt = [this, id, until](bool last) -> std::optional<Response> {
                    const auto now = parts_.journal.get(id);
                    if (!now) return problem(now.error());
                    if (!last && !reached(**now, until)) return std::nullopt;
                    return plan_response(200, **now);
                  }};
}

Answer ApiCalls::events(const Call& call) {
  std::optional<PlanId> plan;
  if (!call.parameters.empty()) {
    plan = PlanId(call.parameters.front());
    if (const auto state = parts_.journal.get(*plan); !state) return problem(state.error());
  }
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  auto after = number(call.request, "after", 0, 0, kMax);
  if (!after) return problem(after.error());
  const bool stream = call.request.header("accept").value_or("").find("text/event-stream") != std::string::npos;
  if (!stream) {
    const auto limit = number(call.request, "limit", kEventsAPage, 1, kEventsAPage);
    if (!limit) return problem(limit.error());
    const auto events = parts_.journal.events_after(plan, *after, static_cast<int>(*limit));
    if (!events) return problem(events.error());
    json out = json::array();
    for (const auto& event : *events) out.push_back(event_view(event));
    return json_response(200, {{"events", std::move(out)}, {"next", events->empty() ? *after : events->back().id}});
  }
  if (const auto last = call.request.header("last-event-id")) {
    const auto text = std::string_view(*last);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
      return problem(
          {ErrorCode::invalid_argument, "Last-Event-ID is not an id that this daemon has sent", "Last-Event-ID"});
    }
    after = value;
  }
  return EventFeed{.next = [this, plan, cursor = *after]() mutable {
    EventFeed::Chunk chunk;
    const auto events = parts_.journal.events_after(plan, cursor, kEventsAPage);
    if (!events) {
      // The client resumes from where it was once the database is back.
      chunk.end = true;
      return chunk;
    }
    for (const auto& event : *events) {
      chunk.text += sse_block(event);
      cursor = event.id;
    }
    chunk.more = events->size() == kEventsAPage;
    return chunk;
  }};
}

Answer ApiCalls::preview(const Call& call) {
  const PlanId id(call.parameters.front());
  const auto state = parts_.journal.get(id);
  if (!state) return problem(state.error());
  const auto& query = call.request.query;
  const auto wanted = query.contains("step") ? std::optional(query.at("step")) : std::nullopt;
  json previews = json::array();
  for (const auto& step : (*state)->plan.steps) {
    if (!step.backfill || (wanted && step.id.str() != *wanted)) continue;
    const auto preview = parts_.reconciler.preview((*state)->plan, step);
    if (!preview) return problem(preview.error());
    previews.push_back(preview_view(step.id, *preview));
  }
  if (wanted && previews.empty()) {
    return problem({ErrorCode::not_found, fmt::format("plan {} has no backfill '{}'", id.str(), *wanted), "step"});
  }
  return json_response(200, {{"previews", std::move(previews)}});
}

Answer ApiCalls::approve(const Call& call) {
  const PlanId id(call.parameters.front());
  auto body = json_body(call.request, settings_.plan_bytes);
  if (!body) return std::move(body.error());
  if (auto refused = unknown_key(*body, {"phase", "note"})) return problem(*refused);
  const auto text = [&](const char* key) {
    const auto found = body->is_object() ? body->find(key) : body->end();
    return body->is_object() && found != body->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto phase = core::phase_from(text("phase"));
  if (!phase) return problem({ErrorCode::invalid_argument, "expected expand, backfill or contract", "/phase"});
  const auto state = parts_.journal.get(id);
  if (!state) return problem(state.error());
  const auto match = call.request.header("if-match");
  if (!match) {
    return problem(428, "Precondition required", "an approval is bound to the plan: send its ETag in If-Match",
                   {{"hash", (*state)->plan.hash}});
  }
  if (*match != etag((*state)->plan)) {
    return problem(
        412, "Precondition failed",
        fmt::format("the plan's ETag is {}, not {}: look at it again before you approve", etag((*state)->plan), *match),
        {{"hash", (*state)->plan.hash}});
  }
  return command(id, core::Approve{*phase, call.principal.name, text("note"), settings_.approval_by_submitter});
}

Answer ApiCalls::pause(const Call& call) {
  return command(PlanId(call.parameters.front()), core::Pause{call.principal.name});
}
Answer ApiCalls::resume(const Call& call) {
  return command(PlanId(call.parameters.front()), core::Resume{call.principal.name});
}
Answer ApiCalls::retry(const Call& call) {
  return command(PlanId(call.parameters.front()), core::Retry{call.principal.name});
}

Answer ApiCalls::abort(const Call& call) {
  std::string reason;
  if (!call.request.body.empty()) {
    auto body = json_body(call.request, settings_.plan_bytes);
    if (!body) return std::move(body.error());
    if (auto refused = unknown_key(*body, {"reason"})) return problem(*refused);
    if (!body->is_object() || (body->contains("reason") && !(*body)["reason"].is_string())) {
      return problem({ErrorCode::invalid_argument, "expected {\"reason\": \"…\"}", "/reason"});
    }
    reason = body->value("reason", "");
  }
  return command(PlanId(call.parameters.front()), core::Abort{call.principal.name, reason});
}

Answer ApiCalls::pace(const Call& call) {
  auto body = json_body(call.request, settings_.plan_bytes);
  if (!body) return std::move(body.error());
  json patch = *std::move(body);
  std::optional<StepId> named;
  if (patch.is_object() && patch.contains("step")) {
    if (!patch["step"].is_string())
      return problem({ErrorCode::invalid_argument, "expected the id of a backfill", "/step"});
    named = StepId(patch["step"].get<std::string>());
    patch.erase("step");
  }
  return change(PlanId(call.parameters.front()),
                [&](const core::PlanState& present) -> Result<std::vector<core::Event>> {
                  const auto step = backfill_meant(present.plan, named);
                  if (!step) return std::unexpected(step.error());
                  const auto pace = codec::patched_pace(present.step(*step).pace, patch);
                  if (!pace) return std::unexpected(pace.error());
                  return core::command(present, core::SetPace{*step, *pace, call.principal.name});
                });
}

Answer ApiCalls::command(const PlanId& plan, const core::Command& wanted) {
  return change(plan, [&](const core::PlanState& present) { return core::command(present, wanted); });
}

Answer ApiCalls::change(const PlanId& plan, const engine::Journal::Change& wanted) {
  const auto state = parts_.journal.transact(plan, wanted);
  if (state) return plan_response(200, **state);
  if (state.error().code != ErrorCode::conflict) return problem(state.error());
  json extra = json::object();
  if (const auto present = parts_.journal.get(plan)) {
    extra = {
        {"hash", (*present)->plan.hash}, {"state", (*present)->state_text()}, {"stage", to_string((*present)->stage)}};
  }
  return problem(409, "Conflict", state.error().message, extra);
}

}  // namespace diastole::http
