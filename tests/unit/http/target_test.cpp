#include "target.hpp"

#include <gtest/gtest.h>

namespace diastole::http {
namespace {

using Path = std::vector<std::string>;
using Query = std::map<std::string, std::string>;

TEST(TargetTest, SplitsThePathAndTheQuery) {
  const auto target = parse_target("/v1/plans/main.users?wait=60s&until=expanded");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, (Path{"v1", "plans", "main.users"}));
  EXPECT_EQ(target->query, (Query{{"wait", "60s"}, {"until", "expanded"}}));
}

TEST(TargetTest, RootHasNoSegmentAndATrailingSlashAnEmptyOne) {
  EXPECT_EQ(parse_target("/")->path, Path{});
  EXPECT_EQ(parse_target("/?a=1")->path, Path{});
  EXPECT_EQ(parse_target("/v1/")->path, (Path{"v1", ""}));
  EXPECT_EQ(parse_target("//v1")->path, (Path{"", "v1"}));
}

TEST(TargetTest, DecodesAfterSplitting) {
  const auto target = parse_target("/a%2Fb/%3f%C3%bc?k%3D=v%26w&plus=1+1&=x&flag&&last=");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, (Path{"a/b", "?\xC3\xBC"}));
  EXPECT_EQ(target->query, (Query{{"k=", "v&w"}, {"plus", "1+1"}, {"", "x"}, {"flag", ""}, {"last", ""}}));
}

class BadTargetTest : public ::testing::TestWithParam<std::string> {};

TEST_P(BadTargetTest, IsRefused) {
  const auto target = parse_target(GetParam());
  ASSERT_FALSE(target.has_value());
  EXPECT_EQ(target.error().code, ErrorCode::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(All, BadTargetTest,
                         ::testing::Values("", "v1", "*", "http://x/v1", "/a#b", "/a%", "/a%4", "/a%zz", "/a%+f",
                                           "/a%0", "/%00", "/?k=%00", "/?a=1&a=2", "/?a=1&%61=2", "/%ff", "/%c0%af",
                                           "/%ed%a0%80", "/%e2%82", "/%f4%90%80%80", "/\xFF"));

}  // namespace
}  // namespace diastole::http
