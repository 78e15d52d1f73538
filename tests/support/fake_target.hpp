// A target whose database is a ghost: a ledger, a cursor and a list of what was done, with failures as a test asks for.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "diastole/ports/target.hpp"
#include "support/fakes.hpp"

namespace diastole::test {

// Calls are named "<what> <step>": prepare, preflight expand, settle column, do column, undo column, begin copy, batch
// copy, again copy, remaining copy, finish copy.
class FakeTarget : public ports::Target {
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
  void set_preflight(std::vector<core::Reason> reasons) {
    const std::scoped_lock lock(mutex_);
    preflight_ = std::move(reasons);
  }
  void set_ledger(const std::string& step, core::Applied applied) {
    const std::scoped_lock lock(mutex_);
    ledger_[step] = applied;
  }
  void set_table(std::int64_t rows, std::deque<std::int64_t> remaining_after_pass = {}) {
    const std::scoped_lock lock(mutex_);
    rows_ = rows;
    remaining_ = std::move(remaining_after_pass);
  }
  void raise_fence(Epoch epoch) {
    const std::scoped_lock lock(mutex_);
    fence_ = epoch;
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
  // What was committed, in order: "do column", "undo column".
  [[nodiscard]] std::vector<std::string> done() const {
    const std::scoped_lock lock(mutex_);
    return done_;
  }
  [[nodiscard]] Epoch fence() const {
    const std::scoped_lock lock(mutex_);
    return fence_;
  }
  [[nodiscard]] ports::PreflightRequest last_preflight() const {
    const std::scoped_lock lock(mutex_);
    return last_preflight_;
  }

  Answer<void> prepare(Epoch epoch) override {
    return call<void>("prepare", nullptr, {}, [&]() -> Answer<void> {
      if (epoch < fence_) return fenced();
      fence_ = epoch;
      return {};
    });
  }
  Answer<std::vector<core::Reason>> preflight(const ports::PreflightRequest& request) override {
    using Reasons = std::vector<core::Reason>;
    return call<Reasons>("preflight " + std::string(to_string(request.phase)), nullptr, {}, [&]() -> Answer<Reasons> {
      last_preflight_ = request;
      return preflight_;
    });
  }
  Answer<core::Applied> settle(const ports::WorkId& id, bool) override {
    return call<core::Applied>("settle " + id.step.str(), &id, {},
                               [&]() -> Answer<core::Applied> { return ledger_[key(id)]; });
  }
  Answer<ports::WorkDone> execute(const ports::StatementWork& work, std::stop_token stop) override {
    return run(work, std::move(stop));
  }
  Answer<ports::WorkDone> execute_concurrently(const ports::StatementWork& work, std::stop_token stop) override {
    return run(work, std::move(stop));
  }
  Answer<ports::BackfillCursor> backfill_begin(const ports::BackfillWork& work) override {
    return on_cursor("begin", work, {}, [&] { cursor_.rows_total = rows_; });
  }
  Answer<ports::BackfillCursor> backfill_batch(const ports::BackfillWork& work, int rows,
                                               std::stop_token stop) override {
    return on_cursor("batch", work, std::move(stop), [&] {
      const auto left = rows_ * cursor_.pass - cursor_.rows;
      const auto moved = std::min<std::int64_t>(rows, left);
      cursor_.rows += moved;
      cursor_.rows_changed += moved;
      cursor_.pass_done = moved == left;
      ledger_[key(work.id)] = core::Applied::partial;
    });
  }
  Answer<ports::BackfillCursor> backfill_again(const ports::BackfillWork& work) override {
    return on_cursor("again", work, {}, [&] {
      ++cursor_.pass;
      cursor_.pass_done = false;
    });
  }
  Answer<std::int64_t> backfill_remaining(const ports::BackfillWork& work, std::stop_token stop) override {
    return call<std::int64_t>("remaining " + work.id.step.str(), &work.id, stop, [&]() -> Answer<std::int64_t> {
      if (remaining_.empty()) return 0;
      const auto rows = remaining_.front();
      remaining_.pop_front();
      return rows;
    });
  }
  Answer<void> backfill_finish(const ports::BackfillWork& work) override {
    return call<void>("finish " + work.id.step.str(), &work.id, {}, [&]() -> Answer<void> {
      ledger_[key(work.id)] = core::Applied::full;
      done_.push_back("do " + work.id.step.str());
      return {};
    });
  }

 private:
  [[nodiscard]] static std::string key(const ports::WorkId& id) {
    return (id.direction == ports::Direction::undo ? "undo " : "") + id.step.str();
  }
  [[nodiscard]] static std::unexpected<ports::TargetError> fenced() {
    ports::TargetError error{ErrorCode::fenced, {}, core::Applied::none};
    error.failure.message = "a daemon with a later epoch has taken over";
    return std::unexpected(std::move(error));
  }
  [[nodiscard]] int count(const std::string& name) const {
    const auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
  }

  Answer<ports::WorkDone> run(const ports::StatementWork& work, std::stop_token stop) {
    const bool forward = work.id.direction == ports::Direction::forward;
    const auto name = (forward ? "do " : "undo ") + work.id.step.str();
    return call<ports::WorkDone>(name, &work.id, std::move(stop), [&]() -> Answer<ports::WorkDone> {
      auto& entry = ledger_[key(work.id)];
      if (entry == core::Applied::full) return ports::WorkDone{0, Milliseconds{5}, true};
      entry = core::Applied::full;
      done_.push_back(name);
      return ports::WorkDone{3, Milliseconds{5}, false};
    });
  }
  template <typename Change>
  Answer<ports::BackfillCursor> on_cursor(const std::string& what, const ports::BackfillWork& work,
                                          std::stop_token stop, Change change) {
    return call<ports::BackfillCursor>(what + " " + work.id.step.str(), &work.id, std::move(stop),
                                       [&]() -> Answer<ports::BackfillCursor> {
                                         change();
                                         return cursor_;
                                       });
  }

  // One unit of work: waits where it is held, is fenced where its epoch is not the fence's, fails as scripted.
  template <typename T, typename Work>
  Answer<T> call(const std::string& name, const ports::WorkId* id, std::stop_token stop, Work work) {
    if (on_call) on_call(name, id);
    std::unique_lock lock(mutex_);
    ++counts_[name];
    ++total_;
    changed_.notify_all();
    changed_.wait(lock, stop, [&] { return !held_.contains(name); });
    if (stop.stop_requested()) return std::unexpected(ports::TargetError{ErrorCode::interrupted, {}, {}});
    if (id && id->epoch != fence_) return fenced();
    if (auto& queue = failures_[name]; !queue.empty()) {
      const auto [error, effect] = std::move(queue.front());
      queue.pop_front();
      if (effect == Effect::committed) (void)work();
      return std::unexpected(error);
    }
    return work();
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::map<std::string, int> counts_;
  int total_ = 0;
  std::map<std::string, std::deque<std::pair<ports::TargetError, Effect>>> failures_;
  std::set<std::string> held_;
  std::vector<core::Reason> preflight_;
  ports::PreflightRequest last_preflight_;
  std::map<std::string, core::Applied> ledger_;
  ports::BackfillCursor cursor_;
  std::int64_t rows_ = 2500;
  std::deque<std::int64_t> remaining_;
  std::vector<std::string> done_;
  Epoch fence_;
};

}  // namespace diastole::test
