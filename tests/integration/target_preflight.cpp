// What stands in a phase's way, each with what would clear it.
#include <gmock/gmock.h>

#include "support/target.hpp"

namespace diastole {
namespace {

using core::Reason;
using core::ReasonKind;
using test::OpenTransaction;
using ::testing::HasSubstr;

class PreflightTest : public test::TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE other (id int); INSERT INTO users VALUES (1, "
        "'a')");
  }
  [[nodiscard]] static core::Step step(const std::string& sql, const std::string& kind,
                                       const std::vector<std::string>& tables) {
    core::Step step;
    step.id = StepId{"s"};
    core::Statement statement;
    statement.sql = sql;
    statement.kind = kind;
    for (const auto& table : tables) statement.touches.push_back({.relation = table});
    step.statements = {statement};
    return step;
  }
  [[nodiscard]] static core::Step alter(const std::string& table) {
    return step("ALTER TABLE " + table + " ADD COLUMN x int", "ALTER TABLE", {table});
  }
  [[nodiscard]] static core::Step backfill(const std::string& table) {
    core::Step step;
    step.id = StepId{"b"};
    step.backfill.emplace();
    step.backfill->table = table;
    step.backfill->set = {{"name", "'x'"}};
    return step;
  }

  [[nodiscard]] static ports::PreflightRequest request(std::vector<core::Step> steps) {
    return {.phase = core::Phase::expand,
            .steps = std::move(steps),
            .created = {},
            .ledger_plan = "main.test",
            .long_transaction = Milliseconds{200}};
  }
  [[nodiscard]] std::vector<Reason> look(std::vector<core::Step> steps) {
    return expect_ok(target_->preflight(request(std::move(steps))));
  }
  Reason only(const std::vector<Reason>& reasons, ReasonKind kind) {
    EXPECT_EQ(reasons.size(), 1U);
    if (reasons.size() != 1) return {};
    EXPECT_EQ(to_string(reasons[0].kind), to_string(kind));
    EXPECT_FALSE(reasons[0].message.empty());
    EXPECT_FALSE(reasons[0].clears.empty());
    return reasons[0];
  }

  // Until the transaction of `pid` is older than the request's limit.
  void await_age(int pid) {
    EXPECT_TRUE(test::eventually([&] {
      return value("SELECT clock_timestamp() - xact_start > interval '250 ms' FROM pg_stat_activity WHERE pid = " +
                   std::to_string(pid)) == "t";
    }));
  }
};

TEST_F(PreflightTest, CleanIsEmpty) {
  EXPECT_TRUE(look({alter("users"), backfill("users")}).empty());
}

TEST_F(PreflightTest, AMissingTableIsNamedUnlessThePlanMakesIt) {
  EXPECT_EQ(only(look({alter("app.missing")}), ReasonKind::relation_missing).object, "app.missing");
  auto create = step("CREATE TABLE missing ()", "CREATE TABLE", {});
  create.statements[0].creates = {"missing"};
  EXPECT_TRUE(look({create, alter("missing")}).empty());
  EXPECT_EQ(look({alter("missing"), create}).size(), 1U);
  auto later_phase = request({alter("missing")});
  later_phase.created = {"missing"};
  EXPECT_TRUE(expect_ok(target_->preflight(later_phase)).empty());
}

TEST_F(PreflightTest, ALongTransactionOnTheTableIsNamed) {
  const OpenTransaction idle(dsn_ + " application_name=report", "SELECT * FROM users");
  const OpenTransaction elsewhere(dsn_, "SELECT * FROM other");
  await_age(elsewhere.pid());
  const auto reason = only(look({alter("users")}), ReasonKind::long_transaction);
  EXPECT_EQ(reason.pid, idle.pid());
  EXPECT_EQ(reason.object, "users");
  EXPECT_EQ(reason.query, "SELECT * FROM users");
  EXPECT_GE(reason.age, Milliseconds{200});
  EXPECT_TRUE(reason.since.has_value());
  EXPECT_THAT(reason.message, HasSubstr("report"));
  run("SELECT " + reason.clears.substr(reason.clears.find("pg_terminate_backend")));
  EXPECT_TRUE(test::eventually([&] { return look({alter("users")}).empty(); }));
}

TEST_F(PreflightTest, AYoungTransactionIsNoObstacle) {
  const OpenTransaction young(dsn_, "SELECT * FROM users");
  auto patient = request({alter("users")});
  patient.long_transaction = std::chrono::minutes{5};
  EXPECT_TRUE(expect_ok(target_->preflight(patient)).empty());
}

TEST_F(PreflightTest, ALongTransactionOnAPartitionCounts) {
  run("CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts FOR VALUES IN (1)");
  const OpenTransaction idle(dsn_, "SELECT * FROM part");
  await_age(idle.pid());
  EXPECT_EQ(only(look({alter("parts")}), ReasonKind::long_transaction).pid, idle.pid());
}

TEST_F(PreflightTest, ADroppedIndexConcernsItsTable) {
  run("CREATE INDEX idx ON users (name)");
  const OpenTransaction idle(dsn_, "SELECT * FROM users");
  await_age(idle.pid());
  auto drop = step("DROP INDEX CONCURRENTLY idx", "DROP INDEX CONCURRENTLY", {});
  drop.statements[0].index = "idx";
  EXPECT_EQ(only(look({drop}), ReasonKind::long_transaction).pid, idle.pid());
}

TEST_F(PreflightTest, APreparedTransactionIsNamed) {
  run("BEGIN; UPDATE users SET name = 'b'; PREPARE TRANSACTION 'two-phase'");
  const auto reason = only(look({alter("users")}), ReasonKind::prepared_transaction);
  EXPECT_EQ(reason.object, "users");
  EXPECT_THAT(reason.clears, HasSubstr("ROLLBACK PREPARED 'two-phase'"));
  // One that is old is in the way of CONCURRENTLY and of vacuum, whatever it has locked.
  EXPECT_TRUE(test::eventually([&] { return look({alter("other")}).size() == 1; }));
  run("ROLLBACK PREPARED 'two-phase'");
  EXPECT_TRUE(look({alter("users")}).empty());
}

TEST_F(PreflightTest, AnInvalidIndexIsNamedUnlessItIsOurs) {
  run("INSERT INTO users VALUES (2, 'a')");
  EXPECT_THROW(run("CREATE UNIQUE INDEX CONCURRENTLY broken ON users (name)"), pqxx::sql_error);
  const auto reason = only(look({alter("users")}), ReasonKind::invalid_index);
  EXPECT_EQ(reason.object, "broken");
  EXPECT_TRUE(look({alter("other")}).empty());
  // A step that removes it is the cure.
  auto drop = step("DROP INDEX CONCURRENTLY broken", "DROP INDEX CONCURRENTLY", {});
  drop.statements[0].index = "broken";
  EXPECT_TRUE(look({drop}).empty());

  run("DROP INDEX broken");
  const auto ours = outside("i", "CREATE UNIQUE INDEX CONCURRENTLY broken ON users (name)", "broken");
  expect_error(target_->execute_concurrently(ours, {}), ErrorCode::invalid_argument);
  EXPECT_TRUE(look({alter("users")}).empty());
  auto other_plan = request({alter("users")});
  other_plan.ledger_plan = "main.other";
  EXPECT_EQ(expect_ok(target_->preflight(other_plan)).size(), 1U);
}

TEST_F(PreflightTest, ABackfillNeedsAPrimaryKey) {
  EXPECT_EQ(only(look({backfill("other")}), ReasonKind::no_usable_key).object, "other");
}

TEST_F(PreflightTest, MissingPrivilegesAreNamedWithTheirGrant) {
  run("CREATE ROLE weak LOGIN; GRANT pg_read_all_stats TO weak; GRANT USAGE ON SCHEMA diastole TO weak; "
      "GRANT SELECT ON ALL TABLES IN SCHEMA diastole TO weak");
  const auto weak = postgres::make_target(TargetName{"main"}, dsn_ + " user=weak", kOwner, log_);
  const auto look_weakly = [&](std::vector<core::Step> steps) {
    return expect_ok(weak->preflight(request(std::move(steps))));
  };

  EXPECT_EQ(only(look_weakly({alter("users")}), ReasonKind::privilege_missing).object, "users");
  EXPECT_THAT(only(look_weakly({backfill("users")}), ReasonKind::privilege_missing).clears,
              HasSubstr("GRANT SELECT, UPDATE"));
  auto create = step("CREATE TABLE fresh ()", "CREATE TABLE", {});
  create.statements[0].creates = {"fresh"};
  EXPECT_EQ(only(look_weakly({create}), ReasonKind::privilege_missing).object, "\"public\"");
  run("REVOKE pg_read_all_stats FROM weak");
  EXPECT_EQ(only(look_weakly({}), ReasonKind::privilege_missing).object, "pg_read_all_stats");

  run("GRANT pg_read_all_stats TO weak; GRANT SELECT, UPDATE (name) ON users TO weak; GRANT CREATE ON SCHEMA public TO "
      "weak");
  EXPECT_TRUE(look_weakly({backfill("users"), create}).empty());
  run("ALTER TABLE users OWNER TO weak");
  EXPECT_TRUE(look_weakly({alter("users")}).empty());
  run("REASSIGN OWNED BY weak TO CURRENT_USER; DROP OWNED BY weak; DROP ROLE weak");
}

TEST_F(PreflightTest, AReadOnlyTargetIsTheOnlyReason) {
  run("ALTER DATABASE " + value("SELECT quote_ident(current_database())") + " SET default_transaction_read_only = on");
  const auto fresh = another_target();
  only(expect_ok(fresh->preflight(request({alter("missing")}))), ReasonKind::target_read_only);
  only(expect_ok(fresh->preflight(request({alter("users")}))), ReasonKind::target_read_only);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
