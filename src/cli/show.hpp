// What the daemon says, for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace diastole::cli {

[[nodiscard]] std::string show_plan(const nlohmann::json& plan);
[[nodiscard]] std::string show_previews(const nlohmann::json& answer);
[[nodiscard]] std::string show_pace(const nlohmann::json& plan);  // of its backfills, one line each
[[nodiscard]] std::string show_gate(const nlohmann::json& gate);
// Of the same: the queries that grew last, and why there may be more. Empty where the daemon has not looked.
[[nodiscard]] std::string show_advice(const nlohmann::json& gate);
[[nodiscard]] std::string show_event(const nlohmann::json& event);  // one line; empty where there is nothing to say
[[nodiscard]] std::string show_findings(const nlohmann::json& findings, const std::string& file,
                                        const std::string& yaml);
// What an accepted plan's steps lock, read and rewrite, one line a step.
[[nodiscard]] std::string show_checked(const nlohmann::json& checked);
// A problem document; `file` and `yaml`, where given, turn its paths into lines.
[[nodiscard]] std::string show_problem(const nlohmann::json& problem, const std::string& file = {},
                                       const std::string& yaml = {});

}  // namespace diastole::cli
