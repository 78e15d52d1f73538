// Any history of reports, polls, lists, removals and time: the counters equal a naive recount.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "diastole/engine/fleet.hpp"
#include "support/fakes.hpp"

namespace diastole::engine {
namespace {

constexpr Milliseconds kSuspect{40'000};
constexpr Milliseconds kProvable{120'000};
const ServiceName kApi("api");

struct Counts {
  std::map<std::string, std::int64_t> live;
  std::map<std::string, std::int64_t> silent;
  std::map<std::string, std::int64_t> lasting;
  std::int64_t members = 0;
  std::int64_t fell_silent = 0;
  std::int64_t conflicts = 0;
};

// The same rules over a map that is gone through from end to end.
class NaiveFleet {
 public:
  void report(const std::string& id, const std::string& incarnation, const std::string& version, MonoTime now) {
    auto& members = instances_[id].members;
    const Key key{incarnation, core::Source::heartbeat};
    const auto polled = members.find(kPolled);
    if (!members.contains(key) && !reports(members) && polled != members.end()) {
      const auto& poll = polled->second;
      if (now - poll.seen >= kSuspect || poll.version.empty() || poll.version == version) members.erase(polled);
    }
    members[key] = {version, now};
  }
  void poll(const std::string& id, const std::string& version, MonoTime now) {
    instances_[id].members[kPolled] = {version, now};
  }
  void list(const std::string& source, const std::set<std::string>& ids, MonoTime now) {
    for (const auto& id : ids) {
      auto& instance = instances_[id];
      if (instance.members.empty()) instance.members[kPolled] = {"", now};
      instance.ever = true;
      instance.listed.insert(source);
    }
    for (auto& [id, instance] : instances_) {
      if (!ids.contains(id)) instance.listed.erase(source);
    }
  }
  bool remove(const std::string& id) { return instances_.erase(id) == 1; }

  Counts count(MonoTime now) {
    Counts out;
    for (auto& [id, instance] : instances_) count(instance, now, out);
    std::erase_if(instances_, [](const auto& entry) { return entry.second.members.empty(); });
    return out;
  }

 private:
  struct Said {
    std::string version;
    MonoTime seen;
  };
  using Key = std::pair<std::string, core::Source>;
  using Members = std::map<Key, Said>;
  struct Instance {
    Members members;
    std::set<std::string> listed;
    bool ever = false;
  };
  static inline const Key kPolled{"", core::Source::poll};

  static bool reports(const Members& members) {
    return std::ranges::any_of(members,
                               [](const auto& entry) { return entry.first.second == core::Source::heartbeat; });
  }
  static void count(Instance& instance, MonoTime now, Counts& out) {
    auto& members = instance.members;
    if (reports(members) && members.contains(kPolled) && now - members[kPolled].seen >= kSuspect)
      members.erase(kPolled);
    if (instance.ever && instance.listed.empty())
      std::erase_if(members, [&](const auto& entry) { return now - entry.second.seen >= kSuspect; });
    const bool aside = reports(members);
    std::set<std::string> said;
    for (const auto& [key, member] : members) {
      const auto since = now - member.seen;
      if (since < kSuspect) said.insert(member.version);
      if (aside && key == kPolled) continue;
      ++out.members;
      ++(since < kSuspect ? out.live : out.silent)[member.version];
      if (since >= kProvable) ++out.lasting[member.version];
      if (since >= kSuspect && since < 2 * kSuspect) ++out.fell_silent;
    }
    if (said.size() > 1) ++out.conflicts;
  }

  std::map<std::string, Instance> instances_;
};

Counts counts_of(const core::FleetView& view) {
  Counts out;
  const auto* service = view.find(kApi);
  if (service == nullptr) return out;
  for (const auto& tally : service->versions) {
    if (tally.live > 0) out.live[tally.version] = tally.live;
    if (tally.silent > 0) out.silent[tally.version] = tally.silent;
    if (tally.long_silent > 0) out.lasting[tally.version] = tally.long_silent;
  }
  out.members = service->members;
  out.fell_silent = service->fell_silent;
  out.conflicts = service->conflicts;
  return out;
}

class History {
 public:
  explicit History(unsigned seed) : random_(seed) {}

  void step() {
    const auto now = clock_.now().mono;
    const auto id = std::to_string(below(12));
    const auto version = std::to_string(below(3)) + ".0.0";
    const auto action = below(100);
    if (action < 50) {
      const auto incarnation = std::to_string(below(2));
      ASSERT_TRUE(registry_.report({kApi, InstanceId(id), version, incarnation, {}}));
      naive_.report(id, incarnation, version, now);
    } else if (action < 65) {
      ASSERT_TRUE(registry_.polled(kApi, InstanceId(id), version));
      naive_.poll(id, version, now);
    } else if (action < 75) {
      list();
    } else if (action < 78) {
      EXPECT_EQ(registry_.remove(kApi, InstanceId(id), {}, "by hand").has_value(), naive_.remove(id));
    } else if (action < 82) {
      ASSERT_TRUE(registry_.flush());
    } else {
      clock_.advance(Milliseconds{static_cast<std::int64_t>(below(25'000))});
    }
  }
  void compare() {
    const auto view = registry_.view();
    const auto expected = naive_.count(clock_.now().mono);
    const auto found = counts_of(view);
    EXPECT_EQ(found.live, expected.live);
    EXPECT_EQ(found.silent, expected.silent);
    EXPECT_EQ(found.lasting, expected.lasting);
    EXPECT_EQ(found.members, expected.members);
    EXPECT_EQ(found.fell_silent, expected.fell_silent);
    EXPECT_EQ(found.conflicts, expected.conflicts);
  }
  // What is written, loaded anew, has the same members.
  void compare_record() {
    ASSERT_TRUE(registry_.flush());
    const auto view = registry_.view();
    FleetRegistry later(store_, clock_, kSettings);
    ASSERT_TRUE(later.load());
    const auto loaded = later.view();
    if (const auto* service = view.find(kApi); service != nullptr && service->members > 0) {
      ASSERT_NE(loaded.find(kApi), nullptr);
      EXPECT_EQ(loaded.find(kApi)->members, service->members);
      EXPECT_EQ(loaded.find(kApi)->membership, service->membership);
    }
  }

 private:
  static constexpr FleetSettings kSettings{.suspect_after = kSuspect, .provable_after = kProvable};

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_()) % limit; }
  void list() {
    const std::string source = below(2) == 0 ? "pods" : "dns";
    std::set<std::string> ids;
    for (unsigned i = 0; i < 12; ++i) {
      if (below(3) == 0) ids.insert(std::to_string(i));
    }
    std::vector<InstanceId> all;
    for (const auto& id : ids) all.emplace_back(id);
    ASSERT_TRUE(registry_.listed(kApi, source, all));
    naive_.list(source, ids, clock_.now().mono);
  }

  std::minstd_rand random_;
  test::ManualClock clock_;
  test::FakeFleetStore store_;
  FleetRegistry registry_{store_, clock_, kSettings};
  NaiveFleet naive_;
};

TEST(FleetHistoryTest, CountersEqualANaiveRecount) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    History history(seed);
    for (int i = 0; i < 300; ++i) {
      history.step();
      history.compare();
      if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << i;
    }
    history.compare_record();
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ", its record";
  }
}

}  // namespace
}  // namespace diastole::engine
