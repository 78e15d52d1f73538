// One private PostgreSQL for a whole test program, one database for each test. Needs no test main of GoogleTest's own:
//
//   int main(int argc, char** argv) { return diastole::test::run_with_postgres(argc, argv); }
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <utility>
#include <vector>

#include "diastole/postgres/embedded_cluster.hpp"

namespace diastole::test {

class PostgresEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    auto started = postgres::EmbeddedCluster::start({.data_dir = data_dir_, .settings = settings_});
    if (!started) FAIL() << started.error().message;
    cluster_ = std::move(*started);
  }
  void TearDown() override { cluster_.reset(); }

  // Before the tests run; the directory is not there yet, and is the caller's to remove.
  void keep_in(const std::filesystem::path& data_dir) { data_dir_ = data_dir; }

  // Before the tests run.
  void set(const std::string& name, const std::string& value) { settings_.emplace_back(name, value); }

  [[nodiscard]] postgres::EmbeddedCluster& cluster() { return *cluster_; }
  [[nodiscard]] std::string next_database() { return fmt::format("test_{}", ++databases_); }

 private:
  std::vector<std::pair<std::string, std::string>> settings_{
      {"fsync", "off"}, {"full_page_writes", "off"}, {"max_prepared_transactions", "10"}};
  std::optional<std::filesystem::path> data_dir_;
  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  int databases_ = 0;
};

// GoogleTest owns it, for as long as the program runs.
inline PostgresEnvironment& postgres_environment() {
  static auto* environment = new PostgresEnvironment;
  return *environment;
}

inline postgres::EmbeddedCluster& cluster() {
  return postgres_environment().cluster();
}

// A new, empty database; its DSN. Throws where the server does not answer.
inline std::string fresh_database() {
  const std::string name = postgres_environment().next_database();
  pqxx::connection connection(cluster().dsn());
  pqxx::nontransaction(connection).exec("CREATE DATABASE " + name);
  return cluster().dsn(name);
}

inline int run_with_postgres(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(&postgres_environment());
  return RUN_ALL_TESTS();
}

}  // namespace diastole::test
