// What a real pg_stat_statements tells, and which of its queries use what a plan drops.
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "diastole/core/statements.hpp"
#include "diastole/sql/doomed_use.hpp"
#include "support/standby.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::CountedStatement;
using core::ServerStatements;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class StatementsTest : public TargetTest {
 protected:
  void SetUp() override {
    TargetTest::SetUp();
    run("SELECT count(*) FROM pg_stat_activity");  // begins the session, so that its start is behind
    run("CREATE SCHEMA stats; CREATE EXTENSION pg_stat_statements SCHEMA stats; "
        "CREATE TABLE users (id int, name text, email text); CREATE TABLE items (id int, name text); "
        "GRANT ALL ON users, items TO public; SELECT stats.pg_stat_statements_reset()");
    run("CREATE ROLE " + role_ + " LOGIN");
  }
  void TearDown() override { run("DROP OWNED BY " + role_ + "; DROP ROLE " + role_); }

  // As an application does.
  void query(const std::string& sql, int times = 1) {
    pqxx::connection connection(dsn_ + " user=" + role_);
    pqxx::nontransaction session(connection);
    for (int i = 0; i < times; ++i) session.exec(sql);
  }
  [[nodiscard]] static ServerStatements look(ports::Target& target, const std::vector<std::string>& words = {"users"}) {
    auto servers = expect_ok(target.statements(words));
    EXPECT_FALSE(servers.empty());
    return servers.empty() ? ServerStatements() : std::move(servers.front());
  }
  [[nodiscard]] static std::vector<std::string> texts(const ServerStatements& server) {
    std::vector<std::string> out;
    for (const auto& statement : server.statements) out.push_back(statement.query);
    return out;
  }
  // As the engine does; names each query with what it uses, "?" where it may, and "+" where it has grown.
  [[nodiscard]] std::vector<std::string> advise() {
    const std::vector<core::Doomed> doomed{{.step = StepId("drop"), .table = "users", .column = "name"}};
    sql::DoomedFinder finder(expect_ok(target_->catalog(sql::concerns(doomed))), doomed);
    const auto server = look(*target_, finder.words());
    core::ServerLook looked{&server, {}};
    for (const auto& statement : server.statements) {
      const auto path = std::ranges::find(server.paths, statement.role, &core::RolePath::role);
      looked.uses.push_back(
          finder.find(statement.query, path == server.paths.end() ? std::vector<std::string>() : path->schemas));
    }
    const auto now = WallTime{std::chrono::minutes{++minutes_}};
    std::vector<std::string> out;
    for (const auto& each : memory_.look({looked}, now).statements) {
      EXPECT_THAT(each.use.uses, ElementsAre("users.name"));
      out.push_back((each.last_grew == now ? "+ " : "") + each.statement.query + (each.use.sure ? "" : " ?"));
    }
    return out;
  }

  const std::string role_ = "app_" + value("SELECT current_database()");
  core::StatementMemory memory_;
  int minutes_ = 0;
};

TEST_F(StatementsTest, NamesWhatOthersReadAndWriteByTheirRole) {
  query("SELECT name FROM users WHERE id = 17", 3);
  query("INSERT INTO users VALUES (1, 'secret')");
  query("/* hint */ (SELECT id FROM users) UNION SELECT 2");
  query("COPY users (name) TO STDOUT");
  query("CREATE TEMP TABLE mine AS SELECT * FROM users");
  query("COPY (SELECT name FROM users WHERE name = 'secret') TO STDOUT");
  query("SELECT name FROM items");
  run("SELECT email FROM users");  // ours
  const auto server = look(*target_);
  EXPECT_EQ(server.server, "primary");
  EXPECT_EQ(server.missing, "");
  EXPECT_FALSE(server.cut);
  EXPECT_EQ(server.started_us, count("SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"));
  EXPECT_THAT(texts(server),
              UnorderedElementsAre("SELECT name FROM users WHERE id = $1", "INSERT INTO users VALUES ($1, $2)",
                                   "/* hint */ (SELECT id FROM users) UNION SELECT $1", "COPY users (name) TO STDOUT"));
  const auto& most = server.statements.front();
  EXPECT_EQ(most.calls, 3);
  EXPECT_EQ(most.role, role_);
  EXPECT_EQ(std::to_string(most.query_id),
            value("SELECT queryid FROM stats.pg_stat_statements WHERE query = 'SELECT name FROM users WHERE id = $1'"));
  EXPECT_THAT(server.paths, ElementsAre(core::RolePath{role_, {"public"}}));
}

TEST_F(StatementsTest, OtherDatabasesAreNotLookedAt) {
  pqxx::connection elsewhere(cluster().dsn() + " user=" + role_);
  pqxx::nontransaction(elsewhere).exec("SELECT 1 AS users");
  EXPECT_THAT(texts(look(*target_)), IsEmpty());
}

TEST_F(StatementsTest, WordsAreFoundInAnyCase) {
  run("CREATE TABLE \"Wörter\" (a int); GRANT ALL ON \"Wörter\" TO public");
  query("SELECT id FROM USERS");
  query("SELECT a FROM \"Wörter\"");
  EXPECT_EQ(look(*target_).statements.size(), 1U);
  EXPECT_EQ(look(*target_, {"wörter"}).statements.size(), 1U);
  EXPECT_EQ(look(*target_, {"wörter", "users"}).statements.size(), 2U);
  EXPECT_EQ(look(*target_, {"it's"}).statements.size(), 0U);
}

TEST_F(StatementsTest, ARolesPathIsTheOneItsSessionsBeginWith) {
  const auto path = [&]() -> std::vector<std::string> {
    query("SELECT 1 AS users");
    const auto server = look(*target_);
    std::string real;
    {
      pqxx::connection connection(dsn_ + " user=" + role_);
      pqxx::nontransaction session(connection);
      real = session.exec("SELECT array_to_string(current_schemas(false), ',')")[0][0].as<std::string>();
    }
    if (server.paths.empty()) {
      EXPECT_EQ(real, "");
      return {};
    }
    EXPECT_EQ(server.paths.size(), 1U);
    EXPECT_EQ(fmt::format("{}", fmt::join(server.paths.front().schemas, ",")), real);
    return server.paths.front().schemas;
  };
  const auto database = value("SELECT quote_ident(current_database())");
  run("CREATE SCHEMA app; CREATE SCHEMA hidden; CREATE SCHEMA \"Odd, \"\"name\"; CREATE SCHEMA " + role_ +
      "; GRANT USAGE ON SCHEMA app, \"Odd, \"\"name\", " + role_ + " TO public");
  EXPECT_THAT(path(), ElementsAre(role_, "public"));
  run("ALTER DATABASE " + database + " SET search_path = nowhere, hidden, APP, \"$user\"");
  EXPECT_THAT(path(), ElementsAre("app", role_));
  run("ALTER ROLE " + role_ + " SET search_path = \"Odd, \"\"name\", public");
  EXPECT_THAT(path(), ElementsAre("Odd, \"name", "public"));
  run("ALTER ROLE " + role_ + " IN DATABASE " + database + " SET search_path = app");
  EXPECT_THAT(path(), ElementsAre("app"));
  run("ALTER ROLE " + role_ + " IN DATABASE " + database + " SET search_path = ''");
  EXPECT_THAT(path(), IsEmpty());
}

TEST_F(StatementsTest, TheQueryByTheOldColumnIsNamedAndGrows) {
  query("SELECT name FROM users WHERE id = 1");
  query("SELECT * FROM users");
  query("SELECT email FROM users");
  query("SELECT i.name FROM items i JOIN users u ON u.id = i.id");
  EXPECT_THAT(advise(), UnorderedElementsAre("SELECT name FROM users WHERE id = $1", "SELECT * FROM users"));
  query("SELECT name FROM users WHERE id = 2");
  EXPECT_THAT(advise(), ElementsAre("+ SELECT name FROM users WHERE id = $1", "SELECT * FROM users"));
  query("UPDATE users SET name = 'x'");
  EXPECT_THAT(advise(), ElementsAre("+ UPDATE users SET name = $1", "SELECT name FROM users WHERE id = $1",
                                    "SELECT * FROM users"));
}

TEST_F(StatementsTest, AResetIsNoGrowthAndHidesNone) {
  query("SELECT name FROM users", 5);
  query("SELECT * FROM users", 5);
  ASSERT_EQ(advise().size(), 2U);
  run("SELECT stats.pg_stat_statements_reset()");
  EXPECT_THAT(advise(), UnorderedElementsAre("SELECT name FROM users", "SELECT * FROM users"));
  query("SELECT name FROM users");
  EXPECT_THAT(advise(), ElementsAre("+ SELECT name FROM users", "SELECT * FROM users"));
}

TEST_F(StatementsTest, ViewsAndFunctionsAboveTheTableAreSeenThrough) {
  run("CREATE VIEW people AS SELECT id, name FROM users; GRANT SELECT ON people TO public; "
      "CREATE FUNCTION name_of(int) RETURNS text LANGUAGE sql AS 'SELECT name FROM users WHERE id = $1'; "
      "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'");
  query("SELECT id FROM people");
  query("SELECT name_of(4)");
  query("SELECT twice(id) FROM users");
  EXPECT_THAT(advise(), UnorderedElementsAre("SELECT id FROM people", "SELECT name_of($1) ?"));
}

TEST_F(StatementsTest, WithoutTheExtensionItSaysSo) {
  run("DROP EXTENSION pg_stat_statements");
  query("SELECT name FROM users");
  const auto server = look(*target_);
  EXPECT_EQ(server.missing, "pg_stat_statements is not installed in this database");
  EXPECT_THAT(server.statements, IsEmpty());
}

TEST_F(StatementsTest, WhoMayNotReadOthersQueriesSaysWhatToGrant) {
  query("SELECT name FROM users");
  const auto weak = "weak_" + value("SELECT current_database()");
  run("CREATE ROLE " + weak + " LOGIN");
  const auto target = postgres::make_target(TargetName{"main"}, dsn_ + " user=" + weak, kOwner, log_);
  EXPECT_EQ(look(*target).missing,
            "our role does not see other roles' queries; GRANT pg_read_all_stats TO \"" + weak + "\"");
  run("GRANT pg_read_all_stats TO " + weak);
  EXPECT_EQ(look(*target).missing, fmt::format("our role may not read pg_stat_statements; GRANT USAGE ON SCHEMA "
                                               "\"stats\" TO \"{0}\"; GRANT SELECT ON \"stats\".pg_stat_statements "
                                               "TO \"{0}\"",
                                               weak));
  run("GRANT USAGE ON SCHEMA stats TO " + weak);
  const auto server = look(*target);
  EXPECT_EQ(server.missing, "");
  EXPECT_THAT(texts(server), ElementsAre("SELECT name FROM users"));
  run("REVOKE ALL ON SCHEMA stats FROM " + weak + "; DROP ROLE " + weak);
}

TEST_F(StatementsTest, ReplicasCountForThemselves) {
  query("SELECT name FROM users");
  Standby standby("standby1", {{"shared_preload_libraries", "pg_stat_statements"}});
  const auto on_standby = standby.dsn(value("SELECT current_database()"));
  {
    pqxx::connection connection(on_standby + " user=" + role_);
    pqxx::nontransaction(connection).exec("SELECT email FROM users");
  }
  const auto target =
      postgres::make_target(TargetName{"main"}, dsn_, kOwner, log_, {}, {on_standby, "host=/nowhere password=hunter2"});
  const auto servers = expect_ok(target->statements({"users"}));
  ASSERT_EQ(servers.size(), 3U);
  EXPECT_THAT(texts(servers[0]), ElementsAre("SELECT name FROM users"));
  EXPECT_EQ(servers[1].server, "replica 1");
  EXPECT_EQ(servers[1].missing, "");
  EXPECT_THAT(texts(servers[1]), ElementsAre("SELECT email FROM users"));
  EXPECT_EQ(servers[2].missing,
            "cannot connect to replica 2 of target main: connection refused: nobody listens on the socket");
}

TEST_F(StatementsTest, InstalledButNotLoadedSaysSo) {
  Standby standby("standby2");
  const auto target = postgres::make_target(TargetName{"main"}, dsn_, kOwner, log_, {},
                                            {standby.dsn(value("SELECT current_database()"))});
  const auto servers = expect_ok(target->statements({"users"}));
  ASSERT_EQ(servers.size(), 2U);
  EXPECT_EQ(servers[1].missing, "pg_stat_statements is installed, but not in shared_preload_libraries");
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  diastole::test::postgres_environment().set("shared_preload_libraries", "pg_stat_statements");
  return diastole::test::run_with_postgres(argc, argv);
}
