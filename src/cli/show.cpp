#include "show.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "diastole/base/time.hpp"
#include "diastole/codec/plan_codec.hpp"

namespace diastole::cli {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::int64_t integer(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

std::string duration(std::int64_t ms) {
  const Milliseconds time{ms};
  return time < std::chrono::seconds{10} ? fmt::format("{:.1f}s", static_cast<double>(ms) / 1000.0)
                                         : format_duration(std::chrono::floor<std::chrono::seconds>(time));
}

std::string progress(const json& p) {
  const auto rows = integer(p, "rows");
  const auto total = integer(p, "rows_total");
  std::string out = fmt::format("{} rows", rows);
  if (total > 0)
    out = fmt::format("{} of about {} rows ({} %)", rows, total, std::min<std::int64_t>(100, rows * 100 / total));
  out += fmt::format(", {} changed", integer(p, "rows_changed"));
  if (const auto rate = p.value("rows_per_second", 0.0); rate > 0) out += fmt::format(", {:.0f} rows/s", rate);
  if (p.contains("eta_ms")) out += ", " + duration(integer(p, "eta_ms")) + " left";
  if (integer(p, "pass") > 1) out += fmt::format(", pass {}", integer(p, "pass"));
  return out;
}

std::string blockers(const json& event) {
  std::string out;
  for (const auto& blocker : event.value("blockers", json::array())) {
    out += fmt::format("{}pid {} ({}, {}, for {}): {}", out.empty() ? "" : "; ", integer(blocker, "pid"),
                       text(blocker, "application"), text(blocker, "state"), duration(integer(blocker, "age_ms")),
                       text(blocker, "query"));
  }
  return out.empty() ? "nobody was seen holding it" : out;
}

std::string failure(const json& f) {
  std::string out = text(f, "message");
  if (!text(f, "sqlstate").empty()) out += " (SQLSTATE " + text(f, "sqlstate") + ")";
  if (integer(f, "statement") > 0) {
    out += fmt::format(", statement {}", integer(f, "statement"));
    if (integer(f, "line") > 0) out += fmt::format(" line {} column {}", integer(f, "line"), integer(f, "column"));
  }
  if (!text(f, "detail").empty()) out += "\n      detail: " + text(f, "detail");
  if (!text(f, "hint").empty()) out += "\n      hint: " + text(f, "hint");
  if (f.contains("blockers")) out += "\n      held by: " + blockers(f);
  return out;
}

std::string reasons(const json& list) {
  std::string out;
  for (const auto& reason : list) {
    out += fmt::format("  - {}: {}\n      clears with: {}\n", text(reason, "kind"), text(reason, "message"),
                       text(reason, "clears"));
    if (!text(reason, "query").empty()) out += fmt::format("      query: {}\n", text(reason, "query"));
  }
  return out;
}

std::string place(const std::string& file, const std::string& yaml, const std::string& path) {
  if (yaml.empty()) return path.empty() ? "" : path + ": ";
  const int line = codec::line_of(yaml, path);
  return line > 0 ? fmt::format("{}:{}: {}{}", file, line, path, path.empty() ? "" : ": ")
                  : fmt::format("{}: {}: ", file, path);
}

std::string event_text(const json& e) {
  auto kind = text(e, "kind");
  const auto step = text(e, "step");
  if (kind == "plan_submitted") return "submitted by " + text(e, "by");
  if (kind == "phase_approved") return fmt::format("{} approved by {}", text(e, "phase"), text(e, "by"));
  if (kind == "phase_started") return text(e, "phase") + " begins";
  if (kind == "phase_finished") return text(e, "phase") + " is done";
  if (kind == "step_started") return fmt::format("  {}: attempt {}", step, integer(e, "attempt"));
  if (kind == "step_progressed") return fmt::format("  {}: {}", step, progress(e.value("progress", json::object())));
  if (kind == "lock_waited" && integer(e, "retry_in_ms") == 0)
    return fmt::format("  {}: waits behind {}", step, blockers(e));
  if (kind == "lock_waited")
    return fmt::format("  {}: lock not granted, again in {}; {}", step, duration(integer(e, "retry_in_ms")),
                       blockers(e));
  if (kind == "step_finished") {
    const auto note = text(e, "note");
    const auto rows = integer(e, "rows");
    return fmt::format("  {}: done in {}{}{}", step, duration(integer(e, "duration_ms")),
                       rows > 0 ? fmt::format(", {} rows", rows) : "", note.empty() ? "" : " (" + note + ")");
  }
  if (kind == "step_failed" || kind == "undo_failed")
    return fmt::format("  {}: FAILED: {}", step, failure(e.value("failure", json::object())));
  if (kind == "step_interrupted" || kind == "undo_interrupted")
    return fmt::format("  {}: interrupted: {}", step, text(e, "why"));
  if (kind == "plan_paused" || kind == "plan_resumed" || kind == "retry_requested") {
    return fmt::format("{} by {}",
                       kind == "plan_paused"    ? "paused"
                       : kind == "plan_resumed" ? "resumed"
                                                : "retry asked for",
                       text(e, "by"));
  }
  if (kind == "abort_requested")
    return fmt::format("abort asked for by {}{}", text(e, "by"),
                       text(e, "reason").empty() ? "" : ": " + text(e, "reason"));
  if (kind == "undo_started") return fmt::format("  {}: undoing", step);
  if (kind == "undo_finished")
    return fmt::format("  {}: undone{}", step, text(e, "note").empty() ? "" : " (" + text(e, "note") + ")");
  if (kind == "plan_aborted") return "aborted";
  if (kind == "plan_waits") {
    const auto& list = e.value("reasons", json::array());
    if (list.empty()) return "";
    std::string out = "waits for:";
    for (const auto& reason : list) out += "\n    - " + text(reason, "message");
    return out;
  }
  return kind;
}

}  // namespace

std::string show_plan(const json& plan) {
  std::string out = fmt::format("{}  {}  ({})\n", text(plan, "id"), text(plan, "state"), text(plan, "stage"));
  if (!text(plan, "summary").empty()) out += fmt::format("  {}\n", text(plan, "summary"));
  out += fmt::format("  {}, submitted by {} at {}\n", text(plan, "hash"), text(plan, "submitted_by"),
                     text(plan, "submitted_at"));
  std::string phase;
  for (const auto& step : plan.value("steps", json::array())) {
    if (text(step, "phase") != phase) {
      phase = text(step, "phase");
      const auto& approvals = plan.at("approvals").at(phase);
      const auto needed = integer(approvals, "needed");
      out += fmt::format("{}{}\n", phase,
                         needed > 0 ? fmt::format("  ({} of {} approvals)", approvals.at("given").size(), needed) : "");
    }
    out += fmt::format("  {:<11} {:<24} {}\n", text(step, "status"), text(step, "id"), text(step, "lock"));
    for (const auto& sql : step.value("sql", json::array()))
      out += fmt::format("              {}\n", sql.get<std::string>());
    if (step.contains("progress")) out += fmt::format("              {}\n", progress(step["progress"]));
    if (step.contains("failure")) out += fmt::format("    {}\n", failure(step["failure"]));
    for (const auto& finding : step.value("findings", json::array())) {
      out += fmt::format(
          "              {} {}: {}{}\n", text(finding, "severity"), text(finding, "rule"), text(finding, "message"),
          text(finding, "allowed_because").empty() ? "" : " (allowed: " + text(finding, "allowed_because") + ")");
    }
  }
  if (const auto& waiting = plan.value("waiting", json::array()); !waiting.empty())
    out += "waits for\n" + reasons(waiting);
  std::string ways;
  for (const auto& way : plan.value("ways_on", json::array()))
    ways += (ways.empty() ? "" : ", ") + way.get<std::string>();
  if (!ways.empty()) out += "you can: " + ways + "\n";
  return out;
}

std::string show_gate(const json& gate) {
  std::string out = fmt::format("gate: {}\n", text(gate, "state"));
  for (const auto& service : gate.value("services", json::array())) {
    out += fmt::format("  {} needs {} on at least {}: {} new, {} old, {} unknown\n", text(service, "service"),
                       text(service, "required"), integer(service, "min_instances"), integer(service, "new"),
                       integer(service, "old"), integer(service, "unknown"));
  }
  return out + reasons(gate.value("reasons", json::array()));
}

std::string show_event(const json& event) {
  if (!event.is_object()) return "";
  const auto said = event_text(event);
  const auto at = text(event, "at");
  return said.empty() ? "" : fmt::format("{}  {}", at.size() >= 19 ? at.substr(11, 8) : at, said);
}

std::string show_findings(const json& findings, const std::string& file, const std::string& yaml) {
  std::string out;
  for (const auto& finding : findings) {
    const auto allowed = text(finding, "allowed_because");
    out += fmt::format("{}{}: {}: {}{}\n", place(file, yaml, text(finding, "path")), text(finding, "severity"),
                       text(finding, "rule"), text(finding, "message"),
                       allowed.empty() ? "" : " (allowed: " + allowed + ")");
    if (!text(finding, "safe_form").empty()) out += fmt::format("    safe form: {}\n", text(finding, "safe_form"));
  }
  return out;
}

std::string show_problem(const json& problem, const std::string& file, const std::string& yaml) {
  if (!problem.is_object()) return "the daemon's answer is no JSON\n";
  std::string out;
  for (const auto& error : problem.value("errors", json::array())) {
    out += fmt::format("{}{}\n", place(file, yaml, text(error, "path")), text(error, "detail"));
  }
  out += show_findings(problem.value("findings", json::array()), file, yaml);
  if (out.empty()) {
    const auto path = text(problem, "path");
    out = fmt::format("{}: {}{}\n", text(problem, "title"), path.empty() ? "" : path + ": ", text(problem, "detail"));
  }
  return out;
}

}  // namespace diastole::cli
