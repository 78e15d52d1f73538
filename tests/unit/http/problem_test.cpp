#include "problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace diastole::http {
namespace {

using nlohmann::json;

std::string retry_after(const Response& response) {
  const auto found =
      std::ranges::find(response.headers, "Retry-After", [](const auto& header) { return header.first; });
  return found == response.headers.end() ? "" : found->second;
}

TEST(ProblemTest, NamesKindTitleStatusAndDetail) {
  const Response response = problem(409, "Version retired", "api must run 2.3.0", {{"floor", "2.3.0"}});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(json::parse(response.body), (json{{"type", "urn:diastole:problem:version-retired"},
                                              {"title", "Version retired"},
                                              {"status", 409},
                                              {"detail", "api must run 2.3.0"},
                                              {"floor", "2.3.0"}}));
  EXPECT_EQ(retry_after(response), "");
}

TEST(ProblemTest, RetryAfterIsAHeaderToo) {
  EXPECT_EQ(retry_after(problem(429, "Too many", "", {{"retry_after_s", 7}})), "7");
}

TEST(ProblemTest, DetailThatIsNotUtf8StillGivesJson) {
  EXPECT_TRUE(json::accept(problem(400, "Bad", "a\xFFz").body));
}

TEST(ProblemTest, EveryErrorCodeHasItsStatusAndKind) {
  const std::map<ErrorCode, int> expected = {
      {ErrorCode::invalid_argument, 422}, {ErrorCode::not_found, 404},   {ErrorCode::conflict, 409},
      {ErrorCode::fenced, 503},           {ErrorCode::unavailable, 503}, {ErrorCode::lock_timeout, 409},
      {ErrorCode::outcome_unknown, 503},  {ErrorCode::interrupted, 503}, {ErrorCode::internal, 500},
  };
  for (const auto& [code, status] : expected) {
    const Response response = problem(Error{.code = code, .message = "why", .path = "/backfill/0/table"});
    std::string kind(to_string(code));
    std::ranges::replace(kind, '_', '-');
    const json body = json::parse(response.body);
    EXPECT_EQ(response.status, status) << kind;
    EXPECT_EQ(body["type"], "urn:diastole:problem:" + kind);
    EXPECT_EQ(body["detail"], "why");
    EXPECT_EQ(body["path"], "/backfill/0/table");
    EXPECT_EQ(retry_after(response).empty(), status != 503 && code != ErrorCode::lock_timeout) << kind;
  }
}

TEST(ProblemTest, PathIsLeftOutWhereTheErrorHasNone) {
  EXPECT_FALSE(
      json::parse(problem(Error{.code = ErrorCode::conflict, .message = "m", .path = {}}).body).contains("path"));
}

}  // namespace
}  // namespace diastole::http
