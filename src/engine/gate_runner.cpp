// The acts between an open gate and contract: fence, drain, quarantine, and their undoing. The intent of each is the
// plan's gate stage, durable by now; each can be done again, since the target knows what it has.
#include <fmt/format.h>

#include <algorithm>

#include "runner.hpp"

namespace diastole::engine {
namespace {

// Two looks in a row, at least this far apart, have to be clean.
constexpr Milliseconds kBetweenLooks{500};
constexpr int kCleanLooks = 2;

core::Reason budget_spent(const core::PlanState& state) {
  core::Reason reason;
  reason.kind = core::ReasonKind::drain_budget;
  reason.age = state.plan.gate.drain_budget;
  reason.message =
      fmt::format("sessions below the floor have not ended within {}", format_duration(state.plan.gate.drain_budget));
  reason.clears = state.plan.gate.terminate
                      ? "that whatever starts them stops; the gate opens again by itself"
                      : "their end, or gate: { terminate: true } in a plan; the gate opens again by itself";
  return reason;
}

std::vector<core::Reason> logins_back(const core::DrainLook& look) {
  std::vector<core::Reason> out;
  std::ranges::copy_if(look.obstacles, std::back_inserter(out),
                       [](const core::Reason& reason) { return reason.kind == core::ReasonKind::role_can_login; });
  return out;
}

core::Reason still_there(const core::Session& session) {
  core::Reason reason;
  reason.kind = core::ReasonKind::session_old;
  reason.source = session.server;
  reason.object = session.role;
  reason.pid = session.pid;
  reason.since = session.since;
  reason.message = fmt::format("{}: session {} of role {}, application_name '{}', is below the floor", session.server,
                               session.pid, session.role, session.application_name);
  reason.clears = "its end";
  return reason;
}

}  // namespace

// After a failover to a standby that had not seen the fence, or a restore: to be raised anew, from the beginning.
core::Reason fence_lost(const std::string& message) {
  core::Reason reason;
  reason.kind = core::ReasonKind::gate_restoring;
  reason.object = "gate";
  reason.message = "the target does not know of the fence any more";
  if (!message.empty()) reason.message += ": " + message;
  reason.clears = "it is raised anew by itself, once the gate opens";
  return reason;
}

const std::vector<core::Tool>& Runner::tools(const TargetName& target) const {
  static const std::vector<core::Tool> kNone;
  const auto found = settings_.tools.find(target);
  return found == settings_.tools.end() ? kNone : found->second;
}

ports::TargetResult<core::SessionScan> Runner::scan(const core::Plan& plan) const {
  const auto target = target_of(plan);
  if (!target) return std::unexpected(target.error());
  // What is seen is as old as the moment at which it was asked for.
  const auto at = clock_.now().mono;
  auto seen = (*target)->sessions({plan.id, core::roles_of(plan.gate.fleet)});
  if (seen) seen->at = at;
  return seen;
}

ports::GateWork Runner::gate_work(const core::PlanState& state) const {
  return {.plan = state.plan.id,
          .gate_epoch = state.gate.epoch,
          .epoch = lease_.epoch(),
          .roles = core::roles_below(state.plan.gate.fleet),
          .doomed = state.plan.doomed,
          .lock_timeout = settings_.lock_timeout,
          .statement_timeout = settings_.statement_timeout};
}

ports::LastLook Runner::last_look(const core::PlanState& state, core::GateVerdict& verdict) const {
  return {.gate_epoch = state.gate.epoch,
          .request = {state.plan.id, core::roles_of(state.plan.gate.fleet)},
          .judge = [this, &state, &verdict](const core::SessionScan& seen) {
            auto scan = seen;
            scan.at = clock_.now().mono;
            verdict = judge_(state, scan);
            // What a fence has taken may be given back by somebody else, and with it sessions that can begin.
            for (auto& reason : logins_back(core::look_at_drain(state.plan.gate, scan, tools(state.plan.target)))) {
              verdict.contradictions.push_back(reason);
              verdict.reasons.push_back(std::move(reason));
            }
            return verdict.reasons;
          }};
}

ActResult Runner::at_gate(const core::PlanState& state, const core::Action& action, Hand& hand) {
  if (std::holds_alternative<std::monostate>(action)) return {};
  const StepId gate("gate");
  auto target = ready(state, lease_.epoch());
  if (!target) return {.again_later = later(state.plan, gate, target.error())};
  if (std::holds_alternative<core::RaiseFence>(action)) return raise_fence(state, **target);
  if (std::holds_alternative<core::Drain>(action)) return drain(state, **target, hand);
  if (std::holds_alternative<core::Quarantine>(action)) return quarantine(state, **target, hand);
  return lower_fence(state, **target, hand);
}

ActResult Runner::note(const core::PlanState& state, const core::Event& event) {
  const auto appended = append(state.plan.id, event);
  // Whatever happened is done again, which is no harm.
  if (!appended) {
    log_.warning("an act at the gate could not be recorded, and is done again",
                 {{"plan", state.plan.id.str()},
                  {"event", std::string(core::kind(event))},
                  {"error", appended.error().message}});
  }
  return {};
}

ActResult Runner::raise_fence(const core::PlanState& state, ports::Target& target) {
  auto kept_out = target.keep_out(gate_work(state));
  if (!kept_out) return {.again_later = later(state.plan, StepId("fence"), kept_out.error())};
  return note(state, core::FenceRaised{*std::move(kept_out)});
}

ActResult Runner::drain(const core::PlanState& state, ports::Target& target, Hand& hand) {
  const auto until = clock_.now().mono + state.plan.gate.drain_budget;
  std::int64_t terminated = 0;
  ActResult result;
  for (int clean = 0; !hand.asked();) {
    auto seen = scan(state.plan);
    if (!seen) return {.again_later = later(state.plan, StepId("drain"), seen.error())};
    result.scan = *seen;
    const auto look = core::look_at_drain(state.plan.gate, *seen, tools(state.plan.target));
    clean = look.clean() ? clean + 1 : 0;
    if (clean == kCleanLooks) {
      auto noted = note(state, core::GateDrained{terminated});
      noted.scan = std::move(result.scan);
      return noted;
    }
    if (!look.below.empty() && state.plan.gate.terminate) {
      const auto ended = target.end_sessions(look.below);
      if (!ended) return {.again_later = later(state.plan, StepId("drain"), ended.error())};
      terminated += *ended;
    }
    if (!look.clean() && clock_.now().mono >= until) {
      result.drain_failed.push_back(budget_spent(state));
      std::ranges::transform(look.below, std::back_inserter(result.drain_failed), still_there);
      std::ranges::copy(look.obstacles, std::back_inserter(result.drain_failed));
      return result;
    }
    hand.rest(std::min(kBetweenLooks, settings_.scan_every));
  }
  return result;
}

ActResult Runner::quarantine(const core::PlanState& state, ports::Target& target, Hand& hand) {
  auto renamed = target.quarantine(gate_work(state), hand.token());
  if (renamed) return note(state, core::Quarantined{*std::move(renamed)});
  if (renamed.error().code == ErrorCode::interrupted) return {};
  ActResult result{.again_later = later(state.plan, StepId("quarantine"), renamed.error())};
  // The fence is not there any more, or something else depends on what would be renamed: no reason to keep old code out
  // for as long as that lasts.
  if (renamed.error().code == ErrorCode::conflict) result.drain_failed = {*result.again_later};
  return result;
}

ActResult Runner::lower_fence(const core::PlanState& state, ports::Target& target, Hand& hand) {
  const auto let_in = target.let_in(gate_work(state), hand.token());
  if (let_in) return note(state, core::FenceLowered{});
  if (let_in.error().code == ErrorCode::interrupted) return {};
  return {.again_later = later(state.plan, StepId("fence"), let_in.error())};
}

}  // namespace diastole::engine
