#include "diastole/engine/submission.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ranges>

#include "diastole/sql/analysis.hpp"

namespace diastole::engine {
namespace {

constexpr const char* kNotAsked = "not asked for, since the document is refused for its form";

Error unknown_target(const TargetName& wanted, const Targets& targets) {
  const auto known = targets | std::views::keys | std::views::transform([](const auto& name) { return name.str(); });
  return {ErrorCode::invalid_argument,
          fmt::format("no target '{}' in the daemon's configuration; it has: {}", wanted.str(), fmt::join(known, ", ")),
          "/target"};
}

}  // namespace

std::expected<Examined, Refusal> examine(const nlohmann::json& document, const codec::PlanDefaults& defaults,
                                         const Targets& targets, const sql::AnalysisOptions& options) {
  auto read = codec::plan_from_document(document, defaults);
  if (!read) return std::unexpected(Refusal{std::move(read.error()), {}, kNotAsked});
  const auto target = targets.find(read->target);
  if (target == targets.end()) return std::unexpected(Refusal{{unknown_target(read->target, targets)}, {}, kNotAsked});

  const auto catalog = target->second->catalog(sql::concerns(*read));
  const std::string missing = catalog ? std::string() : catalog.error().failure.message;
  const auto refuse = [&](Error error) { return std::unexpected(Refusal{{std::move(error)}, {}, missing}); };
  auto plan = sql::complete(std::move(*read), catalog ? &*catalog : nullptr, options);
  if (!plan) return refuse(std::move(plan.error()));
  if (!sql::refusals(*plan).empty()) {
    Refusal refusal{{}, {}, missing};
    for (const auto& step : plan->steps)
      refusal.findings.insert(refusal.findings.end(), step.findings.begin(), step.findings.end());
    return std::unexpected(std::move(refusal));
  }
  if (auto valid = core::validate(*plan); !valid) return refuse(std::move(valid.error()));
  return Examined{std::move(*plan), missing};
}

}  // namespace diastole::engine
