// kill -9 of the daemon at random moments of whole plans. Whatever it was doing, the next daemon finishes it, each row
// is changed once, and record, ledger and schema agree.
//
// DIASTOLE_KILLS is how often (20); DIASTOLE_SEED repeats a run.
#include <cstdlib>
#include <random>
#include <thread>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/core/machine.hpp"
#include "support/daemon.hpp"
#include "support/plans.hpp"

namespace diastole::test {
namespace {

constexpr int kRows = 20'000;

unsigned number_from(const char* variable, unsigned fallback) {
  const char* text = std::getenv(variable);
  return text ? static_cast<unsigned>(std::stoul(text)) : fallback;
}

// One instance of the new code that reports to whichever daemon there is.
class Reporter {
 public:
  explicit Reporter(const Daemon& daemon)
      : daemon_(daemon), thread_([this](const std::stop_token& stop) { report(stop); }) {}

 private:
  void report(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    const auto body = json{{"service", "api"}, {"instance", "one"}, {"version", "2.0.0"}}.dump();
    while (!stop.stop_requested()) {
      // A daemon that is just dead does not hear it; the next one will.
      (void)http::send("127.0.0.1", daemon_.port(),
                       {"POST",
                        "/v1/heartbeats",
                        {{"Authorization", "Bearer " + token_of("instance")}, {"Content-Type", "application/json"}},
                        body,
                        milliseconds{1'000}});
      std::unique_lock lock(mutex);
      never.wait_for(lock, stop, milliseconds{200}, [] { return false; });
    }
  }

  const Daemon& daemon_;
  std::jthread thread_;
};

json plan() {
  auto plan = rename("killed", "people");
  plan["fleet"] = json::array({{{"service", "api"}, {"version", ">=2.0.0"}}});
  return plan;
}

Daemon::Sections settings() {
  return {{"backfill", "{ min_rows: 50, batch_rows: 100, max_rows: 100 }"},
          {"fleet", "{ heartbeat: 1s, suspect_after: 1s }"}};
}

// The stored plan is what its events make of it, and none of them is missing.
void expect_record_is_whole(const Daemon& daemon) {
  pqxx::connection connection(daemon.state_dsn());
  pqxx::nontransaction session(connection);
  core::PlanState state;
  std::int64_t seq = 0;
  for (const auto& row : session.exec(
           "SELECT seq, kind, body, (extract(epoch FROM at) * 1000)::bigint FROM diastole.events ORDER BY id")) {
    ASSERT_EQ(row[0].as<std::int64_t>(), ++seq);
    const auto event = codec::event_from_json(row[1].c_str(), json::parse(row[2].c_str()));
    ASSERT_TRUE(event) << event.error().message;
    auto next = core::evolve(std::move(state), *event, WallTime{Milliseconds{row[3].as<std::int64_t>()}});
    ASSERT_TRUE(next) << next.error().message;
    state = std::move(*next);
  }
  const auto stored = json::parse(session.exec("SELECT state FROM diastole.plans").at(0)[0].c_str());
  EXPECT_EQ(codec::state_to_json(state), stored);
}

// Every step that the record calls done is in the target's ledger once, and nothing else is.
void expect_ledger_agrees(const Daemon& daemon, const json& view) {
  std::string expected;
  std::vector<std::string> done;
  for (const auto& step : view.at("steps")) {
    if (step.at("status") == "done") done.push_back(step.at("id"));
  }
  std::ranges::sort(done);
  for (const auto& id : done) expected += id + " done ";
  EXPECT_EQ(sql(daemon.main_dsn(),
                "SELECT string_agg(step || ' ' || state || ' ', '' ORDER BY step COLLATE \"C\") FROM diastole.ledger "
                "WHERE direction = 'forward'"),
            expected);
}

class KillTest : public ::testing::Test {
 protected:
  // Kills until the plan is over or `kills` is used up, then lets it come to its end; how often it killed. With
  // `abort`, asks for that after so many kills.
  int run(Daemon& daemon, int kills, std::optional<int> abort) {
    make_people(daemon.main_dsn(), "people", kRows);
    EXPECT_EQ(daemon.submit(plan()).status, 201);
    int killed = 0;
    while (killed < kills && goes_on(daemon)) {
      EXPECT_EQ(daemon.end(SIGKILL), 128 + SIGKILL);
      ++killed;
      daemon.start();
      if (abort && killed == *abort) (void)daemon.tell("killed", "abort");
    }
    return killed;
  }

  // Lets some more happen and a moment pass; whether the plan is still under way then.
  bool goes_on(Daemon& daemon) {
    const auto seen = daemon.get("/v1/plans/main.killed").body.at("seq").get<int>();
    const auto wanted = seen + std::uniform_int_distribution<int>(0, 5)(random_);
    const auto delay = std::uniform_int_distribution<int>(0, 100)(random_);
    daemon.await_event("killed", [&](const json& event) {
      return event.at("seq") >= wanted || event.at("kind") == "plan_aborted" ||
             (event.at("kind") == "phase_finished" && event.at("phase") == "contract");
    });
    const auto plan = daemon.get(fmt::format("/v1/plans/main.killed?until=completed&wait={}ms", delay)).body;
    return plan.at("stage") != "completed" && plan.at("stage") != "aborted";
  }

  const unsigned kills_ = number_from("DIASTOLE_KILLS", 20);
  const unsigned seed_ = number_from("DIASTOLE_SEED", std::random_device{}());
  std::mt19937 random_{seed_};
};

TEST_F(KillTest, APlanCompletesAsIfNothingHadHappened) {
  SCOPED_TRACE(fmt::format("DIASTOLE_SEED={}", seed_));
  Daemon undisturbed(settings());
  undisturbed.start();
  const Reporter undisturbed_reporter(undisturbed);
  EXPECT_EQ(run(undisturbed, 0, {}), 0);
  ASSERT_EQ(undisturbed.until("killed", "completed").at("stage"), "completed");
  const auto wanted = schema_of(undisturbed.main_dsn());

  for (int left = static_cast<int>(kills_); left > 0;) {
    Daemon daemon(settings());
    daemon.start();
    const Reporter reporter(daemon);
    left -= std::max(1, run(daemon, left, {}));
    const auto view = daemon.until("killed", "completed");
    ASSERT_EQ(view.at("stage"), "completed") << view;
    EXPECT_EQ(schema_of(daemon.main_dsn()), wanted);
    EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM people WHERE touched = 1 AND display_name = 'name ' || id"),
              fmt::to_string(kRows));
    expect_ledger_agrees(daemon, view);
    EXPECT_EQ(daemon.end(), 0);
    expect_record_is_whole(daemon);
  }
}

TEST_F(KillTest, AnAbortTakesBackWhatHadRun) {
  SCOPED_TRACE(fmt::format("DIASTOLE_SEED={}", seed_));
  for (int left = static_cast<int>(kills_) / 2; left > 0;) {
    Daemon daemon(settings());
    daemon.start();
    const Reporter reporter(daemon);
    const auto abort = std::uniform_int_distribution<int>(1, 6)(random_);
    left -= std::max(1, run(daemon, left, abort));
    // Where it was all over before its turn came.
    (void)daemon.tell("killed", "abort");
    const auto view = daemon.until("killed", "completed");
    ASSERT_TRUE(view.at("stage") == "aborted" || view.at("stage") == "completed") << view;
    if (view.at("stage") == "aborted") {
      EXPECT_EQ(sql(daemon.main_dsn(),
                    "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = "
                    "'people'::regclass AND attnum > 0 AND NOT attisdropped"),
                "id name touched");
      EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM pg_index WHERE indrelid = 'people'::regclass"), "1");
      EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM pg_constraint WHERE conrelid = 'people'::regclass"), "1");
    }
    EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM people"), fmt::to_string(kRows));
    EXPECT_EQ(sql(daemon.main_dsn(), "SELECT count(*) FROM people WHERE touched > 1"), "0");
    EXPECT_EQ(daemon.end(), 0);
    expect_record_is_whole(daemon);
  }
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
