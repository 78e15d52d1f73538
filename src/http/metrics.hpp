// The plans as metrics, in Prometheus' text format 0.0.4.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <string>
#include <vector>

#include "diastole/engine/journal.hpp"

namespace diastole::http {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Of unfinished plans: how many there are in each stage and condition, and how far the backfills are that have begun.
[[nodiscard]] std::string metrics_text(const std::vector<engine::StatePtr>& unfinished);

}  // namespace diastole::http
