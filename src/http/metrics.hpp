// The plans and the fleet as metrics, in Prometheus' text format 0.0.4.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/fleet.hpp"
#include "diastole/engine/fleet.hpp"
#include "diastole/engine/journal.hpp"
#include "diastole/engine/reconciler.hpp"

namespace diastole::http {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Of unfinished plans: how many there are in each stage and condition, and how far the backfills are that have begun.
[[nodiscard]] std::string metrics_text(const std::vector<engine::StatePtr>& unfinished);
// Who runs what, by service and version, and what their reports were worth since the start.
[[nodiscard]] std::string fleet_metrics_text(const core::FleetView& fleet, engine::HeartbeatCounts heartbeats);

// HELP and TYPE.
void metric_head(std::string& out, std::string_view name, std::string_view help, std::string_view type = "gauge");

struct GateLook {
  engine::StatePtr state;
  engine::Gates gates;
};
// How the gates of plans that have a contract phase stand now.
[[nodiscard]] std::string gate_metrics_text(const std::vector<GateLook>& looks, WallTime now);

}  // namespace diastole::http
