// A session over plain libpq, which tells what libpqxx hides: command tags, SQLSTATEs, and a statement that is still
// waiting.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace diastole::test {

struct Outcome {
  std::string tag;       // PostgreSQL's command tag, without the number of rows
  std::string sqlstate;  // empty: it went well
  std::string message;
  std::vector<std::vector<std::string>> rows = {};  // of the last result
};

class SqlSession {
 public:
  explicit SqlSession(const std::string& dsn) : connection_(PQconnectdb(dsn.c_str())) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection_.get()));
    PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  }

  [[nodiscard]] int pid() const { return PQbackendPID(connection_.get()); }

  void send(const std::string& sql) {
    if (PQsendQuery(connection_.get(), sql.c_str()) == 0) throw std::runtime_error(PQerrorMessage(connection_.get()));
  }
  // Whether what was sent has not come to its end.
  [[nodiscard]] bool busy() {
    PQconsumeInput(connection_.get());
    return PQisBusy(connection_.get()) != 0;
  }
  // Waits for the end.
  Outcome finish() {
    Outcome outcome;
    while (const Result result{PQgetResult(connection_.get())}) {
      if (!outcome.sqlstate.empty()) continue;
      read(result.get(), outcome);
    }
    return outcome;
  }
  Outcome attempt(const std::string& sql) {
    send(sql);
    return finish();
  }
  // What must go well.
  std::vector<std::vector<std::string>> run(const std::string& sql) {
    Outcome outcome = attempt(sql);
    if (!outcome.sqlstate.empty()) throw std::runtime_error(outcome.message + "in: " + sql);
    return std::move(outcome.rows);
  }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  static void read(PGresult* result, Outcome& outcome) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != nullptr) {
      outcome.sqlstate = state;
      outcome.message = PQresultErrorMessage(result);
      return;
    }
    outcome.tag = PQcmdStatus(result);
    outcome.tag.erase(outcome.tag.find_last_not_of(" 0123456789") + 1);
    outcome.rows.clear();
    for (int row = 0; row < PQntuples(result); ++row) {
      auto& fields = outcome.rows.emplace_back();
      for (int field = 0; field < PQnfields(result); ++field) fields.emplace_back(PQgetvalue(result, row, field));
    }
  }

  std::unique_ptr<PGconn, Finish> connection_;
};

}  // namespace diastole::test
