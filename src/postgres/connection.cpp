#include "connection.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string_view>

#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

// What libpq and the server say about a connection that did not come about, and what we say instead: their texts hold
// host, user and database.
struct ConnectProblem {
  std::string_view sign;
  std::string_view category;
};
constexpr std::array kConnectProblems{
    ConnectProblem{"could not translate host name", "the host's name does not resolve"},
    ConnectProblem{"Connection refused", "connection refused"},
    ConnectProblem{"No such file or directory", "connection refused: nobody listens on the socket"},
    ConnectProblem{"timeout expired", "timeout"},
    ConnectProblem{"timed out", "timeout"},
    ConnectProblem{"starting up", "the server is starting"},
    ConnectProblem{"shutting down", "the server is shutting down"},
    ConnectProblem{"too many clients", "the server has no free connection slot"},
    ConnectProblem{"connection slots", "the server has no free connection slot"},
    ConnectProblem{"too many connections", "the server has no free connection slot"},
    ConnectProblem{"authentication", "authentication failed"},
    ConnectProblem{"no password supplied", "authentication failed"},
    ConnectProblem{"pg_hba.conf", "authentication failed: the server has no rule that lets us in"},
    ConnectProblem{"not permitted to log in", "authentication failed: the role may not log in"},
    ConnectProblem{"permission denied", "permission denied"},
    ConnectProblem{"does not exist", "database or role does not exist"},
    ConnectProblem{"certificate", "TLS failed"},
    ConnectProblem{"SSL", "TLS failed"},
    ConnectProblem{"invalid ", "its DSN has an invalid setting"},
};

std::string_view connect_category(std::string_view message) {
  for (const auto& problem : kConnectProblems) {
    if (message.find(problem.sign) != std::string_view::npos) return problem.category;
  }
  return "no connection";
}

// The DSN with our settings, as a keyword/value string; nullopt where libpq cannot read it. What the DSN itself says
// about anything but the application's name stands.
std::optional<std::string> conninfo_of(const ConnectionOptions& options) {
  char* complaint = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.dsn.c_str(), &complaint);
  if (complaint != nullptr) PQfreemem(complaint);
  if (parsed == nullptr) return std::nullopt;
  std::map<std::string, std::string> settings{
      {"connect_timeout", "5"},  {"keepalives_idle", "3"},     {"keepalives_interval", "1"},
      {"keepalives_count", "3"}, {"tcp_user_timeout", "6000"},
  };
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) settings.insert_or_assign(option->keyword, option->val);
  }
  PQconninfoFree(parsed);
  settings.insert_or_assign("application_name", options.application_name);
  if (options.connect_seconds > 0)
    settings.insert_or_assign("connect_timeout", fmt::to_string(options.connect_seconds));

  std::string conninfo;
  for (const auto& [keyword, value] : settings) {
    conninfo += keyword + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') conninfo += '\\';
      conninfo += c;
    }
    conninfo += "' ";
  }
  return conninfo;
}

// PostgreSQL's primary message without its severity, on one line.
std::string_view primary_message(std::string_view what) {
  what = what.substr(0, what.find('\n'));
  for (const std::string_view severity : {"ERROR:  ", "FATAL:  ", "PANIC:  "}) {
    if (what.starts_with(severity)) return what.substr(severity.size());
  }
  return what;
}

bool connection_is_gone(std::string_view sqlstate) {
  return sqlstate.starts_with("08") || sqlstate.starts_with("57P") || sqlstate == "25P03";
}

ErrorCode code_of(std::string_view sqlstate) {
  if (connection_is_gone(sqlstate)) return ErrorCode::unavailable;
  if (sqlstate.starts_with("40") || sqlstate == "55P03") return ErrorCode::lock_timeout;
  if (sqlstate == "57014") return ErrorCode::interrupted;
  // Out of resources, system errors, read-only.
  if (sqlstate.starts_with("53") || sqlstate.starts_with("58") || sqlstate == "25006") return ErrorCode::unavailable;
  return ErrorCode::internal;
}

}  // namespace

std::string sqlstate_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const pqxx::insufficient_privilege& error) {
    return error.sqlstate().empty() ? "42501" : error.sqlstate();  // libpqxx 6 forgets it
  } catch (const pqxx::sql_error& error) {
    return error.sqlstate();
  } catch (const pqxx::broken_connection&) {
    return "08006";
  } catch (const pqxx::deadlock_detected&) {
    return "40P01";
  } catch (const pqxx::serialization_failure&) {
    return "40001";
  } catch (...) {
    return {};
  }
}

Connection::Connection(const std::string& conninfo, std::string database)
    : raw_(conninfo), database_(std::move(database)) {
#if PQXX_VERSION_MAJOR < 7
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  raw_.inhibit_reactivation(true);
#pragma clang diagnostic pop
#endif
}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options) {
  const auto refused = [&](std::string_view category) {
    return fail(ErrorCode::unavailable, fmt::format("cannot connect to {}: {}", options.database, category));
  };
  const auto conninfo = conninfo_of(options);
  if (!conninfo) return refused("its DSN is neither a postgresql:// URI nor a list of keyword=value");
  std::unique_ptr<Connection> connection;
  try {
    connection.reset(new Connection(*conninfo, options.database));
  } catch (const std::exception& error) {
    return refused(connect_category(error.what()));
  }
  const auto set_up = connection->run([&]() -> Result<void> {
    pqxx::nontransaction session(connection->raw());
    session.exec(
        "SET default_transaction_isolation = 'read committed'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; "
        "SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; SET client_min_messages = 'warning'");
    // A role called diastole finds "$user", first in the default search_path, to be our own schema: without this a
    // plan's CREATE TABLE would land there.
    session.exec(
        "SELECT set_config('search_path', regexp_replace(current_setting('search_path'), '\"\\$user\"\\s*,?\\s*', ''), "
        "false) "
        "WHERE current_user = 'diastole'");
    // So that a statement does not outlive us and commit when nobody is there any more. A server whose system cannot
    // watch a socket refuses any value but 0.
    if (connection->server_version() >= 140000) {
      session.exec(
          "DO $$ BEGIN SET client_connection_check_interval = '1s'; "
          "EXCEPTION WHEN invalid_parameter_value THEN NULL; END $$");
    }
    return {};
  });
  if (!set_up) return std::unexpected(set_up.error());
  return connection;
}

Result<void> Connection::commit(pqxx::dbtransaction& transaction, Milliseconds patience) {
  const auto unknown = [&] {
    spoiled_ = true;
    return fail(ErrorCode::outcome_unknown,
                fmt::format("the connection to {} was lost during the commit: it may have happened or not", database_));
  };
  try {
    const Watchdog watchdog(raw_.sock(), patience);
    transaction.commit();
    return {};
  } catch (const pqxx::in_doubt_error&) {
    return unknown();
  } catch (...) {
    spoiled_ = true;
    if (!raw_.is_open() || connection_is_gone(sqlstate_of(std::current_exception()))) return unknown();
    return std::unexpected(error_of(std::current_exception()));
  }
}

void Connection::cancel() noexcept {
  try {
    raw_.cancel_query();
  } catch (const std::exception&) {
    return;  // what runs goes on to its own end or timeout
  }
}

bool Connection::spoiled() const {
  if (spoiled_ || !raw_.is_open()) return true;
  pollfd state{.fd = raw_.sock(), .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) != 0;
}

Error Connection::error_of(const std::exception_ptr& exception) const {
  const auto sqlstate = sqlstate_of(exception);
  try {
    std::rethrow_exception(exception);
  } catch (const pqxx::broken_connection&) {
    return {ErrorCode::unavailable, fmt::format("the connection to {} was lost", database_), {}};
  } catch (const pqxx::in_doubt_error&) {
    return {ErrorCode::outcome_unknown, fmt::format("the connection to {} was lost during a commit", database_), {}};
  } catch (const std::exception& error) {
    if (!raw_.is_open() || connection_is_gone(sqlstate)) {
      return {ErrorCode::unavailable, fmt::format("the connection to {} was lost", database_), {}};
    }
    auto message = fmt::format("{}: {}", database_, primary_message(error.what()));
    if (!sqlstate.empty()) message += fmt::format(" (SQLSTATE {})", sqlstate);
    return {code_of(sqlstate), std::move(message), {}};
  } catch (...) {
    return {ErrorCode::internal, fmt::format("{}: an unknown exception", database_), {}};
  }
}

ConnectionPool::Checkout::~Checkout() {
  if (connection_) pool_->give_back(std::move(connection_));
}

Result<ConnectionPool::Checkout> ConnectionPool::checkout(Milliseconds timeout) {
  {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, timeout, [this] { return free_slots_ > 0; })) {
      return fail(ErrorCode::unavailable, fmt::format("all connections to {} are in use", options_.database));
    }
    --free_slots_;
  }
  for (;;) {
    std::unique_ptr<Connection> connection;
    {
      const std::scoped_lock lock(mutex_);
      if (idle_.empty()) break;
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    if (!connection->spoiled()) return Checkout(*this, std::move(connection));
  }
  auto opened = Connection::open(options_);
  if (!opened) {
    give_back(nullptr);
    return std::unexpected(opened.error());
  }
  return Checkout(*this, std::move(*opened));
}

void ConnectionPool::give_back(std::unique_ptr<Connection> connection) {
  if (connection && connection->spoiled()) connection.reset();
  {
    const std::scoped_lock lock(mutex_);
    if (connection) idle_.push_back(std::move(connection));
    ++free_slots_;
  }
  returned_.notify_one();
}

}  // namespace diastole::postgres
