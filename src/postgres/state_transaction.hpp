// One unit of work on the state database. Every wait in it is bounded, so that a hung database is an error and not a
// hung daemon.
#pragma once

#include <pqxx/pqxx>
#include <type_traits>
#include <utility>

#include "connection.hpp"
#include "diastole/base/result.hpp"

namespace diastole::postgres {

// To whoever waits for the state database, a lock or a statement that took too long is a database that is not
// available.
[[nodiscard]] inline Error as_unavailable(Error error) {
  if (error.code == ErrorCode::lock_timeout || error.code == ErrorCode::interrupted)
    error.code = ErrorCode::unavailable;
  return error;
}

// Runs body(pqxx::transaction_base&), which returns a Result, in a transaction of its own and commits when the result
// is a value; an error or exception rolls back.
template <typename Body>
[[nodiscard]] std::invoke_result_t<Body, pqxx::transaction_base&> write_state(Connection& connection, Body&& body) {
  using Outcome = std::invoke_result_t<Body, pqxx::transaction_base&>;
  auto outcome = connection.run([&]() -> Outcome {
    pqxx::work transaction(connection.raw());
    // What we said is durable must be; who asks for more than that gets it.
    transaction.exec(
        "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '5s';"
        "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'");
    Outcome result = std::forward<Body>(body)(transaction);
    if (!result) return result;
    if (auto done = connection.commit(transaction, Milliseconds{5'000}); !done)
      return std::unexpected(std::move(done.error()));
    return result;
  });
  if (!outcome) return std::unexpected(as_unavailable(std::move(outcome.error())));
  return outcome;
}

// The same for body that only reads.
template <typename Body>
[[nodiscard]] std::invoke_result_t<Body, pqxx::transaction_base&> read_state(Connection& connection, Body&& body) {
  using Outcome = std::invoke_result_t<Body, pqxx::transaction_base&>;
  auto outcome = connection.run([&]() -> Outcome {
    pqxx::read_transaction transaction(connection.raw());
    transaction.exec("SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '5s'");
    return std::forward<Body>(body)(transaction);
  });
  if (!outcome) return std::unexpected(as_unavailable(std::move(outcome.error())));
  return outcome;
}

template <typename Body>
[[nodiscard]] std::invoke_result_t<Body, pqxx::transaction_base&> write_state(ConnectionPool& pool, Body&& body) {
  auto connection = pool.checkout();
  if (!connection) return std::unexpected(std::move(connection.error()));
  return write_state(**connection, std::forward<Body>(body));
}

template <typename Body>
[[nodiscard]] std::invoke_result_t<Body, pqxx::transaction_base&> read_state(ConnectionPool& pool, Body&& body) {
  auto connection = pool.checkout();
  if (!connection) return std::unexpected(std::move(connection.error()));
  return read_state(**connection, std::forward<Body>(body));
}

// timestamptz as an expression that wall_time reads back.
[[nodiscard]] inline std::string as_milliseconds(const std::string& column) {
  return "(extract(epoch FROM " + column + ") * 1000)::bigint";
}
[[nodiscard]] inline WallTime wall_time(const pqxx::field& milliseconds) {
  return WallTime{Milliseconds{milliseconds.as<std::int64_t>()}};
}

}  // namespace diastole::postgres
