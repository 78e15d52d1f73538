// Runs a backfill: batch after batch, pacing by core, cursor by the target.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "runner.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kProgressEvery{1'000};
constexpr Milliseconds kRateWindow{10'000};
constexpr std::size_t kLockWaitsInARow = 100;

// Rate over the last ten seconds, so that it follows a change of pace.
class RateMeter {
 public:
  void sample(MonoTime at, std::int64_t rows) {
    samples_.push_back({at, rows});
    while (samples_.size() > 2 && at - samples_.front().at > kRateWindow) samples_.pop_front();
  }
  [[nodiscard]] double rate() const { return core::rows_per_second(samples_.front(), samples_.back()); }

 private:
  std::deque<core::RateSample> samples_;
};

core::Progress progress_of(const ports::BackfillCursor& cursor, double rate) {
  core::Progress progress;
  progress.rows = cursor.rows;
  progress.rows_changed = cursor.rows_changed;
  // Each pass goes over the table once.
  progress.rows_total = cursor.rows_total * cursor.pass;
  progress.pass = cursor.pass;
  progress.rows_per_second = rate;
  progress.eta = core::time_left(progress.rows, progress.rows_total, rate);
  return progress;
}

bool timed_out(const ports::TargetError& error) {
  return error.failure.sqlstate == "57014";
}

}  // namespace

ActResult Runner::backfill(const Act& act) {
  const ports::BackfillWork work{act.id, *act.step.backfill, settings_.batch_lock_timeout,
                                 statement_timeout(act.step, act.step.statements)};
  const auto began = clock_.now().mono;
  const auto interrupted = [&](std::string why) -> ActResult {
    return conclude(act, core::StepInterrupted{act.step.id, core::Applied::partial, std::move(why)});
  };
  const auto broken = [&](ports::TargetError error) -> ActResult {
    if (error.code == ErrorCode::interrupted) return interrupted(act.hand.asked().value_or("cancelled"));
    // Unknown or not, the cursor in the target knows which batch was the last.
    if (passes_by_itself(error.code))
      return {.again_later = later(act.state.plan, act.step.id, error), .preflight = {}};
    return conclude(act, core::StepFailed{act.step.id, core::Applied::partial, std::move(error.failure)});
  };

  auto cursor = act.target.backfill_begin(work);
  if (!cursor) return broken(std::move(cursor.error()));
  const int first_pass = cursor->pass;  // of this attempt: a retry has its passes anew
  RateMeter meter;
  meter.sample(began, cursor->rows);
  MonoTime told = began;
  int rows = std::clamp(work.backfill.batch_rows.value_or(settings_.batch_rows), settings_.pacing.min_rows,
                        settings_.pacing.max_rows);
  std::size_t lock_waits = 0;

  while (true) {
    if (const auto why = act.hand.asked()) return interrupted(*why);
    if (cursor->pass_done) {
      const auto remaining = act.target.backfill_remaining(work, act.hand.token());
      if (!remaining) return broken(remaining.error());
      if (*remaining == 0) break;
      if (cursor->pass - first_pass + 1 >= settings_.max_passes) {
        core::Failure failure;
        failure.message = fmt::format("verification still finds {} row{} after {} passes over {}",
                                      *remaining >= 1000 ? "1000 or more" : fmt::to_string(*remaining),
                                      *remaining == 1 ? "" : "s", settings_.max_passes, work.backfill.table);
        failure.hint =
            "something writes rows that the backfill has to change: is every instance on code that writes both forms?";
        return conclude(act, core::StepFailed{act.step.id, core::Applied::partial, std::move(failure)});
      }
      cursor = act.target.backfill_again(work);
      if (!cursor) return broken(std::move(cursor.error()));
      continue;
    }

    const auto before = clock_.now().mono;
    auto next = act.target.backfill_batch(work, rows, act.hand.token());
    const auto after = clock_.now().mono;
    if (!next) {
      auto& error = next.error();
      const bool smaller_helps = timed_out(error) && rows > settings_.pacing.min_rows;
      if (error.code != ErrorCode::lock_timeout && !smaller_helps) return broken(std::move(error));
      if (++lock_waits > kLockWaitsInARow) return broken({ErrorCode::invalid_argument, std::move(error.failure), {}});
      rows = core::halved_batch_rows(rows, settings_.pacing);
      const auto retry_in = backoff(1, std::min(settings_.lock_retry_max, Milliseconds{200}));
      if (lock_waits == 1 || lock_waits % 10 == 0) {
        record(act, core::LockWaited{act.step.id, static_cast<int>(lock_waits), retry_in,
                                     std::move(error.failure.blockers)});
      }
      act.hand.rest(retry_in);
      continue;
    }
    lock_waits = 0;
    cursor = std::move(next);
    rows = core::next_batch_rows(rows, after - before, settings_.pacing);
    meter.sample(after, cursor->rows);
    if (after - told >= kProgressEvery) {
      told = after;
      record(act, core::StepProgressed{act.step.id, progress_of(*cursor, meter.rate())});
    }
  }
  if (auto finished = act.target.backfill_finish(work); !finished) return broken(std::move(finished.error()));
  record(act, core::StepProgressed{act.step.id, progress_of(*cursor, meter.rate())});
  return conclude(act, core::StepFinished{act.step.id, cursor->rows_changed, clock_.now().mono - began, ""});
}

}  // namespace diastole::engine
