#include "diastole/observability/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "diastole/base/time.hpp"
#include "escape.hpp"

namespace diastole::observability {
namespace {
using ports::LogLevel;

// A line with its time, which begins at `from`, checked and taken out.
std::string without_time(const std::string& line, std::size_t from) {
  const std::string time = line.substr(from, 24);
  EXPECT_TRUE(parse_rfc3339(time)) << time;
  return line.substr(0, from) + "TIME" + line.substr(from + time.size());
}

TEST(LogTest, WritesJsonLines) {
  std::ostringstream stream;
  const auto log = open_log(LogFormat::json, LogLevel::info, stream);
  log->warning("step \"done\"", {{"plan", "main.x"}, {"error", "line 1\nline 2\\\x01"}});
  EXPECT_EQ(without_time(stream.str(), 9),
            "{\"time\":\"TIME\",\"level\":\"warning\",\"message\":\"step \\\"done\\\"\",\"plan\":\"main.x\","
            "\"error\":\"line 1\\nline 2\\\\\\u0001\"}\n");
}

TEST(LogTest, WritesTextLines) {
  std::ostringstream stream;
  const auto log = open_log(LogFormat::text, LogLevel::info, stream);
  log->error("step failed", {{"plan", "main.x"}, {"why", "two words"}, {"empty", ""}, {"sum", "a=b"}, {"quote", "\""}});
  EXPECT_EQ(without_time(stream.str(), 0),
            "TIME error step failed plan=main.x why=\"two words\" empty=\"\" sum=\"a=b\" quote=\"\\\"\"\n");
}

TEST(LogTest, TheTimeIsNow) {
  std::ostringstream stream;
  const auto before = std::chrono::floor<Milliseconds>(std::chrono::system_clock::now());
  open_log(LogFormat::text, LogLevel::info, stream)->info("x");
  const auto after = std::chrono::system_clock::now();
  const Result<WallTime> time = parse_rfc3339(stream.str().substr(0, 24));
  ASSERT_TRUE(time) << stream.str();
  EXPECT_LE(before, *time);
  EXPECT_LE(*time, after);
}

TEST(LogTest, PercentSignsAndBracesAreOrdinary) {
  std::ostringstream stream;
  open_log(LogFormat::text, LogLevel::info, stream)->info("100 %v {} %l", {{"x", "{0}%v"}});
  EXPECT_EQ(without_time(stream.str(), 0), "TIME info 100 %v {} %l x={0}%v\n");
}

TEST(LogTest, DropsWhatIsBelowItsLevel) {
  std::ostringstream stream;
  const auto log = open_log(LogFormat::text, LogLevel::warning, stream);
  log->debug("a");
  log->info("b");
  EXPECT_EQ(stream.str(), "");
  log->warning("c");
  log->error("d");
  EXPECT_THAT(stream.str(), ::testing::AllOf(::testing::HasSubstr("warning c\n"), ::testing::HasSubstr("error d\n")));
}

TEST(LogTest, LinesOfManyThreadsStayWhole) {
  std::ostringstream stream;
  const auto log = open_log(LogFormat::text, LogLevel::info, stream);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&log] {
        for (int n = 0; n < 200; ++n) log->info("message", {{"key", "value"}});
      });
    }
  }
  std::istringstream lines(stream.str());
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count) ASSERT_EQ(line.substr(24), " info message key=value");
  EXPECT_EQ(count, 800);
}

TEST(LogTest, GoesToStderrByDefault) {
  ::testing::internal::CaptureStderr();
  open_log(LogFormat::text, LogLevel::info)->info("here");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::EndsWith(" info here\n"));
}

TEST(LogTest, ReadsItsOptions) {
  EXPECT_EQ(log_format_from("json"), LogFormat::json);
  EXPECT_EQ(log_format_from("text"), LogFormat::text);
  EXPECT_EQ(log_format_from("xml"), std::nullopt);
  EXPECT_EQ(log_level_from("debug"), LogLevel::debug);
  EXPECT_EQ(log_level_from("info"), LogLevel::info);
  EXPECT_EQ(log_level_from("warning"), LogLevel::warning);
  EXPECT_EQ(log_level_from("error"), LogLevel::error);
  EXPECT_EQ(log_level_from("warn"), std::nullopt);
}

TEST(EscapeTest, KeepsWellFormedUtf8) {
  for (const std::string text : {"plain", "é", "€", "\U0001F600", "\uD7FF", "\uE000", "\U0010FFFF"}) {
    EXPECT_EQ(escaped(text), text);
  }
}

TEST(EscapeTest, ReplacesEveryBadByte) {
  const std::string bad = "\xEF\xBF\xBD";
  const std::array<std::pair<std::string, std::string>, 9> cases{{
      {"a\x80z", "a" + bad + "z"},                  // a continuation alone
      {"\xC3", bad},                                // cut off
      {"\xE2\x82", bad + bad},                      // likewise
      {"\xC0\xAF", bad + bad},                      // an overlong slash
      {"\xE0\x80\xAF", bad + bad + bad},            // likewise
      {"\xED\xA0\x80", bad + bad + bad},            // a surrogate
      {"\xF4\x90\x80\x80", bad + bad + bad + bad},  // beyond Unicode
      {"\xFF", bad},
      {"\xC3\"", bad + "\\\""},  // must not swallow the quote
  }};
  for (const auto& [text, expected] : cases) EXPECT_EQ(escaped(text), expected);
}

TEST(EscapeTest, EscapesControlCharacters) {
  EXPECT_EQ(escaped(std::string_view("\0\b\x1f\x7f\r\t", 6)), "\\u0000\\u0008\\u001f\\u007f\\r\\t");
}

}  // namespace
}  // namespace diastole::observability
