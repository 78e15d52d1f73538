// What the loop tells a runner while it acts: come to a boundary, or break off.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "diastole/base/time.hpp"
#include "diastole/core/progress.hpp"

namespace diastole::engine {

class Hand {
 public:
  // `outlives_abort`: what it does is part of an abort.
  explicit Hand(bool outlives_abort = false) : outlives_abort_(outlives_abort) {}
  [[nodiscard]] bool outlives_abort() const { return outlives_abort_; }

  // Stop at the next boundary: after the transaction in hand, before the next attempt.
  void yield(std::string why) {
    {
      const std::scoped_lock lock(mutex_);
      if (!why_) why_ = std::move(why);
    }
    changed_.notify_all();
    yielded_.request_stop();
  }
  // Cancel the statement in hand as well.
  void cancel(std::string why) {
    yield(std::move(why));
    stop_.request_stop();
  }

  [[nodiscard]] std::optional<std::string> asked() const {
    const std::scoped_lock lock(mutex_);
    return why_;
  }
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  // For what may break off anywhere and lose nothing.
  [[nodiscard]] std::stop_token boundary() const { return yielded_.get_token(); }

  // The manual pace of the backfill in hand, as the journal has it.
  void set_pace(const core::Pace& pace) {
    {
      const std::scoped_lock lock(mutex_);
      if (pace_ == pace) return;
      pace_ = pace;
      ++paces_;
    }
    changed_.notify_all();
  }
  [[nodiscard]] core::Pace pace() const {
    const std::scoped_lock lock(mutex_);
    return pace_;
  }

  // How often it has changed. To be asked before what a rest is reckoned from, so that no change is slept through.
  [[nodiscard]] int paces() const {
    const std::scoped_lock lock(mutex_);
    return paces_;
  }

  // Waits, but not beyond a request, nor beyond a change of pace since `paces`.
  void rest(Milliseconds time, int paces) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this, paces] { return why_.has_value() || paces_ != paces; });
  }
  void rest(Milliseconds time) { rest(time, paces()); }

 private:
  const bool outlives_abort_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::string> why_;
  core::Pace pace_;
  int paces_ = 0;
  std::stop_source stop_;
  std::stop_source yielded_;
};

}  // namespace diastole::engine
