// Calls by name that a test can count, hold and let fail.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "diastole/ports/target.hpp"
#include "support/fakes.hpp"

namespace diastole::test {

class ScriptedCalls {
 public:
  template <typename T>
  using Answer = ports::TargetResult<T>;
  enum class Effect { rolled_back, committed };

  // The next `times` calls of this name fail; committed: with their work done.
  void fail_next(const std::string& call, ErrorCode code, int times = 1, Effect effect = Effect::rolled_back) {
    ports::TargetError error{code, {}, core::Applied::none};
    error.failure.message = "scripted " + std::string(to_string(code));
    if (code == ErrorCode::lock_timeout)
      error.failure.blockers = {{.pid = 4711,
                                 .application = "psql",
                                 .user = "joe",
                                 .state = "active",
                                 .age = Milliseconds{90'000},
                                 .query = "LOCK users"}};
    fail_next(call, error, times, effect);
  }
  void fail_next(const std::string& call, const ports::TargetError& error, int times, Effect effect) {
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < times; ++i) failures_[call].emplace_back(error, effect);
  }
  void heal(const std::string& call) {
    const std::scoped_lock lock(mutex_);
    failures_.erase(call);
  }
  // Calls of this name wait until they are released, or their stop token says so.
  void hold(const std::string& call) {
    const std::scoped_lock lock(mutex_);
    held_.insert(call);
  }
  void release(const std::string& call) {
    const std::scoped_lock lock(mutex_);
    held_.erase(call);
    changed_.notify_all();
  }
  // Runs at the beginning of every call, on the calling thread. Set before the engine starts.
  std::function<void(const std::string& call, const ports::WorkId* work)> on_call;

  [[nodiscard]] bool await_call(const std::string& call, int times = 1) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count(call) >= times; });
  }
  [[nodiscard]] int calls(const std::string& call) const {
    const std::scoped_lock lock(mutex_);
    return count(call);
  }
  [[nodiscard]] int calls() const {
    const std::scoped_lock lock(mutex_);
    return total_;
  }

 protected:
  ~ScriptedCalls() = default;
  // Under the lock, after a wait: what stops the work whatever the script says.
  [[nodiscard]] virtual std::optional<ports::TargetError> before_work(const ports::WorkId* id) const = 0;

  // Counts the call, waits where it is held, fails as scripted, or does the work.
  template <typename T, typename Work>
  Answer<T> call(const std::string& name, const ports::WorkId* id, std::stop_token stop, Work work) {
    if (on_call) on_call(name, id);
    std::unique_lock lock(mutex_);
    ++counts_[name];
    ++total_;
    changed_.notify_all();
    changed_.wait(lock, stop, [&] { return !held_.contains(name); });
    if (stop.stop_requested()) return std::unexpected(ports::TargetError{ErrorCode::interrupted, {}, {}});
    if (auto refused = before_work(id)) return std::unexpected(*refused);
    if (auto& queue = failures_[name]; !queue.empty()) {
      const auto [error, effect] = std::move(queue.front());
      queue.pop_front();
      if (effect == Effect::committed) (void)work();
      return std::unexpected(error);
    }
    return work();
  }

  mutable std::mutex mutex_;

 private:
  [[nodiscard]] int count(const std::string& name) const {
    const auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
  }

  mutable std::condition_variable_any changed_;
  std::map<std::string, int> counts_;
  int total_ = 0;
  std::map<std::string, std::deque<std::pair<ports::TargetError, Effect>>> failures_;
  std::set<std::string> held_;
};

}  // namespace diastole::test
