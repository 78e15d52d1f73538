// Pacing of a backfill, as pure functions of measurements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/progress.hpp"

namespace diastole::core {

struct Backfill;

struct PacingLimits {
  int min_rows = 10;
  int max_rows = 10'000;
  Milliseconds target{20};  // how long a batch should take: what an application's row lock waits for at worst
};

// After a batch of so many rows: a tenth more (at least 10) where it was within the target; else what would have
// fitted, but no less than half, since one slow batch says little. Always within the limits. `changing` is the time
// from the first row's lock to the last statement. The rest is round trips, which fewer rows do not shorten: where
// those are most of what it took, the size stays, or grows where they are nearly all.
[[nodiscard]] int next_batch_rows(int rows, Milliseconds took, Milliseconds changing, const PacingLimits& limits);
// After a lock or statement timeout, or a row that cannot be changed.
[[nodiscard]] int halved_batch_rows(int rows, const PacingLimits& limits);

// Whether a statement failed for a row's sake, by its SQLSTATE: with that row aside it may succeed. Not so a timeout,
// or a column that is missing.
[[nodiscard]] bool blames_row(std::string_view sqlstate);

// A row that cannot be changed for its own sake.
struct RowFault {
  std::string relation;  // as an SQL identifier
  std::string key;       // "id = 7"
  std::string sqlstate;
  std::string message;
  friend bool operator==(const RowFault&, const RowFault&) = default;
};
// "public.users id = 7: division by zero; …": the first five.
[[nodiscard]] std::string shown(const std::vector<RowFault>& faults);

// Whether another pass over rows that are done leaves them as they are. Not so a statement of the plan's own, nor an
// expression over a column that is set, unless `where` must be false of every row at the end.
[[nodiscard]] bool repeatable(const Backfill& backfill);

// How long a backfill of so many rows may take, as an order of magnitude: 20 µs for each row of a worker.
[[nodiscard]] Milliseconds estimated_time(std::int64_t rows, int workers);

// The manual pace: how many rows a batch may have under it, and how far what is done is ahead of its rate.
[[nodiscard]] int paced_batch_rows(int rows, const Pace& pace);
struct PaceDebt {
  MonoTime at;
  double rows = 0;  // done before their time
};
[[nodiscard]] PaceDebt owing(PaceDebt debt, MonoTime now, std::int64_t rows, const Pace& pace);
// How long to wait from `now` on until nothing is owed any more; 0 where the pace has no rate.
[[nodiscard]] Milliseconds pause_for(PaceDebt debt, MonoTime now, const Pace& pace);

// The rows of a pass, from those found on the share of its way that is behind (0 to 1). What was estimated before
// counts as much as the first tenth of the way, so that it is corrected soon, but not by the first window.
[[nodiscard]] std::int64_t estimated_total(std::int64_t estimated_before, std::int64_t rows, double share);

struct RateSample {
  MonoTime at;
  std::int64_t rows = 0;
  double way = 0;  // passes that are over, and the share of this one that is behind
};
struct Eta {
  Milliseconds likely{};
  std::optional<Milliseconds> low;   // empty until there is enough to tell
  std::optional<Milliseconds> high;  // likewise; and where at the slowest there is no end in sight
};

// The rate over the last half minute, and the time to the end at that rate. How unsteady it was from second to second
// says how sure that is: low and high are two standard errors of the mean away. Samples are in order of time.
class RateMeter {
 public:
  void sample(RateSample sample);
  [[nodiscard]] double rows_per_second() const;
  // For what is left of the way; none where nothing moves, or the end is beyond reckoning.
  [[nodiscard]] std::optional<Eta> eta(double left) const;

 private:
  // Weighted by time; in shares of a way a second.
  struct Spread {
    double mean = 0;
    double error = 0;  // standard, of the mean
    std::size_t intervals = 0;
  };
  [[nodiscard]] Spread spread() const;

  std::deque<RateSample> samples_;
};

}  // namespace diastole::core
