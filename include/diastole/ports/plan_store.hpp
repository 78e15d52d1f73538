// Where plans and their events are kept.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/core/event.hpp"
#include "diastole/core/machine.hpp"

namespace diastole::ports {

struct StoredEvent {
  std::int64_t id =
      0;  // over all plans, growing in the order of commit: a reader that has seen n misses nothing after n
  PlanId plan;
  std::int64_t seq = 0;  // within the plan, from 1 without gaps
  WallTime at;
  core::Event event;
};

// Thread-safe. Every call fails with unavailable when the database is out of reach; then nothing was written, except
// where outcome_unknown says that the commit itself was cut off.
class PlanStore {
 public:
  virtual ~PlanStore() = default;

  // Appends the events that lead from `next.seq - events.size()` to `next`, together with the projection `next`, in one
  // transaction that holds the lease's epoch. `guard`, where given, runs inside it as the last thing before the commit
  // and stops it by failing. conflict: the plan has moved on (or, at the first event, exists). fenced: the lease is
  // somebody else's.
  [[nodiscard]] virtual Result<void> append(const core::PlanState& next, std::span<const core::Event> events,
                                            WallTime at, Epoch epoch, const std::function<Result<void>()>& guard) = 0;

  // not_found where there is no such plan.
  [[nodiscard]] virtual Result<core::PlanState> load(const PlanId& plan) = 0;
  // Newest first. `unfinished`: only plans neither completed nor aborted.
  [[nodiscard]] virtual Result<std::vector<core::PlanState>> list(bool unfinished) = 0;

  // The floors of every plan that holds some, finished ones among them.
  [[nodiscard]] virtual Result<std::vector<core::Floor>> floors() = 0;

  // Events with id > after, oldest first, of one plan or of all; at most `limit`.
  [[nodiscard]] virtual Result<std::vector<StoredEvent>> events_after(const std::optional<PlanId>& plan,
                                                                      std::int64_t after, int limit) = 0;
};

}  // namespace diastole::ports
