// Plans, states and events as JSON, and back. Errors carry the JSON pointer of what is wrong.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/core/event.hpp"
#include "diastole/core/machine.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::codec {

// Text to a JSON value, at most 32 levels deep; invalid_argument names line and column. Duplicate keys and U+0000 are
// refused.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text);
// YAML 1.1's scalars become strings unless they are unquoted numbers, booleans or null; duplicate keys, aliases beyond
// the document's own size and more than 32 levels are refused. invalid_argument names line and column.
[[nodiscard]] Result<nlohmann::json> parse_yaml(std::string_view text);
// The 1-based line of a JSON pointer's value in a YAML text, or of the nearest value around it where it is missing; 0
// where the text or the pointer cannot be read.
[[nodiscard]] int line_of(std::string_view yaml, std::string_view pointer);

// What the daemon's configuration says where a plan may say something itself.
struct PlanDefaults {
  Milliseconds soak{600'000};
  Milliseconds min_soak{0};        // a plan may not ask for less
  int min_contract_approvals = 0;  // likewise
  Milliseconds drain_budget{600'000};
};

// Reads a plan document (shared/design/plan.md). Fills everything that the document says, and the hash; the analysis is
// sql's. On failure every error that was found, each with its path; never an empty list.
[[nodiscard]] std::expected<core::Plan, std::vector<Error>> plan_from_document(const nlohmann::json& document,
                                                                               const PlanDefaults& defaults = {});

// The completed plan, losslessly, for the event log.
[[nodiscard]] nlohmann::json plan_to_json(const core::Plan& plan);
[[nodiscard]] Result<core::Plan> plan_from_json(const nlohmann::json& json);

[[nodiscard]] nlohmann::json event_to_json(const core::Event& event);  // the body; the kind is beside it
[[nodiscard]] Result<core::Event> event_from_json(std::string_view kind, const nlohmann::json& json);

[[nodiscard]] nlohmann::json state_to_json(const core::PlanState& state);
[[nodiscard]] Result<core::PlanState> state_from_json(const nlohmann::json& json);

[[nodiscard]] nlohmann::json reason_to_json(const core::Reason& reason);
[[nodiscard]] nlohmann::json recheck_to_json(const core::Recheck& recheck);
[[nodiscard]] nlohmann::json walk_to_json(const core::Walk& walk);
[[nodiscard]] nlohmann::json pace_to_json(const core::Pace& pace);
// A change of it, as an RFC 7396 merge patch: what is not named stays, null lifts. invalid_argument with the path.
[[nodiscard]] Result<core::Pace> patched_pace(const core::Pace& pace, const nlohmann::json& patch);
[[nodiscard]] nlohmann::json statement_to_json(const core::Statement& statement);
[[nodiscard]] nlohmann::json finding_to_json(const core::Finding& finding);
[[nodiscard]] nlohmann::json gate_to_json(const core::GateVerdict& verdict, Now now);
// How far a plan has come behind its gate, who holds it, and what was set aside.
[[nodiscard]] nlohmann::json gate_progress_to_json(const core::GateProgress& progress);

// "sha256-" and 64 hex digits.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace diastole::codec
