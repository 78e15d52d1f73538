#include "diastole/core/version.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace diastole::core {
namespace {

TEST(VersionTest, PrecedenceIsTheListOfSemverOrg) {
  const std::vector<std::string> ascending{"0.0.0-0",
                                           "0.0.1",
                                           "1.0.0-alpha",
                                           "1.0.0-alpha.1",
                                           "1.0.0-alpha.beta",
                                           "1.0.0-beta",
                                           "1.0.0-beta.2",
                                           "1.0.0-beta.11",
                                           "1.0.0-rc.1",
                                           "1.0.0",
                                           "2.0.0",
                                           "2.1.0",
                                           "2.1.1",
                                           "2.2.0-1",
                                           "2.2.0-2",
                                           "2.2.0-99999999999999999999",
                                           "2.2.0-100000000000000000000",
                                           "2.2.0-A",
                                           "2.2.0-a",
                                           "2.2.0-a-b",
                                           "2.10.0",
                                           "18446744073709551615.0.0"};
  for (std::size_t a = 0; a < ascending.size(); ++a) {
    for (std::size_t b = 0; b < ascending.size(); ++b) {
      const auto left = Version::parse(ascending[a]);
      const auto right = Version::parse(ascending[b]);
      ASSERT_TRUE(left && right) << ascending[a] << " " << ascending[b];
      EXPECT_EQ(*left <=> *right, a <=> b) << ascending[a] << " and " << ascending[b];
      EXPECT_EQ(*left == *right, a == b);
    }
  }
}

TEST(VersionTest, BuildMetadataAndALeadingVDoNotCount) {
  EXPECT_EQ(Version::parse("v1.2.3"), Version::parse("1.2.3"));
  EXPECT_EQ(Version::parse("1.2.3+build.5"), Version::parse("1.2.3+0011.-"));
  EXPECT_EQ(Version::parse("1.2.3-rc.1+sha-1"), Version::parse("1.2.3-rc.1"));
}

TEST(VersionTest, JunkIsNoVersion) {
  for (const std::string text :
       {"",         "v",         "1",         "1.2",    "1.2.3.4", "01.2.3",  "1.02.3",
        "1.2.03",   "1.2.x",     "-1.2.3",    "1.-2.3", "1.2.3-",  "1.2.3+",  "1.2.3-a..b",
        "1.2.3-01", "1.2.3-a_b", "1.2.3+a+b", "1.2.3 ", " 1.2.3",  "1.2.3\n", "vv1.2.3",
        "V1.2.3",   "latest",    "1.2.3-ü",   "..",     "1..3",    "+1.2.3",  "18446744073709551616.0.0"}) {
    EXPECT_FALSE(Version::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(Version::parse(std::string("1.2.3\0", 6)).has_value());
}

VersionMatch match(std::string_view range, std::string_view version) {
  return VersionRequirement::range(range)->match(version);
}

TEST(VersionRequirementTest, EveryComparatorMustHold) {
  using enum VersionMatch;
  EXPECT_EQ(match(">=2.3.0", "2.3.0"), satisfied);
  EXPECT_EQ(match(">=2.3.0", "2.2.9"), unsatisfied);
  EXPECT_EQ(match(">=2.3.0", "2.3.0-rc.1"), unsatisfied);
  EXPECT_EQ(match(">=2.3.0", "2.4.0-rc.1"), satisfied);
  EXPECT_EQ(match(">2.3.0", "2.3.0"), unsatisfied);
  EXPECT_EQ(match(">2.3.0", "2.3.1"), satisfied);
  EXPECT_EQ(match("<=2.3.0", "2.3.0"), satisfied);
  EXPECT_EQ(match("<=2.3.0", "2.3.1"), unsatisfied);
  EXPECT_EQ(match("<2.3.0", "2.3.0"), unsatisfied);
  EXPECT_EQ(match("<2.3.0", "2.3.0-rc.1"), satisfied);
  EXPECT_EQ(match("=2.3.0", "2.3.0+5"), satisfied);
  EXPECT_EQ(match("2.3.0", "v2.3.0"), satisfied);
  EXPECT_EQ(match("2.3.0", "2.3.1"), unsatisfied);
  EXPECT_EQ(match(">=2.3.0 <4.0.0", "3.9.9"), satisfied);
  EXPECT_EQ(match(">=2.3.0 <4.0.0", "4.0.0"), unsatisfied);
  EXPECT_EQ(match("  >=2.3.0   <4.0.0 ", "2.2.0"), unsatisfied);
  EXPECT_EQ(match(">=2.3.0", "4f1c2ab"), unparsable);
  EXPECT_EQ(match(">=2.3.0", ""), unparsable);
}

TEST(VersionRequirementTest, OneOfIsExact) {
  const auto builds = *VersionRequirement::one_of({"4f1c2ab", "2.3.0"});
  EXPECT_EQ(builds.match("4f1c2ab"), VersionMatch::satisfied);
  EXPECT_EQ(builds.match("2.3.0"), VersionMatch::satisfied);
  EXPECT_EQ(builds.match("v2.3.0"), VersionMatch::unsatisfied);
  EXPECT_EQ(builds.match("4f1c2a"), VersionMatch::unsatisfied);
  EXPECT_EQ(builds.match(""), VersionMatch::unsatisfied);
  EXPECT_EQ(builds.text(), "one of 4f1c2ab, 2.3.0");
  EXPECT_TRUE(builds.range_text().empty());
}

TEST(VersionRequirementTest, TextIsWhatReadsBack) {
  const auto range = *VersionRequirement::range("  >=2.3.0   <4.0.0 ");
  EXPECT_EQ(range.text(), ">=2.3.0 <4.0.0");
  EXPECT_EQ(*VersionRequirement::range(range.text()), range);
  EXPECT_TRUE(range.builds().empty());
}

TEST(VersionRequirementTest, JunkIsRefusedAndNamed) {
  for (const std::string text : {"", " ", ">=", ">= 2.3.0", ">=2", ">=2.3", "^2.3.0", "~2.3.0", "2.x", ">=2.3.0,<3.0.0",
                                 ">=2.3.0 || <1.0.0", "=>2.3.0", "==2.3.0", "!=2.3.0", ">=2.3.0\t<4.0.0", "latest"}) {
    const auto range = VersionRequirement::range(text);
    ASSERT_FALSE(range.has_value()) << text;
    EXPECT_EQ(range.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(VersionRequirement::range(">=1.0.0 ^2.3.0").error().message.contains("'^2.3.0' in '>=1.0.0 ^2.3.0'"));
  EXPECT_FALSE(VersionRequirement::one_of({}).has_value());
  EXPECT_FALSE(VersionRequirement::one_of({"a", ""}).has_value());
}

}  // namespace
}  // namespace diastole::core
