// What each call of the API does. Routing and authentication have happened.
#pragma once

#include <string>
#include <vector>

#include "diastole/core/command.hpp"
#include "diastole/http/api.hpp"
#include "diastole/http/message.hpp"

namespace diastole::http {

struct Call {
  const Request& request;
  const Principal& principal;
  std::vector<std::string> parameters;  // in the order of the pattern
};

class ApiCalls {
 public:
  ApiCalls(const ApiParts& parts, const ApiSettings& settings) : parts_(parts), settings_(settings) {}

  Answer livez(const Call& call);
  Answer readyz(const Call& call);
  Answer metrics(const Call& call);

  Answer submit(const Call& call);
  Answer check(const Call& call);
  Answer list_plans(const Call& call);
  Answer get_plan(const Call& call);
  Answer events(const Call& call);
  Answer gate(const Call& call);
  Answer preview(const Call& call);
  Answer approve(const Call& call);
  Answer pause(const Call& call);
  Answer resume(const Call& call);
  Answer retry(const Call& call);
  Answer abort(const Call& call);
  Answer pace(const Call& call);
  Answer hold_gate(const Call& call);
  Answer release_gate(const Call& call);
  Answer override_gate(const Call& call);
  Answer admission(const Call& call);

  Answer heartbeats(const Call& call);
  Answer services(const Call& call);
  Answer instances(const Call& call);
  Answer remove_instance(const Call& call);

 private:
  // What instances of a service must run; null where nothing is asked of them.
  [[nodiscard]] nlohmann::json floor_text(const ServiceName& service) const;
  [[nodiscard]] Answer command(const PlanId& plan, const core::Command& command);
  // The plan after the change; conflict says what state it is in.
  [[nodiscard]] Answer change(const PlanId& plan, const engine::Journal::Change& change);
  [[nodiscard]] Result<std::vector<ports::StoredEvent>> page(const std::optional<PlanId>& plan, std::int64_t after,
                                                             int limit);

  const ApiParts parts_;
  const ApiSettings& settings_;
};

// 415 where the body is not declared as JSON, 413 over `limit`.
[[nodiscard]] std::optional<Response> body_refusal(const Request& request, std::size_t limit);
// The body as a JSON value; 415 where it is not declared as JSON, 413 over `limit`, 400 where it does not parse.
[[nodiscard]] std::expected<nlohmann::json, Response> json_body(const Request& request, std::size_t limit);
// 409: the version does not reach this floor.
[[nodiscard]] Response retired(const core::Floor& floor, const std::string& version);
[[nodiscard]] Response json_response(int status, const nlohmann::json& body);
// A query parameter as a number in a range; the default where it is not given.
[[nodiscard]] Result<std::int64_t> number(const Request& request, const std::string& key, std::int64_t fallback,
                                          std::int64_t low, std::int64_t high);

}  // namespace diastole::http
