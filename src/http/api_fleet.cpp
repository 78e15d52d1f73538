// Calls about the fleet and the daemon itself, and what all calls share.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "api_calls.hpp"
#include "api_views.hpp"
#include "heartbeat_reader.hpp"
#include "metrics.hpp"
#include "problem.hpp"

namespace diastole::http {
namespace {

using nlohmann::json;

constexpr std::int64_t kInstancesAPage = 1000;
constexpr Milliseconds kStalled{30'000};

}  // namespace

std::optional<Response> body_refusal(const Request& request, std::size_t limit) {
  if (!request.header("content-type").value_or("").starts_with("application/json")) {
    return problem(415, "Unsupported media type", "send Content-Type: application/json (the command line reads YAML)");
  }
  if (request.body.size() > limit) {
    return problem(413, "Content too large", fmt::format("the limit is {} bytes", limit), {{"limit", limit}});
  }
  return std::nullopt;
}

std::expected<json, Response> json_body(const Request& request, std::size_t limit) {
  if (auto refusal = body_refusal(request, limit)) return std::unexpected(std::move(*refusal));
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
                  .body = metrics_text(*plans) + gate_metrics_text(looks, parts_.clock.now().wall) +
                          fleet_metrics_text(parts_.fleet.view(), parts_.fleet.heartbeats())};
}

json ApiCalls::floor_text(const ServiceName& service) const {
  const auto text = parts_.floors.text(service);
  return text.empty() ? json(nullptr) : json(text);
}

Answer ApiCalls::heartbeats(const Call& call) {
  if (auto refusal = body_refusal(call.request, settings_.batch_bytes)) return std::move(*refusal);
  const auto too_large = [&](bool batch) { return !batch && call.request.body.size() > settings_.heartbeat_bytes; };
  const auto refuse_size = [&] {
    return problem(413, "Content too large", fmt::format("a heartbeat's limit is {} bytes", settings_.heartbeat_bytes));
  };
  auto heartbeats = read_plain_heartbeats(call.request.body);
  if (!heartbeats) {
    const auto body = json_body(call.request, settings_.batch_bytes);
    if (!body) return body.error();
    if (too_large(body->is_array())) return refuse_size();
    auto read = read_heartbeats(*body);
    if (!read) return problem(read.error());
    heartbeats = std::move(*read);
  }
  if (too_large(heartbeats->batch)) return refuse_size();
  // All are well-formed: from here on each counts for itself.
  std::int64_t accepted = 0;
  std::optional<Milliseconds> next_in;
  json floor_said(nullptr);
  json refused;  // become arrays with their first element
  json retired_ones;
  for (std::size_t i = 0; i < heartbeats->items.size(); ++i) {
    const auto& heartbeat = heartbeats->items[i];
    const auto reply = parts_.fleet.report(heartbeat);
    if (!reply) {
      if (!heartbeats->batch) return problem(reply.error());
      refused.push_back({{"path", fmt::format("/{}", i)}, {"detail", reply.error().message}});
      continue;
    }
    next_in = reply->next_in;
    if (!reply->replayed) ++accepted;
    // It counts all the same: an old instance is there, whatever it is told.
    const auto floor = parts_.floors.above(heartbeat.service, heartbeat.version);
    if (!heartbeats->batch && floor) return retired(*floor, heartbeat.version);
    if (!heartbeats->batch) floor_said = floor_text(heartbeat.service);
    if (floor) {
      retired_ones.push_back({{"service", heartbeat.service.str()},
                              {"instance", heartbeat.instance.str()},
                              {"version", heartbeat.version},
                              {"floor", floor->version.text()},
                              {"plan", floor->plan.str()}});
    }
  }
  // Written by hand: this is the answer that the daemon gives most often.
  const auto dumped = [](const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); };
  Response response;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body.reserve(64);
  response.body.append(R"({"accepted":)").append(std::to_string(accepted)).append(R"(,"floor":)");
  response.body.append(floor_said.is_null() ? "null" : dumped(floor_said));
  if (next_in) response.body.append(R"(,"next_in_ms":)").append(std::to_string(next_in->count()));
  if (!refused.empty()) response.body.append(R"(,"refused":)").append(dumped(refused));
  if (!retired_ones.empty()) response.body.append(R"(,"retired":)").append(dumped(retired_ones));
  response.body += "}\n";
  return response;
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
