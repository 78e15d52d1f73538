// Members beyond the plain heartbeat: incarnations, polls, discovery, the clock of a large fleet, a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "diastole/engine/fleet.hpp"
#include "support/fakes.hpp"

namespace diastole::engine {
namespace {

using test::FakeFleetStore;
using test::ManualClock;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Milliseconds kSecond{1'000};
const ServiceName kApi("api");

class MembersTest : public ::testing::Test {
 protected:
  void report(const std::string& id, const std::string& version, const std::string& incarnation = "p1",
              std::optional<std::int64_t> sequence = {}) {
    const auto reply = registry_.report({kApi, InstanceId(id), version, incarnation, sequence});
    ASSERT_TRUE(reply) << reply.error().message;
  }
  void poll(const std::string& id, const std::string& version) {
    ASSERT_TRUE(registry_.polled(kApi, InstanceId(id), version));
  }
  void list(const std::vector<std::string>& ids, const std::string& source = "pods") {
    std::vector<InstanceId> all;
    for (const auto& id : ids) all.emplace_back(id);
    ASSERT_TRUE(registry_.listed(kApi, source, all));
  }
  // "id incarnation version", with what is not ordinary after it.
  [[nodiscard]] static std::vector<std::string> rows(FleetRegistry& registry) {
    std::vector<std::string> out;
    for (const auto& row : registry.instances(kApi, "", 100)) {
      out.push_back(row.instance.str() + " " + row.incarnation + " " + row.version + (row.silent ? " silent" : "") +
                    (row.source == core::Source::poll ? " poll" : "") + (row.listed ? " listed" : ""));
    }
    return out;
  }
  [[nodiscard]] std::vector<std::string> rows() { return rows(registry_); }
  [[nodiscard]] core::ServiceTally tally() { return *registry_.view().find(kApi); }
  [[nodiscard]] std::int64_t count(std::int64_t core::VersionTally::* of) {
    std::int64_t sum = 0;
    for (const auto& version : tally().versions) sum += version.*of;
    return sum;
  }

  ManualClock clock_;
  FakeFleetStore store_;
  FleetRegistry registry_{store_, clock_, {}};
};

TEST_F(MembersTest, TwoLiveProcessesOfOneIdAreTwoMembers) {
  report("a", "1.0.0", "p1");
  report("a", "1.0.0", "p2");
  EXPECT_THAT(rows(), ElementsAre("a p1 1.0.0", "a p2 1.0.0"));
  EXPECT_EQ(tally().members, 2);
  EXPECT_EQ(tally().conflicts, 0) << "they agree";
  report("a", "2.0.0", "p2");
  EXPECT_EQ(tally().conflicts, 1);
  EXPECT_THAT(tally().conflict_examples, SizeIs(2));
  clock_.advance(39 * kSecond);
  report("a", "2.0.0", "p2");
  clock_.advance(kSecond);
  EXPECT_THAT(rows(), ElementsAre("a p1 1.0.0 silent", "a p2 2.0.0")) << "the old process stays unknown";
  EXPECT_EQ(tally().conflicts, 0);
}

TEST_F(MembersTest, AnOldIncarnationsSequenceStaysItsOwn) {
  report("a", "1.0.0", "p1", 5);
  report("a", "2.0.0", "p2", 1);
  const auto replay = registry_.report({kApi, InstanceId("a"), "1.0.0", "p1", 5});
  EXPECT_TRUE(replay->replayed);
  EXPECT_EQ(registry_.heartbeats().accepted, 2U);
  EXPECT_EQ(registry_.heartbeats().replayed, 1U);
}

TEST_F(MembersTest, OneIncarnationIsRemovedAloneAndTheInstanceWithAllOfThem) {
  report("a", "1.0.0", "p1");
  report("a", "2.0.0", "p2");
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), "p1", "killed"));
  EXPECT_THAT(rows(), ElementsAre("a p2 2.0.0"));
  EXPECT_EQ(registry_.remove(kApi, InstanceId("a"), "p1", "killed").error().code, ErrorCode::not_found);
  report("a", "3.0.0", "p3");
  poll("a", "9.0.0");
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, "gone"));
  EXPECT_THAT(rows(), IsEmpty());
  EXPECT_EQ(tally().members, 0);
  EXPECT_EQ(tally().membership, 0U);
}

TEST_F(MembersTest, APollOfAnInstanceThatReportsIsEvidenceAndNoMember) {
  poll("a", "1.0.0");
  EXPECT_THAT(rows(), ElementsAre("a  1.0.0 poll"));
  report("a", "1.0.0");
  poll("a", "1.0.0");
  EXPECT_EQ(tally().members, 1);
  EXPECT_EQ(tally().conflicts, 0);
  poll("a", "2.0.0");
  EXPECT_EQ(tally().members, 1);
  EXPECT_EQ(tally().conflicts, 1);
  EXPECT_EQ(count(&core::VersionTally::live), 1);
  clock_.advance(39 * kSecond);
  report("a", "1.0.0");
  clock_.advance(kSecond);
  EXPECT_EQ(tally().conflicts, 0) << "the poll is old";
  EXPECT_THAT(rows(), ElementsAre("a p1 1.0.0"));
}

TEST_F(MembersTest, APollThatDisagreedBeforeTheFirstHeartbeatIsAConflict) {
  poll("a", "1.0.0");
  report("a", "2.0.0");
  EXPECT_EQ(tally().conflicts, 1);
  // Whoever reported has left; what answers polls has not.
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), "p1", "signed off"));
  EXPECT_THAT(rows(), ElementsAre("a  1.0.0 poll"));
  EXPECT_EQ(tally().members, 1);
  EXPECT_EQ(tally().conflicts, 0);
  EXPECT_EQ(registry_.polled(kApi, InstanceId("a"), "").error().code, ErrorCode::invalid_argument);
}

TEST_F(MembersTest, OneThatIsListedAndWasNeverHeardOfIsAMemberWithoutAVersion) {
  list({"a", "b", "a"});
  EXPECT_THAT(rows(), ElementsAre("a   poll listed", "b   poll listed"));
  report("a", "1.0.0");
  poll("b", "1.0.0");
  EXPECT_THAT(rows(), ElementsAre("a p1 1.0.0 listed", "b  1.0.0 poll listed"));
  EXPECT_EQ(tally().members, 2);
}

TEST_F(MembersTest, UnlistedAndSilentIsGoneWhicheverComesLast) {
  report("a", "1.0.0");
  report("b", "1.0.0");
  report("c", "1.0.0");
  list({"a", "b"}, "pods");
  list({"b"}, "dns");
  list({}, "pods");
  EXPECT_EQ(tally().members, 3) << "unlisted but live";
  clock_.advance(40 * kSecond);
  EXPECT_THAT(rows(), ElementsAre("b p1 1.0.0 silent listed", "c p1 1.0.0 silent"))
      << "b has a source left, c never had one";
  list({}, "dns");
  EXPECT_THAT(rows(), ElementsAre("c p1 1.0.0 silent"));
  ASSERT_TRUE(registry_.flush());
  ASSERT_THAT(store_.departures(), SizeIs(2));
  EXPECT_EQ(store_.departures().front().gone_reason, "discovery no longer lists it and it is silent");
}

TEST_F(MembersTest, LongSilenceIsCountedWhenItsTimeHasCome) {
  report("a", "1.0.0");
  clock_.advance(60 * kSecond);
  report("b", "1.0.0");
  clock_.advance(839 * kSecond);
  EXPECT_EQ(count(&core::VersionTally::long_silent), 0);
  EXPECT_EQ(tally().fell_silent, 0);
  clock_.advance(kSecond);
  EXPECT_EQ(count(&core::VersionTally::long_silent), 1);
  EXPECT_EQ(count(&core::VersionTally::silent), 2);
  const core::InstanceName both[]{{kApi, InstanceId("a")}, {kApi, InstanceId("b")}, {kApi, InstanceId("c")}};
  const auto named = registry_.view(both).named;
  ASSERT_THAT(named, SizeIs(2));
  EXPECT_TRUE(named[0].long_silent);
  EXPECT_FALSE(named[1].long_silent);
  EXPECT_EQ(named[1].version, "1.0.0");
}

TEST_F(MembersTest, MassSilenceIsCountedForOneSuspectTime) {
  for (int i = 0; i < 10; ++i) report(std::to_string(i), "1.0.0");
  clock_.advance(40 * kSecond);
  EXPECT_EQ(tally().fell_silent, 10);
  report("3", "1.0.0");
  EXPECT_EQ(tally().fell_silent, 9);
  clock_.advance(39 * kSecond);
  EXPECT_EQ(tally().fell_silent, 9);
  clock_.advance(kSecond);
  EXPECT_EQ(tally().fell_silent, 1) << "the nine are silent for long, the tenth anew";
}

TEST_F(MembersTest, MembershipIsADigestOfTheSet) {
  FleetRegistry other(store_, clock_, {});
  report("a", "1.0.0");
  report("b", "1.0.0", "p2");
  ASSERT_TRUE(other.report({kApi, InstanceId("b"), "2.0.0", "p2", {}}));
  ASSERT_TRUE(other.report({kApi, InstanceId("c"), "2.0.0", "p1", {}}));
  ASSERT_TRUE(other.report({kApi, InstanceId("a"), "1.0.0", "p1", {}}));
  EXPECT_NE(tally().membership, other.view().find(kApi)->membership);
  ASSERT_TRUE(other.remove(kApi, InstanceId("c"), {}, ""));
  EXPECT_EQ(tally().membership, other.view().find(kApi)->membership);
  report("a", "1.0.0", "p3");
  EXPECT_NE(tally().membership, other.view().find(kApi)->membership);
}

TEST_F(MembersTest, ALargeFleetIsAskedLessOftenAndMayBeSilentForLonger) {
  FleetRegistry registry(store_, clock_, {.max_rate = 10});
  HeartbeatReply reply;
  for (int i = 0; i < 1000; ++i) reply = *registry.report({kApi, InstanceId(std::to_string(i)), "1.0.0", "p1", {}});
  EXPECT_GE(reply.next_in, 80 * kSecond);
  EXPECT_LE(reply.next_in, 120 * kSecond);
  EXPECT_EQ(registry.view().suspect_after, 400 * kSecond);
  clock_.advance(399 * kSecond);
  EXPECT_EQ(registry.view().find(kApi)->versions.front().live, 1000);
  for (int i = 100; i < 1000; ++i) ASSERT_TRUE(registry.remove(kApi, InstanceId(std::to_string(i)), {}, ""));
  EXPECT_EQ(registry.view().suspect_after, 400 * kSecond) << "those left may keep to the longer interval";
  clock_.advance(400 * kSecond);
  ASSERT_TRUE(registry.report({kApi, InstanceId("0"), "1.0.0", "p1", {}}));
  EXPECT_EQ(registry.view().suspect_after, 40 * kSecond);
}

TEST_F(MembersTest, AFreshRecordCarriesTheLiveOverARestart) {
  report("a", "1.0.0", "p1", 7);
  report("b", "1.0.0");
  list({"a", "b"});
  clock_.advance(30 * kSecond);
  report("a", "1.0.0", "p1", 8);
  clock_.advance(10 * kSecond);
  ASSERT_TRUE(registry_.flush());
  EXPECT_EQ(store_.complete(), 1);
  clock_.advance(5 * kSecond);
  store_.set_age(5 * kSecond);

  FleetRegistry later(store_, clock_, {});
  ASSERT_TRUE(later.load());
  EXPECT_TRUE(later.view().resumed);
  EXPECT_THAT(rows(later), ElementsAre("a p1 1.0.0 listed", "b p1 1.0.0 silent listed"));
  EXPECT_EQ(later.view().find(kApi)->fell_silent, 0) << "it fell silent before";
  // As if heard one interval before the stamp: silent one suspect time after that.
  clock_.advance(24 * kSecond);
  EXPECT_THAT(rows(later), ElementsAre("a p1 1.0.0 listed", "b p1 1.0.0 silent listed"));
  clock_.advance(kSecond);
  EXPECT_THAT(rows(later), ElementsAre("a p1 1.0.0 silent listed", "b p1 1.0.0 silent listed"));
  ASSERT_TRUE(later.listed(kApi, "pods", {}));
  EXPECT_THAT(rows(later), IsEmpty());
}

TEST_F(MembersTest, AStaleRecordLoadsEverybodySilentAndNobodyIsGoneForIt) {
  report("a", "1.0.0", "p1", 7);
  list({"a"});
  ASSERT_TRUE(registry_.flush());
  for (const auto age : {std::optional<Milliseconds>(), std::optional(40 * kSecond)}) {
    store_.set_age(age);
    FleetRegistry later(store_, clock_, {});
    ASSERT_TRUE(later.load());
    EXPECT_FALSE(later.view().resumed);
    EXPECT_EQ(later.view().find(kApi)->fell_silent, 0);
    ASSERT_TRUE(later.listed(kApi, "pods", {}));
    EXPECT_THAT(rows(later), ElementsAre("a p1 1.0.0 silent")) << "nothing is known of it since the start";
    EXPECT_TRUE(later.report({kApi, InstanceId("a"), "1.0.0", "p1", 7})->replayed);
    clock_.advance(40 * kSecond);
    EXPECT_THAT(rows(later), IsEmpty());
  }
}

// Or a second restart, soon after the first, would take for live who was loaded as silent.
TEST_F(MembersTest, WhoIsLoadedSilentIsRecordedSo) {
  report("a", "1.0.0");
  ASSERT_TRUE(registry_.flush());
  EXPECT_FALSE(store_.kept().begin()->second.silent);
  FleetRegistry later(store_, clock_, {});
  ASSERT_TRUE(later.load());
  ASSERT_TRUE(later.flush());
  EXPECT_TRUE(store_.kept().begin()->second.silent);
}

TEST_F(MembersTest, SilenceIsWrittenAndARenewalIsNot) {
  report("a", "1.0.0");
  ASSERT_TRUE(registry_.flush());
  report("a", "1.0.0");
  ASSERT_TRUE(registry_.flush());
  EXPECT_THAT(store_.last(), IsEmpty());
  EXPECT_EQ(store_.complete(), 2);
  clock_.advance(40 * kSecond);
  ASSERT_TRUE(registry_.flush());
  ASSERT_THAT(store_.last(), SizeIs(1));
  EXPECT_TRUE(store_.last().front().silent);
}

TEST_F(MembersTest, AThousandIncarnationsOfAnInstanceAreEnough) {
  for (int i = 0; i < 1000; ++i) report("a", "1.0.0", std::to_string(i));
  EXPECT_EQ(registry_.report({kApi, InstanceId("a"), "1.0.0", "more", {}}).error().code, ErrorCode::unavailable);
  report("a", "1.0.0", "999");
}

TEST_F(MembersTest, VersionsThatNobodyRunsAreForgottenInTheEndAndBreakASoakWhenTheyAre) {
  for (int i = 0; i < 5000; ++i) {
    report("a", std::to_string(i) + ".0.0");
    clock_.advance(Milliseconds{1});
  }
  EXPECT_LE(tally().versions.size(), 128U);
  EXPECT_GE(*tally().last_silence, clock_.now().mono - 200 * Milliseconds{1});
}

TEST_F(MembersTest, PagesHoldAllRowsOfTheirLastInstance) {
  for (const auto* id : {"a", "b", "c"}) {
    report(id, "1.0.0", "p1");
    report(id, "1.0.0", "p2");
  }
  const auto page = registry_.instances(kApi, "", 3);
  ASSERT_THAT(page, SizeIs(4));
  EXPECT_EQ(page.back().instance, InstanceId("b"));
  EXPECT_THAT(registry_.instances(kApi, "b", 3), SizeIs(2));
}

}  // namespace
}  // namespace diastole::engine
