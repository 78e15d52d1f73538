#include "diastole/core/sessions.hpp"

#include <algorithm>

namespace diastole::core {
namespace {

SessionClass class_of(VersionMatch match) {
  switch (match) {
    case VersionMatch::satisfied: return SessionClass::current;
    case VersionMatch::unsatisfied: return SessionClass::old;
    case VersionMatch::unparsable: return SessionClass::unversioned;
  }
  return SessionClass::unversioned;
}

SessionVerdict by_mapping(const FleetRequirement& requirement, const RoleMapping& mapping,
                          const std::optional<SessionName>& name) {
  SessionVerdict verdict{.is = SessionClass::unversioned,
                         .requirement = &requirement,
                         .version = {},
                         .instance = name ? name->instance : "",
                         .by_role = false};
  switch (mapping.tells) {
    case RoleMapping::Tells::version:
      verdict.version = mapping.version;
      verdict.by_role = true;
      verdict.is = class_of(requirement.version.match(mapping.version));
      break;
    case RoleMapping::Tells::application_name:
      if (!name || name->service != requirement.service.str()) break;
      verdict.version = name->version;
      verdict.is = class_of(requirement.version.match(name->version));
      break;
    case RoleMapping::Tells::nothing: verdict.is = SessionClass::untold; break;
  }
  return verdict;
}

std::optional<SessionVerdict> by_role(const Session& session, const std::vector<FleetRequirement>& fleet,
                                      const std::optional<SessionName>& name) {
  for (const auto& requirement : fleet) {
    const auto mapped = std::ranges::find(requirement.roles, session.role, &RoleMapping::role);
    if (mapped != requirement.roles.end()) return by_mapping(requirement, *mapped, name);
  }
  return std::nullopt;
}

const FleetRequirement* service_of(const SessionName& name, const std::vector<FleetRequirement>& fleet) {
  const auto found = std::ranges::find_if(
      fleet, [&](const FleetRequirement& requirement) { return requirement.service.str() == name.service; });
  return found == fleet.end() ? nullptr : &*found;
}

SessionVerdict nobody(SessionClass is) {
  return {.is = is, .requirement = nullptr, .version = {}, .instance = {}};
}

bool is_tool(const Session& session, const std::vector<Tool>& tools) {
  return std::ranges::any_of(tools, [&](const Tool& tool) {
    return tool.name == (tool.by == Tool::By::role ? session.role : session.application_name);
  });
}

}  // namespace

bool ServerScan::may_log_in(std::string_view role) const {
  const auto login = std::ranges::find(logins, role, &RoleLogin::role);
  return login == logins.end() || login->can_login;
}

bool SessionScan::complete() const {
  return !servers.empty() && std::ranges::all_of(servers, [](const ServerScan& scan) { return scan.failed.empty(); });
}

std::optional<SessionName> parse_session_name(std::string_view application_name) {
  const auto at = application_name.find('@');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const auto rest = application_name.substr(at + 1);
  const auto slash = rest.find('/');
  SessionName name{.service = std::string(application_name.substr(0, at)),
                   .version = std::string(rest.substr(0, slash)),
                   .instance = slash == std::string_view::npos ? "" : std::string(rest.substr(slash + 1))};
  if (name.version.empty()) return std::nullopt;
  return name;
}

SessionVerdict classify(const Session& session, const GateSpec& spec, const std::vector<Tool>& tools) {
  const auto name = parse_session_name(session.application_name);
  if (const auto mapped = by_role(session, spec.fleet, name)) return *mapped;
  if (by_role(session, spec.others, name)) return nobody(SessionClass::untold);
  // What names a service is the service's, even where a tool's role is borrowed.
  if (const auto* requirement = name ? service_of(*name, spec.fleet) : nullptr) {
    return {.is = class_of(requirement->version.match(name->version)),
            .requirement = requirement,
            .version = name->version,
            .instance = name->instance};
  }
  if (name && service_of(*name, spec.others)) return nobody(SessionClass::untold);
  return nobody(is_tool(session, tools) ? SessionClass::tool : SessionClass::undeclared);
}

std::vector<std::string> roles_below(const std::vector<FleetRequirement>& fleet) {
  std::vector<std::string> out;
  for (const auto& requirement : fleet) {
    for (const auto& mapping : requirement.roles) {
      const bool below = mapping.tells == RoleMapping::Tells::version &&
                         requirement.version.match(mapping.version) != VersionMatch::satisfied;
      if (below) out.push_back(mapping.role);
    }
  }
  return out;
}

std::vector<std::string> roles_of(const std::vector<FleetRequirement>& fleet) {
  std::vector<std::string> out;
  for (const auto& requirement : fleet) {
    for (const auto& mapping : requirement.roles) out.push_back(mapping.role);
  }
  return out;
}

}  // namespace diastole::core
