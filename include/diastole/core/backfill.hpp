// Pacing of a backfill, as pure functions of measurements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/event.hpp"

namespace diastole::core {

struct PacingLimits {
  int min_rows = 10;
  int max_rows = 10'000;
  Milliseconds target{20};  // how long a batch should take: what an application's row lock waits for at worst
};

// Additive increase, multiplicative decrease on the batch's duration (Chiu and Jain, 1989): +10 % of the size (at least
// 10 rows) while under the target, half above it. Always within the limits.
[[nodiscard]] int next_batch_rows(int rows, Milliseconds took, const PacingLimits& limits);
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

// How long a backfill of so many rows may take, as an order of magnitude: 20 µs for each row of a worker.
[[nodiscard]] Milliseconds estimated_time(std::int64_t rows, int workers);

// Rate over a sliding measurement and the time to the end at that rate; no ETA where rate or total is unknown.
struct RateSample {
  MonoTime at;
  std::int64_t rows = 0;
};
[[nodiscard]] double rows_per_second(RateSample from, RateSample to);
[[nodiscard]] std::optional<Milliseconds> time_left(std::int64_t rows, std::int64_t rows_total, double rows_per_second);

}  // namespace diastole::core
