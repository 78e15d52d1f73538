// Runs a backfill: pass after pass, batch after batch, each part of the table by one worker at a time. Pacing is
// core's, the cursor the target's.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <variant>

#include "backfill_throttle.hpp"
#include "runner.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kProgressEvery{1'000};
constexpr Milliseconds kHoldToldEvery{10'000};  // while it goes on for the same reason: it may do so for hours
constexpr Milliseconds kRateWindow{10'000};
constexpr std::size_t kLockWaitsInARow = 100;

// Rate over the last ten seconds, so that it follows a change of pace.
class RateMeter {
 public:
  void sample(MonoTime at, std::int64_t rows) {
    samples_.push_back({at, rows});
    while (samples_.size() > 2 && at - samples_.front().at > kRateWindow) samples_.pop_front();
  }
  [[nodiscard]] double rate() const {
    return samples_.empty() ? 0 : core::rows_per_second(samples_.front(), samples_.back());
  }

 private:
  std::deque<core::RateSample> samples_;
};

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
        throttle_(act.target, work_, runner.settings_.throttle, runner.clock_, runner.log_) {}

  ActResult run();

 private:
  // Why a pass did not reach its end: something that the target said, or a request to stop.
  struct Asked {
    std::string why;
  };
  using Stop = std::variant<Asked, ports::TargetError>;

  [[nodiscard]] ActResult ended_by(Stop stop);
  void take(ports::BackfillState state);
  [[nodiscard]] std::optional<Stop> pass();
  void walk_parts();
  [[nodiscard]] bool walk(int part, Milliseconds& took);
  // How the next batch is tried.
  struct Attempt {
    int rows = 0;
    bool one_by_one = false;  // the batch is as small as it gets, and one of its rows cannot be changed
    std::size_t waits = 0;
  };
  [[nodiscard]] bool after_error(ports::TargetError error, Attempt& attempt);
  [[nodiscard]] bool after_fault(ports::TargetError error, Attempt& attempt);
  [[nodiscard]] bool stopped();
  void count(const ports::BackfillBatch& batch);
  void tell_hold(const core::Throttle& throttle);
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
  RateMeter meter_;
  MonoTime told_;
  std::optional<core::Signal> told_hold_;  // whose kind was told last
  BackfillThrottle throttle_;              // last: it looks until it is gone
};

ActResult BackfillRun::ended_by(Stop stop) {
  if (const auto* asked = std::get_if<Asked>(&stop))
    return conclude(core::StepInterrupted{act_.step.id, core::Applied::partial, asked->why});
  auto& error = std::get<ports::TargetError>(stop);
  if (error.code == ErrorCode::interrupted) return ended_by(Asked{act_.hand.asked().value_or("cancelled")});
  // Unknown or not, the cursor in the target knows which batch was the last.
  if (passes_by_itself(error.code))
    return {.again_later = runner_.later(act_.state.plan, act_.step.id, error), .preflight = {}};
  return conclude(core::StepFailed{act_.step.id, core::Applied::partial, std::move(error.failure)});
}

ActResult BackfillRun::run() {
  auto begun = act_.target.backfill_begin(work_);
  if (!begun) return ended_by(std::move(begun.error()));
  take(*std::move(begun));
  throttle_.start(runner_.settings_.look_every, [this](const core::Throttle& throttle) { tell_hold(throttle); });
  const int first_pass = state_.pass;  // of this attempt: a retry has its passes anew
  for (;;) {
    if (auto stop = pass()) return ended_by(*std::move(stop));
    const auto remaining = act_.target.backfill_remaining(work_, act_.hand.token());
    if (!remaining) return ended_by(remaining.error());
    if (*remaining == 0) break;
    if (state_.pass - first_pass + 1 >= runner_.settings_.max_passes)
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
  meter_.sample(runner_.clock_.now().mono, state_.rows);
}

std::optional<BackfillRun::Stop> BackfillRun::pass() {
  const auto parts = state_.open_parts.size();
  const auto workers = std::min(static_cast<std::size_t>(std::max(state_.walk.workers, 1)), parts);
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < workers; ++i) others.emplace_back([this] { walk_parts(); });
    walk_parts();
  }
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
  for (;;) {
    throttle_.rest(took, act_.hand, [this] { return stopped(); });
    if (stopped()) return false;
    const auto before = runner_.clock_.now().mono;
    auto batch = attempt.one_by_one ? act_.target.backfill_isolate(work_, part, attempt.rows, act_.hand.token())
                                    : act_.target.backfill_batch(work_, part, attempt.rows, act_.hand.token());
    took = runner_.clock_.now().mono - before;
    if (!batch) {
      if (!after_error(std::move(batch.error()), attempt)) return false;
      continue;
    }
    count(*batch);
    if (batch->part_done) return true;
    attempt = {.rows = core::next_batch_rows(attempt.rows, took, runner_.settings_.pacing)};
  }
}

bool BackfillRun::stopped() {
  if (auto why = act_.hand.asked()) stop_all(Asked{*std::move(why)});
  const std::scoped_lock lock(mutex_);
  return stop_.has_value();
}

// Whether it is worth trying again, with fewer rows.
bool BackfillRun::after_error(ports::TargetError error, Attempt& attempt) {
  const auto& settings = runner_.settings_;
  if (core::blames_row(error.failure.sqlstate)) return after_fault(std::move(error), attempt);
  const bool smaller_helps = timed_out(error) && attempt.rows > settings.pacing.min_rows;
  if (error.code != ErrorCode::lock_timeout && !smaller_helps) {
    stop_all(std::move(error));
    return false;
  }
  if (++attempt.waits > kLockWaitsInARow) {
    stop_all(ports::TargetError{ErrorCode::invalid_argument, std::move(error.failure), {}});
    return false;
  }
  attempt.rows = core::halved_batch_rows(attempt.rows, settings.pacing);
  const auto retry_in = runner_.backoff(1, std::min(settings.lock_retry_max, Milliseconds{200}));
  if (attempt.waits == 1 || attempt.waits % 10 == 0) {
    runner_.record(act_, core::LockWaited{act_.step.id, static_cast<int>(attempt.waits), retry_in,
                                          std::move(error.failure.blockers)});
  }
  act_.hand.rest(retry_in);
  return true;
}

// A row that cannot be changed is closed in on: each try has half as many rows, and the last goes row by row, which
// either gets past it or stops. So the tries between two steps of the cursor are few.
bool BackfillRun::after_fault(ports::TargetError error, Attempt& attempt) {
  if (attempt.one_by_one) {
    stop_all(std::move(error));
    return false;
  }
  const int half = core::halved_batch_rows(attempt.rows, runner_.settings_.pacing);
  attempt.one_by_one = half == attempt.rows;
  attempt.rows = half;
  return true;
}

void BackfillRun::count(const ports::BackfillBatch& batch) {
  std::optional<core::Progress> told;
  {
    const std::scoped_lock lock(mutex_);
    state_.rows += batch.rows;
    state_.rows_changed += batch.rows_changed;
    state_.rows_skipped += batch.rows_skipped;
    const auto now = runner_.clock_.now().mono;
    meter_.sample(now, state_.rows);
    if (now - told_ >= kProgressEvery) {
      told_ = now;
      told_hold_.reset();
      told = progress(throttle_.now());
    }
  }
  if (told) runner_.record(act_, core::StepProgressed{act_.step.id, *std::move(told)});
}

// While no batch is there to tell of.
void BackfillRun::tell_hold(const core::Throttle& throttle) {
  std::optional<core::Progress> told;
  {
    const std::scoped_lock lock(mutex_);
    if (!throttle.holds()) return;
    const auto now = runner_.clock_.now().mono;
    meter_.sample(now, state_.rows);
    const bool known = told_hold_ && throttle.reason && told_hold_->kind == throttle.reason->kind;
    if (now - told_ < (known ? kHoldToldEvery : kProgressEvery)) return;
    told_ = now;
    told_hold_ = throttle.reason;
    told = progress(throttle);
  }
  runner_.record(act_, core::StepProgressed{act_.step.id, *std::move(told)});
}

void BackfillRun::stop_all(Stop stop) {
  const std::scoped_lock lock(mutex_);
  if (!stop_) stop_ = std::move(stop);
}

core::Failure BackfillRun::left_over(std::int64_t remaining) const {
  core::Failure failure;
  failure.message = fmt::format("verification still finds {} after {} passes over {}", counted_rows(remaining),
                                runner_.settings_.max_passes, work_.backfill.table);
  failure.hint =
      "something writes rows that the backfill has to change: is every instance on code that writes both forms?";
  return failure;
}

core::Progress BackfillRun::progress(core::Throttle throttle) const {
  core::Progress progress;
  progress.rows = state_.rows;
  progress.rows_changed = state_.rows_changed;
  // Each pass goes over the table once.
  progress.rows_total = std::max(state_.rows_total * state_.pass, state_.rows);
  progress.pass = state_.pass;
  progress.rows_skipped = state_.rows_skipped;
  progress.rows_per_second = meter_.rate();
  progress.eta = core::time_left(progress.rows, progress.rows_total, progress.rows_per_second);
  progress.throttle = std::move(throttle);
  return progress;
}

ActResult Runner::backfill(const Act& act) {
  return BackfillRun(*this, act,
                     {act.id, *act.step.backfill, settings_.batch_lock_timeout,
                      statement_timeout(act.step, act.step.statements)})
      .run();
}

}  // namespace diastole::engine
