// Runs a backfill: pass after pass, batch after batch, each part of the table by one worker at a time. Pacing is
// core's, the cursor the target's.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <thread>
#include <variant>

#include "backfill_throttle.hpp"
#include "runner.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kProgressEvery{1'000};
constexpr Milliseconds kHoldToldEvery{10'000};  // while it goes on for the same reason: it may do so for hours
constexpr Milliseconds kLogEvery{60'000};
constexpr std::size_t kLockWaitsInARow = 100;
constexpr std::size_t kSoonLockWaits = 20;

bool timed_out(const ports::TargetError& error) {
  return error.failure.sqlstate == "57014";
}

std::string skipped_note(const std::vector<core::RowFault>& skipped) {
  if (skipped.empty()) return {};
  return fmt::format("{} row{} skipped, listed in the target's diastole.backfill_skipped: {}", skipped.size(),
                     skipped.size() == 1 ? " was" : "s were", core::shown(skipped));
}

}  // namespace

class BackfillRun {
 public:
  BackfillRun(Runner& runner, const Runner::Act& act, ports::BackfillWork work)
      : runner_(runner),
        act_(act),
        work_(std::move(work)),
        began_(runner.clock_.now().mono),
        told_(began_),
        logged_(began_),
        throttle_(act.target, work_, runner.settings_.throttle, runner.clock_, runner.log_) {
    act_.hand.set_pace(act_.state.step(act_.step.id).pace);
  }

  ActResult run();

 private:
  // Why a pass did not reach its end: something that the target said, or a request to stop.
  struct Asked {
    std::string why;
  };
  using Stop = std::variant<Asked, ports::TargetError>;

  [[nodiscard]] ActResult ended_by(Stop stop);
  void take(ports::BackfillState state);
  void tell_walk();
  [[nodiscard]] std::optional<Stop> pass();
  void walk_parts();
  [[nodiscard]] bool walk(int part, Milliseconds& took);
  void vacuum(int part);
  // How the next batch is tried.
  struct Attempt {
    int rows = 0;
    bool one_by_one = false;  // the batch is as small as it gets, and one of its rows cannot be changed
    std::size_t waits = 0;
  };
  [[nodiscard]] bool after_error(ports::TargetError error, Attempt& attempt);
  [[nodiscard]] bool tells_wait(std::size_t waits);
  [[nodiscard]] bool after_fault(ports::TargetError error, Attempt& attempt);
  [[nodiscard]] bool stopped();
  [[nodiscard]] bool begin_batch();
  void end_batch();
  void sample(MonoTime now);
  void count(const ports::BackfillBatch& batch);
  void tell_hold(const core::Throttle& throttle);
  void log_progress(const core::Progress& progress) const;
  void stop_all(Stop stop);
  [[nodiscard]] ActResult conclude(const core::Event& event);
  [[nodiscard]] core::Failure left_over(std::int64_t remaining) const;
  [[nodiscard]] core::Progress progress(core::Throttle throttle) const;

  Runner& runner_;
  const Runner::Act& act_;
  const ports::BackfillWork work_;
  const MonoTime began_;
  std::mutex mutex_;  // of what follows
  ports::BackfillState state_;
  std::optional<Stop> stop_;
  core::RateMeter meter_;
  core::Pace pace_;  // under which meter_ has measured
  core::PaceDebt debt_;
  int at_batches_ = 0;  // workers
  std::condition_variable batch_ended_;
  MonoTime told_;
  MonoTime logged_;
  std::optional<MonoTime> told_wait_;
  std::optional<core::Signal> told_hold_;  // whose kind was told last
  BackfillThrottle throttle_;              // last: it looks until it is gone
};

ActResult BackfillRun::ended_by(Stop stop) {
  if (const auto* asked = std::get_if<Asked>(&stop))
    return conclude(core::StepInterrupted{act_.step.id, core::Applied::partial, asked->why});
  auto& error = std::get<ports::TargetError>(stop);
  if (error.code == ErrorCode::interrupted) return ended_by(Asked{act_.hand.asked().value_or("cancelled")});
  // Unknown or not, the cursor in the target knows which batch was the last. A lock: batches have waited for theirs
  // long enough, so it is one of what comes before and after them.
  if (passes_by_itself(error.code) || error.code == ErrorCode::lock_timeout)
    return {.again_later = runner_.later(act_.state.plan, act_.step.id, error), .preflight = {}};
  return conclude(core::StepFailed{act_.step.id, core::Applied::partial, std::move(error.failure)});
}

ActResult BackfillRun::run() {
  auto begun = act_.target.backfill_begin(work_);
  if (!begun) return ended_by(std::move(begun.error()));
  take(*std::move(begun));
  tell_walk();
  throttle_.start(runner_.settings_.look_every, [this](const core::Throttle& throttle) { tell_hold(throttle); });
  auto verification = work_;
  verification.statement_timeout = runner_.settings_.long_statement_timeout;
  const int first_pass = state_.pass;  // of this attempt: a retry has its passes anew
  for (;;) {
    if (auto stop = pass()) return ended_by(*std::move(stop));
    auto remaining = act_.target.backfill_remaining(verification, act_.hand.token());
    if (!remaining) {
      auto& failure = remaining.error().failure;
      failure.message = "its verification: " + failure.message;
      return ended_by(std::move(remaining.error()));
    }
    if (*remaining == 0) break;
    if (!core::repeatable(work_.backfill) || state_.pass - first_pass + 1 >= runner_.settings_.max_passes)
      return conclude(core::StepFailed{act_.step.id, core::Applied::partial, left_over(*remaining)});
    auto again = act_.target.backfill_again(work_);
    if (!again) return ended_by(std::move(again.error()));
    take(*std::move(again));
  }
  const auto skipped = act_.target.backfill_finish(work_);
  if (!skipped) return ended_by(skipped.error());
  throttle_.stop();
  runner_.record(act_, core::StepProgressed{act_.step.id, progress({})});
  return conclude(core::StepFinished{act_.step.id, state_.rows_changed, runner_.clock_.now().mono - began_,
                                     skipped_note(*skipped)});
}

// Nothing is told of a step that is over.
ActResult BackfillRun::conclude(const core::Event& event) {
  throttle_.stop();
  return runner_.conclude(act_, event);
}

void BackfillRun::take(ports::BackfillState state) {
  const std::scoped_lock lock(mutex_);
  state_ = std::move(state);
  std::ranges::reverse(state_.open_parts);  // taken from the back
  sample(runner_.clock_.now().mono);
}

void BackfillRun::tell_walk() {
  if (act_.state.step(act_.step.id).walk) return;
  runner_.record(act_, core::BackfillBegun{act_.step.id, state_.walk, state_.rows_total});
}

// Of all passes, so that it only grows. A change of pace makes what was measured before it history.
void BackfillRun::sample(MonoTime now) {
  if (const auto pace = act_.hand.pace(); pace != pace_) {
    pace_ = pace;
    meter_ = {};
  }
  meter_.sample({.at = now, .rows = state_.rows, .way = state_.pass - 1 + state_.share});
}

std::optional<BackfillRun::Stop> BackfillRun::pass() {
  const auto parts = state_.open_parts.size();
  const auto workers = std::min(static_cast<std::size_t>(std::max(state_.walk.workers, 1)), parts);
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < workers; ++i) others.emplace_back([this] { walk_parts(); });
    walk_parts();
  }
  if (!stop_) state_.share = 1;
  return std::exchange(stop_, std::nullopt);
}

void BackfillRun::walk_parts() {
  Milliseconds took{0};  // by the worker's last batch
  for (;;) {
    int part = 0;
    {
      const std::scoped_lock lock(mutex_);
      if (stop_) return;
      if (state_.open_parts.empty()) return;
      part = state_.open_parts.back();
      state_.open_parts.pop_back();
    }
    if (!walk(part, took)) return;
  }
}

// To the part's end; false where it was stopped before.
bool BackfillRun::walk(int part, Milliseconds& took) {
  Attempt attempt{.rows = runner_.first_rows(work_.backfill)};
  std::int64_t unvacuumed = 0;  // rows changed
  for (;;) {
    throttle_.rest(took, act_.hand, [this] { return stopped(); });
    if (stopped() || !begin_batch()) return false;
    attempt.rows = core::paced_batch_rows(attempt.rows, act_.hand.pace());
    const auto before = runner_.clock_.now().mono;
    auto batch = attempt.one_by_one ? act_.target.backfill_isolate(work_, part, attempt.rows, act_.hand.token())
                                    : act_.target.backfill_batch(work_, part, attempt.rows, act_.hand.token());
    took = runner_.clock_.now().mono - before;
    if (batch) count(*batch);
    end_batch();
    if (!batch) {
      if (!after_error(std::move(batch.error()), attempt)) return false;
      continue;
    }
    if (batch->part_done) return true;
    unvacuumed += batch->rows_changed;
    if (work_.backfill.vacuum_every && unvacuumed >= *work_.backfill.vacuum_every && batch->window_done &&
        !throttle_.now().holds()) {
      vacuum(part);
      unvacuumed = 0;
    }
    attempt = {.rows = core::next_batch_rows(attempt.rows, took, batch->changing, runner_.settings_.pacing)};
  }
}

// One that fails costs the backfill nothing but the room.
void BackfillRun::vacuum(int part) {
  std::optional<core::Progress> told;
  {
    const std::scoped_lock lock(mutex_);
    auto throttle = throttle_.now();
    throttle.notes.push_back(
        fmt::format("a vacuum began after {} rows changed, as vacuum_every says", *work_.backfill.vacuum_every));
    told = progress(std::move(throttle));
    told_ = runner_.clock_.now().mono;
  }
  runner_.record(act_, core::StepProgressed{act_.step.id, *std::move(told)});
  const auto began = runner_.clock_.now().mono;
  const auto vacuumed = act_.target.backfill_vacuum(work_, part, act_.hand.boundary());
  const auto took = runner_.clock_.now().mono - began;
  const auto plan = act_.state.plan.id.str();
  const auto step = act_.step.id.str();
  if (vacuumed)
    runner_.log_.info("a backfill vacuumed its table",
                      {{"plan", plan}, {"step", step}, {"table", *vacuumed}, {"took", format_duration(took)}});
  else if (vacuumed.error().code != ErrorCode::interrupted)
    runner_.log_.warning("a backfill's vacuum did not run",
                         {{"plan", plan}, {"step", step}, {"reason", vacuumed.error().failure.message}});
}

bool BackfillRun::stopped() {
  if (auto why = act_.hand.asked()) stop_all(Asked{*std::move(why)});
  const std::scoped_lock lock(mutex_);
  return stop_.has_value();
}

// Waits until the manual pace lets another batch begin. False: asked to stop.
bool BackfillRun::begin_batch() {
  for (;;) {
    if (stopped()) return false;
    const int paces = act_.hand.paces();
    Milliseconds pause{};
    {
      std::unique_lock lock(mutex_);
      batch_ended_.wait(lock, [this] {
        const auto most = act_.hand.pace().workers;
        return stop_ || !most || at_batches_ < *most;
      });
      if (stop_) return false;
      pause = core::pause_for(debt_, runner_.clock_.now().mono, act_.hand.pace());
      if (pause == Milliseconds{0}) {
        ++at_batches_;
        return true;
      }
    }
    act_.hand.rest(pause, paces);
  }
}

void BackfillRun::end_batch() {
  {
    const std::scoped_lock lock(mutex_);
    --at_batches_;
  }
  batch_ended_.notify_all();
}

// Whether it is worth trying again, with fewer rows.
bool BackfillRun::after_error(ports::TargetError error, Attempt& attempt) {
  const auto& settings = runner_.settings_;
  if (core::blames_row(error.failure.sqlstate)) return after_fault(std::move(error), attempt);
  const bool smaller_helps = timed_out(error) && attempt.rows > settings.pacing.min_rows;
  if (error.code != ErrorCode::lock_timeout && !smaller_helps) {
    if (timed_out(error))
      error.failure.hint =
          fmt::format("a batch of {} rows takes longer than {}; the step's statement_timeout says more", attempt.rows,
                      format_duration(work_.statement_timeout));
    stop_all(std::move(error));
    return false;
  }
  if (++attempt.waits > kLockWaitsInARow) {
    stop_all(ports::TargetError{ErrorCode::invalid_argument, std::move(error.failure), {}});
    return false;
  }
  attempt.rows = core::halved_batch_rows(attempt.rows, settings.pacing);
  // A batch that waits holds nobody up: soon where the lock is a moment's, patiently where a long transaction has it.
  const bool soon = attempt.waits <= kSoonLockWaits;
  const auto retry_in =
      soon ? runner_.backoff(1, std::min(settings.lock_retry_max, Milliseconds{200}))
           : runner_.backoff(static_cast<int>(attempt.waits - kSoonLockWaits), settings.lock_retry_max);
  if (tells_wait(attempt.waits)) {
    runner_.record(act_, core::LockWaited{act_.step.id, static_cast<int>(attempt.waits), retry_in,
                                          std::move(error.failure.blockers)});
  }
  act_.hand.rest(retry_in);
  return true;
}

// Of one batch the first wait and every tenth; of batches that all wait a little, one a second.
bool BackfillRun::tells_wait(std::size_t waits) {
  if (waits != 1) return waits % 10 == 0;
  const std::scoped_lock lock(mutex_);
  const auto now = runner_.clock_.now().mono;
  if (told_wait_ && now - *told_wait_ < kProgressEvery) return false;
  told_wait_ = now;
  return true;
}

// A row that cannot be changed is closed in on: each try has half as many rows, and the last goes row by row, which
// either gets past it or stops. So the tries between two steps of the cursor are few.
bool BackfillRun::after_fault(ports::TargetError error, Attempt& attempt) {
  if (attempt.one_by_one) {
    stop_all(std::move(error));
    return false;
  }
  // A pace may keep batches below the smallest size.
  const int half = std::min(attempt.rows, core::halved_batch_rows(attempt.rows, runner_.settings_.pacing));
  attempt.one_by_one = half == attempt.rows;
  attempt.rows = half;
  return true;
}

void BackfillRun::count(const ports::BackfillBatch& batch) {
  std::optional<core::Progress> told;
  bool log = false;
  {
    const std::scoped_lock lock(mutex_);
    state_.rows += batch.rows;
    state_.rows_changed += batch.rows_changed;
    state_.rows_skipped += batch.rows_skipped;
    state_.share += batch.share;
    const auto now = runner_.clock_.now().mono;
    debt_ = core::owing(debt_, now, batch.rows, act_.hand.pace());
    sample(now);
    if (now - told_ < kProgressEvery) return;
    told_ = now;
    told_hold_.reset();
    told = progress(throttle_.now());
    log = now - logged_ >= kLogEvery;
    if (log) logged_ = now;
  }
  if (log) log_progress(*told);
  runner_.record(act_, core::StepProgressed{act_.step.id, *std::move(told)});
}

void BackfillRun::log_progress(const core::Progress& progress) const {
  const auto time = [](const std::optional<Milliseconds>& left) { return left ? format_duration(*left) : "unknown"; };
  runner_.log_.info("backfill", {{"plan", act_.state.plan.id.str()},
                                 {"step", act_.step.id.str()},
                                 {"pass", fmt::to_string(progress.pass)},
                                 {"rows", fmt::to_string(progress.rows)},
                                 {"rows_total", fmt::to_string(progress.rows_total)},
                                 {"rows_per_second", fmt::format("{:.0f}", progress.rows_per_second)},
                                 {"left", time(progress.eta)}});
}

// While no batch is there to tell of.
void BackfillRun::tell_hold(const core::Throttle& throttle) {
  std::optional<core::Progress> told;
  {
    const std::scoped_lock lock(mutex_);
    if (!throttle.holds()) return;
    const auto now = runner_.clock_.now().mono;
    sample(now);
    const bool known = told_hold_ && throttle.reason && told_hold_->kind == throttle.reason->kind;
    if (now - told_ < (known ? kHoldToldEvery : kProgressEvery)) return;
    told_ = now;
    told_hold_ = throttle.reason;
    told = progress(throttle);
  }
  runner_.record(act_, core::StepProgressed{act_.step.id, *std::move(told)});
}

void BackfillRun::stop_all(Stop stop) {
  {
    const std::scoped_lock lock(mutex_);
    if (!stop_) stop_ = std::move(stop);
  }
  batch_ended_.notify_all();
}

core::Failure BackfillRun::left_over(std::int64_t remaining) const {
  core::Failure failure;
  if (!core::repeatable(work_.backfill)) {
    failure.message =
        fmt::format("verification still finds {} after a pass over {}", counted_rows(remaining), work_.backfill.table);
    failure.hint =
        "another pass would change rows again that are done, so there is none: mend what it finds, then retry";
    return failure;
  }
  failure.message = fmt::format("verification still finds {} after {} passes over {}", counted_rows(remaining),
                                runner_.settings_.max_passes, work_.backfill.table);
  failure.hint =
      "something writes rows that the backfill has to change: is every instance on code that writes both forms?";
  return failure;
}

core::Progress BackfillRun::progress(core::Throttle throttle) const {
  core::Progress progress;
  // By blocks the rows visited are estimated themselves; those changed are not, and were visited.
  progress.rows = std::max(state_.rows, state_.rows_changed);
  progress.rows_changed = state_.rows_changed;
  progress.pass = state_.pass;
  progress.share = std::min(state_.share, 1.0);
  progress.rows_total =
      state_.rows_before + core::estimated_total(state_.rows_total, progress.rows - state_.rows_before, state_.share);
  progress.rows_per_second = meter_.rows_per_second();
  if (const auto eta = meter_.eta(1 - state_.share)) {
    progress.eta = eta->likely;
    progress.eta_low = eta->low;
    progress.eta_high = eta->high;
  }
  progress.rows_skipped = state_.rows_skipped;
  progress.throttle = std::move(throttle);
  return progress;
}

ActResult Runner::backfill(const Act& act) {
  return BackfillRun(*this, act,
                     {act.id, *act.step.backfill, settings_.batch_lock_timeout,
                      act.step.statement_timeout.value_or(settings_.statement_timeout)})
      .run();
}

}  // namespace diastole::engine
