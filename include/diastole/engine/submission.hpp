// From a document to a plan that may run, or to every reason why it may not.
#pragma once

#include <expected>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <vector>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::engine {

struct Refusal {
  std::vector<Error> errors;            // of form; each with its path
  std::vector<core::Finding> findings;  // of the analyser: all of the plan's, the refusing ones among them
};

// Reads, analyses and validates. The plan carries its findings.
[[nodiscard]] std::expected<core::Plan, Refusal> examine(const nlohmann::json& document,
                                                         const codec::PlanDefaults& defaults,
                                                         const std::set<TargetName>& targets);

}  // namespace diastole::engine
