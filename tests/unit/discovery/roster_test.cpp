#include "roster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fakes.hpp"

namespace diastole::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Endpoint at(const std::string& instance, const std::string& host, std::uint16_t port = 80) {
  return {.instance = InstanceId(instance), .at = {.host = host, .port = port}};
}

class RosterTest : public ::testing::Test {
 protected:
  using Told = std::vector<std::string>;

  [[nodiscard]] Told told(const std::string& source = "dns_a") const {
    const auto found = told_.find(source);
    return found == told_.end() ? Told{"nothing"} : found->second;
  }
  void pass(Milliseconds time) {
    clock_.advance(time);
    roster_.settle();
  }
  [[nodiscard]] int logged(const std::string& part) const {
    int count = 0;
    const std::string lines = log_.lines();
    for (auto found = lines.find(part); found != lines.npos; found = lines.find(part, found + 1)) ++count;
    return count;
  }

  test::ManualClock clock_;
  test::CollectingLog log_;
  std::map<std::string, Told> told_;
  int tells_ = 0;
  bool takes_ = true;
  Roster roster_{ServiceName("api"),
                 {"static", "dns_a"},
                 {.suspect_after = Milliseconds{40'000}, .empty_for = Milliseconds{300'000}},
                 [this](const std::string& source, const std::vector<InstanceId>& instances) {
                   ++tells_;
                   if (!takes_) return false;
                   Told& out = told_[source];
                   out.clear();
                   for (const auto& instance : instances) out.push_back(instance.str());
                   return true;
                 },
                 clock_,
                 log_};
};

TEST_F(RosterTest, TellsEachListOnce) {
  EXPECT_TRUE(roster_.answered("dns_a", {at("b", "h2"), at("a", "h1"), at("b", "h2")}));
  EXPECT_THAT(told(), ElementsAre("a", "b"));
  EXPECT_FALSE(roster_.answered("dns_a", {at("a", "h1"), at("b", "h2")}));
  pass(Milliseconds{1'000});
  EXPECT_EQ(tells_, 1);
  EXPECT_TRUE(roster_.answered("dns_a", {at("a", "h1")}));
  EXPECT_THAT(told(), ElementsAre("a"));
}

TEST_F(RosterTest, TellsAgainWhatWasNotTaken) {
  takes_ = false;
  roster_.answered("dns_a", {at("a", "h1")});
  EXPECT_THAT(told(), ElementsAre("nothing"));
  takes_ = true;
  pass(Milliseconds{1'000});
  EXPECT_THAT(told(), ElementsAre("a"));
}

TEST_F(RosterTest, WhatAFailingSourceListedLastGoesOnToCount) {
  roster_.answered("dns_a", {at("a", "h1")});
  roster_.failed("dns_a", "SERVFAIL");
  roster_.failed("dns_a", "SERVFAIL");
  EXPECT_THAT(told(), ElementsAre("a"));
  EXPECT_THAT(roster_.endpoints(), ElementsAre(at("a", "h1")));
  EXPECT_EQ(logged("SERVFAIL"), 1);
  roster_.answered("dns_a", {at("a", "h1")});
  EXPECT_EQ(logged("answers again"), 1);
  EXPECT_EQ(tells_, 1);
}

TEST_F(RosterTest, AnInstanceThatNobodyHearsOfStandsForWhatALongFailureHides) {
  roster_.answered("dns_a", {at("a", "h1")});
  roster_.failed("dns_a", "SERVFAIL");
  pass(Milliseconds{39'999});
  EXPECT_THAT(told(), ElementsAre("a"));
  pass(Milliseconds{1});
  EXPECT_THAT(told(), ElementsAre("a", "source:dns_a"));
  EXPECT_THAT(roster_.endpoints(), ElementsAre(at("a", "h1")));
  roster_.answered("dns_a", {at("a", "h1")});
  EXPECT_THAT(told(), ElementsAre("a"));
}

TEST_F(RosterTest, ASourceThatNeverAnsweredIsUnknownAtOnce) {
  roster_.failed("dns_a", "NXDOMAIN");
  EXPECT_THAT(told(), ElementsAre("source:dns_a"));
  roster_.answered("dns_a", {at("a", "h1")});
  EXPECT_THAT(told(), ElementsAre("a"));
}

TEST_F(RosterTest, ASourceThatSaysNothingAtAllIsUnknownAfterTheSuspectTime) {
  pass(Milliseconds{39'999});
  EXPECT_THAT(told(), ElementsAre("nothing"));
  pass(Milliseconds{1});
  EXPECT_THAT(told(), ElementsAre("source:dns_a"));
}

TEST_F(RosterTest, AnEmptyListIsBelievedOnlyAfterItsTime) {
  roster_.answered("dns_a", {at("a", "h1")});
  EXPECT_FALSE(roster_.answered("dns_a", {}));
  EXPECT_THAT(told(), ElementsAre("a"));
  pass(Milliseconds{299'999});
  roster_.answered("dns_a", {});
  EXPECT_THAT(told(), ElementsAre("a"));
  EXPECT_EQ(logged("a source of discovery lists no instance"), 1);
  clock_.advance(Milliseconds{1});
  EXPECT_TRUE(roster_.settle());
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_THAT(roster_.endpoints(), IsEmpty());
  // And from then on it is the list.
  EXPECT_FALSE(roster_.answered("dns_a", {}));
  EXPECT_EQ(logged("a source of discovery lists no instance"), 1);
}

TEST_F(RosterTest, AFailureInBetweenBeginsTheEmptyTimeAnew) {
  roster_.answered("dns_a", {at("a", "h1")});
  roster_.answered("dns_a", {});
  pass(Milliseconds{200'000});
  roster_.failed("dns_a", "SERVFAIL");
  roster_.answered("dns_a", {});
  pass(Milliseconds{299'999});
  EXPECT_THAT(told(), ElementsAre("a"));
  pass(Milliseconds{1});
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(RosterTest, AnInstanceThatComesBackEndsTheEmptyTime) {
  roster_.answered("dns_a", {at("a", "h1")});
  roster_.answered("dns_a", {});
  pass(Milliseconds{299'000});
  roster_.answered("dns_a", {at("a", "h1")});
  roster_.answered("dns_a", {});
  pass(Milliseconds{299'999});
  EXPECT_THAT(told(), ElementsAre("a"));
}

TEST_F(RosterTest, AFirstEmptyListIsUnknownUntilItIsBelieved) {
  roster_.answered("dns_a", {});
  EXPECT_THAT(told(), ElementsAre("source:dns_a"));
  pass(Milliseconds{300'000});
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(RosterTest, EachInstanceIsAskedOnceAtThePlaceThatIsKnown) {
  roster_.answered("static", {at("a", "h1"), at("b", "", 0)});
  roster_.answered("dns_a", {at("a", "h2"), at("b", "h3"), at("c", "", 0)});
  EXPECT_THAT(roster_.endpoints(), ElementsAre(at("a", "h1"), at("b", "h3"), at("c", "", 0)));
  EXPECT_THAT(told("static"), ElementsAre("a", "b"));
  EXPECT_THAT(told("dns_a"), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace diastole::discovery
