// A target on a database of its own, and what tests of it share.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "diastole/postgres/target.hpp"
#include "support/postgres.hpp"

namespace diastole::test {

class SilentLog : public ports::Log {
 public:
  void write(ports::LogLevel, std::string_view, std::initializer_list<ports::LogField>) override {}
};

// PostgreSQL has no event for "this session now waits", so it is asked until it says so.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{15};
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

// A session that has begun a transaction and run something in it; ends with the object.
class OpenTransaction {
 public:
  OpenTransaction(const std::string& dsn, const std::string& sql) : connection_(dsn), work_(connection_) {
    work_.exec(sql);
  }
  [[nodiscard]] int pid() const { return connection_.backendpid(); }
  void commit() { work_.commit(); }

 private:
  pqxx::connection connection_;
  pqxx::work work_;
};

class TargetTest : public ::testing::Test {
 protected:
  static constexpr const char* kOwner = "6a8c7f0e-0d43-4c38-9b5e-1f2f4a9f6d11";

  void SetUp() override { expect_ok(target_->prepare(Epoch{1})); }

  [[nodiscard]] std::unique_ptr<ports::Target> another_target(const std::string& owner = kOwner) {
    return postgres::make_target(TargetName{"main"}, dsn_, owner, log_);
  }

  void run(const std::string& sql) { pqxx::nontransaction(admin_).exec(sql); }

  // The first field of the first row.
  [[nodiscard]] std::string value(const std::string& sql) {
    pqxx::nontransaction session(admin_);
    const auto field = session.exec(sql).at(0).at(0);
    return field.is_null() ? "null" : field.as<std::string>();
  }
  [[nodiscard]] std::int64_t count(const std::string& sql) { return std::stoll(value(sql)); }

  // The pid of the target's session that runs a step now and, where given, waits for `wait_event_type`; 0 for none.
  [[nodiscard]] int working_session(const std::string& wait = {}) {
    pqxx::nontransaction session(admin_);
    const auto found = session.exec(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ "
        "'^diastole/[0-9]+/' "
        "AND state = 'active' AND query NOT LIKE 'SET LOCAL%'" +
        (wait.empty() ? "" : " AND (wait_event_type = '" + wait + "' OR wait_event = '" + wait + "')"));
    return found.empty() ? 0 : found[0][0].as<int>();
  }
  int await_session(const std::string& wait = {}) {
    int pid = 0;
    EXPECT_TRUE(eventually([&] { return (pid = working_session(wait)) != 0; }));
    return pid;
  }
  void kill(int pid) { run("SELECT pg_terminate_backend(" + std::to_string(pid) + ")"); }

  [[nodiscard]] static ports::WorkId id(const std::string& step, std::int64_t epoch = 1) {
    return {.plan = PlanId{"main.test"},
            .step = StepId{step},
            .direction = ports::Direction::forward,
            .checksum = "sum-of-" + step,
            .epoch = Epoch{epoch}};
  }

  [[nodiscard]] static ports::StatementWork statements(const std::string& step, const std::vector<std::string>& sql) {
    ports::StatementWork work{
        .id = id(step), .statements = {}, .lock_timeout = Milliseconds{500}, .statement_timeout = Milliseconds{20'000}};
    for (const auto& text : sql) {
      core::Statement statement;
      statement.sql = text;
      work.statements.push_back(std::move(statement));
    }
    return work;
  }

  [[nodiscard]] static ports::StatementWork outside(const std::string& step, const std::string& sql,
                                                    const std::string& index) {
    auto work = statements(step, {sql});
    work.statements[0].transactional = false;
    work.statements[0].index = index;
    return work;
  }

  // A result that must be good, taken out.
  template <typename T>
  static T expect_ok(ports::TargetResult<T> result) {
    EXPECT_TRUE(result) << (result ? "" : to_string(result.error().code)) << ": "
                        << (result ? "" : result.error().failure.message);
    if constexpr (!std::is_void_v<T>) return result ? std::move(*result) : T{};
  }

  // A result that must be bad, its error taken out.
  template <typename T>
  static ports::TargetError expect_error(const ports::TargetResult<T>& result, ErrorCode code) {
    EXPECT_FALSE(result);
    if (result) return {};
    EXPECT_EQ(to_string(result.error().code), to_string(code)) << result.error().failure.message;
    return result.error();
  }

  const std::string dsn_ = fresh_database();
  SilentLog log_;
  pqxx::connection admin_{dsn_};
  std::unique_ptr<ports::Target> target_ = another_target();
};

}  // namespace diastole::test
