#include "metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

namespace diastole::http {
namespace {

struct Backfill {
  const core::PlanState& plan;
  const core::StepState& state;
  std::string labels;

  [[nodiscard]] bool running() const { return state.status == core::StepStatus::running; }
};

// Ids of plans and steps are [a-z0-9.-]: a label has nothing to escape.
std::vector<Backfill> backfills_of(const std::vector<engine::StatePtr>& plans) {
  std::vector<Backfill> found;
  for (const auto& plan : plans) {
    for (std::size_t i = 0; i < plan->steps.size(); ++i) {
      const auto& state = plan->steps[i];
      if (!state.walk || state.status == core::StepStatus::done) continue;
      found.push_back(
          {*plan, state, fmt::format(R"(plan="{}",step="{}")", plan->plan.id.str(), plan->plan.steps[i].id.str())});
    }
  }
  return found;
}

// Versions are what instances say: any visible text.
std::string escaped(std::string_view label) {
  std::string out;
  for (const char c : label) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

using Value = std::function<std::optional<double>(const Backfill&)>;
struct Gauge {
  std::string_view name;
  std::string_view help;
  Value value;
};

const std::vector<Gauge>& gauges() {
  const auto seconds = [](Milliseconds time) { return std::chrono::duration<double>(time).count(); };
  static const std::vector<Gauge> kGauges{
      {"diastole_backfill_rows", "Rows gone over so far.",
       [](const Backfill& b) { return static_cast<double>(b.state.progress.rows); }},
      {"diastole_backfill_rows_changed", "Rows changed so far.",
       [](const Backfill& b) { return static_cast<double>(b.state.progress.rows_changed); }},
      {"diastole_backfill_rows_estimate", "Rows to go over in all, as far as is known now.",
       [](const Backfill& b) { return static_cast<double>(b.state.progress.rows_total); }},
      {"diastole_backfill_share", "Share of the present pass that is behind, 0 to 1.",
       [](const Backfill& b) { return b.state.progress.share; }},
      {"diastole_backfill_rows_per_second", "Rows gone over a second; 0 while it does not run.",
       [](const Backfill& b) { return b.running() ? b.state.progress.rows_per_second : 0; }},
      {"diastole_backfill_left_seconds", "Time to the end of the present pass at that rate.",
       [seconds](const Backfill& b) -> std::optional<double> {
         if (!b.running() || !b.state.progress.eta) return std::nullopt;
         return seconds(*b.state.progress.eta);
       }},
      {"diastole_backfill_paused", "1 while an operator has paused the backfill or its plan.",
       [](const Backfill& b) {
         return b.state.pace.paused || b.plan.condition == core::Condition::paused ? 1.0 : 0.0;
       }},
      {"diastole_backfill_throttle_share", "Share of the time that batches may take, 0 to 1; 0 is a hold.",
       [](const Backfill& b) -> std::optional<double> {
         if (!b.running()) return std::nullopt;
         return b.state.progress.throttle.share;
       }},
  };
  return kGauges;
}

// One sample for each backfill that something slows, named by what does.
void tell_reasons(std::string& out, const std::vector<Backfill>& backfills) {
  constexpr std::string_view kName = "diastole_backfill_throttle_load";
  metric_head(out, kName, "What slows a backfill most: its measure over its limit, 1 is too much.");
  for (const auto& backfill : backfills) {
    const auto& reason = backfill.state.progress.throttle.reason;
    if (!backfill.running() || !reason) continue;
    fmt::format_to(std::back_inserter(out), "{}{{{},signal=\"{}\"}} {}\n", kName, backfill.labels,
                   to_string(reason->kind), reason->load);
  }
}

void count_plans(std::string& out, const std::vector<engine::StatePtr>& plans) {
  constexpr std::string_view kName = "diastole_plans";
  metric_head(out, kName, "Unfinished plans.");
  for (const auto stage : core::kStages) {
    if (core::terminal(stage)) continue;
    for (const auto condition : {core::Condition::active, core::Condition::paused, core::Condition::failed}) {
      const auto count = std::ranges::count_if(
          plans, [&](const auto& plan) { return plan->stage == stage && plan->condition == condition; });
      fmt::format_to(std::back_inserter(out), "{}{{stage=\"{}\",condition=\"{}\"}} {}\n", kName, to_string(stage),
                     to_string(condition), count);
    }
  }
}

}  // namespace

void metric_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

std::string metrics_text(const std::vector<engine::StatePtr>& unfinished) {
  std::string out;
  count_plans(out, unfinished);
  const auto backfills = backfills_of(unfinished);
  for (const auto& gauge : gauges()) {
    metric_head(out, gauge.name, gauge.help);
    for (const auto& backfill : backfills) {
      if (const auto value = gauge.value(backfill))
        fmt::format_to(std::back_inserter(out), "{}{{{}}} {}\n", gauge.name, backfill.labels, *value);
    }
  }
  tell_reasons(out, backfills);
  return out;
}

std::string fleet_metrics_text(const core::FleetView& fleet, engine::HeartbeatCounts heartbeats) {
  std::string out;
  const auto add = [&out](fmt::string_view form, const auto&... values) {
    fmt::vformat_to(std::back_inserter(out), form, fmt::make_format_args(values...));
  };
  metric_head(out, "diastole_fleet_instances",
              "Processes known, each incarnation its own; silent ones block the gate.");
  for (const auto& service : fleet.services) {
    for (const auto& tally : service.versions) {
      const auto version = escaped(tally.version);
      // One line a version for as long as somebody runs it: every deployment brings a new one.
      if (tally.live + tally.silent == 0) continue;
      for (const auto& [kind, count] : {std::pair("live", tally.live), std::pair("silent", tally.silent)}) {
        add("diastole_fleet_instances{{service=\"{}\",version=\"{}\",class=\"{}\"}} {}\n", service.service.str(),
            version, kind, count);
      }
    }
  }
  metric_head(out, "diastole_fleet_conflicts", "Instances whose sources name different versions.");
  for (const auto& service : fleet.services)
    add("diastole_fleet_conflicts{{service=\"{}\"}} {}\n", service.service.str(), service.conflicts);
  metric_head(out, "diastole_fleet_suspect_seconds", "Silence for so long makes an instance unknown.");
  add("diastole_fleet_suspect_seconds {}\n", std::chrono::duration<double>(fleet.suspect_after).count());
  metric_head(out, "diastole_heartbeats_total", "Heartbeats taken since the start; a replayed one renews nothing.",
              "counter");
  add("diastole_heartbeats_total{{result=\"accepted\"}} {}\n", heartbeats.accepted);
  add("diastole_heartbeats_total{{result=\"replayed\"}} {}\n", heartbeats.replayed);
  return out;
}

}  // namespace diastole::http
