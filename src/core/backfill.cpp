#include "diastole/core/backfill.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace diastole::core {

int next_batch_rows(int rows, Milliseconds took, const PacingLimits& limits) {
  const int next = took > limits.target ? rows / 2 : rows + std::max(10, rows / 10);
  return std::clamp(next, limits.min_rows, limits.max_rows);
}

int halved_batch_rows(int rows, const PacingLimits& limits) {
  return std::clamp(rows / 2, limits.min_rows, limits.max_rows);
}

bool blames_row(std::string_view sqlstate) {
  // Classes of PostgreSQL's documentation, appendix A: cardinality (a subquery of more than one row), data, integrity
  // constraints, WITH CHECK OPTION, limits (an index entry that is too long), and what a trigger raises.
  constexpr std::string_view kBlaming[] = {"21", "22", "23", "44", "54000", "P0001", "P0004"};
  return std::ranges::any_of(kBlaming, [&](std::string_view begin) { return sqlstate.starts_with(begin); });
}

std::string shown(const std::vector<RowFault>& faults) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < faults.size() && i < kShown; ++i) {
    const auto& fault = faults[i];
    text += fmt::format("{}{} {}: {}", i == 0 ? "" : "; ", fault.relation, fault.key, fault.message);
  }
  if (faults.size() > kShown) text += fmt::format("; and {} more", faults.size() - kShown);
  return text;
}

double rows_per_second(RateSample from, RateSample to) {
  const auto elapsed = std::chrono::duration<double>(to.at - from.at).count();
  if (elapsed <= 0 || to.rows <= from.rows) return 0;
  return static_cast<double>(to.rows - from.rows) / elapsed;
}

Milliseconds estimated_time(std::int64_t rows, int workers) {
  constexpr std::int64_t kRowsAMillisecond = 50;
  return Milliseconds{rows / (kRowsAMillisecond * std::max(workers, 1))};
}

std::optional<Milliseconds> time_left(std::int64_t rows, std::int64_t rows_total, double rate) {
  if (rows_total <= 0 || rate <= 0) return std::nullopt;
  if (rows >= rows_total) return Milliseconds{0};
  const double left = static_cast<double>(rows_total - rows) / rate * 1000.0;
  constexpr double kFarthest = 1e14;  // 3,000 years: beyond that the rate says nothing, and the number would not fit
  if (left > kFarthest) return std::nullopt;
  return Milliseconds{static_cast<std::int64_t>(left)};
}

}  // namespace diastole::core
