#include "diastole/engine/floors.hpp"

#include <gtest/gtest.h>

#include "support/fake_plan_store.hpp"
#include "support/sample_plan.hpp"

namespace diastole::engine {
namespace {

core::PlanState fenced(const std::string& plan, const std::string& service, const std::string& range) {
  core::PlanState state;
  state.plan.id = PlanId(plan);
  state.plan.gate.fleet = {test::requirement(service, range)};
  state.gate.stage = core::GateStage::fencing;
  return state;
}

TEST(FloorsTest, HoldFromTheFencingUntilTheFenceIsLowered) {
  Floors floors;
  auto state = fenced("main.a", "api", ">=2.0.0");
  EXPECT_FALSE(floors.above(ServiceName("api"), "1.0.0"));
  floors.update(state);
  ASSERT_TRUE(floors.above(ServiceName("api"), "1.0.0"));
  EXPECT_EQ(floors.above(ServiceName("api"), "1.0.0")->plan, PlanId("main.a"));
  EXPECT_TRUE(floors.above(ServiceName("api"), "latest")) << "nobody can tell";
  EXPECT_FALSE(floors.above(ServiceName("api"), "2.0.0"));
  EXPECT_FALSE(floors.above(ServiceName("worker"), "1.0.0"));
  state.gate.stage = core::GateStage::restoring;
  floors.update(state);
  EXPECT_TRUE(floors.above(ServiceName("api"), "1.0.0"));
  state.gate.stage = core::GateStage::closed;
  floors.update(state);
  EXPECT_FALSE(floors.above(ServiceName("api"), "1.0.0"));
}

TEST(FloorsTest, AllPlansCount) {
  Floors floors;
  floors.update(fenced("main.a", "api", ">=2.0.0"));
  floors.update(fenced("main.b", "api", ">=3.0.0"));
  floors.update(fenced("main.c", "api", ">=3.0.0"));
  EXPECT_EQ(floors.above(ServiceName("api"), "2.5.0")->plan, PlanId("main.b"));
  EXPECT_EQ(floors.text(ServiceName("api")), ">=2.0.0 and >=3.0.0");
  EXPECT_EQ(floors.of(ServiceName("api")).size(), 3U);
  EXPECT_EQ(floors.text(ServiceName("worker")), "");
}

TEST(FloorsTest, AreReadFromTheStoreWhereAFinishedPlanKeepsThem) {
  test::FakePlanStore store;
  auto state = fenced("main.a", "api", ">=2.0.0");
  state.seq = 1;
  state.stage = core::Stage::completed;
  state.gate.stage = core::GateStage::drained;
  store.keep(state, std::vector<core::Event>{core::PlanWaits{}}, {});
  Floors floors;
  ASSERT_TRUE(floors.load(store));
  EXPECT_TRUE(floors.above(ServiceName("api"), "1.9.0"));
  store.set_away(true);
  EXPECT_FALSE(floors.load(store));
  EXPECT_TRUE(floors.above(ServiceName("api"), "1.9.0")) << "what was known stays known";
}

}  // namespace
}  // namespace diastole::engine
