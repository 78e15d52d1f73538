#include "pasted_form.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/sql/analysis.hpp"

namespace diastole::test {
namespace {

using nlohmann::json;

bool has_placeholder(const std::string& text) {
  static const std::regex kPlaceholder("<[a-z][^<>]*>");
  return text.find("…") != std::string::npos || std::regex_search(text, kPlaceholder);
}

json step_of(const core::SafeStep& safe, int number, std::vector<std::string>& refused) {
  json step{{"id", fmt::format("s{}", number)}};
  switch (safe.form) {
    case core::SafeStep::Form::sql:
      step["sql"] = safe.text;
      step["undo"] = {{"none", "a test"}};
      break;
    case core::SafeStep::Form::set_not_null: step["set_not_null"] = safe.text; break;
    case core::SafeStep::Form::backfill: {
      const auto yaml = codec::parse_yaml(safe.text);
      if (yaml) {
        step.update(*yaml);
      } else {
        refused.push_back(fmt::format("{}: {}", yaml.error().message, safe.text));
      }
    }
  }
  return step;
}

}  // namespace

PastedForm paste(const core::Finding& finding, core::Phase phase, const core::CatalogSnapshot* catalog,
                 std::string_view before) {
  PastedForm pasted;
  json document{{"plan", "form"}, {"target", "main"}, {"fleet", {{{"service", "api"}, {"version", ">=2.0.0"}}}}};
  if (!before.empty())
    document[std::string(to_string(phase))].push_back(
        {{"id", "before"}, {"sql", before}, {"undo", {{"none", "a test"}}}});
  for (const core::SafeStep& safe : finding.safe_form) {
    if (has_placeholder(safe.text)) continue;
    const auto in = safe.phase.value_or(phase);
    document[std::string(to_string(in))].push_back(step_of(safe, ++pasted.steps, pasted.refused));
  }
  if (pasted.steps == 0 || !pasted.refused.empty()) return pasted;
  const auto plan = codec::plan_from_document(document);
  if (!plan) {
    for (const Error& error : plan.error()) pasted.refused.push_back(fmt::format("{}: {}", error.path, error.message));
    return pasted;
  }
  const auto completed = sql::complete(*plan, catalog);
  if (!completed) {
    pasted.refused.push_back(fmt::format("{}: {}", completed.error().path, completed.error().message));
    return pasted;
  }
  for (const core::Step& step : completed->steps) {
    if (step.id.str() == "before") continue;
    for (const core::Finding& found : step.findings) {
      if (found.severity == core::Severity::error)
        pasted.refused.push_back(fmt::format("{}: {}", found.rule, step.sql));
    }
  }
  return pasted;
}

}  // namespace diastole::test
