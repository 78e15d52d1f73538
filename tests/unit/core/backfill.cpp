#include "diastole/core/backfill.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace diastole::core {
namespace {

constexpr PacingLimits kLimits{.min_rows = 10, .max_rows = 10'000, .target = Milliseconds{20}};

TEST(PacingTest, GrowsByATenthAndHalvesAboveTheTarget) {
  EXPECT_EQ(next_batch_rows(1'000, Milliseconds{5}, kLimits), 1'100);
  EXPECT_EQ(next_batch_rows(1'000, Milliseconds{20}, kLimits), 1'100);
  EXPECT_EQ(next_batch_rows(1'000, Milliseconds{21}, kLimits), 500);
  EXPECT_EQ(next_batch_rows(10, Milliseconds{1}, kLimits), 20);
  EXPECT_EQ(halved_batch_rows(1'000, kLimits), 500);
}

TEST(PacingTest, StaysWithinItsLimitsWhateverIsMeasured) {
  for (const int rows : {-5, 0, 1, 9, 10, 11, 9'999, 10'000, 1'000'000, std::numeric_limits<int>::max() / 2}) {
    for (const auto took : {Milliseconds{-1}, Milliseconds{0}, Milliseconds{20}, Milliseconds{1'000'000}}) {
      const int next = next_batch_rows(rows, took, kLimits);
      EXPECT_TRUE(next >= kLimits.min_rows && next <= kLimits.max_rows) << rows << " " << took.count();
    }
    const int half = halved_batch_rows(rows, kLimits);
    EXPECT_TRUE(half >= kLimits.min_rows && half <= kLimits.max_rows) << rows;
  }
}

// A database whose batches take time in proportion to their rows: the size settles around what fits the target and
// swings by no more than the halving makes it.
TEST(PacingTest, SettlesAroundTheTargetWithinAFactorOfTwoAndATenth) {
  for (const int rows_per_ms : {2, 10, 50, 200}) {
    const int fits = rows_per_ms * 20;
    int rows = kLimits.min_rows;
    int lowest = kLimits.max_rows;
    int highest = 0;
    for (int batch = 0; batch < 500; ++batch) {
      rows = next_batch_rows(rows, Milliseconds{(rows + rows_per_ms - 1) / rows_per_ms}, kLimits);
      if (batch < 100) continue;
      lowest = std::min(lowest, rows);
      highest = std::max(highest, rows);
    }
    EXPECT_GE(lowest, fits / 2) << rows_per_ms;
    EXPECT_LE(highest, fits + std::max(10, fits / 10)) << rows_per_ms;
    EXPECT_LT(lowest, highest);
  }
}

TEST(PacingTest, FallsToTheFloorInAFewBatchesWhenTheDatabaseStalls) {
  int rows = kLimits.max_rows;
  int batches = 0;
  for (; rows > kLimits.min_rows; ++batches) {
    ASSERT_LT(batches, 11);
    rows = next_batch_rows(rows, Milliseconds{500}, kLimits);
  }
  EXPECT_EQ(batches, 10);
}

TEST(FaultTest, OnlyARowsOwnFaultIsClosedInOn) {
  for (const auto* sqlstate : {"22012", "22P02", "23514", "23505", "21000", "44000", "54000", "P0001"})
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

MonoTime at(std::int64_t ms) {
  return MonoTime{Milliseconds{ms}};
}

TEST(RateTest, IsRowsOverTime) {
  EXPECT_DOUBLE_EQ(rows_per_second({at(1'000), 100}, {at(3'000), 500}), 200.0);
  EXPECT_EQ(rows_per_second({at(1'000), 100}, {at(1'000), 500}), 0);
  EXPECT_EQ(rows_per_second({at(2'000), 100}, {at(1'000), 500}), 0);
  EXPECT_EQ(rows_per_second({at(1'000), 500}, {at(2'000), 500}), 0);
}

TEST(RateTest, TimeLeftOnlyWhereItIsKnown) {
  EXPECT_EQ(time_left(500, 1'000, 100.0), Milliseconds{5'000});
  EXPECT_EQ(time_left(1'500, 1'000, 100.0), Milliseconds{0});
  EXPECT_EQ(time_left(500, 0, 100.0), std::nullopt);
  EXPECT_EQ(time_left(500, 1'000, 0.0), std::nullopt);
  EXPECT_EQ(time_left(0, std::numeric_limits<std::int64_t>::max(), 1e-9), std::nullopt);
}

}  // namespace
}  // namespace diastole::core
