#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/postgres.hpp"

// glibc 2.36 declares it without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace diastole::postgres {
namespace {
namespace fs = std::filesystem;

// A name for a data directory that is not there yet: the cluster makes it, for whichever user the server runs as.
class NewDirectory {
 public:
  NewDirectory() {
    static int count = 0;
    path_ = fmt::format("/tmp/diastole-test-{}-{}", getpid(), ++count);
  }
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  ~NewDirectory() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::unique_ptr<EmbeddedCluster> started(const fs::path& data_dir) {
  auto cluster = EmbeddedCluster::start({.data_dir = data_dir, .settings = {{"fsync", "off"}}});
  if (!cluster) throw std::runtime_error(cluster.error().message);
  return std::move(*cluster);
}

std::string ask(const std::string& dsn, const std::string& query) {
  pqxx::connection connection(dsn);
  return pqxx::nontransaction(connection).exec(query).at(0).at(0).c_str();
}

void execute(const std::string& dsn, const std::string& sql) {
  pqxx::connection connection(dsn);
  pqxx::nontransaction(connection).exec(sql);
}

// The directory of the unix socket, from "host=/tmp/… port=…".
fs::path socket_directory(const EmbeddedCluster& cluster) {
  const std::string dsn = cluster.dsn();
  return dsn.substr(dsn.find('=') + 1, dsn.find(' ') - dsn.find('=') - 1);
}

TEST(EmbeddedClusterTest, ServesOnAPrivateSocketOnly) {
  const std::string dsn = test::cluster().dsn();
  EXPECT_EQ(ask(dsn, "SELECT current_user"), "postgres");
  EXPECT_EQ(ask(dsn, "SHOW listen_addresses"), "");
  EXPECT_EQ(ask(dsn, "SHOW server_encoding"), "UTF8");
  EXPECT_EQ(ask(dsn, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"), "C.UTF-8");
  EXPECT_EQ(fs::status(socket_directory(test::cluster())).permissions(), fs::perms::owner_all);
}

TEST(EmbeddedClusterTest, TakesSettings) {
  EXPECT_EQ(ask(test::cluster().dsn(), "SHOW fsync"), "off");
  EXPECT_EQ(ask(test::cluster().dsn(), "SHOW max_prepared_transactions"), "10");
}

TEST(EmbeddedClusterTest, FreshDatabasesAreSeparate) {
  const std::string first = test::fresh_database();
  const std::string second = test::fresh_database();
  execute(first, "CREATE TABLE only_here ()");
  EXPECT_EQ(ask(first, "SELECT to_regclass('only_here') IS NULL"), "f");
  EXPECT_EQ(ask(second, "SELECT to_regclass('only_here') IS NULL"), "t");
}

TEST(EmbeddedClusterTest, RecoversAfterACrash) {
  const std::string dsn = test::fresh_database();
  execute(dsn, "CREATE TABLE t AS SELECT 42 AS x");
  pqxx::connection open(dsn);
  pqxx::work transaction(open);
  transaction.exec("DELETE FROM t");
  ASSERT_TRUE(test::cluster().kill_immediate());
  EXPECT_THROW(transaction.commit(), pqxx::failure);
  EXPECT_THROW(pqxx::connection{dsn}, pqxx::broken_connection);
  ASSERT_TRUE(test::cluster().start_again());
  EXPECT_EQ(ask(dsn, "SELECT x FROM t"), "42");
}

TEST(EmbeddedClusterTest, RestartKeepsTheDsnAndEndsSessions) {
  const std::string dsn = test::fresh_database();
  const std::string before = ask(dsn, "SELECT pg_postmaster_start_time()");
  ASSERT_TRUE(test::cluster().restart());
  EXPECT_NE(ask(dsn, "SELECT pg_postmaster_start_time()"), before);
}

TEST(EmbeddedClusterTest, KeepsADirectoryAndRemovesWhatIsTemporary) {
  const NewDirectory directory;
  auto cluster = started(directory.path());
  execute(cluster->dsn(), "CREATE TABLE t AS SELECT 7 AS x");
  const fs::path socket = socket_directory(*cluster);
  EXPECT_TRUE(fs::exists(socket));
  ASSERT_TRUE(cluster->stop());
  EXPECT_FALSE(fs::exists(socket));
  EXPECT_TRUE(cluster->stop()) << "the second stop does nothing";
  cluster.reset();
  EXPECT_EQ(ask(started(directory.path())->dsn(), "SELECT x FROM t"), "7");
}

TEST(EmbeddedClusterTest, StartsOverWhereMakingItBrokeOff) {
  const NewDirectory directory;
  started(directory.path())->stop().value();
  // What a kill -9 amid initdb leaves: part of a cluster, under the unfinished name.
  fs::remove_all(directory.path() / "pg" / "global");
  fs::rename(directory.path() / "pg", directory.path() / "pg.new");
  EXPECT_EQ(ask(started(directory.path())->dsn(), "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, ADirectoryServesOneProcess) {
  const NewDirectory directory;
  const auto cluster = started(directory.path());
  const auto second = EmbeddedCluster::start({.data_dir = directory.path(), .settings = {}});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_EQ(ask(cluster->dsn(), "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, StopsAServerLeftBehind) {
  const NewDirectory directory;
  const NewDirectory other;
  const auto left_behind = started(directory.path());
  execute(left_behind->dsn(), "CREATE TABLE t AS SELECT 7 AS x");
  // The lock is on the data directory, so that the same cluster under another one looks like one whose daemon has died.
  fs::create_directory(other.path());
  fs::permissions(other.path(), fs::perms::all);
  fs::create_directory_symlink(directory.path() / "pg", other.path() / "pg");
  const auto cluster = started(other.path());
  EXPECT_EQ(ask(cluster->dsn(), "SELECT x FROM t"), "7");
  EXPECT_THROW(pqxx::connection{left_behind->dsn()}, pqxx::broken_connection);
}

// In a process of its own: starts a cluster, tells the server's process id, waits to be killed.
[[noreturn]] void serve_until_killed(const fs::path& directory, int answer) {
  try {
    const auto cluster = started(directory);
    execute(cluster->dsn(), "CREATE TABLE t AS SELECT 7 AS x");
    std::ifstream file(directory / "pg" / "postmaster.pid");
    std::string pid;
    std::getline(file, pid);
    if (write(answer, pid.data(), pid.size()) > 0) pause();
  } catch (const std::exception& problem) {
    fmt::print(stderr, "{}\n", problem.what());
  }
  _exit(1);
}

TEST(EmbeddedClusterTest, DiesWithItsProcess) {
  const NewDirectory directory;
  std::array<int, 2> channel{};
  ASSERT_EQ(pipe(channel.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) serve_until_killed(directory.path(), channel[1]);
  close(channel[1]);
  std::array<char, 32> text{};
  const ssize_t size = read(channel[0], text.data(), text.size());
  close(channel[0]);
  ASSERT_GT(size, 0) << "the child could not start its cluster";
  pid_t server = 0;
  std::from_chars(text.data(), text.data() + size, server);
  const int watched = pidfd_open(server, 0);
  ASSERT_GE(watched, 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  pollfd ended{.fd = watched, .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&ended, 1, 30'000), 1) << "the server outlives its daemon";
  close(watched);
  const fs::path socket = fs::read_symlink(directory.path() / "run");
  EXPECT_TRUE(fs::exists(socket)) << "nobody was left to remove it";
  EXPECT_EQ(ask(started(directory.path())->dsn(), "SELECT x FROM t"), "7");
  EXPECT_FALSE(fs::exists(socket));
}

TEST(EmbeddedClusterTest, AFailedStartSaysWhatTheServerSaid) {
  const auto cluster = EmbeddedCluster::start({.data_dir = {}, .settings = {{"no_such_setting", "1"}}});
  ASSERT_FALSE(cluster);
  EXPECT_EQ(cluster.error().code, ErrorCode::unavailable);
  EXPECT_NE(cluster.error().message.find("no_such_setting"), std::string::npos) << cluster.error().message;
}

}  // namespace
}  // namespace diastole::postgres

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
