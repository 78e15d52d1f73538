#include <fmt/format.h>

#include "diastole/postgres/state.hpp"
#include "migrate.hpp"
#include "state_transaction.hpp"

namespace diastole::postgres {
namespace {

constexpr const char* kStateDatabase = "the state database";
constexpr int kOldestStateServer = 130000;  // gen_random_uuid()

// Whether the server can hold our state at all.
Result<void> check_server(Connection& connection) {
  if (connection.server_version() < kOldestStateServer) {
    return fail(ErrorCode::conflict, fmt::format("{} is PostgreSQL {}; 13 or newer is needed", kStateDatabase,
                                                 connection.server_version() / 10000));
  }
  return read_state(connection, [](pqxx::transaction_base& transaction) -> Result<void> {
    if (!transaction.exec("SELECT pg_is_in_recovery()")[0][0].as<bool>()) return {};
    return fail(ErrorCode::unavailable,
                fmt::format("{} is a standby in recovery; the DSN must lead to the primary", kStateDatabase));
  });
}

}  // namespace

StateDatabase::StateDatabase(std::string dsn, std::size_t connections)
    : dsn_(std::move(dsn)),
      pool_(std::make_unique<ConnectionPool>(
          ConnectionOptions{.dsn = dsn_, .application_name = "diastole/state", .database = kStateDatabase},
          connections)) {}

StateDatabase::~StateDatabase() = default;

Result<std::unique_ptr<StateDatabase>> StateDatabase::open(std::string dsn, std::size_t connections) {
  std::unique_ptr<StateDatabase> database(new StateDatabase(std::move(dsn), connections));
  auto connection = database->pool_->checkout();
  if (!connection) return std::unexpected(connection.error());
  if (const auto fit = check_server(**connection); !fit) return std::unexpected(fit.error());
  if (const auto migrated = migrate(**connection, "state", state_migrations()); !migrated) {
    return std::unexpected(as_unavailable(migrated.error()));
  }
  const auto owner = read_state(**connection, [](pqxx::transaction_base& transaction) -> Result<std::string> {
    return transaction.exec("SELECT owner FROM diastole.lease").at(0)[0].as<std::string>();
  });
  if (!owner) return std::unexpected(owner.error());
  database->owner_ = *owner;
  return database;
}

Result<std::unique_ptr<Connection>> StateDatabase::open_session(std::string application_name) const {
  return Connection::open({.dsn = dsn_, .application_name = std::move(application_name), .database = kStateDatabase});
}

}  // namespace diastole::postgres
