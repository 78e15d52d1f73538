// A completed plan, losslessly.
#include "diastole/codec/plan_codec.hpp"
#include "values.hpp"

namespace diastole::codec {
namespace {

constexpr std::string_view kTellsName = "application_name";
constexpr std::string_view kTellsNothing = "nothing";

// As in the document, but as a list, since the order counts.
json role_to(const core::RoleMapping& mapping) {
  using Tells = core::RoleMapping::Tells;
  json out{{"role", mapping.role}};
  if (mapping.tells == Tells::version) {
    out["version"] = mapping.version;
  } else {
    out["tells"] = mapping.tells == Tells::nothing ? kTellsNothing : kTellsName;
  }
  return out;
}

core::RoleMapping role_from(const json& in) {
  using Tells = core::RoleMapping::Tells;
  const auto tells = take<std::string>(in, "tells");
  return {.role = in.at("role").get<std::string>(),
          .tells = tells.empty()            ? Tells::version
                   : tells == kTellsNothing ? Tells::nothing
                                            : Tells::application_name,
          .version = take<std::string>(in, "version")};
}

json requirement_to(const core::FleetRequirement& requirement) {
  json out{{"service", requirement.service.str()}, {"min_instances", requirement.min_instances}};
  if (requirement.version.builds().empty()) {
    out["version"] = requirement.version.range_text();
  } else {
    out["one_of"] = requirement.version.builds();
  }
  put(out, "reason", requirement.reason);
  if (!requirement.roles.empty()) out["roles"] = list_to(requirement.roles, role_to);
  return out;
}

core::FleetRequirement requirement_from(const json& in) {
  auto version = in.contains("version")
                     ? core::VersionRequirement::range(in["version"].get<std::string>())
                     : core::VersionRequirement::one_of(in.at("one_of").get<std::vector<std::string>>());
  if (!version) throw BadValue(version.error().message);
  return {ServiceName(in.at("service").get<std::string>()), std::move(*version), in.at("min_instances").get<int>(),
          take<std::string>(in, "reason"), list_from<core::RoleMapping>(in, "roles", role_from)};
}

json touch_to(const core::Touch& touch) {
  return {{"relation", touch.relation},      {"kind", to_string(touch.kind)},         {"lock", to_string(touch.lock)},
          {"scans", to_string(touch.scans)}, {"rewrites", to_string(touch.rewrites)}, {"named", touch.named}};
}

core::Touch touch_from(const json& in) {
  const auto text = [&](const char* key) -> const std::string& { return in.at(key).get_ref<const std::string&>(); };
  return {.relation = text("relation"),
          .lock = required(core::lock_mode_from(text("lock")), in.at("lock")),
          .scans = required(core::answer_from(text("scans")), in.at("scans")),
          .rewrites = required(core::answer_from(text("rewrites")), in.at("rewrites")),
          .kind = required(core::touch_kind_from(text("kind")), in.at("kind")),
          .named = in.at("named").get<bool>()};
}

core::Statement statement_from(const json& in) {
  core::Statement statement;
  statement.sql = in.at("sql").get<std::string>();
  statement.kind = in.at("kind").get<std::string>();
  statement.lock = required(core::lock_mode_from(in.at("lock").get_ref<const std::string&>()), in.at("lock"));
  statement.transactional = in.at("transactional").get<bool>();
  statement.destructive = in.at("destructive").get<bool>();
  statement.reversible = in.at("reversible").get<bool>();
  if (in.contains("phase")) statement.phase = phase_of(in);
  if (const auto estimate = in.find("estimate"); estimate != in.end())
    statement.estimate =
        core::Estimate{.rows = estimate->at("rows").get<std::int64_t>(), .time = take_ms(*estimate, "time_ms")};
  statement.touches = list_from<core::Touch>(in, "touches", touch_from);
  statement.creates = take<std::vector<std::string>>(in, "creates");
  statement.index = take<std::string>(in, "index");
  return statement;
}

json safe_step_to(const core::SafeStep& step) {
  json out{{to_string(step.form), step.text}};
  if (step.phase) out["phase"] = to_string(*step.phase);
  put(out, "note", step.note);
  return out;
}

core::SafeStep safe_step_from(const json& in) {
  core::SafeStep step;
  if (in.contains("phase")) step.phase = phase_of(in);
  step.note = take<std::string>(in, "note");
  for (const auto& [key, value] : in.items()) {
    const auto form = core::safe_form_from(key);
    if (!form) continue;
    step.form = *form;
    step.text = value.get<std::string>();
  }
  return step;
}

core::Finding finding_from(const json& in) {
  core::Finding finding;
  finding.rule = in.at("rule").get<std::string>();
  finding.severity = in.at("severity") == "error" ? core::Severity::error : core::Severity::warning;
  finding.message = in.at("message").get<std::string>();
  const json subject = in.value("subject", json::object());
  finding.subject = {.table = take<std::string>(subject, "table"),
                     .column = take<std::string>(subject, "column"),
                     .object = take<std::string>(subject, "object")};
  finding.safe_form = list_from<core::SafeStep>(in, "safe_form", safe_step_from);
  finding.concerned = take<std::vector<std::string>>(in, "concerned");
  finding.sharper_with = take<std::string>(in, "sharper_with");
  finding.path = take<std::string>(in, "path");
  finding.line = take<int>(in, "line");
  finding.column = take<int>(in, "column");
  finding.allowed_because = take<std::string>(in, "allowed_because");
  return finding;
}

json backfill_to(const core::Backfill& backfill) {
  json out{{"table", backfill.table}, {"set", json::array()}};
  // A list, because the order of a mapping would be lost.
  for (const auto& [column, expression] : backfill.set) out["set"].push_back({column, expression});
  put(out, "where", backfill.where);
  put(out, "verify", backfill.verify);
  if (!backfill.needs.empty()) out["needs"] = list_to(backfill.needs, requirement_to);
  if (backfill.batch_rows) out["batch_rows"] = *backfill.batch_rows;
  if (backfill.walk_by) out["walk_by"] = to_string(*backfill.walk_by);
  if (backfill.strides) out["strides"] = *backfill.strides;
  if (backfill.workers != 1) out["workers"] = backfill.workers;
  if (backfill.hours) out["hours"] = to_string(*backfill.hours);
  put(out, "hold_while", backfill.hold_while);
  put(out, "probe", backfill.probe);
  if (backfill.vacuum_every) out["vacuum_every"] = *backfill.vacuum_every;
  if (backfill.walk) out["walk"] = walk_to_json(*backfill.walk);
  if (backfill.on_error != core::OnError::stop) out["on_error"] = to_string(backfill.on_error);
  put(out, "sql", backfill.sql);
  put(out, "sql_pieces", backfill.sql_pieces);
  if (backfill.recheck != core::Recheck{}) out["recheck"] = recheck_to_json(backfill.recheck);
  return out;
}

core::Backfill backfill_from(const json& in) {
  core::Backfill backfill;
  backfill.table = in.at("table").get<std::string>();
  for (const auto& pair : in.at("set"))
    backfill.set.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  backfill.where = take<std::string>(in, "where");
  backfill.verify = take<std::string>(in, "verify");
  backfill.needs = list_from<core::FleetRequirement>(in, "needs", requirement_from);
  if (in.contains("batch_rows")) backfill.batch_rows = in["batch_rows"].get<int>();
  if (in.contains("walk_by"))
    backfill.walk_by = required(core::walk_by_from(in["walk_by"].get_ref<const std::string&>()), in["walk_by"]);
  if (in.contains("strides")) backfill.strides = in["strides"].get<int>();
  backfill.workers = in.value("workers", 1);
  if (in.contains("hours")) {
    auto hours = core::parse_hours(in["hours"].get_ref<const std::string&>());
    if (!hours) throw BadValue(hours.error().message);
    backfill.hours = *hours;
  }
  backfill.hold_while = take<std::string>(in, "hold_while");
  backfill.probe = take<std::string>(in, "probe");
  if (in.contains("vacuum_every")) backfill.vacuum_every = in["vacuum_every"].get<int>();
  if (in.contains("walk")) backfill.walk = walk_from(in["walk"]);
  if (in.contains("on_error"))
    backfill.on_error = required(core::on_error_from(in["on_error"].get_ref<const std::string&>()), in["on_error"]);
  backfill.sql = take<std::string>(in, "sql");
  backfill.sql_pieces = take<std::vector<std::string>>(in, "sql_pieces");
  if (const auto recheck = in.find("recheck"); recheck != in.end()) {
    backfill.recheck = {.where = take<std::string>(*recheck, "where"),
                        .query = take<std::string>(*recheck, "query"),
                        .none = take<std::string>(*recheck, "none")};
  }
  return backfill;
}

json step_to(const core::Step& step) {
  json out{{"id", step.id.str()}, {"phase", to_string(step.phase)}, {"path", step.path}};
  put(out, "sql", step.sql);
  put(out, "undo_sql", step.undo_sql);
  put(out, "no_undo", step.no_undo);
  put(out, "set_not_null", step.set_not_null);
  put(out, "allow", step.allow);
  if (step.backfill) out["backfill"] = backfill_to(*step.backfill);
  if (step.statement_timeout) out["statement_timeout_ms"] = step.statement_timeout->count();
  if (!step.statements.empty()) out["statements"] = list_to(step.statements, statement_to_json);
  if (!step.undo.empty()) out["undo"] = list_to(step.undo, statement_to_json);
  if (!step.findings.empty()) out["findings"] = list_to(step.findings, finding_to_json);
  return out;
}

core::Step step_from(const json& in) {
  core::Step step;
  step.id = StepId(in.at("id").get<std::string>());
  step.phase = phase_of(in);
  step.path = in.at("path").get<std::string>();
  step.sql = take<std::string>(in, "sql");
  step.undo_sql = take<std::string>(in, "undo_sql");
  step.no_undo = take<std::string>(in, "no_undo");
  step.set_not_null = take<std::string>(in, "set_not_null");
  step.allow = take<std::map<std::string, std::string>>(in, "allow");
  if (in.contains("backfill")) step.backfill = backfill_from(in["backfill"]);
  if (in.contains("statement_timeout_ms")) step.statement_timeout = take_ms(in, "statement_timeout_ms");
  step.statements = list_from<core::Statement>(in, "statements", statement_from);
  step.undo = list_from<core::Statement>(in, "undo", statement_from);
  step.findings = list_from<core::Finding>(in, "findings", finding_from);
  return step;
}

json doomed_to(const core::Doomed& doomed) {
  json out{{"step", doomed.step.str()}, {"table", doomed.table}};
  put(out, "column", doomed.column);
  return out;
}

core::Doomed doomed_from(const json& in) {
  return {.step = StepId(in.at("step").get<std::string>()),
          .table = in.at("table").get<std::string>(),
          .column = take<std::string>(in, "column")};
}

}  // namespace

json walk_to_json(const core::Walk& walk) {
  json out{{"by", to_string(walk.by)}, {"strides", walk.strides}, {"workers", walk.workers}, {"because", walk.because}};
  put(out, "key", walk.key);
  return out;
}

json recheck_to_json(const core::Recheck& recheck) {
  json out = json::object();
  put(out, "where", recheck.where);
  put(out, "query", recheck.query);
  put(out, "none", recheck.none);
  return out;
}

core::Walk walk_from(const json& in) {
  return {.by = required(core::walk_by_from(in.at("by").get_ref<const std::string&>()), in.at("by")),
          .key = take<std::vector<std::string>>(in, "key"),
          .strides = in.at("strides").get<int>(),
          .workers = in.at("workers").get<int>(),
          .because = take<std::vector<std::string>>(in, "because")};
}

json statement_to_json(const core::Statement& statement) {
  json out{{"sql", statement.sql},
           {"kind", statement.kind},
           {"lock", to_string(statement.lock)},
           {"transactional", statement.transactional},
           {"destructive", statement.destructive},
           {"reversible", statement.reversible}};
  if (statement.phase) out["phase"] = to_string(*statement.phase);
  if (statement.estimate)
    out["estimate"] = {{"rows", statement.estimate->rows}, {"time_ms", statement.estimate->time.count()}};
  if (!statement.touches.empty()) out["touches"] = list_to(statement.touches, touch_to);
  put(out, "creates", statement.creates);
  put(out, "index", statement.index);
  return out;
}

json finding_to_json(const core::Finding& finding) {
  json out{{"rule", finding.rule}, {"severity", to_string(finding.severity)}, {"message", finding.message}};
  json subject = json::object();
  put(subject, "table", finding.subject.table);
  put(subject, "column", finding.subject.column);
  put(subject, "object", finding.subject.object);
  if (!subject.empty()) out["subject"] = std::move(subject);
  if (!finding.safe_form.empty()) out["safe_form"] = list_to(finding.safe_form, safe_step_to);
  put(out, "concerned", finding.concerned);
  put(out, "sharper_with", finding.sharper_with);
  put(out, "path", finding.path);
  put(out, "line", finding.line);
  put(out, "column", finding.column);
  put(out, "allowed_because", finding.allowed_because);
  return out;
}

json plan_to_json(const core::Plan& plan) {
  json out{
      {"plan", plan.name}, {"target", plan.target.str()}, {"hash", plan.hash}, {"steps", list_to(plan.steps, step_to)}};
  put(out, "summary", plan.summary);
  out["fleet"] = list_to(plan.gate.fleet, requirement_to);
  out["soak_ms"] = plan.gate.soak.count();
  put(out, "quarantine_ms", plan.gate.quarantine);
  out["drain_budget_ms"] = plan.gate.drain_budget.count();
  put(out, "terminate", plan.gate.terminate);
  if (!plan.doomed.empty()) out["doomed"] = list_to(plan.doomed, doomed_to);
  for (const auto& [phase, count] : plan.approvals) out["approvals"][std::string(to_string(phase))] = count;
  return out;
}

core::Plan plan_from(const json& in) {
  core::Plan plan;
  plan.name = in.at("plan").get<std::string>();
  plan.target = TargetName(in.at("target").get<std::string>());
  plan.id = PlanId(plan.target.str() + "." + plan.name);
  plan.summary = take<std::string>(in, "summary");
  plan.hash = in.at("hash").get<std::string>();
  plan.steps = list_from<core::Step>(in, "steps", step_from);
  plan.gate.fleet = list_from<core::FleetRequirement>(in, "fleet", requirement_from);
  plan.gate.soak = take_ms(in, "soak_ms");
  plan.gate.quarantine = take_ms(in, "quarantine_ms");
  if (in.contains("drain_budget_ms")) plan.gate.drain_budget = take_ms(in, "drain_budget_ms");
  plan.gate.terminate = take<bool>(in, "terminate");
  plan.doomed = list_from<core::Doomed>(in, "doomed", doomed_from);
  const auto approvals = take<std::map<std::string, int>>(in, "approvals");
  for (const auto& [phase, count] : approvals) plan.approvals[required(core::phase_from(phase), json(phase))] = count;
  return plan;
}

Result<core::Plan> plan_from_json(const json& in) {
  return reading("plan", [&] { return plan_from(in); });
}

}  // namespace diastole::codec
