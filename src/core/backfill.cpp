#include "diastole/core/backfill.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>

#include "diastole/core/plan.hpp"

namespace diastole::core {
namespace {

constexpr Milliseconds kInterval{1'000};
constexpr Milliseconds kWindow{30'000};
constexpr std::size_t kEnoughIntervals = 4;

double seconds(Milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

std::optional<Milliseconds> time_for(double left, double rate) {
  if (rate <= 0) return std::nullopt;
  const double time = std::max(left, 0.0) / rate * 1000.0;
  constexpr double kFarthest = 1e14;  // 3,000 years: beyond that the rate says nothing, and the number would not fit
  if (time > kFarthest) return std::nullopt;
  return Milliseconds{std::llround(time)};
}

bool of_a_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Whether the expression may use the column: its name stands in it somewhere.
bool names(std::string_view expression, std::string_view column) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  for (auto rest = expression;;) {
    const auto found = std::ranges::search(rest, column, same);
    if (found.empty()) return false;
    const bool begins = found.begin() == expression.begin() || !of_a_name(*std::prev(found.begin()));
    const bool ends = found.end() == expression.end() || !of_a_name(*found.end());
    if (begins && ends) return true;
    rest = {std::next(found.begin()), expression.end()};
  }
}

}  // namespace

int next_batch_rows(int rows, Milliseconds took, Milliseconds changing, const PacingLimits& limits) {
  const auto within = [&](int next) { return std::clamp(next, limits.min_rows, limits.max_rows); };
  if (took <= limits.target || 5 * changing <= took) return within(rows + std::max(10, rows / 10));
  if (5 * changing <= 2 * took) return within(rows);
  const auto fitting = rows * limits.target.count() / took.count();
  return within(std::max(rows / 2, static_cast<int>(fitting)));
}

int halved_batch_rows(int rows, const PacingLimits& limits) {
  return std::clamp(rows / 2, limits.min_rows, limits.max_rows);
}

bool blames_row(std::string_view sqlstate) {
  // Classes of PostgreSQL's documentation, appendix A: CASE without a case, cardinality (a subquery of more than one
  // row), data, integrity constraints, WITH CHECK OPTION, limits (an index entry that is too long), and PL/pgSQL's.
  constexpr std::string_view kBlaming[] = {"20", "21", "22", "23", "44", "54000", "P0"};
  // All others there. What is not among them a trigger or a function of the user's has raised.
  constexpr std::string_view kOthers =
      "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 "
      "42 53 54 55 57 58 72 F0 HV XX";
  if (sqlstate.size() != 5) return false;
  return std::ranges::any_of(kBlaming, [&](std::string_view begin) { return sqlstate.starts_with(begin); }) ||
         !kOthers.contains(sqlstate.substr(0, 2));
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

bool repeatable(const Backfill& backfill) {
  if (!backfill.sql.empty()) return false;
  if (backfill.verify == "zero_rows") return true;
  return std::ranges::none_of(backfill.set, [&](const auto& entry) {
    return std::ranges::any_of(backfill.set, [&](const auto& set) { return names(entry.second, set.first); });
  });
}

Milliseconds estimated_time(std::int64_t rows, int workers) {
  constexpr std::int64_t kRowsAMillisecond = 50;
  return Milliseconds{rows / (kRowsAMillisecond * std::max(workers, 1))};
}

int paced_batch_rows(int rows, const Pace& pace) {
  if (pace.batch_rows) rows = std::min(rows, *pace.batch_rows);
  // A rate is kept in steps of a quarter of a second, not in bursts.
  if (pace.rows_per_second) rows = std::min(rows, *pace.rows_per_second / 4);
  return std::max(rows, 1);
}

PaceDebt owing(PaceDebt debt, MonoTime now, std::int64_t rows, const Pace& pace) {
  if (!pace.rows_per_second) return {.at = now, .rows = 0};
  const double paid = seconds(now - debt.at) * *pace.rows_per_second;
  return {.at = now, .rows = std::max(debt.rows - paid, 0.0) + static_cast<double>(rows)};
}

Milliseconds pause_for(PaceDebt debt, MonoTime now, const Pace& pace) {
  if (!pace.rows_per_second) return Milliseconds{0};
  const double left = owing(debt, now, 0, pace).rows / *pace.rows_per_second;
  return Milliseconds{static_cast<std::int64_t>(std::ceil(left * 1000))};
}

std::int64_t estimated_total(std::int64_t estimated_before, std::int64_t rows, double share) {
  constexpr double kTrust = 0.1;
  const double behind = std::clamp(share, 0.0, 1.0);
  const double density =
      (kTrust * static_cast<double>(std::max<std::int64_t>(estimated_before, 0)) + static_cast<double>(rows)) /
      (kTrust + behind);
  return rows + std::llround((1 - behind) * density);
}

void RateMeter::sample(RateSample sample) {
  // At most one a second, the last one beside: the spread is that of whole seconds.
  const auto size = samples_.size();
  if (size >= 2 && samples_[size - 1].at - samples_[size - 2].at < kInterval) samples_.pop_back();
  samples_.push_back(sample);
  while (samples_.size() > 2 && sample.at - samples_.front().at > kWindow) samples_.pop_front();
}

double RateMeter::rows_per_second() const {
  if (samples_.size() < 2) return 0;
  const auto& first = samples_.front();
  const auto& last = samples_.back();
  const double time = seconds(last.at - first.at);
  if (time <= 0 || last.rows <= first.rows) return 0;
  return static_cast<double>(last.rows - first.rows) / time;
}

RateMeter::Spread RateMeter::spread() const {
  if (samples_.size() < 2) return {};
  const double time = seconds(samples_.back().at - samples_.front().at);
  if (time <= 0) return {};
  Spread spread{.mean = (samples_.back().way - samples_.front().way) / time, .error = 0, .intervals = 0};
  double variance = 0;
  for (std::size_t i = 1; i < samples_.size(); ++i) {
    const double took = seconds(samples_[i].at - samples_[i - 1].at);
    if (took <= 0) continue;
    const double off = (samples_[i].way - samples_[i - 1].way) / took - spread.mean;
    variance += took / time * off * off;
    ++spread.intervals;
  }
  if (spread.intervals > 1) spread.error = std::sqrt(variance / static_cast<double>(spread.intervals - 1));
  return spread;
}

std::optional<Eta> RateMeter::eta(double left) const {
  const auto rate = spread();
  const auto likely = time_for(left, rate.mean);
  if (!likely) return std::nullopt;
  Eta eta{.likely = *likely, .low = {}, .high = {}};
  if (rate.intervals < kEnoughIntervals) return eta;
  eta.low = time_for(left, rate.mean + 2 * rate.error);
  eta.high = time_for(left, rate.mean - 2 * rate.error);
  return eta;
}

}  // namespace diastole::core
