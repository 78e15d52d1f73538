// Plans in memory, in a store that goes away, loses answers and is interfered with, as a test asks for.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "diastole/ports/plan_store.hpp"
#include "support/fakes.hpp"

namespace diastole::test {

class FakePlanStore : public ports::PlanStore {
 public:
  using Events = std::span<const core::Event>;
  // Runs at the beginning of an append, before the guard; what it fails with is the append's failure.
  using Interference = std::function<Result<void>(const core::PlanState& next, Events events)>;

  Result<void> append(const core::PlanState& next, Events events, WallTime at, Epoch epoch,
                      const std::function<Result<void>()>& guard) override {
    if (away_) {
      const std::scoped_lock lock(mutex_);
      ++refused_;
      changed_.notify_all();
      return away();
    }
    if (const auto interfere = interference()) {
      if (auto stopped = interfere(next, events); !stopped) return stopped;
    }
    {
      const std::scoped_lock lock(mutex_);
      const auto before = next.seq - static_cast<std::int64_t>(events.size());
      const auto found = plans_.find(next.plan.id);
      if ((found == plans_.end() ? 0 : found->second.seq) != before) {
        return fail(ErrorCode::conflict, "the plan has moved on");
      }
      if (epoch < epoch_) return fail(ErrorCode::fenced, "the lease is somebody else's");
      epoch_ = epoch;
    }
    // Not under the lock: it may read.
    if (guard) {
      if (auto held = guard(); !held) return held;
    }
    keep(next, events, at);
    if (lose_answers_.exchange(false)) return fail(ErrorCode::outcome_unknown, "the connection was lost");
    return {};
  }

  Result<core::PlanState> load(const PlanId& plan) override {
    if (away_) return std::unexpected(away().error());
    const std::scoped_lock lock(mutex_);
    ++loads_;
    const auto found = plans_.find(plan);
    if (found == plans_.end()) return fail(ErrorCode::not_found, "no plan " + plan.str());
    return found->second;
  }
  Result<std::vector<core::PlanState>> list(bool unfinished) override {
    if (away_) return std::unexpected(away().error());
    const std::scoped_lock lock(mutex_);
    std::vector<core::PlanState> out;
    for (const auto& [id, state] : plans_) {
      if (!unfinished || !core::terminal(state.stage)) out.push_back(state);
    }
    std::ranges::sort(out, std::greater{}, &core::PlanState::submitted_at);
    return out;
  }
  Result<std::vector<core::Floor>> floors() override {
    if (away_) return std::unexpected(away().error());
    const std::scoped_lock lock(mutex_);
    std::vector<core::Floor> out;
    for (const auto& [id, state] : plans_) std::ranges::move(core::floors(state), std::back_inserter(out));
    return out;
  }
  Result<std::vector<ports::StoredEvent>> events_after(const std::optional<PlanId>& plan, std::int64_t after,
                                                       int limit) override {
    if (away_) return std::unexpected(away().error());
    const std::scoped_lock lock(mutex_);
    std::vector<ports::StoredEvent> out;
    for (const auto& event : events_) {
      if (event.id > after && (!plan || event.plan == *plan) && std::ssize(out) < limit) out.push_back(event);
    }
    return out;
  }

  void set_away(bool away) { away_ = away; }
  // So many appends have met a store that was away.
  [[nodiscard]] bool await_refused(int appends) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return refused_ >= appends; });
  }
  // The next append is committed, and reports outcome_unknown.
  void lose_next_answer() { lose_answers_ = true; }
  void interfere(Interference interference) {
    const std::scoped_lock lock(mutex_);
    interference_ = std::move(interference);
  }
  // Another daemon's work: no checks.
  void keep(const core::PlanState& next, Events events, WallTime at) {
    const std::scoped_lock lock(mutex_);
    auto seq = next.seq - static_cast<std::int64_t>(events.size());
    for (const auto& event : events) {
      events_.push_back({static_cast<std::int64_t>(events_.size()) + 1, next.plan.id, ++seq, at, event});
    }
    plans_[next.plan.id] = next;
    changed_.notify_all();
  }
  void set_epoch(Epoch epoch) {
    const std::scoped_lock lock(mutex_);
    epoch_ = epoch;
  }

  // The last state, also while the store is away from its users.
  [[nodiscard]] core::PlanState stored(const PlanId& plan) const {
    const std::scoped_lock lock(mutex_);
    const auto found = plans_.find(plan);
    return found == plans_.end() ? core::PlanState{} : found->second;
  }
  [[nodiscard]] int loads() const {
    const std::scoped_lock lock(mutex_);
    return loads_;
  }
  template <typename T>
  [[nodiscard]] std::vector<T> events_of(const PlanId& plan) const {
    const std::scoped_lock lock(mutex_);
    std::vector<T> out;
    for (const auto& event : events_) {
      const auto* wanted = std::get_if<T>(&event.event);
      if (event.plan == plan && wanted) out.push_back(*wanted);
    }
    return out;
  }
  [[nodiscard]] bool await(const PlanId& plan, const std::function<bool(const core::PlanState&)>& condition) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      const auto found = plans_.find(plan);
      return found != plans_.end() && condition(found->second);
    });
  }

 private:
  [[nodiscard]] static Result<void> away() { return fail(ErrorCode::unavailable, "the state database is away"); }
  [[nodiscard]] Interference interference() const {
    const std::scoped_lock lock(mutex_);
    return interference_;
  }

  std::atomic<bool> away_ = false;
  std::atomic<bool> lose_answers_ = false;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Interference interference_;
  Epoch epoch_;
  int loads_ = 0;
  int refused_ = 0;
  std::map<PlanId, core::PlanState> plans_;
  std::vector<ports::StoredEvent> events_;
};

}  // namespace diastole::test
