// kill -9 of the process that runs a backfill, at random moments, 200 times in one backfill: the next one goes on at
// the very next batch, and each row is changed once.
//
// The process is this program again, with --backfill: a target and its batches without a daemon around, so that it is
// up again in a moment. tests/crash/kill.cpp does the same to whole plans. DIASTOLE_SEED repeats a run.
#include <gmock/gmock.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "support/process.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

constexpr int kKills = 200;
constexpr int kRows = 40'000;
constexpr int kBatchRows = 60;
constexpr const char* kOwner = "6a8c7f0e-0d43-4c38-9b5e-1f2f4a9f6d11";

ports::BackfillWork backfill_work(const std::string& walk, Epoch epoch) {
  ports::BackfillWork work{.id = {.plan = PlanId{"main.test"},
                                  .step = StepId{"copy"},
                                  .direction = ports::Direction::forward,
                                  .checksum = "sum",
                                  .epoch = epoch},
                           .backfill = {},
                           .lock_timeout = Milliseconds{1'000},
                           .statement_timeout = Milliseconds{20'000}};
  work.backfill.table = "people";
  work.backfill.set = {{"display_name", "name"}};
  work.backfill.walk_by = core::walk_by_from(walk);
  work.backfill.strides = 4;
  if (walk == "blocks") {
    work.backfill.where = "display_name IS NULL";
    work.backfill.verify = "zero_rows";
  }
  return work;
}

// What a daemon does that takes over: fence, settle, go on. Exits with 0 at the end of the pass.
int run_backfill(const std::string& dsn, const std::string& walk, std::int64_t epoch) {
  SilentLog log;
  const auto target = postgres::make_target(TargetName{"main"}, dsn, kOwner, log);
  const auto work = backfill_work(walk, Epoch{epoch});
  if (!target->prepare(work.id.epoch) || !target->settle(work.id, true)) return 2;
  const auto state = target->backfill_begin(work);
  if (!state) return 3;
  std::cout << "walks\n" << std::flush;
  for (const int part : state->open_parts) {
    for (;;) {
      const auto batch = target->backfill_batch(work, part, kBatchRows, {});
      if (!batch) return 4;
      if (batch->part_done) break;
    }
  }
  return 0;
}

class BackfillKillTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    run("CREATE TABLE people (id int PRIMARY KEY, name text, display_name text, touched int NOT NULL DEFAULT 0);"
        "INSERT INTO people SELECT n, 'name ' || n FROM generate_series(1, " +
        std::to_string(kRows) +
        ") n; ANALYZE people;"
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := OLD.touched + 1; "
        "RETURN NEW; END $$; CREATE TRIGGER touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch()");
  }
  void run(const std::string& sql) { pqxx::nontransaction(admin_).exec(sql); }
  [[nodiscard]] std::string value(const std::string& sql) {
    pqxx::nontransaction session(admin_);
    return session.exec(sql).at(0).at(0).as<std::string>("null");
  }
  [[nodiscard]] std::unique_ptr<Process> begin(int attempt) const {
    return std::make_unique<Process>(
        Command{.arguments = {"/proc/self/exe", "--backfill", dsn_, GetParam(), std::to_string(attempt)}});
  }

  const std::string dsn_ = fresh_database();
  pqxx::connection admin_{dsn_};
};

TEST_P(BackfillKillTest, GoesOnAtTheNextBatch) {
  const char* wanted = std::getenv("DIASTOLE_SEED");
  const unsigned seed = wanted ? static_cast<unsigned>(std::stoul(wanted)) : std::random_device{}();
  SCOPED_TRACE("DIASTOLE_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  int kills = 0;
  while (kills < kKills) {
    const auto process = begin(kills + 1);
    process->await_line([](const std::string& line) { return line == "walks"; });
    std::this_thread::sleep_for(std::chrono::microseconds{std::uniform_int_distribution<int>(0, 5'000)(random)});
    process->signal(SIGKILL);
    const auto status = process->wait(milliseconds{10'000});
    ASSERT_EQ(status, 128 + SIGKILL) << "after " << kills << " kills: " << process->err();
    ++kills;
  }
  ASSERT_NE(value("SELECT done FROM diastole.backfill_part"), "t") << "the kills must fall into one backfill";
  const auto last = begin(kills + 1);
  ASSERT_EQ(last->wait(milliseconds{60'000}), 0) << last->err();

  EXPECT_EQ(value("SELECT count(*) FROM people WHERE touched = 1"), std::to_string(kRows));
  EXPECT_EQ(value("SELECT md5(string_agg(display_name, ',' ORDER BY id)) FROM people"),
            value("SELECT md5(string_agg(name, ',' ORDER BY id)) FROM people"));
  EXPECT_EQ(value("SELECT sum(rows_changed) FROM diastole.backfill_part"), std::to_string(kRows));
}

INSTANTIATE_TEST_SUITE_P(Walks, BackfillKillTest, ::testing::Values("key", "blocks"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (arguments.size() == 5 && arguments[1] == "--backfill")
    return diastole::test::run_backfill(arguments[2], arguments[3], std::stoll(arguments[4]));
  return diastole::test::run_with_postgres(argc, argv);
}
