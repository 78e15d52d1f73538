// Quarantine on a target: what will be dropped has another name for a while, and its own back before it goes.
#include <gmock/gmock.h>

#include <future>

#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::Doomed;
using ports::GateWork;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kTables =
    "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'none' CHECK (name <> ''), mail text); "
    "CREATE INDEX users_name ON users (name); INSERT INTO users SELECT n, 'n' || n FROM generate_series(1, 100) n; "
    "CREATE TABLE legacy (id serial PRIMARY KEY, note text); INSERT INTO legacy (note) VALUES ('kept')";

class QuarantineTest : public TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run(kTables);
    expect_ok(target_->keep_out(gate({})));
  }

  [[nodiscard]] static Doomed doomed(const std::string& step, const std::string& table,
                                     const std::string& column = {}) {
    return {.step = StepId{step}, .table = table, .column = column};
  }
  [[nodiscard]] static GateWork gate(std::vector<Doomed> doomed, std::int64_t epoch = 1) {
    return {.plan = PlanId{"main.test"},
            .gate_epoch = epoch,
            .epoch = Epoch{1},
            .roles = {},
            .doomed = std::move(doomed),
            .lock_timeout = Milliseconds{500},
            .statement_timeout = Milliseconds{10'000}};
  }
  [[nodiscard]] std::string conflict(const GateWork& work) {
    return expect_error(target_->quarantine(work, {}), ErrorCode::conflict).failure.message;
  }
  [[nodiscard]] std::int64_t rows() { return count("SELECT count(*) FROM diastole.quarantine"); }
  [[nodiscard]] std::string columns(const std::string& table) {
    return value("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '" + table +
                 "'::regclass AND attnum > 0 AND NOT attisdropped");
  }
  [[nodiscard]] std::string refusal(const std::string& sql) {
    try {
      run(sql);
    } catch (const pqxx::sql_error& error) {
      return error.sqlstate();
    }
    return "none";
  }

  const std::string today_ = value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')");
};

TEST_F(QuarantineTest, RenamesAndGivesBackWithAllThatBelongsToIt) {
  const auto work = gate({doomed("drop-name", "users", "name"), doomed("drop-legacy", "public.legacy")});
  const auto renamed = expect_ok(target_->quarantine(work, {}));
  EXPECT_THAT(renamed, ElementsAre("users.\"name\" → name__dropped_" + today_ + "_test",
                                   "public.legacy → legacy__dropped_" + today_ + "_test"));
  EXPECT_EQ(refusal("SELECT name FROM users"), "42703") << "old code fails at once";
  EXPECT_EQ(refusal("SELECT * FROM legacy"), "42P01");
  EXPECT_EQ(refusal("INSERT INTO users (id, mail) VALUES (101, 'm')"), "none") << "new code does not";
  EXPECT_EQ(expect_ok(target_->quarantine(work, {})), renamed) << "again is no harm";
  EXPECT_EQ(rows(), 2);
  const auto scan = expect_ok(target_->sessions({.plan = work.plan, .roles = {}}));
  ASSERT_TRUE(scan.quarantined_for);
  EXPECT_LT(*scan.quarantined_for, Milliseconds{60'000});
  EXPECT_FALSE(expect_ok(target_->sessions({.plan = PlanId{"main.other"}, .roles = {}})).quarantined_for);

  expect_ok(target_->let_in(work, {}));
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(columns("users"), "id name mail");
  EXPECT_EQ(count("SELECT count(*) FROM users WHERE name = 'n' || id"), 100);
  EXPECT_EQ(value("SELECT name FROM users WHERE id = 101"), "none");
  EXPECT_EQ(refusal("INSERT INTO users VALUES (102, '')"), "23514");
  EXPECT_THAT(value("SELECT indexdef FROM pg_indexes WHERE indexname = 'users_name'"), HasSubstr("(name)"));
  EXPECT_EQ(value("INSERT INTO legacy (note) VALUES ('more') RETURNING id"), "2");
  // The epoch is over.
  expect_error(target_->quarantine(work, {}), ErrorCode::conflict);
}

TEST_F(QuarantineTest, TheStepThatDropsGivesTheNameBackInItsTransaction) {
  const auto work = gate({doomed("drop-name", "users", "name"), doomed("drop-legacy", "legacy")});
  expect_ok(target_->quarantine(work, {}));
  // One that fails leaves it in quarantine.
  expect_error(target_->execute(statements("drop-name", {"ALTER TABLE users DROP COLUMN name", "SELECT 1 / 0"}), {}),
               ErrorCode::invalid_argument);
  EXPECT_EQ(refusal("SELECT name FROM users"), "42703");
  EXPECT_EQ(rows(), 2);
  expect_ok(target_->execute(statements("drop-name", {"ALTER TABLE users DROP COLUMN name"}), {}));
  EXPECT_EQ(columns("users"), "id mail");
  EXPECT_EQ(rows(), 1);
  EXPECT_EQ(refusal("SELECT FROM legacy"), "42P01");
  expect_ok(target_->execute(statements("drop-legacy", {"DROP TABLE legacy"}), {}));
  EXPECT_EQ(rows(), 0);
  EXPECT_TRUE(expect_ok(target_->execute(statements("drop-legacy", {"DROP TABLE legacy"}), {})).was_done);
}

// An earlier step's statements mean the relation by its own name.
TEST_F(QuarantineTest, AStepThatTouchesWhatALaterOneDropsFindsIt) {
  expect_ok(target_->quarantine(gate({doomed("drop-legacy", "legacy")}), {}));
  auto work = statements("empty", {"DELETE FROM legacy"});
  work.statements[0].touches.push_back({.relation = "legacy"});
  expect_ok(target_->execute(work, {}));
  expect_ok(target_->execute(statements("drop-legacy", {"DROP TABLE legacy"}), {}));
}

TEST_F(QuarantineTest, AColumnOfATableThatGoesItselfStaysAsItIs) {
  const auto renamed = expect_ok(target_->quarantine(gate({doomed("a", "users", "name"), doomed("b", "users")}), {}));
  EXPECT_THAT(renamed, ElementsAre(StartsWith("users → ")));
  EXPECT_EQ(columns("users__dropped_" + today_ + "_test"), "id name mail");
}

TEST_F(QuarantineTest, WhatIsNamedTwiceIsRenamedOnce) {
  const auto work = gate({doomed("a", "users", "name"), doomed("b", "public.users", "name")});
  EXPECT_EQ(expect_ok(target_->quarantine(work, {})).size(), 1U);
  EXPECT_EQ(conflict(gate({doomed("c", "users", "nothing")})),
            "nothing of users cannot be put into quarantine: it does "
            "not exist");
  EXPECT_THAT(conflict(gate({doomed("c", "nowhere")})), HasSubstr("nowhere cannot be put into quarantine"));
}

TEST_F(QuarantineTest, NamesAreQuotedAndTakenOnesPassedBy) {
  run(R"(CREATE SCHEMA "Sch"; CREATE TABLE "Sch"."Wei""rd" (id int, "der Ärger" text, free text))");
  const auto taken = "free__dropped_" + today_ + "_test";
  run("ALTER TABLE \"Sch\".\"Wei\"\"rd\" ADD COLUMN " + taken + " int");
  const auto work = gate({doomed("a", R"("Sch"."Wei""rd")", "der Ärger"), doomed("b", R"("Sch"."Wei""rd")", "free")});
  EXPECT_THAT(expect_ok(target_->quarantine(work, {})),
              ElementsAre(R"("Sch"."Wei""rd"."der Ärger" → der Ärger__dropped_)" + today_ + "_test",
                          R"("Sch"."Wei""rd"."free" → )" + taken + "_2"));
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(columns(R"("Sch"."Wei""rd")"), "id der Ärger free " + taken);
}

TEST_F(QuarantineTest, PartitionsFollow) {
  run("CREATE TABLE log (id int, note text) PARTITION BY RANGE (id); CREATE TABLE log_1 PARTITION OF log FOR VALUES "
      "FROM "
      "(0) TO (10); INSERT INTO log VALUES (1, 'x')");
  const auto work = gate({doomed("a", "log", "note")});
  expect_ok(target_->quarantine(work, {}));
  EXPECT_EQ(columns("log_1"), "id note__dropped_" + today_ + "_test");
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(columns("log_1"), "id note");
}

struct Follower {
  const char* name;
  const char* sql;
  const char* column;  // of users that is doomed; empty: the table
  const char* says;    // empty: quarantine is no harm to it
};

constexpr Follower kFollowers[] = {
    Follower{"View", "CREATE VIEW names AS SELECT name FROM users", "name", "view public.names"},
    Follower{"ViewOfAnotherColumn", "CREATE VIEW mails AS SELECT mail FROM users", "name", ""},
    Follower{"ViewOfTheTable", "CREATE VIEW mails AS SELECT mail FROM users", "", "view public.mails"},
    Follower{"MaterializedView", "CREATE MATERIALIZED VIEW names AS SELECT name FROM users", "name",
             "materialized view public.names"},
    Follower{"Rule", "CREATE RULE keep AS ON DELETE TO users DO ALSO INSERT INTO legacy (note) VALUES (OLD.name)",
             "name", "rule keep of public.users"},
    Follower{"RuleOfTheTablesOwn", "CREATE RULE keep AS ON DELETE TO users DO INSTEAD NOTHING", "", ""},
    Follower{"Function", "CREATE FUNCTION f(i int) RETURNS text LANGUAGE sql AS 'SELECT name FROM users WHERE id = i'",
             "name", "function public.f(integer), by its text"},
    Follower{"FunctionOfAnotherColumn", "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT mail FROM users'",
             "name", ""},
    Follower{"Procedure", "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN DELETE FROM users WHERE id = 1; END'", "",
             "function public.p(), by its text"},
    Follower{"StandardBody",
             "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(name) FROM users; END", "name",
             "function public.f()"},
    Follower{"FunctionOfTheRowType", "CREATE FUNCTION f(u users) RETURNS int LANGUAGE sql AS 'SELECT 1'", "",
             "function public.f(users)"},
    Follower{"TriggerUpdateOf",
             "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER "
             "watch BEFORE UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION g()",
             "name", "trigger watch of public.users"},
    Follower{"TriggerWhen",
             "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER "
             "watch BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION g()",
             "name", "trigger watch of public.users"},
    Follower{"TriggerFunction",
             "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.mail := NEW.\"name\"; RETURN NEW; "
             "END'; CREATE TRIGGER watch BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION g()",
             "name", "function g() of trigger watch of users"},
    Follower{"TriggerArgument",
             "ALTER TABLE users ADD found tsvector; CREATE TRIGGER search BEFORE UPDATE ON users FOR EACH ROW EXECUTE "
             "FUNCTION tsvector_update_trigger(found, 'pg_catalog.english', mail, name)",
             "name", "of trigger search of users"},
    Follower{"TriggerOfOtherColumns",
             "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.mail := NEW.surname; RETURN NEW; "
             "END'; CREATE TRIGGER watch BEFORE UPDATE OF mail ON users FOR EACH ROW EXECUTE FUNCTION g()",
             "name", ""},
    Follower{"TriggerOfTheTable",
             "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER "
             "watch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION g()",
             "", ""},
    Follower{"GeneratedColumn", "ALTER TABLE users ADD upper text GENERATED ALWAYS AS (upper(name)) STORED", "name",
             "generated column upper of public.users"},
    Follower{"Policy", "CREATE POLICY own ON users USING (name = current_user)", "name", "policy own of public.users"},
    Follower{"PolicyOfAnotherTable", "CREATE POLICY own ON legacy USING (EXISTS (SELECT FROM users))", "",
             "policy own of public.legacy"},
    Follower{"Publication", "CREATE PUBLICATION p FOR TABLE users", "name", "publication p"},
    Follower{"PublicationOfColumns", "CREATE PUBLICATION p FOR TABLE users (id, name)", "name", "publication p"},
    Follower{"PublicationOfOtherColumns", "CREATE PUBLICATION p FOR TABLE users (id, mail)", "name", ""},
    Follower{"PublicationOfAll", "CREATE PUBLICATION p FOR ALL TABLES", "", "publication p"},
    Follower{"ChildsView", "CREATE TABLE admins () INHERITS (users); CREATE VIEW names AS SELECT name FROM admins",
             "name", "view public.names"},
    Follower{"ForeignKey", "CREATE TABLE orders (user_id bigint REFERENCES users)", "", ""},
    Follower{"Statistics", "CREATE STATISTICS s ON name, mail FROM users", "name", ""}};

TEST_F(QuarantineTest, WhatWouldBreakOrFollowIsNamed) {
  run("DROP TABLE users, legacy");
  std::int64_t epoch = 1;
  for (const auto& follower : kFollowers) {
    SCOPED_TRACE(follower.name);
    auto work = gate({doomed("a", "users", follower.column)}, ++epoch);
    expect_ok(target_->keep_out(work));
    run(kTables);
    run(follower.sql);
    const auto before = columns("users");
    if (std::string_view(follower.says).empty()) {
      expect_ok(target_->quarantine(work, {}));
      EXPECT_EQ(rows(), 1);
    } else {
      EXPECT_THAT(conflict(work),
                  AllOf(HasSubstr(follower.says), HasSubstr("leave quarantine out of this plan's gate")));
    }
    expect_ok(target_->let_in(work, {}));
    EXPECT_EQ(columns("users"), before);
    run("DROP PUBLICATION IF EXISTS p; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  }
}

TEST_F(QuarantineTest, AViewThatIsDoomedItselfIsNoObstacle) {
  run("CREATE VIEW mails AS SELECT mail FROM users");
  const auto work = gate({doomed("a", "mails"), doomed("b", "users")});
  EXPECT_EQ(expect_ok(target_->quarantine(work, {})).size(), 2U);
  EXPECT_EQ(refusal("SELECT FROM mails"), "42P01");
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(count("SELECT count(*) FROM mails"), 100);
}

TEST_F(QuarantineTest, ANameThatIsTakenMeanwhileIsAConflict) {
  const auto work = gate({doomed("a", "users", "name"), doomed("b", "legacy")});
  expect_ok(target_->quarantine(work, {}));
  run("ALTER TABLE users ADD COLUMN name int");
  const auto error = expect_error(target_->let_in(work, {}), ErrorCode::conflict);
  EXPECT_THAT(error.failure.message, HasSubstr("cannot have its name name back from quarantine"));
  EXPECT_EQ(refusal("SELECT FROM legacy"), "42P01") << "all or nothing";
  run("ALTER TABLE users DROP COLUMN name; CREATE TABLE legacy ()");
  EXPECT_THAT(expect_error(target_->let_in(work, {}), ErrorCode::conflict).failure.message, HasSubstr("legacy"));
  run("DROP TABLE legacy");
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(columns("users"), "id name mail");
  EXPECT_EQ(count("SELECT count(*) FROM legacy"), 1);
}

TEST_F(QuarantineTest, WhatSomebodyHasMovedIsFoundAndWhatIsGoneIsForgotten) {
  const auto work = gate({doomed("a", "users", "name"), doomed("b", "legacy")});
  expect_ok(target_->quarantine(work, {}));
  run("ALTER TABLE users RENAME TO people; DROP TABLE legacy__dropped_" + today_ + "_test");
  expect_ok(target_->let_in(work, {}));
  EXPECT_EQ(columns("people"), "id name mail");
  EXPECT_EQ(rows(), 0);
}

TEST_F(QuarantineTest, ARoleThatIsNotTheOwnerSaysWhatItNeeds) {
  const auto weak = "weak_" + value("SELECT current_database()");
  run("CREATE ROLE " + weak + " LOGIN; GRANT ALL ON SCHEMA diastole TO " + weak +
      "; GRANT ALL ON ALL TABLES IN SCHEMA diastole TO " + weak);
  const auto target = postgres::make_target(TargetName{"main"}, dsn_ + " user=" + weak, kOwner, log_);
  const auto work = gate({doomed("a", "users", "name")});
  auto error = expect_error(target->quarantine(work, {}), ErrorCode::conflict);
  EXPECT_EQ(error.failure.message, "must be owner of table users");
  EXPECT_THAT(error.failure.hint, HasSubstr("GRANT the role that owns it"));
  expect_ok(target_->quarantine(work, {}));
  error = expect_error(target->let_in(work, {}), ErrorCode::conflict);
  EXPECT_THAT(error.failure.message, HasSubstr("must be owner"));
  EXPECT_EQ(rows(), 1);
}

TEST_F(QuarantineTest, ALockThatIsNotGrantedNamesItsBlockersAndRenamesNothing) {
  const auto work = gate({doomed("b", "legacy"), doomed("a", "users", "name")});
  OpenTransaction reader(dsn_, "SELECT FROM users");
  const auto error = expect_error(target_->quarantine(work, {}), ErrorCode::lock_timeout);
  ASSERT_EQ(error.failure.blockers.size(), 1U);
  EXPECT_EQ(error.failure.blockers[0].pid, reader.pid());
  EXPECT_EQ(refusal("SELECT FROM legacy"), "none");
  EXPECT_EQ(rows(), 0);
}

TEST_F(QuarantineTest, AnAttemptThatIsKilledOrStoppedRenamesNothing) {
  auto work = gate({doomed("b", "legacy"), doomed("a", "users", "name")});
  work.lock_timeout = Milliseconds{0};
  OpenTransaction reader(dsn_, "SELECT FROM users");
  auto call = std::async(std::launch::async, [&] { return target_->quarantine(work, {}); });
  kill(await_session("Lock"));
  expect_error(call.get(), ErrorCode::unavailable);
  std::stop_source stop;
  call = std::async(std::launch::async, [&] { return target_->quarantine(work, stop.get_token()); });
  await_session("Lock");
  stop.request_stop();
  expect_error(call.get(), ErrorCode::interrupted);
  EXPECT_EQ(rows(), 0);
  reader.commit();
  EXPECT_EQ(refusal("SELECT FROM legacy"), "none");
  EXPECT_EQ(expect_ok(target_->quarantine(work, {})).size(), 2U);
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
