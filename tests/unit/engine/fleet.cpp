#include "diastole/engine/fleet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "support/fakes.hpp"

namespace diastole::engine {
namespace {

using test::FakeFleetStore;
using test::ManualClock;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr Milliseconds kSecond{1'000};
const ServiceName kApi("api");

Heartbeat beat(const std::string& instance, const std::string& version, const std::string& incarnation = "p1",
               std::optional<std::int64_t> sequence = {}) {
  return {kApi, InstanceId(instance), version, incarnation, sequence};
}

class FleetTest : public ::testing::Test {
 protected:
  bool report(const Heartbeat& heartbeat) {
    const auto reply = registry_.report(heartbeat);
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
    return reply && !reply->replayed;
  }
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> tally(const std::string& version) {
    const auto view = registry_.view();
    if (const auto* service = view.find(kApi)) {
      for (const auto& entry : service->versions) {
        if (entry.version == version) return {entry.live, entry.silent};
      }
    }
    return {0, 0};
  }
  [[nodiscard]] std::optional<MonoTime> last_silence() { return registry_.view().find(kApi)->last_silence; }
  [[nodiscard]] std::optional<MonoTime> last_report(const std::string& version) {
    const auto view = registry_.view();
    for (const auto& entry : view.find(kApi)->versions) {
      if (entry.version == version) return entry.last_report;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<std::string> flushed() {
    const auto before = store_.flushes();
    EXPECT_TRUE(registry_.flush());
    std::vector<std::string> out;
    if (store_.flushes() == before) return out;
    for (const auto& record : store_.last()) {
      out.push_back((record.gone ? "-" : "+") + record.instance.str() + " " + record.version);
    }
    return out;
  }
  static std::pair<std::int64_t, std::int64_t> live_silent(std::int64_t live, std::int64_t silent) {
    return {live, silent};
  }

  ManualClock clock_;
  FakeFleetStore store_;
  FleetRegistry registry_{
      store_, clock_, {.heartbeat = 10 * kSecond, .suspect_after = 40 * kSecond, .max_instances = 5}};
};

TEST_F(FleetTest, ArrivalsAreCountedByVersion) {
  EXPECT_TRUE(report(beat("a", "1.0.0")));
  EXPECT_TRUE(report(beat("b", "1.0.0")));
  EXPECT_TRUE(report(beat("c", "2.0.0")));
  EXPECT_EQ(tally("1.0.0"), live_silent(2, 0));
  EXPECT_EQ(tally("2.0.0"), live_silent(1, 0));
  EXPECT_EQ(registry_.view().find(ServiceName("worker")), nullptr);
}

TEST_F(FleetTest, RenewalKeepsAnInstanceAlive) {
  report(beat("a", "1.0.0"));
  clock_.advance(39 * kSecond);
  report(beat("a", "1.0.0"));
  clock_.advance(39 * kSecond);
  EXPECT_EQ(tally("1.0.0"), live_silent(1, 0));
  EXPECT_FALSE(last_silence());
}

TEST_F(FleetTest, VersionChangeMovesTheInstanceAndRemembersTheOldSighting) {
  report(beat("a", "1.0.0"));
  const auto old_seen = clock_.now().mono;
  clock_.advance(kSecond);
  report(beat("a", "2.0.0"));
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 0));
  EXPECT_EQ(tally("2.0.0"), live_silent(1, 0));
  EXPECT_EQ(last_report("1.0.0"), old_seen);
  EXPECT_EQ(last_report("2.0.0"), clock_.now().mono);
}

TEST_F(FleetTest, SequenceRepeatedOrOlderIsNoEvidence) {
  report(beat("a", "1.0.0", "p1", 7));
  clock_.advance(30 * kSecond);
  EXPECT_FALSE(report(beat("a", "2.0.0", "p1", 7)));
  EXPECT_FALSE(report(beat("a", "2.0.0", "p1", 6)));
  EXPECT_EQ(tally("1.0.0"), live_silent(1, 0));
  clock_.advance(10 * kSecond);
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 1)) << "a replay must not renew";
  EXPECT_TRUE(report(beat("a", "2.0.0", "p1", 8)));
  EXPECT_EQ(tally("2.0.0"), live_silent(1, 0));
}

TEST_F(FleetTest, ReportWithoutSequenceDoesNotOpenTheWayForAReplay) {
  report(beat("a", "1.0.0", "p1", 7));
  EXPECT_TRUE(report(beat("a", "1.0.0", "p1")));
  EXPECT_FALSE(report(beat("a", "2.0.0", "p1", 7)));
}

TEST_F(FleetTest, NewIncarnationBeginsItsSequenceAnew) {
  report(beat("a", "1.0.0", "p1", 900));
  EXPECT_TRUE(report(beat("a", "2.0.0", "p2", 1)));
  EXPECT_EQ(tally("2.0.0"), live_silent(1, 0));
  EXPECT_FALSE(report(beat("a", "2.0.0", "p2", 1)));
  EXPECT_TRUE(report(beat("a", "2.0.0", "p3")));
  EXPECT_TRUE(report(beat("a", "2.0.0", "p3", 1)));
}

TEST_F(FleetTest, SilentInstanceIsUnknownFromTheMomentItFellSilent) {
  report(beat("a", "1.0.0"));
  const auto seen = clock_.now().mono;
  clock_.advance(39'999 * Milliseconds{1});
  EXPECT_EQ(tally("1.0.0"), live_silent(1, 0));
  clock_.advance(Milliseconds{1});
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 1));
  clock_.advance(100 * kSecond);
  EXPECT_EQ(last_silence(), seen + 40 * kSecond) << "not when somebody looked";
  EXPECT_THAT(registry_.instances(kApi, "", 10), ElementsAre(testing::Field(&InstanceView::silent, true)));
}

TEST_F(FleetTest, ReturnFromSilenceIsRememberedThoughNobodyLookedMeanwhile) {
  report(beat("a", "1.0.0"));
  clock_.advance(40 * kSecond);
  report(beat("a", "1.0.0"));
  EXPECT_EQ(tally("1.0.0"), live_silent(1, 0));
  EXPECT_EQ(last_silence(), clock_.now().mono);
}

TEST_F(FleetTest, ReturnFromSilenceThatWasSeenMovesItsEndOn) {
  report(beat("a", "1.0.0"));
  clock_.advance(50 * kSecond);
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 1));
  clock_.advance(kSecond);
  report(beat("a", "2.0.0"));
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 0));
  EXPECT_EQ(tally("2.0.0"), live_silent(1, 0));
  EXPECT_EQ(last_silence(), clock_.now().mono);
}

TEST_F(FleetTest, SignOffRemovesAndIsWritten) {
  report(beat("a", "1.0.0"));
  report(beat("b", "1.0.0"));
  EXPECT_THAT(flushed(), SizeIs(2));
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, "signed off"));
  EXPECT_EQ(tally("1.0.0"), live_silent(1, 0));
  EXPECT_THAT(flushed(), UnorderedElementsAre("-a 1.0.0"));
  EXPECT_EQ(store_.last().front().gone_reason, "signed off");
  EXPECT_THAT(store_.kept(), SizeIs(1));
}

TEST_F(FleetTest, SilentInstanceCanBeDecommissioned) {
  report(beat("a", "1.0.0"));
  clock_.advance(41 * kSecond);
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 1));
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, "its machine burned"));
  EXPECT_EQ(tally("1.0.0"), live_silent(0, 0));
}

TEST_F(FleetTest, UnknownInstanceCannotBeRemoved) {
  report(beat("a", "1.0.0"));
  EXPECT_EQ(registry_.remove(kApi, InstanceId("b"), {}, "").error().code, ErrorCode::not_found);
  EXPECT_EQ(registry_.remove(ServiceName("worker"), InstanceId("a"), {}, "").error().code, ErrorCode::not_found);
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, ""));
  EXPECT_EQ(registry_.remove(kApi, InstanceId("a"), {}, "").error().code, ErrorCode::not_found);
}

TEST_F(FleetTest, LoadedInstancesAreSilentUntilTheyReport) {
  report(beat("a", "1.0.0"));
  report(beat("b", "1.0.0"));
  ASSERT_TRUE(registry_.flush());
  clock_.advance(kSecond);

  FleetRegistry later(store_, clock_, {});
  ASSERT_TRUE(later.load());
  const auto loaded = later.instances(kApi, "", 10);
  ASSERT_THAT(loaded, SizeIs(2));
  EXPECT_TRUE(loaded[0].silent && loaded[1].silent);
  EXPECT_EQ(loaded[0].last_seen, clock_.now().wall - kSecond);
  EXPECT_EQ(later.view().watching_since, clock_.now().mono);
  ASSERT_TRUE(later.report(beat("a", "1.0.0")));
  EXPECT_FALSE(later.instances(kApi, "", 1).front().silent);
  EXPECT_EQ(later.view().find(kApi)->last_silence, clock_.now().mono);
}

TEST_F(FleetTest, LoadFailsWithItsStore) {
  store_.set_away(true);
  EXPECT_EQ(registry_.load().error().code, ErrorCode::unavailable);
}

TEST_F(FleetTest, FlushWritesOnlyWhatHasChanged) {
  report(beat("a", "1.0.0"));
  report(beat("b", "1.0.0"));
  EXPECT_THAT(flushed(), UnorderedElementsAre("+a 1.0.0", "+b 1.0.0"));
  EXPECT_THAT(flushed(), IsEmpty());
  report(beat("a", "1.0.0"));
  EXPECT_THAT(flushed(), IsEmpty()) << "a renewal alone is not worth a write";
  report(beat("b", "2.0.0"));
  EXPECT_THAT(flushed(), UnorderedElementsAre("+b 2.0.0"));
  report(beat("a", "1.0.0", "p2"));
  EXPECT_THAT(flushed(), UnorderedElementsAre("+a 1.0.0"));
}

TEST_F(FleetTest, LastSeenIsWrittenOnceAMinute) {
  report(beat("a", "1.0.0"));
  EXPECT_THAT(flushed(), SizeIs(1));
  for (int i = 1; i <= 11; ++i) {
    clock_.advance(10 * kSecond);
    report(beat("a", "1.0.0"));
    EXPECT_THAT(flushed(), SizeIs(i == 6 ? 1 : 0)) << "after " << 10 * i << " s";
  }
}

TEST_F(FleetTest, FailedFlushIsKeptForTheNext) {
  report(beat("a", "1.0.0"));
  report(beat("b", "1.0.0"));
  report(beat("c", "1.0.0"));
  ASSERT_TRUE(registry_.flush());
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, "signed off"));
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("c"), {}, "signed off"));
  report(beat("b", "2.0.0"));
  store_.set_away(true);
  EXPECT_EQ(registry_.flush().error().code, ErrorCode::unavailable);
  report(beat("c", "3.0.0"));  // it comes back before its departure could be written
  store_.set_away(false);
  EXPECT_THAT(flushed(), UnorderedElementsAre("-a 1.0.0", "-c 1.0.0", "+b 2.0.0", "+c 3.0.0"));
  EXPECT_THAT(flushed(), IsEmpty());
  EXPECT_THAT(store_.kept(), SizeIs(2));
}

TEST_F(FleetTest, InstanceThatLeavesAndReturnsBeforeAFlushIsKept) {
  report(beat("a", "1.0.0"));
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, "signed off"));
  report(beat("a", "1.0.0", "p2"));
  ASSERT_TRUE(registry_.flush());
  ASSERT_THAT(store_.kept(), SizeIs(1));
  EXPECT_EQ(store_.kept().begin()->second.incarnation, "p2");
}

TEST_F(FleetTest, FullRegistryRefusesArrivalsOnly) {
  for (const auto* id : {"a", "b", "c", "d", "e"}) EXPECT_TRUE(report(beat(id, "1.0.0")));
  EXPECT_EQ(registry_.report(beat("f", "1.0.0")).error().code, ErrorCode::unavailable);
  EXPECT_TRUE(report(beat("e", "2.0.0")));
  ASSERT_TRUE(registry_.remove(kApi, InstanceId("a"), {}, ""));
  EXPECT_TRUE(report(beat("f", "1.0.0")));
}

TEST_F(FleetTest, InstancesComeInPages) {
  for (const auto* id : {"d", "b", "a", "e", "c"}) report(beat(id, "1.0.0"));
  std::vector<std::string> seen;
  std::string after;
  for (auto page = registry_.instances(kApi, after, 2); !page.empty(); page = registry_.instances(kApi, after, 2)) {
    EXPECT_LE(page.size(), 2U);
    for (const auto& instance : page) seen.push_back(instance.instance.str());
    after = seen.back();
  }
  EXPECT_THAT(seen, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(registry_.instances(ServiceName("worker"), "", 10), IsEmpty());
}

TEST_F(FleetTest, RepliesSpreadTheNextReports) {
  std::set<Milliseconds> asked;
  for (int i = 0; i < 100; ++i) {
    const auto reply = registry_.report(beat("a", "1.0.0"));
    ASSERT_TRUE(reply);
    EXPECT_GE(reply->next_in, 8 * kSecond);
    EXPECT_LE(reply->next_in, 12 * kSecond);
    asked.insert(reply->next_in);
  }
  EXPECT_GT(asked.size(), 90U);
}

TEST_F(FleetTest, ExamplesAreFewAndSilentOnesFirst) {
  FleetRegistry registry(store_, clock_, {});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(registry.report(beat("s" + std::to_string(i), "1.0.0")));
  clock_.advance(40 * kSecond);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(registry.report(beat("l" + std::to_string(i), "1.0.0")));
  const auto view = registry.view();
  const auto& examples = view.find(kApi)->versions.front().examples;
  ASSERT_EQ(examples.size(), core::FleetView::kExamples);
  for (std::size_t i = 0; i < examples.size(); ++i) EXPECT_EQ(examples[i].silent, i < 4) << i;
}

// Each thread owns some instances and knows what it last said of them; all of them look and flush at any time.
class Member {
 public:
  Member(FleetRegistry& registry, int number)
      : registry_(registry), number_(number), random_(static_cast<unsigned>(number)) {}

  void operator()() {
    for (int i = 0; i < 10'000; ++i) step();
  }
  [[nodiscard]] const std::map<InstanceId, std::string>& said() const { return said_; }

 private:
  void step() {
    const InstanceId id(std::to_string(number_) + "-" + std::to_string(random_() % 50));
    const auto action = random_() % 100;
    if (action < 80) {
      const auto version = std::to_string(random_() % 5) + ".0.0";
      ASSERT_TRUE(registry_.report({kApi, id, version, "p1", {}}));
      said_[id] = version;
    } else if (action < 96) {
      EXPECT_EQ(registry_.remove(kApi, id, {}, "signed off").has_value(), said_.erase(id) == 1);
    } else if (action < 98) {
      std::int64_t live = 0;
      const auto view = registry_.view();
      if (const auto* service = view.find(kApi)) {
        for (const auto& tally : service->versions) live += tally.live;
      }
      EXPECT_GE(live, std::ssize(said_));
      EXPECT_LE(live, 8 * 50);
    } else if (action < 99) {
      const auto page = registry_.instances(kApi, std::to_string(number_) + "-", 3);
      EXPECT_LE(page.size(), 3U);
    } else {
      EXPECT_TRUE(registry_.flush());
    }
  }

  FleetRegistry& registry_;
  const int number_;
  std::minstd_rand random_;
  std::map<InstanceId, std::string> said_;
};

TEST(FleetThreadsTest, TalliesAndRecordsMatchASimpleModel) {
  ManualClock clock;
  FakeFleetStore store;
  FleetRegistry registry(store, clock, {});
  std::vector<Member> members;
  for (int i = 0; i < 8; ++i) members.emplace_back(registry, i);
  {
    std::vector<std::jthread> threads;
    for (auto& member : members) threads.emplace_back(std::ref(member));
  }
  ASSERT_TRUE(registry.flush());

  std::map<std::string, std::int64_t> by_version;
  std::map<FakeFleetStore::Key, std::string> all;
  for (const auto& member : members) {
    for (const auto& [id, version] : member.said()) {
      ++by_version[version];
      all[{kApi, id, "p1", core::Source::heartbeat}] = version;
    }
  }
  ASSERT_GT(all.size(), 100U);
  std::map<FakeFleetStore::Key, std::string> kept;
  for (const auto& [key, record] : store.kept()) kept[key] = record.version;
  EXPECT_EQ(kept, all);
  const auto expect_tallies = [&](bool silent) {
    const auto view = registry.view();
    for (const auto& tally : view.find(kApi)->versions) {
      EXPECT_EQ(tally.live, silent ? 0 : by_version[tally.version]) << tally.version;
      EXPECT_EQ(tally.silent, silent ? by_version[tally.version] : 0) << tally.version;
    }
    EXPECT_EQ(view.find(kApi)->versions.size(), 5U);
  };
  expect_tallies(false);
  clock.advance(40 * kSecond);
  expect_tallies(true);
}

}  // namespace
}  // namespace diastole::engine
