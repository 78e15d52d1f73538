// From a document to a plan that may run, or to every reason why it may not.
#pragma once

#include <expected>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/sql/analysis.hpp"

namespace diastole::engine {

struct Examined {
  core::Plan plan;              // carries its findings
  std::string catalog_missing;  // why the analysis had to do without the target's catalog; empty where it had it
};

struct Refusal {
  std::vector<Error> errors;            // of form; each with its path
  std::vector<core::Finding> findings;  // of the analyser: all of the plan's, the refusing ones among them
  std::string catalog_missing;          // as above
};

// Reads, analyses and validates. Asks the plan's target once, for as long as its catalog() may take.
[[nodiscard]] std::expected<Examined, Refusal> examine(const nlohmann::json& document,
                                                       const codec::PlanDefaults& defaults, const Targets& targets,
                                                       const sql::AnalysisOptions& options = {});

}  // namespace diastole::engine
