#include "diastole/core/walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::core {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A table whose rows are numbers; a batch either commits with its cursor, or neither is seen.
class World {
 public:
  World(int rows, int strides, unsigned seed) : strides_(strides), random_(seed) {
    for (int row = 0; row < rows; ++row) visits_[static_cast<int>(random_() % 100'000)] = 0;
  }

  // A batch with whatever size and luck; false once the part is done.
  bool batch() {
    if (cursor_.done) return false;
    auto next = cursor_;
    if (!next.window_to) next = open(next, 1 + static_cast<int>(random_() % 300));
    std::vector<int> visited;
    if (next.window_to) {
      const int to = some_place_in(next);
      for (auto row = visits_.upper_bound(place(next.from())); row != visits_.end() && row->first <= to; ++row) {
        if (row->first % strides_ == next.stride) visited.push_back(row->first);
      }
      next = moved(next, {std::to_string(to)}, strides_);
    }
    if (random_() % 5 == 0) return true;  // rolled back: a lock, a timeout, a kill
    for (const int row : visited) ++visits_[row];
    cursor_ = next;
    return true;
  }

  [[nodiscard]] const std::map<int, int>& visits() const { return visits_; }

 private:
  static int place(const std::optional<Place>& place) { return place ? std::stoi(place->front()) : -1; }

  PartCursor open(PartCursor cursor, int rows) {
    auto row = visits_.upper_bound(place(cursor.done_to));
    if (row == visits_.end()) return ended(std::move(cursor));
    int last = row->first;
    int found = 0;
    for (; row != visits_.end() && found < rows; ++row, ++found) last = row->first;
    return opened(std::move(cursor), {std::to_string(last)}, found < rows);
  }

  // Within the window, behind where the stride stands; often its end.
  int some_place_in(const PartCursor& cursor) {
    const int end = place(cursor.window_to);
    const int from = place(cursor.from());
    return random_() % 2 == 0 ? end : from + 1 + static_cast<int>(random_() % static_cast<unsigned>(end - from));
  }

  const int strides_;
  std::mt19937 random_;
  std::map<int, int> visits_;
  PartCursor cursor_;
};

TEST(PartCursorTest, VisitsEachRowOnceWhateverTheSizesAndFailures) {
  for (const int strides : {1, 2, 8}) {
    for (unsigned seed = 0; seed < 200; ++seed) {
      World world(static_cast<int>(seed * 13 % 900), strides, seed);
      int batches = 0;
      while (world.batch()) ASSERT_LT(++batches, 20'000);
      for (const auto& [row, visits] : world.visits()) {
        ASSERT_EQ(visits, 1) << "row " << row << ", " << strides << " strides, seed " << seed;
      }
    }
  }
}

TEST(PartCursorTest, AWindowThatIsNotTheLastIsFollowedByAnother) {
  auto cursor = opened({}, {"10"}, false);
  cursor = moved(cursor, {"4"}, 2);
  EXPECT_EQ(cursor.from(), Place{"4"});
  cursor = moved(cursor, {"10"}, 2);
  EXPECT_EQ(cursor.stride, 1);
  EXPECT_EQ(cursor.from(), std::nullopt) << "the second stride begins where the window does";
  cursor = moved(cursor, {"10"}, 2);
  EXPECT_EQ(cursor.window_to, std::nullopt);
  EXPECT_EQ(cursor.from(), Place{"10"});
  EXPECT_FALSE(cursor.done);
  EXPECT_TRUE(moved(opened(cursor, {"12"}, true), {"12"}, 1).done);
}

CatalogColumn column(const std::string& name, const std::string& type, bool not_null = false) {
  return {.name = name, .type = type, .base_type = type, .not_null = not_null};
}

class ChooseWalkTest : public ::testing::Test {
 protected:
  ChooseWalkTest() {
    catalog_.server_version = 150000;
    catalog_.search_path = {"public"};
    CatalogRelation users;
    users.name = {"public", "users"};
    users.rows = 1'000'000;
    users.pages = 17'000;
    users.columns = {column("id", "bigint", true), column("email", "text", true), column("name", "text"),
                     column("display_name", "text")};
    users.indexes = {
        {.name = "users_pkey", .columns = {"id"}, .uses = {}, .unique = true, .primary = true, .ordered = true},
        {.name = "users_email", .columns = {"email"}, .uses = {}, .unique = true, .ordered = true}};
    catalog_.relations = {users};
    backfill_.table = "users";
    backfill_.set = {{"display_name", "name"}};
    backfill_.where = "display_name IS NULL";
    backfill_.verify = "zero_rows";
  }
  [[nodiscard]] Result<Walk> choose() const { return choose_walk(catalog_, catalog_.relations.front(), backfill_); }
  [[nodiscard]] CatalogRelation& users() { return catalog_.relations.front(); }

  CatalogSnapshot catalog_;
  Backfill backfill_;
};

TEST_F(ChooseWalkTest, BlocksWhereWhereShowsWhatIsDone) {
  const auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, WalkBy::blocks);
  EXPECT_EQ(walk->strides, 16);
  EXPECT_EQ(walk->workers, 1);
  EXPECT_THAT(walk->because, ElementsAre(HasSubstr("by blocks"), HasSubstr("16 strides")));
}

TEST_F(ChooseWalkTest, OlderServersCannotHashAnyKeyForStrides) {
  catalog_.server_version = 130000;
  EXPECT_EQ(choose()->strides, 16) << "a number they can";
  users().columns[0] = column("id", "timestamp with time zone", true);
  EXPECT_EQ(choose()->strides, 1);
  backfill_.strides = 8;
  EXPECT_THAT(choose().error().message, HasSubstr("need PostgreSQL 14"));
  catalog_.server_version = 140000;
  EXPECT_EQ(choose()->strides, 8);
}

TEST_F(ChooseWalkTest, TheKeyWhereNothingElseShowsThatARowIsDoneOnce) {
  backfill_.verify = "SELECT 1 FROM users WHERE display_name IS NULL";
  auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, WalkBy::key);
  EXPECT_THAT(walk->key, ElementsAre("id"));
  EXPECT_EQ(walk->strides, 16);

  users().indexes[0].primary = false;
  users().indexes[0].partial = true;
  walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_THAT(walk->key, ElementsAre("email"));
  EXPECT_EQ(walk->strides, 1) << "neighbours by a text lie in pages far apart";

  users().indexes[1].ordered = false;
  walk = choose();
  ASSERT_FALSE(walk);
  EXPECT_THAT(walk.error().message, HasSubstr("ADD PRIMARY KEY USING INDEX"));
}

TEST_F(ChooseWalkTest, AnOldServerHasNoRangesOfBlocks) {
  catalog_.server_version = 130000;
  const auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, WalkBy::key);
  backfill_.walk_by = WalkBy::blocks;
  EXPECT_THAT(choose().error().message, HasSubstr("PostgreSQL 14"));
}

TEST_F(ChooseWalkTest, AKeyThatIsSetOrMayBeNullLeadsNowhere) {
  backfill_.verify.clear();
  backfill_.set = {{"id", "id + 1"}};
  auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_THAT(walk->key, ElementsAre("email"));
  users().columns[1].not_null = false;
  EXPECT_FALSE(choose());
  backfill_.walk_by = WalkBy::key;
  EXPECT_THAT(choose().error().message, HasSubstr("unique index over NOT NULL columns"));
}

TEST_F(ChooseWalkTest, NoStridesWhereNoUpdateCanBeHotOrAllCan) {
  users().indexes.push_back({.name = "by_display", .columns = {"display_name"}, .uses = {}});
  EXPECT_EQ(choose()->strides, 1);
  EXPECT_THAT(choose()->because.back(), HasSubstr("by_display"));
  users().indexes.back() = {.name = "partial", .columns = {"email"}, .uses = {"display_name"}, .partial = true};
  EXPECT_EQ(choose()->strides, 1);
  users().indexes.pop_back();
  users().fillfactor = 45;
  EXPECT_EQ(choose()->strides, 1);
  for (const auto& [fillfactor, strides] : {std::pair{95, 16}, {90, 16}, {80, 8}, {70, 4}, {60, 4}, {50, 4}}) {
    users().fillfactor = fillfactor;
    EXPECT_EQ(choose()->strides, strides) << fillfactor;
  }
  users().pages = users().rows / 3;
  EXPECT_EQ(choose()->strides, 2) << "three rows a page";
  users().pages = users().rows;
  EXPECT_EQ(choose()->strides, 1);
}

TEST_F(ChooseWalkTest, ThePlansWishesGoFirst) {
  backfill_.walk_by = WalkBy::key;
  backfill_.strides = 2;
  backfill_.workers = 3;
  const auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, WalkBy::key);
  EXPECT_EQ(walk->strides, 2);
  EXPECT_EQ(walk->workers, 3);
  backfill_.walk_by = WalkBy::blocks;
  backfill_.verify.clear();
  EXPECT_FALSE(choose());
}

TEST_F(ChooseWalkTest, PartitionsArePartOfTheTable) {
  CatalogRelation leaf = users();
  leaf.name = {"public", "users_1"};
  users().kind = RelationKind::partitioned_table;
  users().children = {leaf.name};
  users().pages = 0;
  leaf.indexes.push_back({.name = "leaf_display", .columns = {"display_name"}, .uses = {}});
  catalog_.relations.push_back(leaf);
  EXPECT_EQ(relations_with_rows(catalog_, users()).size(), 1U);
  EXPECT_THAT(choose()->because.back(), HasSubstr("leaf_display"));
  catalog_.relations.back().kind = RelationKind::foreign_table;
  EXPECT_THAT(choose().error().message, HasSubstr("users_1 is a foreign table"));
}

TEST_F(ChooseWalkTest, WindowsOfThePlansOwnSqlNeedOneColumnThatLeads) {
  backfill_.set.clear();
  backfill_.where.clear();
  backfill_.verify.clear();
  backfill_.sql = "DELETE FROM log WHERE id BETWEEN :from AND :to";
  const auto walk = choose();
  ASSERT_TRUE(walk);
  EXPECT_EQ(walk->by, WalkBy::key);
  EXPECT_EQ(walk->strides, 1);
  EXPECT_THAT(walk->key, ElementsAre("id"));
  for (auto& index : users().indexes) index.columns.emplace_back("and_more");
  EXPECT_THAT(choose().error().message, HasSubstr("primary key of one column"));
}

TEST_F(ChooseWalkTest, WindowsOfThePlansOwnSqlCannotSpanHeirs) {
  backfill_.sql = "DELETE FROM log WHERE id BETWEEN :from AND :to";
  CatalogRelation heir = users();
  heir.name = {"public", "heirs"};
  users().children = {heir.name};
  catalog_.relations.push_back(heir);
  EXPECT_THAT(choose().error().message, HasSubstr("inherit from users"));
  users().kind = RelationKind::partitioned_table;
  EXPECT_TRUE(choose()) << "a partitioned table's key is unique over all of its partitions";
}

TEST_F(ChooseWalkTest, RowsDoNotMoveBetweenPartitions) {
  users().dependents.push_back(
      {.kind = DependentKind::partition_key, .name = {}, .table = {}, .columns = {"display_name"}});
  EXPECT_THAT(choose().error().message, HasSubstr("display_name belongs to the partition key of users"));
  backfill_.set = {{"name", "upper(name)"}};
  EXPECT_TRUE(choose());
}

TEST_F(ChooseWalkTest, NorBetweenThoseOfADeeperLevel) {
  CatalogRelation middle = users();
  middle.name = {"public", "users_1"};
  middle.kind = RelationKind::partitioned_table;
  middle.dependents = {{.kind = DependentKind::partition_key, .name = {}, .table = {}, .columns = {"display_name"}}};
  users().kind = RelationKind::partitioned_table;
  users().children = {middle.name};
  catalog_.relations.push_back(middle);
  EXPECT_THAT(choose().error().message, HasSubstr("display_name belongs to the partition key of users_1"));
}

TEST_F(ChooseWalkTest, AVacuumIsShownAndNamedWhereItWouldPay) {
  EXPECT_THAT(choose()->because, Not(Contains(HasSubstr("vacuum"))));
  for (auto& index : users().indexes) index.uses = {"display_name"};
  EXPECT_THAT(choose()->because, Contains(HasSubstr("vacuum_every lets")));
  backfill_.vacuum_every = 5'000;
  EXPECT_THAT(choose()->because, AllOf(Contains("a vacuum after each 5000 rows changed, as the plan wishes"),
                                       Not(Contains(HasSubstr("lets")))));
}

}  // namespace
}  // namespace diastole::core
