#include "values.hpp"

#include "diastole/codec/plan_codec.hpp"

namespace diastole::codec {

std::optional<WallTime> take_time(const json& in, const char* key) {
  const auto found = in.find(key);
  if (found == in.end() || found->is_null()) return std::nullopt;
  auto time = parse_rfc3339(found->get_ref<const std::string&>());
  if (!time) throw BadValue(time.error().message);
  return *time;
}

core::Phase phase_of(const json& in) {
  const auto& value = in.at("phase");
  return required(core::phase_from(value.get_ref<const std::string&>()), value);
}

json reason_to_json(const core::Reason& reason) {
  json out{{"kind", to_string(reason.kind)}, {"message", reason.message}, {"clears", reason.clears}};
  put(out, "service", reason.service);
  put(out, "instance", reason.instance);
  put(out, "version", reason.version);
  put(out, "source", reason.source);
  put(out, "object", reason.object);
  put(out, "pid", reason.pid);
  put(out, "age_ms", reason.age);
  put(out, "query", reason.query);
  put(out, "count", reason.count);
  if (reason.since) out["since"] = to_rfc3339(*reason.since);
  return out;
}

core::Reason reason_from(const json& in) {
  core::Reason reason;
  reason.kind = required(core::reason_kind_from(in.at("kind").get_ref<const std::string&>()), in.at("kind"));
  reason.message = take<std::string>(in, "message");
  reason.clears = take<std::string>(in, "clears");
  reason.service = take<std::string>(in, "service");
  reason.instance = take<std::string>(in, "instance");
  reason.version = take<std::string>(in, "version");
  reason.source = take<std::string>(in, "source");
  reason.object = take<std::string>(in, "object");
  reason.pid = take<std::int64_t>(in, "pid");
  reason.age = take_ms(in, "age_ms");
  reason.query = take<std::string>(in, "query");
  reason.count = take<std::int64_t>(in, "count");
  reason.since = take_time(in, "since");
  return reason;
}

json blockers_to(const std::vector<core::Blocker>& blockers) {
  return list_to(blockers, [](const core::Blocker& blocker) {
    json out{{"pid", blocker.pid}};
    put(out, "application", blocker.application);
    put(out, "user", blocker.user);
    put(out, "state", blocker.state);
    put(out, "age_ms", blocker.age);
    put(out, "query", blocker.query);
    return out;
  });
}

std::vector<core::Blocker> blockers_from(const json& in) {
  return list_from<core::Blocker>(in, "blockers", [](const json& item) {
    return core::Blocker{item.at("pid").get<std::int64_t>(),
                         take<std::string>(item, "application"),
                         take<std::string>(item, "user"),
                         take<std::string>(item, "state"),
                         take_ms(item, "age_ms"),
                         take<std::string>(item, "query")};
  });
}

json failure_to(const core::Failure& failure) {
  json out{{"message", failure.message}};
  put(out, "sqlstate", failure.sqlstate);
  put(out, "detail", failure.detail);
  put(out, "hint", failure.hint);
  put(out, "statement", failure.statement);
  put(out, "line", failure.line);
  put(out, "column", failure.column);
  if (!failure.blockers.empty()) out["blockers"] = blockers_to(failure.blockers);
  return out;
}

core::Failure failure_from(const json& in) {
  core::Failure failure;
  failure.message = in.at("message").get<std::string>();
  failure.sqlstate = take<std::string>(in, "sqlstate");
  failure.detail = take<std::string>(in, "detail");
  failure.hint = take<std::string>(in, "hint");
  failure.statement = take<int>(in, "statement");
  failure.line = take<int>(in, "line");
  failure.column = take<int>(in, "column");
  failure.blockers = blockers_from(in);
  return failure;
}

namespace {

json throttle_to(const core::Throttle& throttle) {
  json out{{"share", throttle.share}, {"ceiling", throttle.ceiling}};
  if (const auto& reason = throttle.reason) {
    out["reason"] = {{"signal", to_string(reason->kind)}, {"load", reason->load}, {"detail", reason->detail}};
    put(out["reason"], "least", reason->least);
  }
  put(out, "notes", throttle.notes);
  return out;
}

core::Throttle throttle_from(const json& in) {
  core::Throttle throttle;
  throttle.share = in.at("share").get<double>();
  throttle.ceiling = in.at("ceiling").get<double>();
  if (const auto reason = in.find("reason"); reason != in.end()) {
    const auto& kind = reason->at("signal");
    throttle.reason = {.kind = required(core::signal_kind_from(kind.get_ref<const std::string&>()), kind),
                       .load = reason->at("load").get<double>(),
                       .detail = reason->at("detail").get<std::string>(),
                       .least = take<double>(*reason, "least")};
  }
  throttle.notes = take<std::vector<std::string>>(in, "notes");
  return throttle;
}

}  // namespace

json progress_to(const core::Progress& progress) {
  json out{{"rows", progress.rows}, {"rows_changed", progress.rows_changed},       {"rows_total", progress.rows_total},
           {"pass", progress.pass}, {"rows_per_second", progress.rows_per_second}, {"share", progress.share}};
  put(out, "rows_skipped", progress.rows_skipped);
  if (progress.eta) out["eta_ms"] = progress.eta->count();
  if (progress.eta_low) out["eta_low_ms"] = progress.eta_low->count();
  if (progress.eta_high) out["eta_high_ms"] = progress.eta_high->count();
  if (progress.throttle != core::Throttle{}) out["throttle"] = throttle_to(progress.throttle);
  return out;
}

core::Progress progress_from(const json& in) {
  core::Progress progress;
  progress.rows = in.at("rows").get<std::int64_t>();
  progress.rows_changed = in.at("rows_changed").get<std::int64_t>();
  progress.rows_total = in.at("rows_total").get<std::int64_t>();
  progress.pass = in.at("pass").get<int>();
  progress.rows_per_second = in.at("rows_per_second").get<double>();
  progress.share = take<double>(in, "share");
  progress.rows_skipped = take<std::int64_t>(in, "rows_skipped");
  if (in.contains("eta_ms")) progress.eta = take_ms(in, "eta_ms");
  if (in.contains("eta_low_ms")) progress.eta_low = take_ms(in, "eta_low_ms");
  if (in.contains("eta_high_ms")) progress.eta_high = take_ms(in, "eta_high_ms");
  if (in.contains("throttle")) progress.throttle = throttle_from(in["throttle"]);
  return progress;
}

}  // namespace diastole::codec
