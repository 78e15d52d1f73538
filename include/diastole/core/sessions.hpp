// Who is connected to a target, and what that says of the versions that run: pure classification of what was seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::core {

// A session of a client on one of the target's servers, or a prepared transaction there. Never one of the daemon's own.
struct Session {
  std::string server;  // "primary", or a replica as the configuration lists it: "replica 1"
  std::int64_t pid = 0;
  std::int64_t started_us = 0;  // backend_start in microseconds since 1970, which with pid names the session for good
  std::string role;
  std::string application_name;
  std::string database;
  WallTime since;
  std::string prepared;  // the global id of a prepared transaction, which has neither pid nor application_name

  friend bool operator==(const Session&, const Session&) = default;
};

// What one server says of a role that a plan maps to a version.
struct RoleLogin {
  std::string role;
  bool can_login = false;  // false as well where there is no such role
  friend bool operator==(const RoleLogin&, const RoleLogin&) = default;
};

struct ServerScan {
  std::string server;
  std::string failed;  // why it could not be scanned in full; empty where it was
  std::vector<RoleLogin> logins;

  // A role that was not asked for may, as far as anybody knows.
  [[nodiscard]] bool may_log_in(std::string_view role) const;
  friend bool operator==(const ServerScan&, const ServerScan&) = default;
};

struct SessionScan {
  MonoTime at;
  std::vector<ServerScan> servers;
  std::vector<Session> sessions;
  std::optional<Milliseconds> quarantined_for;  // by the target's own clock; nothing where nothing is in quarantine

  [[nodiscard]] bool complete() const;
};

enum class SessionClass {
  current,      // of a declared service, on a version that its requirement asks for
  old,          // of a declared service, below it
  unversioned,  // of a declared service, and its version cannot be told
  untold,       // of a role that the plan says to tell nothing, or of a service that this gate asks nothing of
  tool,         // of what the configuration names as no application
  undeclared,   // of nobody that the plan or the configuration knows
};

struct SessionVerdict {
  SessionClass is = SessionClass::undeclared;
  const FleetRequirement* requirement = nullptr;  // of the service; none for tool and undeclared
  std::string version;                            // as far as it can be told
  std::string instance;                           // likewise
  bool by_role = false;                           // its role names the version: a fence can keep it out
};

// "service@version" or "service@version/instance", as applications call their sessions.
struct SessionName {
  std::string service;
  std::string version;
  std::string instance;
};
[[nodiscard]] std::optional<SessionName> parse_session_name(std::string_view application_name);

// By the role, where a service's `roles` has it; else by the application_name.
[[nodiscard]] SessionVerdict classify(const Session& session, const GateSpec& spec, const std::vector<Tool>& tools);

// The roles that a fence takes the login from: those that map to a version below their service's requirement.
[[nodiscard]] std::vector<std::string> roles_below(const std::vector<FleetRequirement>& fleet);
// All roles that the fleet names.
[[nodiscard]] std::vector<std::string> roles_of(const std::vector<FleetRequirement>& fleet);

}  // namespace diastole::core
