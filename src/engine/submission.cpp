#include "diastole/engine/submission.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "diastole/sql/analysis.hpp"

namespace diastole::engine {

std::expected<core::Plan, Refusal> examine(const nlohmann::json& document, const codec::PlanDefaults& defaults,
                                           const std::set<TargetName>& targets) {
  const auto refuse = [](Error error) { return std::unexpected(Refusal{{std::move(error)}, {}}); };
  auto read = codec::plan_from_document(document, defaults);
  if (!read) return std::unexpected(Refusal{std::move(read.error()), {}});
  if (!targets.contains(read->target)) {
    std::vector<std::string> known;
    known.reserve(targets.size());
    for (const auto& target : targets) known.push_back(target.str());
    return refuse({ErrorCode::invalid_argument,
                   fmt::format("no target '{}' in the daemon's configuration; it has: {}", read->target.str(),
                               fmt::join(known, ", ")),
                   "/target"});
  }
  auto plan = sql::complete(std::move(*read));
  if (!plan) return refuse(std::move(plan.error()));
  if (auto valid = core::validate(*plan); !valid) return refuse(std::move(valid.error()));
  if (!sql::refusals(*plan).empty()) {
    Refusal refusal;
    for (const auto& step : plan->steps)
      refusal.findings.insert(refusal.findings.end(), step.findings.begin(), step.findings.end());
    return std::unexpected(std::move(refusal));
  }
  return std::move(*plan);
}

}  // namespace diastole::engine
