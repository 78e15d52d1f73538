// What must hold of the registry whatever is reported, in any order: thousands of histories, each named by its seed.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "diastole/engine/fleet.hpp"
#include "support/fakes.hpp"

namespace diastole::engine {
namespace {

const ServiceName kApi("api");

std::int64_t live(const core::FleetView& view) {
  std::int64_t out = 0;
  const auto* service = view.find(kApi);
  if (!service) return 0;
  for (const auto& version : service->versions) out += version.live;
  return out;
}

// S6: within an incarnation only a sequence that is higher than all before is evidence.
TEST(FleetProperties, OnlyAHigherSequenceIsEvidence) {
  int replayed = 0;
  int renewed = 0;
  for (int seed = 0; seed < 2'000; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const auto upto = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
    test::ManualClock clock;
    test::FakeFleetStore store;
    FleetRegistry registry(store, clock, {});
    std::int64_t highest = -1;
    Milliseconds heard{0};
    Milliseconds now{0};
    for (int i = 0; i < 12; ++i) {
      const Milliseconds pause{upto(4) * 9'000};
      clock.advance(pause);
      now += pause;
      const std::int64_t sequence = upto(8);
      const auto reply = registry.report({kApi, InstanceId("api-1"), "2.0.0", "p1", sequence});
      ASSERT_TRUE(reply) << "seed " << seed;
      ASSERT_EQ(reply->replayed, sequence <= highest) << "seed " << seed << ", report " << i;
      if (sequence > highest) heard = now;
      highest = std::max(highest, sequence);
      ++(reply->replayed ? replayed : renewed);
      ASSERT_EQ(live(registry.view()), now - heard < FleetSettings{}.suspect_after ? 1 : 0)
          << "seed " << seed << ", report " << i;
    }
  }
  EXPECT_GT(replayed, 1'000);
  EXPECT_GT(renewed, 1'000);
}

// S6: the watching begins with the registry, so that what a record says counts only once it is reported anew.
TEST(FleetProperties, ARecordIsNoReport) {
  test::ManualClock clock;
  test::FakeFleetStore store;
  {
    FleetRegistry before(store, clock, {});
    ASSERT_TRUE(before.report({kApi, InstanceId("api-1"), "2.0.0", "p1", {}}));
    ASSERT_TRUE(before.flush());
  }
  clock.advance(Milliseconds{600'000});
  FleetRegistry after(store, clock, {});
  ASSERT_TRUE(after.load());
  const auto view = after.view();
  EXPECT_EQ(live(view), 0);
  EXPECT_EQ(view.watching_since, clock.now().mono);
}

}  // namespace
}  // namespace diastole::engine
