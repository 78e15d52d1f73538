#include "migrate.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "connection.hpp"

namespace diastole::postgres {
namespace {

constexpr std::int64_t kMigrationLock = 0x64696173746F6C65;  // "diastole"
constexpr std::chrono::seconds kMigrationPatience{30};
constexpr std::chrono::milliseconds kMigrationPoll{50};

// The session-level advisory lock that makes concurrent starts take turns.
class MigrationLock {
 public:
  static Result<void> wait(pqxx::connection& connection, std::string_view database) {
    const auto deadline = std::chrono::steady_clock::now() + kMigrationPatience;
    for (;;) {
      // Polled outside a transaction: a session that waits in pg_advisory_lock would hold up a CREATE INDEX
      // CONCURRENTLY.
      {
        pqxx::nontransaction session(connection);
        if (query(session, "SELECT pg_try_advisory_lock($1)", kMigrationLock)[0][0].as<bool>()) return {};
      }
      if (std::chrono::steady_clock::now() >= deadline) {
        return fail(ErrorCode::unavailable,
                    fmt::format("{}: another migration of schema diastole did not end within {} s", database,
                                kMigrationPatience.count()));
      }
      std::this_thread::sleep_for(kMigrationPoll);
    }
  }

  explicit MigrationLock(pqxx::connection& connection) : connection_(connection) {}
  MigrationLock(const MigrationLock&) = delete;
  MigrationLock& operator=(const MigrationLock&) = delete;
  ~MigrationLock() {
    try {
      pqxx::nontransaction session(connection_);
      query(session, "SELECT pg_advisory_unlock($1)", kMigrationLock);
    } catch (const std::exception&) {
      return;  // the session is lost and its locks with it
    }
  }

 private:
  pqxx::connection& connection_;
};

void bound_waits(pqxx::work& transaction) {
  transaction.exec("SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'");
}

// The version that is there. Makes the schema and its table of versions where they are missing, and only there: a role
// that may not create schemas can work in one that was made for it.
Result<int> applied_version(Connection& connection, std::string_view component) {
  pqxx::work transaction(connection.raw());
  bound_waits(transaction);
  const auto there = transaction.exec(
      "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'diastole'),"
      " EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE n.nspname = 'diastole' AND c.relname = 'schema_version')");
  if (!there[0][0].as<bool>()) transaction.exec("CREATE SCHEMA diastole");
  if (!there[0][1].as<bool>()) {
    transaction.exec(
        "CREATE TABLE diastole.schema_version (component text, version int, name text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (component, version))");
  }
  const auto version =
      query(transaction, "SELECT coalesce(max(version), 0) FROM diastole.schema_version WHERE component = $1",
            std::string(component))[0][0]
          .as<int>();
  if (const auto done = connection.commit(transaction); !done) return std::unexpected(done.error());
  return version;
}

Result<void> apply(Connection& connection, std::string_view component, const Migration& migration) {
  pqxx::work transaction(connection.raw());
  bound_waits(transaction);
  transaction.exec(std::string(migration.sql));
  query(transaction, "INSERT INTO diastole.schema_version (component, version, name) VALUES ($1, $2, $3)",
        std::string(component), migration.version, std::string(migration.name));
  return connection.commit(transaction);
}

}  // namespace

Result<void> migrate(Connection& connection, std::string_view component, std::span<const Migration> migrations) {
  return connection.run([&]() -> Result<void> {
    if (auto locked = MigrationLock::wait(connection.raw(), connection.database()); !locked) return locked;
    const MigrationLock lock(connection.raw());
    const auto version = applied_version(connection, component);
    if (!version) return std::unexpected(version.error());
    const int newest = migrations.empty() ? 0 : migrations.back().version;
    if (*version > newest) {
      return fail(ErrorCode::conflict,
                  fmt::format("{}: schema diastole has version {} of component {}, but this binary knows only versions "
                              "up to {}; run a newer one",
                              connection.database(), *version, component, newest));
    }
    for (const auto& migration : migrations) {
      if (migration.version <= *version) continue;
      if (auto applied = apply(connection, component, migration); !applied) return applied;
    }
    return {};
  });
}

}  // namespace diastole::postgres
