// What tests of a target's backfill share.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "support/target.hpp"

namespace diastole::test {

class BackfillTest : public TargetTest {
 protected:
  [[nodiscard]] static ports::BackfillWork backfill(const std::string& table, const std::string& set = "name",
                                                    const std::string& where = "") {
    ports::BackfillWork work{
        .id = id("b"), .backfill = {}, .lock_timeout = Milliseconds{200}, .statement_timeout = Milliseconds{20'000}};
    work.backfill.table = table;
    work.backfill.set = {{"display_name", set}};
    work.backfill.where = where;
    return work;
  }

  // To the end of the pass, in batches of `rows`.
  ports::BackfillState run_pass(const ports::BackfillWork& work, int rows) {
    auto state = expect_ok(target_->backfill_begin(work));
    for (const int part : state.open_parts) {
      bool done = false;
      for (int batch = 0; !done && batch < 10'000 && !HasFailure(); ++batch)
        done = expect_ok(target_->backfill_batch(work, part, rows, {})).part_done;
      EXPECT_TRUE(done);
    }
    state = expect_ok(target_->backfill_begin(work));
    EXPECT_THAT(state.open_parts, ::testing::IsEmpty());
    return state;
  }

  void make_users(int rows) {
    run("CREATE TABLE users (id int PRIMARY KEY, name text, display_name text); INSERT INTO users SELECT n, 'n' || n "
        "FROM "
        "generate_series(1, " +
        std::to_string(rows) + ") n; ANALYZE users");
  }

  // A column that counts how often a row was updated.
  void count_updates(const std::string& table) {
    run("ALTER TABLE " + table +
        " ADD COLUMN updates int NOT NULL DEFAULT 0; "
        "CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updates := OLD.updates + 1; "
        "RETURN NEW; END $$; CREATE TRIGGER count_update BEFORE UPDATE ON " +
        table + " FOR EACH ROW EXECUTE FUNCTION count_update()");
  }
};

}  // namespace diastole::test
