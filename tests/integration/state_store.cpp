// diastoled's state in a real PostgreSQL: migrations, plans and events, the fleet, the lease.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "diastole/core/machine.hpp"
#include "diastole/postgres/state.hpp"
#include "support/postgres.hpp"

namespace diastole {
namespace {

using postgres::PgFleetStore;
using postgres::PgLease;
using postgres::PgPlanStore;
using postgres::StateDatabase;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const WallTime kAt = *parse_rfc3339("2026-11-22T13:19:39.250Z");

std::unique_ptr<StateDatabase> open_state(const std::string& dsn, std::size_t connections = 4) {
  auto opened = StateDatabase::open(dsn, connections);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}

// One value, asked by a session of its own.
std::string ask(const std::string& dsn, const std::string& sql) {
  pqxx::connection connection(dsn);
  pqxx::nontransaction session(connection);
  return session.exec(sql).at(0)[0].as<std::string>();
}

void run_sql(const std::string& dsn, const std::string& sql) {
  pqxx::connection connection(dsn);
  pqxx::nontransaction(connection).exec(sql);
}

// Ends every session of that name and waits until they are gone.
int terminate_sessions(const std::string& dsn, const std::string& application_name) {
  return std::stoi(
      ask(dsn, fmt::format("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                           " WHERE datname = current_database() AND application_name = '{}'",
                           application_name)));
}

core::Plan small_plan(const std::string& name) {
  core::Plan plan;
  plan.id = PlanId("main." + name);
  plan.name = name;
  plan.target = TargetName("main");
  plan.summary = "add a \"column\" to ünïcode";
  plan.hash = "sha256-" + std::string(64, 'a');
  core::Step step;
  step.id = StepId("add");
  step.path = "/expand/0";
  step.sql = "ALTER TABLE t ADD COLUMN c text";
  step.undo_sql = "ALTER TABLE t DROP COLUMN c";
  plan.steps.push_back(step);
  return plan;
}

// A plan and its events, as the engine drives them into the store.
class Drive {
 public:
  Drive(PgPlanStore& store, Epoch epoch) : store_(store), epoch_(epoch) {}

  Result<void> append(std::vector<core::Event> events, const std::function<Result<void>()>& guard = {}) {
    auto next = core::evolve(state_, events, kAt);
    if (!next) return std::unexpected(next.error());
    auto appended = store_.append(*next, events, kAt, epoch_, guard);
    if (appended) state_ = std::move(*next);
    return appended;
  }
  Result<void> submit(const std::string& name) { return append({core::PlanSubmitted{small_plan(name), "ci"}}); }

  [[nodiscard]] const core::PlanState& state() const { return state_; }

 private:
  PgPlanStore& store_;
  Epoch epoch_;
  core::PlanState state_;
};

class StateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dsn_ = test::fresh_database();
    database_ = open_state(dsn_);
    store_ = std::make_unique<PgPlanStore>(*database_);
    lease_ = std::make_unique<PgLease>(*database_);
    const auto epoch = lease_->acquire("first");
    ASSERT_TRUE(epoch) << epoch.error().message;
    epoch_ = *epoch;
  }

  [[nodiscard]] std::string events_in_database() const { return ask(dsn_, "SELECT count(*) FROM diastole.events"); }

  std::string dsn_;
  std::unique_ptr<StateDatabase> database_;
  std::unique_ptr<PgPlanStore> store_;
  std::unique_ptr<PgLease> lease_;
  Epoch epoch_;
};

TEST(StateMigrationTest, MakesAnEmptyDatabaseReadyAndFindsNothingToDoTheSecondTime) {
  const auto dsn = test::fresh_database();
  const auto owner = open_state(dsn)->owner();
  EXPECT_EQ(owner.size(), 36U);
  const std::string versions =
      "SELECT string_agg(version || name || applied_at, ',' ORDER BY version) FROM diastole.schema_version"
      " WHERE component = 'state'";
  const auto applied = ask(dsn, versions);
  EXPECT_THAT(applied, HasSubstr("1plans"));
  EXPECT_EQ(open_state(dsn)->owner(), owner);
  EXPECT_EQ(ask(dsn, versions), applied);
}

TEST(StateMigrationTest, RefusesASchemaNewerThanTheBinaryAndNamesBothVersions) {
  const auto dsn = test::fresh_database();
  open_state(dsn);
  run_sql(dsn, "INSERT INTO diastole.schema_version (component, version, name) VALUES ('state', 99, 'future')");
  const auto opened = StateDatabase::open(dsn, 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::conflict);
  EXPECT_THAT(opened.error().message, AllOf(HasSubstr("version 99"), HasSubstr("up to 2")));
}

TEST(StateMigrationTest, ANewerTargetComponentInTheSameDatabaseIsNotOurs) {
  const auto dsn = test::fresh_database();
  open_state(dsn);
  run_sql(dsn, "INSERT INTO diastole.schema_version (component, version, name) VALUES ('target', 99, 'future')");
  EXPECT_TRUE(StateDatabase::open(dsn, 1));
}

TEST(StateMigrationTest, ConcurrentStartsAllSucceedOnOneSchema) {
  const auto dsn = test::fresh_database();
  constexpr int kStarts = 6;
  std::latch together(kStarts);
  std::vector<std::string> owners(kStarts);
  {
    std::vector<std::jthread> starts;
    for (auto& owner : owners) {
      starts.emplace_back([&] {
        together.arrive_and_wait();
        const auto opened = StateDatabase::open(dsn, 1);
        owner = opened ? (*opened)->owner() : opened.error().message;
      });
    }
  }
  EXPECT_THAT(owners, ::testing::Each(ask(dsn, "SELECT owner FROM diastole.lease")));
}

TEST(StateMigrationTest, AReadOnlyDatabaseIsUnavailable) {
  const auto dsn = test::fresh_database();
  const auto name = ask(dsn, "SELECT current_database()");
  run_sql(dsn, "ALTER DATABASE " + name + " SET default_transaction_read_only = on");
  const auto opened = StateDatabase::open(dsn, 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
}

TEST_F(StateTest, WhatIsAppendedIsReadBack) {
  Drive plan(*store_, epoch_);
  ASSERT_TRUE(plan.append({core::PlanSubmitted{small_plan("one"), "ci"}, core::PlanPaused{"ops"}}));
  ASSERT_TRUE(plan.append({core::PlanResumed{"ops"}}));

  const auto loaded = store_->load(plan.state().plan.id);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*loaded, plan.state());
  EXPECT_EQ(loaded->seq, 3);

  const auto events = store_->events_after(plan.state().plan.id, 0, 10);
  ASSERT_TRUE(events) << events.error().message;
  ASSERT_EQ(events->size(), 3U);
  core::PlanState rebuilt;
  for (std::size_t i = 0; i < events->size(); ++i) {
    EXPECT_EQ((*events)[i].seq, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ((*events)[i].at, kAt);
    rebuilt = *core::evolve(std::move(rebuilt), (*events)[i].event, (*events)[i].at);
  }
  EXPECT_EQ(rebuilt, plan.state());
}

TEST_F(StateTest, EventsComeAfterTheCursorOfOnePlanOrOfAllUpToTheLimit) {
  Drive one(*store_, epoch_);
  Drive two(*store_, epoch_);
  ASSERT_TRUE(one.submit("one"));
  ASSERT_TRUE(two.submit("two"));
  ASSERT_TRUE(one.append({core::PlanPaused{"ops"}}));
  const auto all = *store_->events_after(std::nullopt, 0, 10);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].plan, two.state().plan.id);
  const auto ids = [](const std::vector<ports::StoredEvent>& events) {
    std::vector<std::int64_t> out(events.size());
    std::ranges::transform(events, out.begin(), &ports::StoredEvent::id);
    return out;
  };
  EXPECT_THAT(ids(*store_->events_after(std::nullopt, all[0].id, 10)), ElementsAre(all[1].id, all[2].id));
  EXPECT_THAT(ids(*store_->events_after(std::nullopt, 0, 2)), ElementsAre(all[0].id, all[1].id));
  EXPECT_THAT(ids(*store_->events_after(one.state().plan.id, all[0].id, 10)), ElementsAre(all[2].id));
  EXPECT_THAT(ids(*store_->events_after(std::nullopt, all[2].id, 10)), ElementsAre());
}

TEST_F(StateTest, ListsNewestFirstAndLeavesOutTheFinishedWhereAsked) {
  Drive aborted(*store_, epoch_);
  Drive running(*store_, epoch_);
  ASSERT_TRUE(aborted.submit("aborted"));
  ASSERT_TRUE(aborted.append({core::AbortRequested{"ops", "changed our mind"}, core::PlanAborted{}}));
  ASSERT_TRUE(running.submit("running"));
  run_sql(dsn_, "UPDATE diastole.plans SET submitted_at = submitted_at - interval '1 hour' WHERE name = 'aborted'");
  const auto all = store_->list(false);
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_THAT(*all, ElementsAre(running.state(), aborted.state()));
  EXPECT_THAT(*store_->list(true), ElementsAre(running.state()));
}

TEST_F(StateTest, APlanThatHasMovedOnIsAConflictAndNothingIsWritten) {
  Drive plan(*store_, epoch_);
  ASSERT_TRUE(plan.submit("one"));
  Drive late = plan;
  ASSERT_TRUE(plan.append({core::PlanPaused{"ops"}}));
  const auto stale = late.append({core::PlanPaused{"somebody else"}});
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::conflict);
  EXPECT_EQ(*store_->load(plan.state().plan.id), plan.state());
  EXPECT_EQ(events_in_database(), "2");
}

TEST_F(StateTest, TheFirstEventOfAPlanThatExistsIsAConflict) {
  ASSERT_TRUE(Drive(*store_, epoch_).submit("one"));
  const auto again = Drive(*store_, epoch_).submit("one");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_EQ(events_in_database(), "1");
}

TEST_F(StateTest, AFailingGuardLeavesNothingAndItsErrorIsTheAnswer) {
  Drive plan(*store_, epoch_);
  std::string seen_by_others;
  const auto refused = plan.append({core::PlanSubmitted{small_plan("one"), "ci"}}, [&]() -> Result<void> {
    seen_by_others = events_in_database();
    return fail(ErrorCode::conflict, "the gate has closed");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the gate has closed");
  EXPECT_EQ(seen_by_others, "0");
  EXPECT_EQ(events_in_database(), "0");
  EXPECT_EQ(store_->load(PlanId("main.one")).error().code, ErrorCode::not_found);
  EXPECT_TRUE(plan.submit("one"));
}

TEST_F(StateTest, AStaleOrMissingEpochIsFenced) {
  for (const Epoch epoch : {Epoch{epoch_.value - 1}, Epoch{epoch_.value + 1}, Epoch{0}}) {
    const auto fenced = Drive(*store_, epoch).submit("one");
    ASSERT_FALSE(fenced);
    EXPECT_EQ(fenced.error().code, ErrorCode::fenced) << epoch.value;
  }
  EXPECT_EQ(events_in_database(), "0");
}

// A reader that follows while eight append must see every event: an id may never become visible after a higher one.
TEST_F(StateTest, IdsAreInCommitOrderUnderConcurrentAppends) {
  constexpr int kWriters = 8;
  constexpr int kAppends = 20;
  const auto writers_database = open_state(dsn_, kWriters);
  PgPlanStore store(*writers_database);
  std::latch together(kWriters + 1);
  std::atomic<int> failures = 0;
  std::atomic<int> running = kWriters;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      together.arrive_and_wait();
      Drive plan(store, epoch_);
      if (!plan.submit(fmt::format("plan-{}", writer))) ++failures;
      for (int i = 1; i < kAppends; ++i) {
        const core::Event event = i % 2 == 1 ? core::Event{core::PlanPaused{"a"}} : core::Event{core::PlanResumed{"a"}};
        if (!plan.append({event})) ++failures;
      }
      --running;
    });
  }
  together.arrive_and_wait();
  std::map<PlanId, std::int64_t> last_seq;
  int seen = 0;
  int gaps = 0;
  std::int64_t cursor = 0;
  for (bool more = true; more;) {
    const bool writing = running > 0;  // before the read: what is committed by then must be in it
    const auto events = store_->events_after(std::nullopt, cursor, 1000);
    ASSERT_TRUE(events) << events.error().message;
    for (const auto& event : *events) {
      EXPECT_GT(event.id, cursor);
      cursor = event.id;
      if (event.seq != last_seq[event.plan] + 1) ++gaps;
      last_seq[event.plan] = event.seq;
      ++seen;
    }
    more = writing;
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(gaps, 0);
  EXPECT_EQ(seen, kWriters * kAppends);
}

TEST_F(StateTest, AConnectionCutAroundTheCommitIsOutcomeUnknownAndTheNextAppendWorks) {
  Drive plan(*store_, epoch_);
  const auto cut = plan.append({core::PlanSubmitted{small_plan("one"), "ci"}}, [&]() -> Result<void> {
    EXPECT_GE(terminate_sessions(dsn_, "diastole/state"), 1);
    return {};
  });
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::outcome_unknown);
  EXPECT_EQ(events_in_database(), "0");
  const auto again = plan.submit("one");
  EXPECT_TRUE(again) << again.error().message;
}

// No timeout of the server's ends the wait for a synchronous standby.
TEST_F(StateTest, ACommitThatIsNotAnsweredIsOutcomeUnknownAndMayHaveHappened) {
  run_sql(dsn_, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  run_sql(dsn_, "SELECT pg_reload_conf()");
  Drive plan(*store_, epoch_);
  auto hanging = plan.submit("one");
  // Until the server has taken the setting over.
  for (int i = 0; hanging && i < 1'000; ++i) {
    hanging = plan.append({core::PlanPaused{"ops"}, core::PlanResumed{"ops"}});
  }
  run_sql(dsn_, "ALTER SYSTEM RESET synchronous_standby_names");
  run_sql(dsn_, "SELECT pg_reload_conf()");
  terminate_sessions(dsn_, "diastole/state");

  ASSERT_FALSE(hanging);
  EXPECT_EQ(hanging.error().code, ErrorCode::outcome_unknown);
  const auto loaded = store_->load(PlanId("main.one"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_GT(loaded->seq, plan.state().seq);
}

TEST_F(StateTest, IdleSessionsThatWereCutAreReplacedUnnoticed) {
  ASSERT_TRUE(Drive(*store_, epoch_).submit("one"));
  ASSERT_GE(terminate_sessions(dsn_, "diastole/state"), 1);
  const auto loaded = store_->load(PlanId("main.one"));
  EXPECT_TRUE(loaded) << loaded.error().message;
}

TEST_F(StateTest, AWaitForTheLeaseRowEndsAsUnavailable) {
  pqxx::connection other(dsn_);
  pqxx::work holder(other);
  holder.exec("SELECT FROM diastole.lease FOR UPDATE");
  const auto begin = std::chrono::steady_clock::now();
  const auto waited = Drive(*store_, epoch_).submit("one");
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
  holder.abort();
  EXPECT_TRUE(Drive(*store_, epoch_).submit("one"));
}

TEST_F(StateTest, ADeadDatabaseIsUnavailableAndOneThatIsBackWorks) {
  Drive plan(*store_, epoch_);
  ASSERT_TRUE(plan.submit("one"));
  ASSERT_TRUE(test::cluster().kill_immediate());
  const auto refused = plan.append({core::PlanPaused{"ops"}});
  const auto unread = store_->load(plan.state().plan.id);
  const auto unheld = lease_->check();
  ASSERT_TRUE(test::cluster().start_again());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().code, ErrorCode::unavailable);
  ASSERT_FALSE(unheld);
  EXPECT_EQ(unheld.error().code, ErrorCode::unavailable);
  EXPECT_EQ(lease_->epoch(), Epoch{0});

  EXPECT_EQ(*store_->load(plan.state().plan.id), plan.state());
  const auto held = lease_->check();
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_GT(lease_->epoch(), epoch_);
  EXPECT_EQ(plan.append({core::PlanPaused{"ops"}}).error().code, ErrorCode::fenced);
}

ports::InstanceRecord member(const std::string& instance, const std::string& version,
                             const std::string& incarnation = "boot \"1\"") {
  return {.service = ServiceName("api"),
          .instance = InstanceId(instance),
          .incarnation = incarnation,
          .version = version,
          .last_seen = kAt};
}

TEST_F(StateTest, TheFleetIsUpsertedAndTheGoneAreDeleted) {
  PgFleetStore fleet(*database_);
  auto left = member("c", "1.0.0");
  ASSERT_TRUE(fleet.flush(std::vector{member("b", "1.0.0"), member("a", "1.0.0"), left}, false));
  left.gone = true;
  left.gone_reason = "signed off, \"so\" it said";
  auto a = member("a", "2.0.0");
  a.sequence = 7;
  a.silent = true;
  a.listed_by = {"pods", "a, \"b\" {c}"};
  const auto flushed = fleet.flush(std::vector{member("a", "1.5.0"), a, left}, false);
  ASSERT_TRUE(flushed) << flushed.error().message;
  ASSERT_TRUE(fleet.flush({}, false));

  const auto loaded = fleet.load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& members = loaded->members;
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].instance, InstanceId("a"));
  EXPECT_EQ(members[0].version, "2.0.0");
  EXPECT_EQ(members[0].incarnation, "boot \"1\"");
  EXPECT_EQ(members[0].sequence, 7);
  EXPECT_TRUE(members[0].silent);
  EXPECT_EQ(members[0].listed_by, a.listed_by);
  EXPECT_EQ(members[0].last_seen, kAt);
  EXPECT_EQ(members[1].instance, InstanceId("b"));
  EXPECT_FALSE(members[1].sequence);
  EXPECT_FALSE(members[1].silent);
  EXPECT_FALSE(members[1].gone);
  EXPECT_FALSE(loaded->age);
  EXPECT_EQ(ask(dsn_, "SELECT instance || ' ' || version || ' ' || reason FROM diastole.departures"),
            "c 1.0.0 signed off, \"so\" it said");
}

TEST_F(StateTest, AMemberIsItsIncarnationAndItsSource) {
  PgFleetStore fleet(*database_);
  auto polled = member("a", "3.0.0", "");
  polled.source = core::Source::poll;
  ASSERT_TRUE(fleet.flush(std::vector{member("a", "1.0.0", "p1"), member("a", "2.0.0", ""), polled}, false));
  auto gone = member("a", "1.0.0", "p1");
  gone.gone = true;
  ASSERT_TRUE(fleet.flush(std::vector{gone}, false));
  const auto members = fleet.load()->members;
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].source, core::Source::heartbeat);
  EXPECT_EQ(members[1].source, core::Source::poll);
  EXPECT_EQ(members[1].version, "3.0.0");
  EXPECT_EQ(ask(dsn_, "SELECT count(*) FROM diastole.departures"), "0");
}

// The stamp may only claim what had been collected: the time at which the complete flush before began.
TEST_F(StateTest, TheRecordIsAsOldAsTheFlushBeforeTheLastCompleteOne) {
  PgFleetStore fleet(*database_);
  ASSERT_TRUE(fleet.flush({}, true));
  EXPECT_FALSE(fleet.load()->age) << "nothing is known of what was before the first";
  const auto loaded = ask(dsn_, "SELECT now()");
  ASSERT_TRUE(fleet.flush(std::vector{member("a", "1.0.0")}, false));
  EXPECT_FALSE(fleet.load()->age);
  const auto again = ask(dsn_, "SELECT now()");
  ASSERT_TRUE(fleet.flush({}, true));
  EXPECT_EQ(ask(dsn_, fmt::format("SELECT as_of BETWEEN '{}' AND '{}' FROM diastole.fleet_record", loaded, again)),
            "t");
  run_sql(dsn_, "UPDATE diastole.fleet_record SET as_of = now() - interval '90 s'");
  const auto age = fleet.load()->age;
  ASSERT_TRUE(age);
  EXPECT_GE(*age, Milliseconds{90'000});
  EXPECT_LT(*age, Milliseconds{150'000});
  run_sql(dsn_, "UPDATE diastole.fleet_record SET as_of = now() + interval '1 h'");
  EXPECT_FALSE(fleet.load()->age) << "a clock that was set back";
}

TEST_F(StateTest, ANameThatCannotBeStoredDoesNotKeepTheOthersFromIt) {
  PgFleetStore fleet(*database_);
  ASSERT_TRUE(fleet.flush(
      std::vector{member("a", std::string("1.\0.\xff", 5)), member("ünïcode", "back\\slash"), member("b", "2.0.0")},
      false));
  const auto members = fleet.load()->members;
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].version, "1.?.\uFFFD");
  EXPECT_EQ(members[2].version, "back\\slash");
}

TEST_F(StateTest, AFleetOfMoreThanAPageIsReadWhole) {
  PgFleetStore fleet(*database_);
  std::vector<ports::InstanceRecord> all;
  for (int i = 0; i < 50'001; ++i) all.push_back(member(fmt::format("{:06}", i), "1.0.0"));
  ASSERT_TRUE(fleet.flush(all, true));
  const auto members = fleet.load()->members;
  ASSERT_EQ(members.size(), all.size());
  EXPECT_EQ(members.back().instance, InstanceId("050000"));
}

TEST_F(StateTest, ALeaseThatIsHeldIsRefusedToAnotherAndNamesTheHolder) {
  PgLease other(*database_);
  const auto refused = other.acquire("second");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("first"), HasSubstr(" since 2")));
  EXPECT_EQ(other.epoch(), Epoch{0});
  EXPECT_EQ(*lease_->acquire("first"), epoch_);
  EXPECT_TRUE(lease_->check());
  EXPECT_EQ(lease_->epoch(), epoch_);
}

TEST_F(StateTest, ALostLeaseIsNoticedRegainedHigherAndTheOldEpochIsFenced) {
  ASSERT_EQ(terminate_sessions(dsn_, "diastole/lease"), 1);
  EXPECT_FALSE(lease_->check());
  EXPECT_EQ(lease_->epoch(), Epoch{0});
  const auto regained = lease_->check();
  ASSERT_TRUE(regained) << regained.error().message;
  EXPECT_GT(lease_->epoch(), epoch_);
  EXPECT_EQ(Drive(*store_, epoch_).submit("one").error().code, ErrorCode::fenced);
  EXPECT_TRUE(Drive(*store_, lease_->epoch()).submit("one"));
}

TEST_F(StateTest, ALostLeaseThatAnotherHasTakenIsNotRegained) {
  ASSERT_EQ(terminate_sessions(dsn_, "diastole/lease"), 1);
  PgLease other(*database_);
  const auto taken = other.acquire("second");
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_GT(*taken, epoch_);
  EXPECT_FALSE(lease_->check());
  const auto again = lease_->check();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_THAT(again.error().message, HasSubstr("second"));
  EXPECT_EQ(lease_->epoch(), Epoch{0});
}

TEST_F(StateTest, AnEpochRaisedOverOursEndsTheLease) {
  run_sql(dsn_, "UPDATE diastole.lease SET epoch = epoch + 5");
  const auto checked = lease_->check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::fenced);
  EXPECT_EQ(lease_->epoch(), Epoch{0});
}

TEST(StateErrorTest, ConnectionErrorsSayWhatIsWrongButNotWhereOrWho) {
  const auto socket = test::cluster().dsn("no_such_database");
  const std::vector<std::pair<std::string, std::string>> cases{
      {"postgresql://app_owner:s3cret@127.0.0.1:1/orders", "connection refused"},
      {"postgresql://app_owner:s3cret@no-such-host.invalid/orders", "does not resolve"},
      {"host=/no/such/dir user=app_owner password=s3cret dbname=orders", "connection refused"},
      {"postgresql://app_owner:s3cret@127.0.0.1:port/orders", "invalid setting"},
      {"app_owner s3cret orders", "DSN is neither"},
      {socket, "does not exist"},
      {socket + " user=app_owner password=s3cret", "does not exist"},
  };
  for (const auto& [dsn, says] : cases) {
    const auto opened = StateDatabase::open(dsn, 1);
    ASSERT_FALSE(opened) << says;
    EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
    EXPECT_THAT(opened.error().message, AllOf(HasSubstr("cannot connect to the state database"), HasSubstr(says)));
    for (const auto* part : {"app_owner", "s3cret", "orders", "127.0.0.1", "no-such", "/no/such", "/tmp", "no_such"}) {
      EXPECT_THAT(opened.error().message, Not(HasSubstr(part)));
    }
  }
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
