#include "diastole/base/time.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace diastole {
namespace {

TEST(TimeTest, Rfc3339GoesThereAndBack) {
  for (const std::string text : {"2026-11-22T13:19:39.250Z", "1970-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z",
                                 "2024-02-29T23:59:59.001Z", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_TRUE(time.has_value()) << text;
    EXPECT_EQ(to_rfc3339(*time), text);
  }
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.000Z")->time_since_epoch(), Milliseconds{0});
  EXPECT_EQ(parse_rfc3339("2001-09-09T01:46:40Z")->time_since_epoch(), Milliseconds{1'000'000'000'000});
}

TEST(TimeTest, Rfc3339TakesAnyFractionUpToNanoseconds) {
  const auto whole = *parse_rfc3339("2026-11-22T13:19:39Z");
  EXPECT_EQ(*parse_rfc3339("2026-11-22T13:19:39.5Z") - whole, Milliseconds{500});
  EXPECT_EQ(*parse_rfc3339("2026-11-22T13:19:39.05Z") - whole, Milliseconds{50});
  EXPECT_EQ(*parse_rfc3339("2026-11-22T13:19:39.123456789Z") - whole, Milliseconds{123});
}

TEST(TimeTest, Rfc3339RefusesJunk) {
  for (const std::string text : {"",
                                 "Z",
                                 "now",
                                 "2026-11-22",
                                 "2026-11-22T13:19:39",
                                 "2026-11-22T13:19:39+01:00",
                                 "2026-11-22 13:19:39Z",
                                 "2026-11-22t13:19:39Z",
                                 "2026-11-22T13:19:39z",
                                 "2026-02-29T00:00:00Z",
                                 "2026-13-01T00:00:00Z",
                                 "2026-00-10T00:00:00Z",
                                 "2026-01-32T00:00:00Z",
                                 "2026-01-01T24:00:00Z",
                                 "2026-01-01T00:60:00Z",
                                 "2026-01-01T00:00:60Z",
                                 "2026-1-01T00:00:00.0Z",
                                 "2026-01-01T00:00:00.Z",
                                 "2026-01-01T00:00:00,5Z",
                                 "2026-01-01T00:00:00.1234567890Z",
                                 "2026-01-01T00:00:00.-1Z",
                                 "+026-01-01T00:00:00Z",
                                 "2026-01-01T00:00: 1Z",
                                 "2026-01-01T00:00:00ZZ",
                                 " 2026-01-01T00:00:00Z",
                                 "20260-01-01T00:00:00Z"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_FALSE(time.has_value()) << text;
    EXPECT_EQ(time.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(time.error().message.contains("'" + text + "'")) << time.error().message;
  }
}

TEST(TimeTest, DurationsAreRead) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"250ms", 250},
      {"10s", 10'000},
      {"10m", 600'000},
      {"24h", 86'400'000},
      {"7d", 604'800'000},
      {"1h30m", 5'400'000},
      {"1m30s", 90'000},
      {"1d1h1m1s1ms", 90'061'001},
      {"0s", 0},
      {"0ms", 0},
      {"90m", 5'400'000},
      {"PT10M", 600'000},
      {"P1D", 86'400'000},
      {"P1W", 604'800'000},
      {"P1DT2H3M4S", 93'784'000},
      {"PT0S", 0},
      {"3650d", 315'360'000'000},
  };
  for (const auto& [text, expected] : cases) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration.has_value()) << text;
    EXPECT_EQ(duration->count(), expected) << text;
  }
}

TEST(TimeTest, DurationsRefuseJunk) {
  for (const std::string text : {"",
                                 " ",
                                 "10",
                                 "s",
                                 "-5s",
                                 "-0s",
                                 "+5s",
                                 "1.5h",
                                 "10 s",
                                 " 10s",
                                 "10s ",
                                 "10S",
                                 "1m1h",
                                 "1m1m",
                                 "10x",
                                 "1h-0m",
                                 "1e3s",
                                 "P",
                                 "PT",
                                 "P1DT",
                                 "P1D2H",
                                 "PT1D",
                                 "PT1W",
                                 "P1M",
                                 "P1Y",
                                 "PT1S1H",
                                 "PT1M1M",
                                 "P1D1W",
                                 "PT-1S",
                                 "PT-0S",
                                 "PTT1S",
                                 "PT1",
                                 "P1DT1HT1M",
                                 "pt1s",
                                 "3651d",
                                 "P3651D",
                                 "3650d1ms",
                                 "9223372036854775807d",
                                 "99999999999999999999s",
                                 "\0015s"}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration.has_value()) << text;
    EXPECT_EQ(duration.error().code, ErrorCode::invalid_argument);
  }
}

TEST(TimeTest, DurationsAreWrittenShortestAndReadBack) {
  EXPECT_EQ(format_duration(Milliseconds{0}), "0s");
  EXPECT_EQ(format_duration(Milliseconds{-5}), "0s");
  EXPECT_EQ(format_duration(Milliseconds{90'000}), "1m30s");
  EXPECT_EQ(format_duration(Milliseconds{86'400'000}), "1d");
  EXPECT_EQ(format_duration(Milliseconds{3'600'001}), "1h1ms");
  std::mt19937_64 random(1);  // a fixed seed: the same durations each time
  for (int i = 0; i < 1'000; ++i) {
    const Milliseconds duration{static_cast<std::int64_t>(random() % 315'360'000'001)};
    const auto read = parse_duration(format_duration(duration));
    ASSERT_TRUE(read.has_value()) << format_duration(duration);
    EXPECT_EQ(*read, duration);
  }
}

}  // namespace
}  // namespace diastole
