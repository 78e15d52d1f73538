// Looks again and again at what a backfill does to its target, and holds its batches back accordingly.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "diastole/core/pressure.hpp"
#include "diastole/core/throttle.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/target.hpp"
#include "hand.hpp"

namespace diastole::engine {

// Looks on a thread and a session of its own: the batches do not wait for it. A look that fails stops no backfill and
// loosens none: the throttle stays, and its notes and the log say so.
class BackfillThrottle {
 public:
  // Told of the throttle after each look, on the thread that looks.
  using OnLook = std::function<void(const core::Throttle&)>;

  BackfillThrottle(ports::Target& target, const ports::BackfillWork& work, const core::ThrottleLimits& limits,
                   const ports::Clock& clock, ports::Log& log);
  BackfillThrottle(const BackfillThrottle&) = delete;
  BackfillThrottle& operator=(const BackfillThrottle&) = delete;
  ~BackfillThrottle() = default;

  // Looks once before it returns, so that no batch runs in a closed window.
  void start(Milliseconds every, OnLook on_look);
  // Tells nothing any more.
  void stop();

  [[nodiscard]] core::Throttle now() const;

  // Called before a batch, with what the worker's last one took: rests for as long as the throttle, which may change
  // meanwhile, says. `over`: no longer.
  void rest(Milliseconds took, Hand& hand, const std::function<bool()>& over) const;

 private:
  void look(const std::stop_token& stop);
  void log(const core::Throttle& before, const core::Throttle& after);
  void log_notes(const core::Pressure& pressure);

  ports::Target& target_;
  const ports::BackfillWork& work_;
  const core::ThrottleLimits limits_;
  const ports::Clock& clock_;
  ports::Log& log_;
  OnLook on_look_;
  core::SignalReader signals_;  // from here on of the looking thread
  MonoTime looked_;
  std::set<std::string> logged_;  // what cannot be measured
  bool snapshot_logged_ = false;
  mutable std::mutex mutex_;  // of what follows
  core::Throttle throttle_;
  std::jthread thread_;
};

}  // namespace diastole::engine
