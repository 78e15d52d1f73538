// The gate's conditions beyond versions: what sessions, silence, disagreement, holds and overrides make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/core/gate.hpp"
#include "support/sample_plan.hpp"

namespace diastole::core {
namespace {

using Tells = RoleMapping::Tells;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr Milliseconds kSuspect{40'000};
constexpr MonoTime kAt{Milliseconds{1'000'000}};
const Now kNow{WallTime{Milliseconds{1'000'000}}, kAt};

Session session(std::string role, std::string application_name, std::string server = "primary") {
  Session out;
  out.server = std::move(server);
  out.role = std::move(role);
  out.application_name = std::move(application_name);
  return out;
}

// Every condition holds, without a soak; each test breaks one.
class GateEvidenceTest : public testing::Test {
 protected:
  GateEvidenceTest() {
    spec_.fleet = {test::requirement("api", ">=2.0.0")};
    VersionTally current{"2.0.0", 10, 0, {}};
    ServiceTally service{ServiceName("api"), {current}};
    service.members = 10;
    evidence_.fleet = {{service}, MonoTime{}, kSuspect};
    evidence_.sessions = SessionScan{kAt, {{"primary", "", {}}}, {}, {}};
    evidence_.backfill_complete = true;
  }
  [[nodiscard]] GateVerdict look(const GateMemory& memory = {}) const {
    return evaluate_gate(spec_, evidence_, memory, kNow);
  }
  [[nodiscard]] std::vector<ReasonKind> kinds() const {
    std::vector<ReasonKind> out;
    for (const auto& reason : look().reasons) out.push_back(reason.kind);
    return out;
  }
  ServiceTally& service() { return evidence_.fleet.services.front(); }
  void silent(const std::string& version, std::int64_t count, std::int64_t long_silent) {
    VersionTally tally{version, 0, count, {}};
    tally.long_silent = long_silent;
    service().versions.push_back(tally);
  }

  GateSpec spec_;
  GateEvidence evidence_;
};

TEST_F(GateEvidenceTest, OpensWhereNothingIsInTheWay) {
  EXPECT_TRUE(look().open());
}

TEST_F(GateEvidenceTest, AScanThatIsMissingOldOrInPartKeepsItClosed) {
  evidence_.sessions->at = kAt - kScanValid;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::sessions_unseen));
  evidence_.sessions.reset();
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::sessions_unseen));
  evidence_.sessions = SessionScan{kAt, {{"primary", "", {}}, {"replica 1", "cannot be reached", {}}}, {}, {}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::sessions_unseen));
  EXPECT_EQ(look().reasons.front().source, "replica 1");
  // It is time to wait, not to take anything back.
  EXPECT_THAT(look().contradictions, IsEmpty());
}

TEST_F(GateEvidenceTest, SessionsThatMustNotBeAreReasonsByKind) {
  evidence_.sessions->sessions = {session("app", "api@1.9.0"), session("app", "api@1.9.0"),
                                  session("app", "api@latest"), session("joe", "psql", "replica 1"),
                                  session("app", "api@2.1.0")};
  const auto verdict = look();
  EXPECT_EQ(verdict.reasons.size(), 3U);
  EXPECT_THAT(kinds(), UnorderedElementsAre(ReasonKind::session_old, ReasonKind::session_unversioned,
                                            ReasonKind::session_undeclared));
  EXPECT_EQ(verdict.contradictions.size(), 3U);
  const auto& old = *std::ranges::find(verdict.reasons, ReasonKind::session_old, &Reason::kind);
  EXPECT_EQ(old.count, 2);
  EXPECT_EQ(old.version, "1.9.0");
}

TEST_F(GateEvidenceTest, APreparedTransactionOfNobodyKnownBlocks) {
  auto prepared = session("joe", "");
  prepared.prepared = "left-behind";
  evidence_.sessions->sessions = {prepared};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::prepared_transaction));
  EXPECT_TRUE(look().reasons.front().message.contains("left-behind"));
}

TEST_F(GateEvidenceTest, DisagreeingSourcesContradict) {
  service().conflicts = 1;
  service().conflict_examples = {{InstanceId("api-3"), "", {}, false}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::sources_disagree));
  EXPECT_EQ(look().contradictions.size(), 1U);
}

TEST_F(GateEvidenceTest, ListedButNeverHeardOfIsUnknownWhateverIsRequired) {
  service().versions.push_back({"", 1, 0, {}});
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  spec_.fleet[0].version = *VersionRequirement::one_of({"2.0.0"});
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
}

TEST_F(GateEvidenceTest, MassSilenceHolds) {
  silent("2.0.0", 2, 0);
  service().members = 14;
  service().fell_silent = 2;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  service().members = 13;  // 15.4 %
  EXPECT_THAT(kinds(), UnorderedElementsAre(ReasonKind::instance_unknown, ReasonKind::mass_silence));
  EXPECT_EQ(look().state, GateState::held);
  // One of a few is no mass.
  service().members = 3;
  service().fell_silent = 1;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
}

TEST_F(GateEvidenceTest, AHoldHolds) {
  evidence_.hold = GateHold{"bob", "a release is going on", {}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::held));
  EXPECT_EQ(look().state, GateState::held);
  EXPECT_EQ(look().contradictions.size(), 1U);
}

TEST_F(GateEvidenceTest, TheDatabaseProvesADeadMemberOfANewVersionGone) {
  silent("2.1.0", 1, 1);
  EXPECT_TRUE(look().open());
  EXPECT_EQ(look().services.front().gone, 1);
  // A session that may be its own.
  evidence_.sessions->sessions = {session("app", "api@2.1.0")};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  // One that says whose it is: another's, then its own.
  evidence_.sessions->sessions = {session("app", "api@2.1.0/api-2")};
  EXPECT_TRUE(look().open());
  evidence_.fleet.named = {
      {{ServiceName("api"), InstanceId("api-2")}, "2.1.0", {InstanceId("api-2"), "", {}, true}, true}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
}

TEST_F(GateEvidenceTest, SilenceForShortIsNeverProof) {
  silent("2.1.0", 2, 1);
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  EXPECT_EQ(look().services.front().unknown, 1);
}

TEST_F(GateEvidenceTest, ADeadMemberOfAnOldVersionIsGoneOnlyWhenItsRoleIsShutOutEverywhere) {
  silent("1.0.0", 1, 1);
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  spec_.fleet[0].roles = {{"api_v1", Tells::version, "1.0.0"}, {"api_v2", Tells::version, "2.0.0"}};
  auto& servers = evidence_.sessions->servers;
  servers = {{"primary", "", {{"api_v1", false}, {"api_v2", true}}}, {"replica 1", "", {{"api_v1", true}}}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  servers[1].logins = {{"api_v1", false}};
  EXPECT_TRUE(look().open());
  evidence_.sessions->sessions = {session("api_v1", "")};
  EXPECT_THAT(kinds(), Contains(ReasonKind::instance_unknown));
}

TEST_F(GateEvidenceTest, NothingIsProvenOfSessionsThatTellNothing) {
  silent("2.1.0", 1, 1);
  spec_.fleet[0].roles = {{"app", Tells::nothing, ""}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
}

TEST_F(GateEvidenceTest, AnOverrideSetsTheNamedAside) {
  silent("1.0.0", 2, 0);
  const InstanceName one{ServiceName("api"), InstanceId("api-8")};
  evidence_.set_aside = {one};
  EXPECT_THAT(names_wanted(spec_, evidence_), ElementsAre(one));
  evidence_.fleet.named = {{one, "1.0.0", {one.instance, "", {}, true}, false}};
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::instance_unknown));
  EXPECT_EQ(look().services.front().unknown, 1);
  EXPECT_EQ(look().services.front().overridden, 1);
  // It does not make the fleet larger.
  spec_.fleet[0].min_instances = 11;
  EXPECT_THAT(kinds(), Contains(ReasonKind::too_few_instances));
}

TEST_F(GateEvidenceTest, TwoLooksHaveToSeeTheSameMembers) {
  spec_.soak = Milliseconds{10'000};
  const GateMemory soaked{kAt - spec_.soak, 7, kAt - spec_.soak};
  service().membership = 7;
  EXPECT_TRUE(look(soaked).open());
  service().membership = 8;  // somebody came or went
  const auto verdict = look(soaked);
  ASSERT_EQ(verdict.reasons.size(), 1U);
  EXPECT_EQ(verdict.reasons.front().kind, ReasonKind::membership_changing);
  EXPECT_EQ(verdict.memory.same_for, kAt);
  EXPECT_EQ(verdict.memory.soaking_since, soaked.soaking_since);
}

TEST_F(GateEvidenceTest, ACarriedRecordStandsForTheWatchingWhereTheSoakIsAsLong) {
  evidence_.fleet.watching_since = kAt;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::watching));
  evidence_.fleet.resumed = true;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::watching));
  spec_.soak = kSuspect;
  EXPECT_THAT(kinds(), ElementsAre(ReasonKind::soaking));
}

TEST_F(GateEvidenceTest, ADrainIsCleanWithoutOldSessionsAndOldLogins) {
  spec_.fleet[0].roles = {{"api_v1", Tells::version, "1.0.0"}, {"api_v2", Tells::version, "2.0.0"}};
  auto& scan = *evidence_.sessions;
  scan.servers[0].logins = {{"api_v1", true}, {"api_v2", true}};
  scan.sessions = {session("api_v1", ""), session("api_v2", ""), session("joe", "psql")};
  auto drain = look_at_drain(spec_, scan, {});
  ASSERT_EQ(drain.below.size(), 1U);
  EXPECT_EQ(drain.below.front().role, "api_v1");
  ASSERT_EQ(drain.obstacles.size(), 1U);
  EXPECT_EQ(drain.obstacles.front().kind, ReasonKind::role_can_login);
  scan.servers[0].logins[0].can_login = false;
  scan.sessions.erase(scan.sessions.begin());
  EXPECT_TRUE(look_at_drain(spec_, scan, {}).clean());
  scan.servers.push_back({"replica 1", "cannot be reached", {{"api_v1", false}}});
  EXPECT_FALSE(look_at_drain(spec_, scan, {}).clean());
  scan.servers.clear();
  EXPECT_FALSE(look_at_drain(spec_, scan, {}).clean());
}

}  // namespace
}  // namespace diastole::core
