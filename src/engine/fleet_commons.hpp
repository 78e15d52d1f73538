// What the shards of the fleet registry share.
#pragma once

#include <atomic>

#include "diastole/engine/fleet.hpp"
#include "fleet_pace.hpp"

namespace diastole::engine {

struct FleetCommons {
  FleetCommons(const ports::Clock& registry_clock, const FleetSettings& registry_settings)
      : clock(registry_clock),
        settings(registry_settings),
        pace(settings.heartbeat, settings.suspect_after, settings.max_rate) {}

  const ports::Clock& clock;
  const FleetSettings settings;
  FleetPace pace;
  std::atomic<std::int64_t> members = 0;
};

}  // namespace diastole::engine
