#include "diastole/observability/systemd.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace diastole::observability::systemd {
namespace {

// A failure is not ours to handle: systemd acts on what it does not hear.
void notify(const std::string& message) {
  sd_notify(0, message.c_str());
}

}  // namespace

void ready() {
  notify("READY=1");
}

void stopping() {
  notify("STOPPING=1");
}

void status(std::string_view text) {
  std::string message = "STATUS=" + std::string(text);
  std::ranges::replace(message, '\n', ' ');  // a line of its own would be another message
  notify(message);
}

void watchdog() {
  notify("WATCHDOG=1");
}

std::optional<Milliseconds> watchdog_interval() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::duration_cast<Milliseconds>(std::chrono::microseconds(microseconds / 2));
}

}  // namespace diastole::observability::systemd
