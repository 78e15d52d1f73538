// The loop: looks at each unfinished plan, lets core decide, records the decision, acts, records the outcome.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "diastole/core/backfill.hpp"
#include "diastole/core/gate.hpp"
#include "diastole/core/pressure.hpp"
#include "diastole/core/statements.hpp"
#include "diastole/engine/fleet.hpp"
#include "diastole/engine/journal.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/lease.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/target.hpp"

namespace diastole::engine {

struct EngineSettings {
  Milliseconds lock_timeout{500};
  int lock_attempts = 30;
  Milliseconds lock_retry_max{10'000};
  Milliseconds statement_timeout{60'000};           // of statements whose lock blocks writers
  Milliseconds long_statement_timeout{86'400'000};  // of CONCURRENTLY, VALIDATE and others that block nobody
  Milliseconds long_transaction{300'000};
  int workers = 4;
  core::PacingLimits pacing;
  int batch_rows = 1000;
  Milliseconds batch_lock_timeout{100};
  int max_passes = 3;
  core::ThrottleLimits throttle;
  Milliseconds look_every{1'000};                       // at the signals of the throttle
  Milliseconds scan_every{5'000};                       // at the sessions of a target whose plan has a gate to pass
  std::map<TargetName, std::vector<core::Tool>> tools;  // sessions that are no application's
};

// How a plan's gates stand now.
struct Gates {
  core::GateVerdict contract;
  std::map<StepId, core::GateVerdict> needs;
  std::optional<core::SessionScan> sessions;            // the latest look at the target's
  std::shared_ptr<const core::StatementAdvice> advice;  // likewise, at the queries; null: none yet
};

using Targets = std::map<TargetName, ports::Target*>;

class Reconciler {
 public:
  Reconciler(Journal& journal, FleetRegistry& fleet, Targets targets, const ports::Lease& lease,
             const ports::Clock& clock, ports::Log& log, const EngineSettings& settings);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  void start();
  // Something has changed that a plan may wait for. Thread-safe, cheap.
  void wake();
  // Starts nothing more; gives the steps in hand `grace` to finish, then cancels them (they roll back), records and
  // joins.
  void stop(Milliseconds grace);
  // The last time the loop came round: what the watchdog looks at.
  [[nodiscard]] MonoTime last_round() const;
  // Thread-safe. The gates as the loop would see them; does not move a soak.
  [[nodiscard]] Gates gates(const core::PlanState& state) const;
  // Thread-safe. What a backfill of the plan would do, by its target as it is now: a dry run.
  [[nodiscard]] Result<ports::BackfillPreview> preview(const core::Plan& plan, const core::Step& step) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::engine
