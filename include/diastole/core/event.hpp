// What has happened to a plan. The event table is the truth, the audit log and the stream that clients follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/gate_event.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/progress.hpp"
#include "diastole/core/reason.hpp"
#include "diastole/core/walk.hpp"

namespace diastole::core {

// A session that holds a lock we wait for (pg_blocking_pids), or would be in the way.
struct Blocker {
  std::int64_t pid = 0;
  std::string application;
  std::string user;
  std::string state;
  Milliseconds age{};  // of its transaction
  std::string query;
  friend bool operator==(const Blocker&, const Blocker&) = default;
};

// How much of a step is on the target.
enum class Applied { none, partial, full };
[[nodiscard]] std::string_view to_string(Applied applied);
[[nodiscard]] std::optional<Applied> applied_from(std::string_view text);

// Why a step failed, as PostgreSQL said it.
struct Failure {
  std::string sqlstate;  // empty when it did not come from PostgreSQL
  std::string message;
  std::string detail;
  std::string hint;
  int statement = 0;  // 1-based, among the step's statements; 0 unknown
  int line = 0;       // 1-based, in that statement; 0 unknown
  int column = 0;
  std::vector<Blocker> blockers;
  friend bool operator==(const Failure&, const Failure&) = default;
};

struct PlanSubmitted {
  Plan plan;
  std::string by;
  friend bool operator==(const PlanSubmitted&, const PlanSubmitted&) = default;
};
struct PhaseApproved {
  Phase phase;
  std::string by;
  std::string note;
  friend bool operator==(const PhaseApproved&, const PhaseApproved&) = default;
};
struct PhaseStarted {
  Phase phase;
  bool gate_open = false;  // contract: the verdict inside the recording transaction
  friend bool operator==(const PhaseStarted&, const PhaseStarted&) = default;
};
struct PhaseFinished {
  Phase phase;
  friend bool operator==(const PhaseFinished&, const PhaseFinished&) = default;
};
// The intent: nothing runs on a target before this is durable.
struct StepStarted {
  StepId step;
  int attempt = 1;
  friend bool operator==(const StepStarted&, const StepStarted&) = default;
};
// The way that a backfill has chosen, when it begins.
struct BackfillBegun {
  StepId step;
  Walk walk;
  std::int64_t rows_total = 0;  // estimate
  friend bool operator==(const BackfillBegun&, const BackfillBegun&) = default;
};
struct StepProgressed {
  StepId step;
  Progress progress;
  friend bool operator==(const StepProgressed&, const StepProgressed&) = default;
};
struct LockWaited {
  StepId step;
  int attempt = 1;  // of the lock, within the step's attempt
  Milliseconds retry_in{};
  std::vector<Blocker> blockers;
  friend bool operator==(const LockWaited&, const LockWaited&) = default;
};
struct StepFinished {
  StepId step;
  std::int64_t rows = 0;
  Milliseconds duration{};
  std::string note;  // e.g. that the ledger showed it committed before a crash
  friend bool operator==(const StepFinished&, const StepFinished&) = default;
};
struct StepFailed {
  StepId step;
  Applied applied = Applied::none;
  Failure failure;
  friend bool operator==(const StepFailed&, const StepFailed&) = default;
};
// The step is not running any more and did not finish: pause, stop, or a crash that the ledger has settled. It will
// start again.
struct StepInterrupted {
  StepId step;
  Applied applied = Applied::none;
  std::string why;
  friend bool operator==(const StepInterrupted&, const StepInterrupted&) = default;
};
struct PlanPaused {
  std::string by;
  friend bool operator==(const PlanPaused&, const PlanPaused&) = default;
};
struct PlanResumed {
  std::string by;
  friend bool operator==(const PlanResumed&, const PlanResumed&) = default;
};
// In place of what was asked before; an empty pace lifts it.
struct BackfillPaced {
  StepId step;
  Pace pace;
  std::string by;
  friend bool operator==(const BackfillPaced&, const BackfillPaced&) = default;
};
struct RetryRequested {
  std::string by;
  friend bool operator==(const RetryRequested&, const RetryRequested&) = default;
};
struct AbortRequested {
  std::string by;
  std::string reason;
  friend bool operator==(const AbortRequested&, const AbortRequested&) = default;
};
// The intent of an undo.
struct UndoStarted {
  StepId step;
  friend bool operator==(const UndoStarted&, const UndoStarted&) = default;
};
struct UndoFinished {
  StepId step;
  std::string note;  // why nothing had to run, where nothing did
  friend bool operator==(const UndoFinished&, const UndoFinished&) = default;
};
struct UndoFailed {
  StepId step;
  Failure failure;
  friend bool operator==(const UndoFailed&, const UndoFailed&) = default;
};
struct UndoInterrupted {
  StepId step;
  std::string why;
  friend bool operator==(const UndoInterrupted&, const UndoInterrupted&) = default;
};
struct PlanAborted {
  friend bool operator==(const PlanAborted&, const PlanAborted&) = default;
};
// The list of obstacles has changed.
struct PlanWaits {
  std::vector<Reason> reasons;
  friend bool operator==(const PlanWaits&, const PlanWaits&) = default;
};

using Event =
    std::variant<PlanSubmitted, PhaseApproved, PhaseStarted, PhaseFinished, StepStarted, StepProgressed, LockWaited,
                 StepFinished, StepFailed, StepInterrupted, PlanPaused, PlanResumed, RetryRequested, AbortRequested,
                 UndoStarted, UndoFinished, UndoFailed, UndoInterrupted, PlanAborted, PlanWaits, BackfillBegun,
                 BackfillPaced, GateFencing, FenceRaised, GateDrained, QuarantineStarted, Quarantined, GateFellBack,
                 FenceLowered, GateHeld, GateReleased, OverrideAsked, OverrideConfirmed>;

// The name on the wire: plan_submitted, phase_approved, …
[[nodiscard]] std::string_view kind(const Event& event);
// The step an event concerns, if one.
[[nodiscard]] const StepId* step_of(const Event& event);

}  // namespace diastole::core
