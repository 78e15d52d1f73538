// The gate's unmet conditions in words: what is in the way, and what would clear it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/gate.hpp"

namespace diastole::core {

inline constexpr std::string_view kClearsSilence =
    "a report from it; or its sign-off; or that discovery, which once listed it, no longer does; or DELETE "
    "/v1/services/{service}/instances/{instance} with a reason, if it is gone for good";

// One reason an example, the last of them carrying how many more are meant, so that a list stays readable at any size.
void add_members(std::vector<Reason>& reasons, ReasonKind kind, const FleetRequirement& requirement,
                 const VersionTally& tally, bool silent, std::int64_t count, std::string_view what,
                 std::string_view clears);
[[nodiscard]] std::string silence(const std::string& version, Milliseconds suspect_after);

[[nodiscard]] Reason too_few(const ServiceVerdict& verdict);
[[nodiscard]] Reason disagreement(const FleetRequirement& requirement, const ServiceTally& tally);
[[nodiscard]] Reason mass_silence(const FleetRequirement& requirement, const ServiceTally& tally);
[[nodiscard]] Reason held(const GateHold& hold);
[[nodiscard]] Reason backfill_incomplete();
[[nodiscard]] Reason watching(Milliseconds watched, Milliseconds suspect_after);
[[nodiscard]] Reason soaking(Milliseconds soaked, Milliseconds soak);
[[nodiscard]] Reason membership_changing(Milliseconds same, Milliseconds needed);
[[nodiscard]] Reason not_scanned();
[[nodiscard]] Reason server_unseen(const ServerScan& server);
[[nodiscard]] Reason role_can_login(const std::string& server, const std::string& role);
// Old, unversioned and undeclared sessions, alike ones together.
[[nodiscard]] std::vector<Reason> session_reasons(const GateSpec& spec, const GateEvidence& evidence);

}  // namespace diastole::core
