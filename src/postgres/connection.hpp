// Sessions with PostgreSQL: how they are opened, kept in a pool and given up, and what their errors mean to us.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"

namespace diastole::postgres {

struct ConnectionOptions {
  std::string dsn;               // a URI or keyword/value string; appears in no error
  std::string application_name;  // at most 63 bytes
  std::string database;          // what errors call it: "the state database", "target main"
  int connect_seconds = 0;       // the longest wait for a host (libpq knows none below 2); 0: the DSN's, or else 5
};

// One session. It never reconnects by itself: session locks, settings and the backend's pid are those of open() until
// it is lost. Not thread-safe, but for cancel().
class Connection {
 public:
  // Waits at most `connect_seconds` per host of the DSN. unavailable, with the category of what went wrong; never with
  // host, user or password.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const ConnectionOptions& options);

  [[nodiscard]] pqxx::connection& raw() { return raw_; }
  [[nodiscard]] int backend_pid() const { return raw_.backendpid(); }
  [[nodiscard]] int server_version() const { return raw_.server_version(); }  // 150004 is 15.4
  [[nodiscard]] const std::string& database() const { return database_; }     // what errors call it

  // Runs body, which returns a Result and may use raw() as it likes; exceptions become errors and spoil the connection.
  template <typename Body>
  [[nodiscard]] std::invoke_result_t<Body> run(Body&& body) {
    try {
      return std::forward<Body>(body)();
    } catch (...) {
      spoiled_ = true;
      return std::unexpected(error_of(std::current_exception()));
    }
  }

  // Names a statement that execute() runs; the server parses it once a session. `name` always means the same `sql`.
  void prepare(const std::string& name, const std::string& sql) {
    if (prepared_.insert(name).second) raw_.prepare(name, sql);
  }

  // Commits. outcome_unknown when the connection is lost meanwhile, or when no answer came in time (a synchronous
  // standby is away: no server-side timeout ends that wait); the connection is dropped then.
  [[nodiscard]] Result<void> commit(pqxx::dbtransaction& transaction, Milliseconds patience = Milliseconds{30'000});

  // From any thread: asks the server to stop what runs now. Best effort.
  void cancel() noexcept;

  // An error has happened, or the other side has spoken without being asked (it does when it closes): not to be used
  // again.
  [[nodiscard]] bool spoiled() const;
  void spoil() { spoiled_ = true; }

  // What a pqxx exception means where no commit was under way.
  [[nodiscard]] Error error_of(const std::exception_ptr& exception) const;

 private:
  Connection(const std::string& conninfo, std::string database);

  pqxx::connection raw_;
  std::string database_;
  bool spoiled_ = false;
  std::set<std::string> prepared_;
};

// SQLSTATE of a pqxx exception; empty where there is none.
[[nodiscard]] std::string sqlstate_of(const std::exception_ptr& exception);

// A statement with parameters ($1, …), the same for libpqxx 6 and 7.
template <typename... Args>
pqxx::result query(pqxx::transaction_base& transaction, const std::string& sql, const Args&... args) {
#if PQXX_VERSION_MAJOR < 7
  return transaction.exec_params(sql, args...);
#else
  return transaction.exec(sql, pqxx::params{args...});
#endif
}

// One that was prepared, likewise.
template <typename... Args>
pqxx::result execute(pqxx::transaction_base& transaction, const std::string& name, const Args&... args) {
#if PQXX_VERSION_MAJOR < 7
  return transaction.exec_prepared(name, args...);
#else
  return transaction.exec(pqxx::prepped{name}, pqxx::params{args...});
#endif
}

// At most `size` sessions of one kind. Thread-safe; must outlive its checkouts.
class ConnectionPool {
 public:
  // A session on loan; goes back at the end unless it is spoiled.
  class Checkout {
   public:
    Checkout(ConnectionPool& pool, std::unique_ptr<Connection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    Checkout(Checkout&& other) noexcept = default;
    Checkout& operator=(Checkout&&) = delete;
    ~Checkout();
    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  ConnectionPool(ConnectionOptions options, std::size_t size) : options_(std::move(options)), free_slots_(size) {}
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // unavailable when none is free within `timeout`, or none can be opened.
  [[nodiscard]] Result<Checkout> checkout(Milliseconds timeout = Milliseconds{5'000});

 private:
  void give_back(std::unique_ptr<Connection> connection);

  const ConnectionOptions options_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::size_t free_slots_;                         // sessions that may be lent, open or not
  std::vector<std::unique_ptr<Connection>> idle_;  // open ones; never more than free_slots_
};

}  // namespace diastole::postgres
