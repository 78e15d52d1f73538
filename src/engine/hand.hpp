// What the loop tells a runner while it acts: come to a boundary, or break off.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "diastole/base/time.hpp"

namespace diastole::engine {

class Hand {
 public:
  // Stop at the next boundary: after the transaction in hand, before the next attempt.
  void yield(std::string why) {
    {
      const std::scoped_lock lock(mutex_);
      if (!why_) why_ = std::move(why);
    }
    changed_.notify_all();
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

  // Waits, but not beyond a request.
  void rest(Milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return why_.has_value(); });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::string> why_;
  std::stop_source stop_;
};

}  // namespace diastole::engine
