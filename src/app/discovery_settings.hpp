#pragma once

#include "diastole/config/config.hpp"
#include "diastole/discovery/discovery.hpp"

namespace diastole::app {

[[nodiscard]] discovery::DiscoverySettings discovery_settings(const config::Config& config);

}  // namespace diastole::app
