// What systemd is told (sd_notify(3)). Nothing happens where the process was not started by it. Thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "diastole/base/time.hpp"

namespace diastole::observability::systemd {

void ready();
void stopping();
void status(std::string_view text);  // one line, shown by systemctl status

// Proof of life. How often it is expected: half of the unit's WatchdogSec; none where it has no watchdog.
void watchdog();
[[nodiscard]] std::optional<Milliseconds> watchdog_interval();

}  // namespace diastole::observability::systemd
