#include "diastole/http/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api_calls.hpp"
#include "problem.hpp"

namespace diastole::http {
namespace {

// A route's pattern: a segment in braces is a parameter.
struct Route {
  std::string_view method;
  std::vector<std::string_view> pattern;
  std::vector<Role> roles;  // beside admin; empty: everybody, even without a token
  Answer (ApiCalls::*call)(const Call&);
  bool inline_call = false;
};

const std::vector<Role> kReaders{Role::ci, Role::operator_, Role::viewer};
const std::vector<Role> kOperators{Role::operator_};
const std::vector<Role> kPipelines{Role::ci};

const std::vector<Route>& routes() {
  static const std::vector<Route> kRoutes{
      {"GET", {"livez"}, {}, &ApiCalls::livez, true},
      {"GET", {"readyz"}, {}, &ApiCalls::readyz, true},
      {"GET", {"metrics"}, {}, &ApiCalls::metrics},
      {"POST", {"v1", "heartbeats"}, {Role::instance}, &ApiCalls::heartbeats, true},
      {"POST", {"v1", "admission"}, {Role::instance, Role::ci}, &ApiCalls::admission, true},
      {"POST", {"v1", "plans"}, kPipelines, &ApiCalls::submit},
      {"POST", {"v1", "plans", "check"}, kPipelines, &ApiCalls::check},
      {"GET", {"v1", "plans"}, kReaders, &ApiCalls::list_plans},
      {"GET", {"v1", "plans", "{plan}"}, kReaders, &ApiCalls::get_plan},
      {"GET", {"v1", "plans", "{plan}", "events"}, kReaders, &ApiCalls::events},
      {"GET", {"v1", "events"}, kReaders, &ApiCalls::events},
      {"GET", {"v1", "plans", "{plan}", "gate"}, kReaders, &ApiCalls::gate},
      {"POST", {"v1", "plans", "{plan}", "gate", "hold"}, kOperators, &ApiCalls::hold_gate},
      {"DELETE", {"v1", "plans", "{plan}", "gate", "hold"}, kOperators, &ApiCalls::release_gate},
      {"POST", {"v1", "plans", "{plan}", "gate", "overrides"}, kOperators, &ApiCalls::override_gate},
      {"GET", {"v1", "plans", "{plan}", "backfill", "preview"}, kReaders, &ApiCalls::preview},
      {"POST", {"v1", "plans", "{plan}", "approvals"}, kOperators, &ApiCalls::approve},
      {"POST", {"v1", "plans", "{plan}", "pause"}, kOperators, &ApiCalls::pause},
      {"POST", {"v1", "plans", "{plan}", "resume"}, kOperators, &ApiCalls::resume},
      {"POST", {"v1", "plans", "{plan}", "retry"}, kOperators, &ApiCalls::retry},
      {"POST", {"v1", "plans", "{plan}", "abort"}, kOperators, &ApiCalls::abort},
      {"PATCH", {"v1", "plans", "{plan}", "backfill"}, kOperators, &ApiCalls::pace},
      {"GET", {"v1", "services"}, kReaders, &ApiCalls::services},
      {"GET", {"v1", "services", "{service}", "instances"}, kReaders, &ApiCalls::instances},
      {"DELETE",
       {"v1", "services", "{service}", "instances", "{instance}"},
       {Role::instance, Role::operator_},
       &ApiCalls::remove_instance},
  };
  return kRoutes;
}

bool is_parameter(std::string_view segment) {
  return segment.starts_with('{');
}

bool matches(const Route& route, const std::vector<std::string>& path) {
  return std::ranges::equal(route.pattern, path, [](std::string_view segment, const std::string& actual) {
    return is_parameter(segment) ? !actual.empty() : segment == actual;
  });
}

// The texts differ by at most all of their bytes: always compares them all.
bool same_hash(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

bool loopback_host(std::string_view host) {
  if (host.starts_with('[')) return host.starts_with("[::1]");
  host = host.substr(0, host.rfind(':'));
  return host == "localhost" || host == "127.0.0.1";
}

class Api final : public Handler {
 public:
  Api(const ApiParts& parts, ApiSettings settings) : settings_(std::move(settings)), calls_(parts, settings_) {}

  std::optional<Response> handle_inline(const Request& request) override {
    const auto routed = route(request);
    if (!routed.route || !routed.route->inline_call) return std::nullopt;
    auto answer = call(request, *routed.route);
    return std::get<Response>(std::move(answer));
  }

  bool privileged(const Request& request) override {
    const auto principal = authenticate(request);
    return principal && ((*principal)->role == Role::operator_ || (*principal)->role == Role::admin);
  }

  Answer handle(const Request& request) override {
    const auto routed = route(request);
    if (routed.route) return call(request, *routed.route);
    if (routed.allowed.empty()) {
      return problem(404, "Not found", fmt::format("no such resource; see README for the API"));
    }
    auto response = problem(405, "Method not allowed",
                            fmt::format("{} is not possible here; {} is", request.method, routed.allowed));
    response.headers.emplace_back("Allow", routed.allowed);
    return response;
  }

 private:
  struct Routed {
    const Route* route = nullptr;
    std::string allowed;  // the methods of the path, where this one is not among them
  };

  static Routed route(const Request& request) {
    Routed out;
    for (const auto& candidate : routes()) {
      if (!matches(candidate, request.path)) continue;
      if (candidate.method == request.method) return {&candidate, {}};
      // "check" is no plan: a literal segment wins over a parameter.
      if (!out.allowed.empty()) out.allowed += ", ";
      out.allowed += candidate.method;
    }
    return out;
  }

  Answer call(const Request& request, const Route& route) {
    static const Principal kNobody;
    const Principal* principal = &kNobody;
    if (!route.roles.empty()) {
      auto known = authenticate(request);
      if (!known) return std::move(known.error());
      principal = *known;
      if (principal->role != Role::admin && std::ranges::find(route.roles, principal->role) == route.roles.end()) {
        return problem(403, "Forbidden",
                       fmt::format("the token '{}' has a role that may not do this", principal->name));
      }
    }
    Call made{request, *principal, {}};
    for (std::size_t i = 0; i < route.pattern.size(); ++i) {
      if (is_parameter(route.pattern[i])) made.parameters.push_back(request.path[i]);
    }
    return (calls_.*route.call)(made);
  }

  // The token is hashed at every request, and no token that was seen is kept: how long it takes depends on its length
  // alone, and there is nothing in memory that would open the door. (One SHA-256 of 64 bytes is half a microsecond.)
  [[nodiscard]] std::expected<const Principal*, Response> authenticate(const Request& request) const {
    static const Principal kDev{"dev", Role::admin, ""};
    if (settings_.open) {
      const bool from_page = request.header("origin").has_value();
      if (!from_page && loopback_host(request.header("host").value_or(""))) return &kDev;
      return std::unexpected(problem(
          403, "Forbidden", "--dev answers only requests to localhost, 127.0.0.1 or [::1] that no web page has sent"));
    }
    constexpr std::string_view kScheme = "Bearer ";
    const auto header = request.header("authorization").value_or("");
    if (header.starts_with(kScheme)) {
      const auto hash = codec::sha256(header.substr(kScheme.size()));
      for (const auto& principal : settings_.principals) {
        if (same_hash(principal.token_hash, hash)) return &principal;
      }
    }
    auto response = problem(401, "Unauthorized",
                            header.empty() ? "send a token: Authorization: Bearer …" : "this token is not known");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"diastole\"");
    return std::unexpected(std::move(response));
  }

  const ApiSettings settings_;
  ApiCalls calls_;
};

}  // namespace

std::optional<Role> role_from(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Role>, 5> kRoles{{{"ci", Role::ci},
                                                                     {"operator", Role::operator_},
                                                                     {"instance", Role::instance},
                                                                     {"viewer", Role::viewer},
                                                                     {"admin", Role::admin}}};
  for (const auto& [name, role] : kRoles) {
    if (name == text) return role;
  }
  return std::nullopt;
}

std::unique_ptr<Handler> make_api(const ApiParts& parts, ApiSettings settings) {
  return std::make_unique<Api>(parts, std::move(settings));
}

}  // namespace diastole::http
