#include "diastole/core/backfill.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "diastole/core/plan.hpp"

namespace diastole::core {
namespace {

constexpr PacingLimits kLimits{.min_rows = 10, .max_rows = 10'000, .target = Milliseconds{20}};

// After a batch all of whose time went by its rows.
int sized(int rows, Milliseconds took) {
  return next_batch_rows(rows, took, took, kLimits);
}

TEST(PacingTest, GrowsByATenthAndShrinksToWhatFitsTheTarget) {
  EXPECT_EQ(sized(1'000, Milliseconds{5}), 1'100);
  EXPECT_EQ(sized(1'000, Milliseconds{20}), 1'100);
  EXPECT_EQ(sized(1'000, Milliseconds{21}), 952);
  EXPECT_EQ(sized(1'000, Milliseconds{30}), 666);
  EXPECT_EQ(sized(1'000, Milliseconds{40}), 500);
  EXPECT_EQ(sized(1'000, Milliseconds{4'000}), 500);
  EXPECT_EQ(sized(10, Milliseconds{1}), 20);
  EXPECT_EQ(halved_batch_rows(1'000, kLimits), 500);
}

TEST(PacingTest, StaysWithinItsLimitsWhateverIsMeasured) {
  for (const int rows : {-5, 0, 1, 9, 10, 11, 9'999, 10'000, 1'000'000, std::numeric_limits<int>::max() / 2}) {
    for (const auto took : {Milliseconds{-1}, Milliseconds{0}, Milliseconds{20}, Milliseconds{1'000'000}}) {
      const int next = sized(rows, took);
      EXPECT_TRUE(next >= kLimits.min_rows && next <= kLimits.max_rows) << rows << " " << took.count();
    }
    const int half = halved_batch_rows(rows, kLimits);
    EXPECT_TRUE(half >= kLimits.min_rows && half <= kLimits.max_rows) << rows;
  }
}

// A database whose batches take time in proportion to their rows: the size settles around what fits the target and
// swings by no more than the growth makes it.
TEST(PacingTest, SettlesAroundTheTarget) {
  for (const int rows_per_ms : {2, 10, 50, 200}) {
    const int fits = rows_per_ms * 20;
    int rows = kLimits.min_rows;
    int lowest = kLimits.max_rows;
    int highest = 0;
    for (int batch = 0; batch < 500; ++batch) {
      rows = sized(rows, Milliseconds{(rows + rows_per_ms - 1) / rows_per_ms});
      if (batch < 100) continue;
      lowest = std::min(lowest, rows);
      highest = std::max(highest, rows);
    }
    EXPECT_GE(lowest, fits - std::max(10, fits / 10)) << rows_per_ms;
    EXPECT_LE(highest, fits + std::max(10, fits / 10)) << rows_per_ms;
    EXPECT_LT(lowest, highest);
  }
}

// A target so far away that the round trips alone exceed it: small batches would cost as much as large ones.
TEST(PacingTest, DoesNotShrinkForWhatFewerRowsDoNotShorten) {
  constexpr int kRoundTrips = 140;
  constexpr int kRowsPerMs = 20;
  int rows = kLimits.min_rows;
  for (int batch = 0; batch < 500; ++batch) {
    const int changing = rows / kRowsPerMs;
    rows = next_batch_rows(rows, Milliseconds{kRoundTrips + changing}, Milliseconds{changing}, kLimits);
    if (batch < 100) continue;
    EXPECT_GE(rows, 500);
    EXPECT_LE(rows / kRowsPerMs, kRoundTrips) << "nor do the rows take more than the trips";
  }
}

TEST(PacingTest, FallsToTheFloorInAFewBatchesWhenTheDatabaseStalls) {
  int rows = kLimits.max_rows;
  int batches = 0;
  for (; rows > kLimits.min_rows; ++batches) {
    ASSERT_LT(batches, 11);
    rows = sized(rows, Milliseconds{500});
  }
  EXPECT_EQ(batches, 10);
}

TEST(FaultTest, OnlyARowsOwnFaultIsClosedInOn) {
  for (const auto* sqlstate :
       {"22012", "22P02", "23514", "23505", "21000", "44000", "54000", "P0001", "P0002", "20000", "MY001"})
    EXPECT_TRUE(blames_row(sqlstate)) << sqlstate;
  for (const auto* sqlstate : {"", "57014", "55P03", "40P01", "42703", "42601", "53100", "54001", "25006", "08006"})
    EXPECT_FALSE(blames_row(sqlstate)) << sqlstate;
}

TEST(FaultTest, TheFirstFiveAreShown) {
  std::vector<RowFault> faults{{.relation = "public.users", .key = "id = 7", .sqlstate = "22012", .message = "no"}};
  EXPECT_EQ(shown(faults), "public.users id = 7: no");
  faults.resize(7, faults.front());
  EXPECT_TRUE(shown(faults).ends_with("id = 7: no; and 2 more")) << shown(faults);
}

TEST(RepeatableTest, WhatWouldChangeARowAgainIsNot) {
  Backfill backfill;
  backfill.set = {{"full_name", "name || full_name_2"}};
  EXPECT_TRUE(repeatable(backfill));
  backfill.set = {{"n", "users.N + 1"}};
  EXPECT_FALSE(repeatable(backfill));
  backfill.set = {{"a", "b"}, {"b", "a"}};
  EXPECT_FALSE(repeatable(backfill));
  backfill.verify = "zero_rows";
  EXPECT_TRUE(repeatable(backfill)) << "`where` selects those that are left";
  backfill.sql = "DELETE FROM users WHERE id BETWEEN :from AND :to";
  EXPECT_FALSE(repeatable(backfill));
}

MonoTime at(std::int64_t ms) {
  return MonoTime{Milliseconds{ms}};
}

// A second each, so many rows of a thousand in each.
RateMeter measured(std::initializer_list<int> seconds) {
  RateMeter meter;
  std::int64_t rows = 0;
  std::int64_t second = 0;
  meter.sample({at(0), 0, 0});
  for (const int in_second : seconds) {
    rows += in_second;
    meter.sample({at(++second * 1'000), rows, static_cast<double>(rows) / 1'000});
  }
  return meter;
}

TEST(RateTest, AnEvenRateSaysExactlyWhenItIsOver) {
  const auto meter = measured({50, 50, 50, 50, 50});
  EXPECT_DOUBLE_EQ(meter.rows_per_second(), 50);
  const auto eta = meter.eta(0.75);
  ASSERT_TRUE(eta.has_value());
  EXPECT_EQ(eta->likely, Milliseconds{15'000});
  EXPECT_EQ(eta->low, Milliseconds{15'000});
  EXPECT_EQ(eta->high, Milliseconds{15'000});
}

TEST(RateTest, AnUnsteadyRateSaysBetweenWhen) {
  const auto eta = measured({20, 80, 20, 80, 20, 80, 20, 80, 50}).eta(0.55);
  ASSERT_TRUE(eta && eta->low && eta->high);
  EXPECT_EQ(eta->likely, Milliseconds{11'000});
  // 30 off in eight of nine: a standard error of 30 * sqrt(8/9) / sqrt(8) = 10 rows a second.
  EXPECT_EQ(eta->low, Milliseconds{7'857});
  EXPECT_EQ(eta->high, Milliseconds{18'333});
  const auto quiet = measured({49, 51, 49, 51, 49, 51, 49, 51, 50}).eta(0.55);
  EXPECT_GT(quiet->low, eta->low) << "the steadier, the surer";
  EXPECT_LT(quiet->high, eta->high);
}

TEST(RateTest, AtTheSlowestThereMayBeNoEndInSight) {
  const auto eta = measured({200, 0, 0, 0, 0, 0}).eta(0.8);
  ASSERT_TRUE(eta && eta->low);
  EXPECT_EQ(eta->likely, Milliseconds{24'000});
  EXPECT_EQ(eta->high, std::nullopt);
}

TEST(RateTest, NothingIsSaidThatIsNotKnown) {
  EXPECT_EQ(RateMeter{}.rows_per_second(), 0);
  EXPECT_FALSE(RateMeter{}.eta(0.5).has_value());
  EXPECT_FALSE(measured({0, 0, 0}).eta(0.5).has_value());
  const auto early = measured({50, 10, 90}).eta(0.85);
  ASSERT_TRUE(early.has_value());
  EXPECT_EQ(early->likely, Milliseconds{17'000});
  EXPECT_FALSE(early->low.has_value()) << "three seconds do not show how steady a rate is";
  RateMeter crawling;
  crawling.sample({at(0), 0, 0});
  crawling.sample({at(1'000), 1, 1e-13});
  EXPECT_FALSE(crawling.eta(1).has_value());
  RateMeter stopped_clock;
  stopped_clock.sample({at(1'000), 0, 0});
  stopped_clock.sample({at(1'000), 500, 0.5});
  EXPECT_EQ(stopped_clock.rows_per_second(), 0);
  EXPECT_FALSE(stopped_clock.eta(0.5).has_value());
}

TEST(RateTest, OnlyTheLastHalfMinuteCounts) {
  RateMeter meter;
  for (int second = 0; second <= 60; ++second) {
    const std::int64_t rows = second <= 30 ? second * 1'000 : 30'000 + (second - 30) * 10;
    meter.sample({at(second * 1'000), rows, 0});
  }
  EXPECT_DOUBLE_EQ(meter.rows_per_second(), 10);
}

TEST(RateTest, SamplesWithinASecondAreOne) {
  RateMeter meter;
  meter.sample({at(0), 0, 0});
  // Batches of 100 in bursts; each second has the same.
  for (int second = 0; second < 6; ++second) {
    for (const int ms : {10, 20, 30, 1'000})
      meter.sample({at(second * 1'000 + ms), second * 400 + (ms == 1'000 ? 400 : ms * 10),
                    (second * 400 + (ms == 1'000 ? 400 : ms * 10)) / 10'000.0});
  }
  EXPECT_DOUBLE_EQ(meter.rows_per_second(), 400);
  const auto eta = meter.eta(0.76);
  ASSERT_TRUE(eta.has_value());
  EXPECT_EQ(eta->low, eta->likely);
  EXPECT_EQ(eta->high, eta->likely);
}

TEST(EstimateTest, MovesFromWhatWasEstimatedToWhatIsFound) {
  EXPECT_EQ(estimated_total(1'000'000, 0, 0), 1'000'000);
  EXPECT_EQ(estimated_total(1'000'000, 500'000, 0.5), 1'000'000) << "it was right";
  EXPECT_EQ(estimated_total(1'000'000, 2'000'000, 1), 2'000'000) << "all was seen";
  EXPECT_EQ(estimated_total(0, 0, 0), 0);
  EXPECT_EQ(estimated_total(0, 300, 0.3), 300 + 525) << "nothing was estimated";
  EXPECT_EQ(estimated_total(1'000, 1'100, 1.5), 1'100);
}

// A table twice as large as the statistics say: the error falls with every tenth of the way.
TEST(EstimateTest, IsCorrectedAsItGoes) {
  constexpr std::int64_t kRows = 2'000'000;
  double before = kRows;
  for (int tenth = 0; tenth <= 10; ++tenth) {
    const auto total = estimated_total(kRows / 2, kRows * tenth / 10, tenth / 10.0);
    const auto error = static_cast<double>(kRows - total);
    EXPECT_LT(error, before) << tenth;
    before = error;
    if (tenth == 3) EXPECT_LT(error, kRows * 0.1);
  }
  EXPECT_EQ(before, 0);
}

TEST(ManualPaceTest, BoundsABatchAndNeverToNothing) {
  EXPECT_EQ(paced_batch_rows(1'000, {}), 1'000);
  Pace pace;
  pace.batch_rows = 100;
  EXPECT_EQ(paced_batch_rows(1'000, pace), 100);
  EXPECT_EQ(paced_batch_rows(50, pace), 50) << "a bound, not a size";
  pace.rows_per_second = 40;
  EXPECT_EQ(paced_batch_rows(1'000, pace), 10) << "a quarter of a second's";
  pace.rows_per_second = 1;
  EXPECT_EQ(paced_batch_rows(1'000, pace), 1);
}

// Batches of any size, as quick as can be: what they are made to wait keeps them to the rate.
TEST(ManualPaceTest, WhatIsDoneBeforeItsTimeIsWaitedFor) {
  Pace pace;
  pace.rows_per_second = 200;
  PaceDebt debt;
  MonoTime now = at(10'000);
  std::int64_t done = 0;
  for (const int rows : {50, 1, 700, 0, 3, 50, 50, 146}) {
    EXPECT_GE(rows, 0);
    now += pause_for(debt, now, pace);
    EXPECT_EQ(pause_for(debt, now, pace), Milliseconds{0});
    debt = owing(debt, now, rows, pace);
    done += rows;
  }
  now += pause_for(debt, now, pace);
  EXPECT_EQ(now - at(10'000), Milliseconds{done * 1'000 / 200});
}

TEST(ManualPaceTest, AChangedRateAppliesToWhatIsOwed) {
  Pace slow;
  slow.rows_per_second = 1;
  const auto debt = owing({}, at(0), 100, slow);
  EXPECT_EQ(pause_for(debt, at(0), slow), Milliseconds{100'000});
  Pace quick;
  quick.rows_per_second = 1'000;
  EXPECT_EQ(pause_for(debt, at(50), quick), Milliseconds{50});
  EXPECT_EQ(pause_for(debt, at(0), {}), Milliseconds{0});
  EXPECT_EQ(owing(debt, at(0), 1'000, {}).rows, 0) << "without a rate nothing is owed";
  EXPECT_EQ(owing(debt, at(500'000), 7, slow).rows, 7) << "a rest is not saved up";
}

}  // namespace
}  // namespace diastole::core
