#include "backfill_throttle.hpp"

#include <algorithm>
#include <condition_variable>
#include <stop_token>
#include <utility>

namespace diastole::engine {
namespace {

// How soon a change of the throttle is felt amid a rest.
constexpr Milliseconds kFeel{100};

}  // namespace

BackfillThrottle::BackfillThrottle(ports::Target& target, const ports::BackfillWork& work,
                                   const core::ThrottleLimits& limits, const ports::Clock& clock, ports::Log& log)
    : target_(target),
      work_(work),
      limits_(limits),
      clock_(clock),
      log_(log),
      signals_(limits, work.backfill.hours),
      looked_(clock.now().mono) {}

void BackfillThrottle::start(Milliseconds every, OnLook on_look) {
  on_look_ = std::move(on_look);
  look({});
  thread_ = std::jthread([this, every](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    for (;;) {
      ended.wait_for(lock, stop, every, [&] { return stop.stop_requested(); });
      if (stop.stop_requested()) return;
      look(stop);
    }
  });
}

void BackfillThrottle::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

core::Throttle BackfillThrottle::now() const {
  const std::scoped_lock lock(mutex_);
  return throttle_;
}

void BackfillThrottle::rest(Milliseconds took, Hand& hand, const std::function<bool()>& over) const {
  const auto from = clock_.now().mono;
  while (!over()) {
    const auto throttle = now();
    const auto left = throttle.holds() ? kFeel : core::pause_after(took, throttle.share) - (clock_.now().mono - from);
    if (left <= Milliseconds{0}) return;
    hand.rest(std::min(left, kFeel));
  }
}

void BackfillThrottle::look(const std::stop_token& stop) {
  auto pressure = target_.backfill_pressure(work_, limits_, stop);
  if (stop.stop_requested()) return;
  const auto at = clock_.now();
  const auto before = now();
  auto after =
      core::throttled(before, signals_.read(pressure ? std::optional(*pressure) : std::nullopt, at), at.mono - looked_);
  looked_ = at.mono;
  if (pressure) {
    after.notes = core::notes_of(*pressure);
    log_notes(*pressure);
  } else {
    after.notes = {"the load on the target cannot be seen: " + pressure.error().failure.message};
  }
  {
    const std::scoped_lock lock(mutex_);
    throttle_ = after;
  }
  log(before, after);
  on_look_(after);
}

void BackfillThrottle::log(const core::Throttle& before, const core::Throttle& after) {
  if (before.holds() == after.holds()) return;
  const auto& reason = after.holds() ? after.reason : before.reason;
  log_.info(after.holds() ? "a backfill holds" : "a backfill goes on",
            {{"plan", work_.id.plan.str()},
             {"step", work_.id.step.str()},
             {"signal", reason ? std::string(to_string(reason->kind)) : ""},
             {"reason", reason ? reason->detail : ""}});
}

void BackfillThrottle::log_notes(const core::Pressure& pressure) {
  const auto write = [&](const std::string& note) {
    log_.warning("a backfill's throttle",
                 {{"plan", work_.id.plan.str()}, {"step", work_.id.step.str()}, {"note", note}});
  };
  for (const auto& note : pressure.unreadable) {
    if (logged_.insert(note.substr(0, note.find(':'))).second) write(note);
  }
  const auto notes = core::notes_of(pressure);
  const bool snapshot = notes.size() > pressure.unreadable.size();
  if (snapshot && !snapshot_logged_) write(notes.back());
  snapshot_logged_ = snapshot;
}

}  // namespace diastole::engine
