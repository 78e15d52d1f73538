#include "show.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/codec/plan_codec.hpp"

namespace diastole::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kRelationsShown = 3;

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// Every line after the first begins with `indent`.
std::string indented(std::string lines, const std::string& indent) {
  while (lines.ends_with('\n')) lines.pop_back();
  for (auto at = lines.find('\n'); at != std::string::npos; at = lines.find('\n', at + 1)) lines.insert(at + 1, indent);
  return lines;
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

// "holds: standby1 is gone …", "at 25 % of its speed: …"; empty where nothing slows it.
std::string throttle(const json& t) {
  const auto share = t.value("share", 1.0);
  if (share >= 1) return {};
  const auto how = share == 0 ? std::string("holds") : fmt::format("at {:.0f} % of its speed", share * 100);
  return fmt::format("{}: {}", how, text(t.value("reason", json::object()), "detail"));
}

std::string counted(std::int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// "12s left (10s to 15s)": how sure that is as far as the rate's unsteadiness tells.
std::string time_left(const json& p) {
  auto out = duration(integer(p, "eta_ms")) + " left";
  if (!p.contains("eta_low_ms")) return out;
  const auto low = duration(integer(p, "eta_low_ms"));
  if (!p.contains("eta_high_ms")) return out + fmt::format(" (at least {})", low);
  const auto high = duration(integer(p, "eta_high_ms"));
  return low == high ? out : out + fmt::format(" ({} to {})", low, high);
}

// `moving`: with what is true only while it runs.
std::string progress(const json& p, bool moving) {
  const auto rows = integer(p, "rows");
  const auto total = integer(p, "rows_total");
  std::string out = fmt::format("{} rows", rows);
  if (total > 0) {
    const auto share = p.value("share", static_cast<double>(rows) / static_cast<double>(total));
    out = fmt::format("{} of about {} rows ({} %)", rows, total, static_cast<int>(std::min(share, 1.0) * 100));
  }
  out += fmt::format(", {} changed", integer(p, "rows_changed"));
  if (integer(p, "rows_skipped") > 0) out += fmt::format(", {} skipped", integer(p, "rows_skipped"));
  if (integer(p, "pass") > 1) out += fmt::format(", pass {}", integer(p, "pass"));
  if (!moving) return out;
  if (const auto rate = p.value("rows_per_second", 0.0); rate > 0) out += fmt::format(", {:.0f} rows/s", rate);
  if (p.contains("eta_ms")) out += ", " + time_left(p);
  if (const auto slowed = throttle(p.value("throttle", json::object())); !slowed.empty()) out += "; " + slowed;
  return out;
}

// "by key (id), 8 strides, 2 workers"
std::string walk(const json& w) {
  std::string key;
  for (const auto& column : w.value("key", json::array())) key += (key.empty() ? "" : ", ") + column.get<std::string>();
  return fmt::format("by {}{}, {}, {}", text(w, "by"), key.empty() ? "" : " (" + key + ")",
                     counted(integer(w, "strides"), "stride"), counted(integer(w, "workers"), "worker"));
}

std::string because(const json& w, const std::string& indent) {
  std::string out;
  for (const auto& reason : w.value("because", json::array()))
    out += fmt::format("\n{}- {}", indent, reason.get<std::string>());
  return out;
}

// "at most 500 rows/s, 1 worker"
std::string pace(const json& p) {
  std::vector<std::string> bounds;
  if (p.contains("rows_per_second")) bounds.push_back(fmt::format("{} rows/s", integer(p, "rows_per_second")));
  if (p.contains("batch_rows")) bounds.push_back(fmt::format("batches of {} rows", integer(p, "batch_rows")));
  if (p.contains("workers")) bounds.push_back(counted(integer(p, "workers"), "worker"));
  std::string out;
  for (const auto& bound : bounds) out += (out.empty() ? "at most " : ", ") + bound;
  if (p.value("paused", false)) return out.empty() ? "paused" : "paused; " + out;
  return out.empty() ? "no bounds" : out;
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

// "sql: ALTER TABLE …", and where that has several lines, the key with the text below, `indent` deep.
std::string keyed(const json& step, const std::string& indent) {
  for (const char* key : {"sql", "set_not_null", "backfill"}) {
    const auto said = text(step, key);
    if (said.empty()) continue;
    const auto note = text(step, "note").empty() ? "" : "  -- " + text(step, "note");
    if (said.find('\n') == std::string::npos) return fmt::format("{}: {}{}", key, said, note);
    return fmt::format("{}:{}\n{}{}", key, note, indent, indented(said, indent));
  }
  return step.dump();
}

// One statement of the same phase is said in a line of its own; else each step with its phase and its key.
std::string safe_form(const json& steps) {
  if (steps.empty()) return "";
  const auto& first = steps.front();
  if (steps.size() == 1 && !first.contains("phase") && first.contains("sql")) {
    return fmt::format("    safe form: {}{}\n", indented(text(first, "sql"), "      "),
                       text(first, "note").empty() ? "" : "  -- " + text(first, "note"));
  }
  std::string out = "    safe form:\n";
  for (const auto& step : steps) {
    const auto phase = text(step, "phase");
    out += fmt::format("      {}{}\n", phase.empty() ? "" : phase + ": ", keyed(step, "        "));
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts, std::size_t most = std::string::npos) {
  std::string out;
  for (std::size_t i = 0; i < parts.size() && i < most; ++i) out += (i == 0 ? "" : ", ") + parts[i];
  if (parts.size() > most) out += fmt::format(" and {} more", parts.size() - most);
  return out;
}

// "reads all of about 50000 rows, about 1.2s", by the worst that the step's statements do.
std::string effort(const json& statements) {
  const auto worst = [&](const char* what) {
    std::string answer = "no";
    for (const auto& statement : statements) {
      for (const auto& touch : statement.value("touches", json::array())) {
        const auto said = text(touch, what);
        if (said == "yes" || (said == "maybe" && answer == "no")) answer = said;
      }
    }
    return answer;
  };
  const auto rewrites = worst("rewrites");
  const auto scans = worst("scans");
  if (rewrites == "no" && scans == "no") return "";
  std::int64_t rows = 0;
  std::int64_t ms = 0;
  bool known = false;
  for (const auto& statement : statements) {
    if (!statement.contains("estimate")) continue;
    known = true;
    rows += integer(statement["estimate"], "rows");
    ms += integer(statement["estimate"], "time_ms");
  }
  const auto size = known ? fmt::format("of about {} rows, about {}", rows, duration(ms)) : std::string("rows");
  if (rewrites == "yes") return ", rewrites all " + size;
  if (scans == "yes") return ", reads all " + size + (rewrites == "maybe" ? ", and may rewrite them" : "");
  return (rewrites == "maybe" ? ", may rewrite all " : ", may read all ") + size;
}

// "ACCESS EXCLUSIVE on users": the step's strongest lock and who gets it.
std::string lock_of(const json& step) {
  if (step.contains("backfill")) return fmt::format("in batches over {}", text(step["backfill"], "table"));
  const auto lock = text(step, "lock");
  if (lock == "NONE") return "no lock";
  std::vector<std::string> locked;
  for (const auto& statement : step.value("statements", json::array())) {
    for (const auto& touch : statement.value("touches", json::array())) {
      const auto relation = text(touch, "relation");
      if (text(touch, "lock") == lock && std::ranges::find(locked, relation) == locked.end())
        locked.push_back(relation);
    }
  }
  return locked.empty() ? lock : fmt::format("{} on {}", lock, joined(locked, kRelationsShown));
}

// Its way, as it is or as it will probably be, how far it is, and what bounds it.
std::string backfill(const json& step, const std::string& indent) {
  std::string out;
  const auto chosen = step.contains("walk") ? step["walk"] : step["backfill"].value("walk", json());
  if (!chosen.is_null()) out += indent + walk(chosen) + because(chosen, indent + "  ") + "\n";
  if (step.contains("progress"))
    out += fmt::format("{}{}\n", indent, progress(step["progress"], text(step, "status") == "running"));
  if (step.contains("pace"))
    out += fmt::format("{}pace set by {}: {}\n", indent, text(step, "paced_by"), pace(step["pace"]));
  return out;
}

std::string without_catalog(const json& answer) {
  const auto catalog = text(answer, "catalog");
  return catalog.empty() || catalog == "read" ? ""
                                              : fmt::format("analysed without the target's catalog: {}\n", catalog);
}

// "label: a, b", or nothing.
std::string list(std::string_view label, const json& from, const char* key) {
  std::string out;
  for (const auto& entry : from.value(key, json::array()))
    out += (out.empty() ? std::string(label) : ", ") + entry.get<std::string>();
  return out.empty() ? out : out + '\n';
}

std::string gate_event_text(std::string_view kind, const json& e) {
  if (kind == "gate_fencing") return "the gate is open: the fence goes up, older versions are retired";
  if (kind == "fence_raised") {
    const auto roles = e.value("roles", json::array()).size();
    return roles == 0 ? std::string("the fence is up; no role maps to an older version")
                      : fmt::format("the fence is up: {} role{} without a login", roles, roles == 1 ? "" : "s");
  }
  if (kind == "gate_drained") return fmt::format("no old session is left; {} ended", integer(e, "terminated"));
  if (kind == "quarantine_started") return "quarantine: what contract drops is renamed first";
  if (kind == "quarantined") {
    auto names = list("in quarantine: ", e, "names");
    if (names.empty()) return "in quarantine";
    names.pop_back();
    return names;
  }
  if (kind == "gate_fell_back") {
    const auto all = e.value("reasons", json::array());
    return "the gate falls back" + (all.empty() ? std::string() : ": " + text(all.front(), "message"));
  }
  if (kind == "fence_lowered") return "the fence is down; everything has its name and its login again";
  if (kind == "gate_held") return fmt::format("{} holds the gate: {}", text(e, "by"), text(e, "reason"));
  if (kind == "gate_released") return text(e, "by") + " releases the gate";
  if (kind == "override_asked") {
    return fmt::format("{} asks to set {} instances aside: {}", text(e, "by"),
                       e.value("instances", json::array()).size(), text(e, "reason"));
  }
  if (kind == "override_confirmed") return text(e, "by") + " confirms the override";
  return {};
}

std::string event_text(const json& e) {
  auto kind = text(e, "kind");
  const auto step = text(e, "step");
  if (kind == "plan_submitted") return "submitted by " + text(e, "by");
  if (kind == "phase_approved") return fmt::format("{} approved by {}", text(e, "phase"), text(e, "by"));
  if (kind == "phase_started") return text(e, "phase") + " begins";
  if (kind == "phase_finished") return text(e, "phase") + " is done";
  if (kind == "step_started") return fmt::format("  {}: attempt {}", step, integer(e, "attempt"));
  if (kind == "step_progressed")
    return fmt::format("  {}: {}", step, progress(e.value("progress", json::object()), true));
  if (kind == "backfill_begun") {
    const auto& chosen = e.value("walk", json::object());
    return fmt::format("  {}: about {} rows, {}{}", step, integer(e, "rows_total"), walk(chosen),
                       because(chosen, "    "));
  }
  if (kind == "backfill_paced")
    return fmt::format("  {}: pace set by {}: {}", step, text(e, "by"), pace(e.value("pace", json::object())));
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
  if (auto said = gate_event_text(kind, e); !said.empty()) return said;
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
    if (step.contains("backfill")) out += backfill(step, "              ");
    if (!text(step, "note").empty()) out += fmt::format("              {}\n", text(step, "note"));
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

std::string show_previews(const json& answer) {
  std::string out;
  for (const auto& preview : answer.value("previews", json::array())) {
    const auto estimate = preview.value("estimate", json::object());
    out += fmt::format("{}: about {} rows, about {}\n", text(preview, "step"), integer(estimate, "rows"),
                       duration(integer(estimate, "time_ms")));
    if (preview.contains("refused")) out += fmt::format("  REFUSED: {}\n", text(preview, "refused"));
    for (const auto& why : preview.at("walk").value("because", json::array()))
      out += fmt::format("  {}\n", why.get<std::string>());
    for (const auto& part : preview.value("parts", json::array()))
      out += fmt::format("  {}: about {} rows\n", text(part, "relation"), integer(part, "rows"));
    for (const auto& [key, title] : {std::pair("window_sql", "finds a window's end"), std::pair("batch_sql", "a batch"),
                                     std::pair("explain", "its plan")}) {
      if (preview.contains(key)) out += fmt::format("  {}:\n    {}\n", title, indented(text(preview, key), "    "));
    }
  }
  return out.empty() ? "the plan has no backfill\n" : out;
}

std::string show_pace(const json& plan) {
  std::string out;
  for (const auto& step : plan.value("steps", json::array())) {
    if (step.contains("backfill"))
      out += fmt::format("{}: {}\n", text(step, "id"), pace(step.value("pace", json::object())));
  }
  return out;
}

std::string show_gate(const json& gate) {
  std::string out = fmt::format("gate: {}\n", text(gate, "state"));
  for (const auto& service : gate.value("services", json::array())) {
    out += fmt::format("  {} needs {} on at least {}: {} new, {} old, {} unknown\n", text(service, "service"),
                       text(service, "required"), integer(service, "min_instances"), integer(service, "new"),
                       integer(service, "old"), integer(service, "unknown"));
  }
  const auto progress = gate.value("progress", json::object());
  if (const auto stage = text(progress, "stage"); !stage.empty() && stage != "closed")
    out += fmt::format("  {} since {}, epoch {}\n", stage, text(progress, "since"), integer(progress, "epoch"));
  out += list("  without a login: ", progress, "fenced_roles") + list("  in quarantine: ", progress, "quarantined");
  for (const auto& known : progress.value("overrides", json::array())) {
    const auto confirmed = text(known, "confirmed_by");
    out += fmt::format("  override of {} by {}{}, until {}: {}\n", known.value("instances", json::array()).size(),
                       text(known, "by"), confirmed.empty() ? ", not confirmed yet" : " and " + confirmed,
                       text(known, "expires"), text(known, "reason"));
  }
  for (const auto& server : gate.value("sessions", json::object()).value("servers", json::array())) {
    const auto failed = text(server, "failed");
    const auto count = integer(server, "sessions");
    out += fmt::format("  {}: {} session{}{}\n", text(server, "server"), count, count == 1 ? "" : "s",
                       failed.empty() ? "" : ", " + failed);
  }
  out += reasons(gate.value("reasons", json::array()));
  out += show_advice(gate);
  if (const auto fell = progress.value("fell_back", json::array()); !fell.empty())
    out += "  fell back the last time because:\n" + reasons(fell);
  if (const auto rests_on = text(gate, "guarantee"); !rests_on.empty()) out += fmt::format("  rests on {}\n", rests_on);
  return out;
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
    out += safe_form(finding.value("safe_form", json::array()));
    const auto concerned = finding.value("concerned", std::vector<std::string>());
    if (!concerned.empty()) out += fmt::format("    concerned: {}\n", joined(concerned));
    const auto sharper = text(finding, "sharper_with");
    if (!sharper.empty()) out += fmt::format("    would be sharper with: {}\n", sharper);
  }
  return out;
}

std::string show_checked(const json& checked) {
  std::string out;
  for (const auto& step : checked.value("steps", json::array())) {
    out +=
        fmt::format("  {}: {}{}\n", text(step, "id"), lock_of(step), effort(step.value("statements", json::array())));
  }
  return out + without_catalog(checked);
}

std::string show_problem(const json& problem, const std::string& file, const std::string& yaml) {
  if (!problem.is_object()) return "the daemon's answer is no JSON\n";
  std::string out;
  for (const auto& error : problem.value("errors", json::array())) {
    out += fmt::format("{}{}\n", place(file, yaml, text(error, "path")), text(error, "detail"));
  }
  if (const auto findings = problem.value("findings", json::array()); !findings.empty()) {
    out += show_findings(findings, file, yaml) + without_catalog(problem);
  }
  if (out.empty()) {
    const auto path = text(problem, "path");
    out = fmt::format("{}: {}{}\n", text(problem, "title"), path.empty() ? "" : path + ": ", text(problem, "detail"));
  }
  return out;
}

}  // namespace diastole::cli
