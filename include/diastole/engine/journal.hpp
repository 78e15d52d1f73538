// The one door to the plans' states: every change is an event appended here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "diastole/core/machine.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/lease.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/plan_store.hpp"

namespace diastole::engine {

using StatePtr = std::shared_ptr<const core::PlanState>;

// Thread-safe. Reads of unfinished plans come from memory, everything else from the store. Errors are the store's:
// unavailable means nothing was written; after outcome_unknown the plan is read anew from the store.
class Journal {
 public:
  Journal(ports::PlanStore& store, const ports::Lease& lease, const ports::Clock& clock, ports::Log& log);

  // Called after every append with the plan's new state, on the appending thread; must be quick. Set before the first
  // append.
  void on_change(std::function<void(const core::PlanState&)> listener) { listeners_.push_back(std::move(listener)); }

  struct Submitted {
    StatePtr state;
    bool created = false;  // false: the same document was submitted before
  };
  // conflict where another document has this plan's name, or another unfinished plan on the target touches the same
  // tables.
  [[nodiscard]] Result<Submitted> submit(const core::Plan& plan, const std::string& by);

  using Change = std::function<Result<std::vector<core::Event>>(const core::PlanState&)>;
  using Guard = std::function<Result<void>()>;
  // Asks `change` for the events that follow from the present state and appends them; `guard` as in PlanStore::append.
  // Returns the state after. No events: nothing is written.
  [[nodiscard]] Result<StatePtr> transact(const PlanId& plan, const Change& change, const Guard& guard = {});

  [[nodiscard]] Result<StatePtr> get(const PlanId& plan);
  // All plans, newest first, from the store.
  [[nodiscard]] Result<std::vector<StatePtr>> list();
  // The plans that are neither completed nor aborted, from memory.
  [[nodiscard]] Result<std::vector<StatePtr>> unfinished();
  // Reads the unfinished plans from the store: at the start, and whenever the lease was taken anew, since somebody else
  // may have written meanwhile.
  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<std::vector<ports::StoredEvent>> events_after(const std::optional<PlanId>& plan,
                                                                     std::int64_t after, int limit);

 private:
  [[nodiscard]] Result<StatePtr> append(core::PlanState state, const std::vector<core::Event>& events,
                                        const Guard& guard);
  void tell(const PlanId& plan, const core::Event& event);
  [[nodiscard]] StatePtr cached(const PlanId& plan) const;
  void remember(const StatePtr& state);
  void forget(const PlanId& plan);  // to be read anew
  void drop(const PlanId& plan);    // where it was forgotten, and does not exist

  ports::PlanStore& store_;
  const ports::Lease& lease_;
  const ports::Clock& clock_;
  ports::Log& log_;
  std::vector<std::function<void(const core::PlanState&)>> listeners_;
  std::mutex append_mutex_;  // one append at a time; held over the store's transaction
  mutable std::mutex cache_mutex_;
  std::map<PlanId, StatePtr> unfinished_;  // null: what is stored may differ from what was remembered, to be read anew
};

}  // namespace diastole::engine
