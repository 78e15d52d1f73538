// The HTTP API of shared/design/api.md: routes, roles, and what each call answers. No decisions of its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/engine/fleet.hpp"
#include "diastole/engine/floors.hpp"
#include "diastole/engine/journal.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/http/message.hpp"
#include "diastole/sql/analysis.hpp"

namespace diastole::http {

enum class Role { ci, operator_, instance, viewer, admin };
[[nodiscard]] std::optional<Role> role_from(std::string_view text);

// Whoever presents the token acts under this name. The token itself is not kept.
struct Principal {
  std::string name;
  Role role = Role::viewer;
  std::string token_hash;  // codec::sha256 of the token
};

struct ApiSettings {
  // Everybody may do everything, under the name "dev"; only for a loopback listener. Requests must then name a loopback
  // host, so that a web page cannot reach the daemon through the browser.
  bool open = false;
  std::vector<Principal> principals;
  codec::PlanDefaults plan_defaults;
  sql::AnalysisOptions analysis;
  bool approval_by_submitter = false;
  Milliseconds override_lasts{3'600'000};
  std::size_t plan_bytes = 1024 * 1024;
  std::size_t heartbeat_bytes = 4096;
  std::size_t batch_bytes = 1024 * 1024;
};

struct ApiParts {
  engine::Journal& journal;
  engine::FleetRegistry& fleet;
  engine::Reconciler& reconciler;
  const engine::Floors& floors;
  const ports::Lease& lease;
  const ports::Clock& clock;
  engine::Targets targets;
};

// Thread-safe.
[[nodiscard]] std::unique_ptr<Handler> make_api(const ApiParts& parts, ApiSettings settings);

}  // namespace diastole::http
