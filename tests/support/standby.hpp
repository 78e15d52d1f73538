// A streaming standby of the test cluster, on the same machine, that a test can slow, freeze and take away.
#pragma once

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/postgres.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace diastole::test {

class Standby {
 public:
  using Settings = std::vector<std::pair<std::string, std::string>>;
  explicit Standby(const std::string& name, const Settings& more = {}) : name_(name) {
    const auto data = directory_.path() / "standby";
    std::filesystem::create_directory(data);
    const auto copy = data / "pg";
    Process backup({{"/usr/lib/postgresql/15/bin/pg_basebackup", "--dbname", cluster().dsn(), "--pgdata", copy.string(),
                     "--checkpoint=fast", "--wal-method=stream", "--no-sync"}});
    if (backup.wait(milliseconds{60'000}) != 0) throw std::runtime_error("pg_basebackup failed: " + backup.err());
    std::ofstream(copy / "standby.signal").flush();
    std::ofstream(copy / "postgresql.auto.conf") << fmt::format(
        "primary_conninfo = '{} application_name={}'\nwal_retrieve_retry_interval = '200ms'\n", cluster().dsn(), name_);
    give_to_server(data);
    // A standby is not allowed less than its primary has.
    Settings settings{{"fsync", "off"}, {"max_prepared_transactions", "10"}};
    settings.insert(settings.end(), more.begin(), more.end());
    auto started = postgres::EmbeddedCluster::start({.data_dir = data, .settings = settings});
    if (!started) throw std::runtime_error(started.error().message);
    server_ = std::move(*started);
  }
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;
  ~Standby() { thaw(); }

  [[nodiscard]] std::string dsn(const std::string& database) const { return server_->dsn(database); }

  // It replays each commit so long after it was made.
  void delay(const std::string& time) {
    pqxx::connection connection(server_->dsn());
    pqxx::nontransaction session(connection);
    session.exec("ALTER SYSTEM SET recovery_min_apply_delay = '" + time + "'");
    session.exec("SELECT pg_reload_conf()");
  }
  // What receives the log and what replays it come to a standstill, their connections open.
  void freeze() {
    {
      pqxx::connection connection(server_->dsn());
      pqxx::nontransaction session(connection);
      for (const auto& row :
           session.exec("SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walreceiver', 'startup')"))
        frozen_.push_back(row[0].as<pid_t>());
    }
    for (const pid_t pid : frozen_) ::kill(pid, SIGSTOP);
  }
  void thaw() {
    for (const pid_t pid : frozen_) ::kill(pid, SIGCONT);
    frozen_.clear();
  }
  void crash() {
    if (const auto killed = server_->kill_immediate(); !killed) throw std::runtime_error(killed.error().message);
  }
  void come_back() {
    if (const auto started = server_->start_again(); !started) throw std::runtime_error(started.error().message);
  }

 private:
  // Where we are root the server runs as postgres.
  static void give_to_server(const std::filesystem::path& directory) {
    if (geteuid() != 0) return;
    const auto* user = getpwnam("postgres");
    const auto give = [&](const std::filesystem::path& path) {
      if (lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("cannot give " + path.string());
    };
    // On the way to it as well, which is ours alone.
    give(directory.parent_path());
    give(directory);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) give(entry.path());
  }

  const std::string name_;
  TemporaryDirectory directory_;
  std::unique_ptr<postgres::EmbeddedCluster> server_;
  std::vector<pid_t> frozen_;
};

}  // namespace diastole::test
