#include "quarantine.hpp"

#include <gtest/gtest.h>

namespace diastole::postgres {
namespace {

constexpr std::string_view kDay = "20261125";

TEST(QuarantineNameTest, SaysWhatWhenAndForWhichPlan) {
  EXPECT_EQ(quarantine_name("name", kDay, PlanId{"main.users-display-name"}),
            "name__dropped_20261125_users_display_name");
  EXPECT_EQ(quarantine_name("name", kDay, PlanId{"main.Über.plan"}), "name__dropped_20261125___ber_plan");
  EXPECT_EQ(quarantine_name("name", kDay, PlanId{"loose"}, 2), "name__dropped_20261125_loose_2");
}

TEST(QuarantineNameTest, FitsWhateverIsLong) {
  const PlanId plan{"main." + std::string(100, 'p')};
  const auto name = quarantine_name(std::string(63, 'n'), kDay, plan, 100);
  EXPECT_EQ(name.size(), 63U);
  EXPECT_EQ(name, std::string(18, 'n') + "__dropped_20261125_" + std::string(22, 'p') + "_100");
}

TEST(QuarantineNameTest, CutsBetweenCharacters) {
  std::string old_name;
  while (old_name.size() + 3 <= 63) old_name += "€";
  for (std::size_t length = 1; length <= 22; ++length) {
    const auto name = quarantine_name(old_name, kDay, PlanId{"main." + std::string(length, 'p')});
    const auto kept = name.find("__dropped_");
    EXPECT_EQ(kept % 3, 0U) << name;
    EXPECT_LE(name.size(), 63U);
    EXPECT_GT(name.size(), 60U) << "no more is cut than must be";
  }
}

}  // namespace
}  // namespace diastole::postgres
