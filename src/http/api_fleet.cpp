// Calls about the fleet and the daemon itself, and what all calls share.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "api_calls.hpp"
#include "api_views.hpp"
#include "metrics.hpp"
#include "problem.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 128;
constexpr std::int64_t kInstancesAPage = 1000;
constexpr Milliseconds kStalled{30'000};

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

Result<std::string> visible_text(const json& object, const std::string& path, const char* key, bool required) {
  const auto found = object.find(key);
  if (found == object.end()) {
    if (required) return fail(ErrorCode::invalid_argument, fmt::format("'{}' is missing", key), path + "/" + key);
    return std::string();
  }
  if (found->is_string()) {
    auto text = found->get<std::string>();
    if (text.size() <= kMaxText && is_visible(text) && !(required && text.empty())) return text;
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected text of 1 to {} characters without spaces", kMaxText),
              path + "/" + key);
}

Result<engine::Heartbeat> heartbeat_from(const json& value, const std::string& path) {
  if (!value.is_object()) {
    return fail(ErrorCode::invalid_argument, "expected {\"service\", \"instance\", \"version\", …}", path);
  }
  for (const auto& [key, unused] : value.items()) {
    constexpr std::string_view kKnown[] = {"service", "instance", "version", "incarnation", "sequence"};
    if (std::ranges::find(kKnown, key) == std::end(kKnown)) {
      return fail(ErrorCode::invalid_argument, "unknown key; known: service, instance, version, incarnation, sequence",
                  path + "/" + key);
    }
  }
  engine::Heartbeat heartbeat;
  auto service = visible_text(value, path, "service", true);
  if (!service) return std::unexpected(service.error());
  if (!is_service_name(*service)) {
    return fail(ErrorCode::invalid_argument, "expected 1 to 63 of a-z, 0-9 and -", path + "/service");
  }
  auto instance = visible_text(value, path, "instance", true);
  if (!instance) return std::unexpected(instance.error());
  auto version = visible_text(value, path, "version", true);
  if (!version) return std::unexpected(version.error());
  auto incarnation = visible_text(value, path, "incarnation", false);
  if (!incarnation) return std::unexpected(incarnation.error());
  if (const auto sequence = value.find("sequence"); sequence != value.end()) {
    const bool fits = sequence->is_number_unsigned() && *sequence <= std::numeric_limits<std::int64_t>::max();
    if (!fits)
      return fail(ErrorCode::invalid_argument, "expected a whole number that is not negative", path + "/sequence");
    heartbeat.sequence = sequence->get<std::int64_t>();
  }
  heartbeat.service = ServiceName(std::move(*service));
  heartbeat.instance = InstanceId(std::move(*instance));
  heartbeat.version = std::move(*version);
  heartbeat.incarnation = std::move(*incarnation);
  return heartbeat;
}

}  // namespace

std::expected<json, Response> json_body(const Request& request, std::size_t limit) {
  const auto type = request.header("content-type").value_or("");
  if (!type.starts_with("application/json")) {
    return std::unexpected(
        problem(415, "Unsupported media type", "send Content-Type: application/json (the command line reads YAML)"));
  }
  if (request.body.size() > limit) {
    return std::unexpected(
        problem(413, "Content too large", fmt::format("the limit is {} bytes", limit), {{"limit", limit}}));
  }
  auto parsed = codec::parse_json(request.body);
  if (!parsed) return std::unexpected(problem(400, "Malformed JSON", parsed.error().message));
  return std::move(*parsed);
}

Response json_response(int status, const json& body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  return response;
}

Result<std::int64_t> number(const Request& request, const std::string& key, std::int64_t fallback, std::int64_t low,
                            std::int64_t high) {
  const auto found = request.query.find(key);
  if (found == request.query.end()) return fallback;
  const auto& text = found->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("expected a whole number from {} to {}, found '{}'", low, high, text), key);
  }
  return value;
}

Answer ApiCalls::livez(const Call&) {
  return json_response(200, {{"status", "alive"}});
}

Answer ApiCalls::readyz(const Call&) {
  if (parts_.lease.epoch().value == 0) {
    return problem(503, "Not ready",
                   "the lease is not held: the state database cannot be reached, or another daemon holds it",
                   {{"retry_after_s", 2}});
  }
  const auto since = parts_.clock.now().mono - parts_.reconciler.last_round();
  if (since > kStalled) {
    return problem(503, "Not ready", fmt::format("the reconciler has not come round for {}", format_duration(since)),
                   {{"retry_after_s", 5}});
  }
  return json_response(200, {{"status", "ready"}, {"epoch", parts_.lease.epoch().value}});
}

Answer ApiCalls::metrics(const Call&) {
  const auto plans = parts_.journal.unfinished();
  if (!plans) return problem(plans.error());
  std::vector<GateLook> looks;
  for (const auto& plan : *plans) {
    if (plan->plan.has(core::Phase::contract)) looks.push_back({plan, parts_.reconciler.gates(*plan)});
  }
  return Response{.status = 200,
                  .headers = {{"Cache-Control", "no-store"}},
                  .content_type = kMetricsType,
                  .body = metrics_text(*plans) + gate_metrics_text(looks, parts_.clock.now().wall)};
}

json ApiCalls::floor_text(const ServiceName& service) const {
  const auto text = parts_.floors.text(service);
  return text.empty() ? json(nullptr) : json(text);
}

Answer ApiCalls::heartbeats(const Call& call) {
  auto body = json_body(call.request, settings_.batch_bytes);
  if (!body) return std::move(body.error());
  const bool batch = body->is_array();
  if (!batch && call.request.body.size() > settings_.heartbeat_bytes) {
    return problem(413, "Content too large", fmt::format("a heartbeat's limit is {} bytes", settings_.heartbeat_bytes));
  }
  std::vector<engine::Heartbeat> heartbeats;
  const auto count = batch ? body->size() : 1;
  for (std::size_t i = 0; i < count; ++i) {
    auto heartbeat = heartbeat_from(batch ? (*body)[i] : *body, batch ? fmt::format("/{}", i) : "");
    if (!heartbeat) return problem(heartbeat.error());
    heartbeats.push_back(std::move(*heartbeat));
  }
  // All are well-formed: from here on each counts for itself.
  json out{{"floor", nullptr}, {"accepted", 0}};
  std::int64_t accepted = 0;
  for (const auto& heartbeat : heartbeats) {
    const auto reply = parts_.fleet.report(heartbeat);
    if (!reply) return problem(reply.error());
    out["next_in_ms"] = reply->next_in.count();
    if (!reply->replayed) ++accepted;
    // It counts all the same: an old instance is there, whatever it is told.
    const auto floor = parts_.floors.above(heartbeat.service, heartbeat.version);
    if (!batch && floor) return retired(*floor, heartbeat.version);
    if (!batch) out["floor"] = floor_text(heartbeat.service);
    if (floor) {
      out["retired"].push_back({{"service", heartbeat.service.str()},
                                {"instance", heartbeat.instance.str()},
                                {"version", heartbeat.version},
                                {"floor", floor->version.text()},
                                {"plan", floor->plan.str()}});
    }
  }
  out["accepted"] = accepted;
  return json_response(200, out);
}

Answer ApiCalls::services(const Call&) {
  return json_response(200, services_view(parts_.fleet.view()));
}

Answer ApiCalls::instances(const Call& call) {
  const auto limit = number(call.request, "limit", kInstancesAPage, 1, kInstancesAPage);
  if (!limit) return problem(limit.error());
  const auto after = call.request.query.contains("after") ? call.request.query.at("after") : "";
  const auto found =
      parts_.fleet.instances(ServiceName(call.parameters.front()), after, static_cast<std::size_t>(*limit));
  json out = json::array();
  for (const auto& instance : found) out.push_back(instance_view(instance));
  json body{{"instances", std::move(out)}};
  if (found.size() >= static_cast<std::size_t>(*limit)) body["next"] = found.back().instance.str();
  return json_response(200, body);
}

Answer ApiCalls::remove_instance(const Call& call) {
  const ServiceName service(call.parameters[0]);
  const InstanceId instance(call.parameters[1]);
  const bool sign_off = call.principal.role == Role::instance;
  const auto reason = call.request.query.find("reason");
  if (!sign_off && !settings_.open && (reason == call.request.query.end() || reason->second.empty())) {
    return problem({ErrorCode::invalid_argument, "say why this instance is gone for good: ?reason=…", "reason"});
  }
  const auto why = reason == call.request.query.end() ? std::string("signed off") : reason->second;
  std::optional<std::string> incarnation;
  if (const auto found = call.request.query.find("incarnation"); found != call.request.query.end())
    incarnation = found->second;
  const auto removed = parts_.fleet.remove(service, instance, incarnation, call.principal.name + ": " + why);
  if (!removed) return problem(removed.error());
  parts_.reconciler.wake();
  return Response{.status = 204, .headers = {}, .content_type = "", .body = ""};
}

}  // namespace diastole::http
