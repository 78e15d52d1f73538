// diastoled's own memory in PostgreSQL: schema diastole of the state database.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "diastole/ports/fleet_store.hpp"
#include "diastole/ports/lease.hpp"
#include "diastole/ports/plan_store.hpp"

namespace diastole::postgres {

class Connection;
class ConnectionPool;

// The database, opened and brought up to date. Thread-safe; outlives the stores and the lease made on it.
class StateDatabase {
 public:
  // Keeps at most `connections` sessions for the stores. unavailable: out of reach, in recovery or read-only. conflict:
  // older than PostgreSQL 13, or its schema is newer than this binary. No error names host, user, database or password.
  [[nodiscard]] static Result<std::unique_ptr<StateDatabase>> open(std::string dsn, std::size_t connections);
  ~StateDatabase();
  StateDatabase(const StateDatabase&) = delete;
  StateDatabase& operator=(const StateDatabase&) = delete;

  // The uuid that names this state for ever; targets remember it.
  [[nodiscard]] const std::string& owner() const { return owner_; }

  // For this room.
  [[nodiscard]] ConnectionPool& pool() { return *pool_; }
  [[nodiscard]] Result<std::unique_ptr<Connection>> open_session(std::string application_name) const;

 private:
  StateDatabase(std::string dsn, std::size_t connections);

  std::string dsn_;
  std::unique_ptr<ConnectionPool> pool_;
  std::string owner_;
};

// Waits of more than 5 s for a lock or a statement are unavailable too.
class PgPlanStore final : public ports::PlanStore {
 public:
  explicit PgPlanStore(StateDatabase& database) : database_(database) {}
  [[nodiscard]] Result<void> append(const core::PlanState& next, std::span<const core::Event> events, WallTime at,
                                    Epoch epoch, const std::function<Result<void>()>& guard) override;
  [[nodiscard]] Result<core::PlanState> load(const PlanId& plan) override;
  [[nodiscard]] Result<std::vector<core::PlanState>> list(bool unfinished) override;
  [[nodiscard]] Result<std::vector<core::Floor>> floors() override;
  [[nodiscard]] Result<std::vector<ports::StoredEvent>> events_after(const std::optional<PlanId>& plan,
                                                                     std::int64_t after, int limit) override;

 private:
  StateDatabase& database_;
};

// For one registry: calls of flush and load must not overlap.
class PgFleetStore final : public ports::FleetStore {
 public:
  explicit PgFleetStore(StateDatabase& database) : database_(database) {}
  [[nodiscard]] Result<void> flush(std::span<const ports::InstanceRecord> records, bool complete) override;
  [[nodiscard]] Result<ports::FleetRecord> load() override;

 private:
  StateDatabase& database_;
  std::string as_of_;  // when the last complete flush, or the load, began; by the database's clock
};

// A session-level advisory lock on a session of its own says who may take the epoch; the epoch in the lease row is what
// fences. Thread-safe.
class PgLease final : public ports::Lease {
 public:
  explicit PgLease(StateDatabase& database);
  ~PgLease() override;

  // `holder` is what another daemon will be told. Where this lease is held already, its epoch. conflict: another daemon
  // holds it (the message says which one and since when).
  [[nodiscard]] Result<Epoch> acquire(const std::string& holder);

  // To be called every 2 s or so after acquire(). An error says that the lease is not held now: epoch() is 0 at once
  // when it is found lost, and later calls try to take it again, under a higher epoch.
  [[nodiscard]] Result<void> check();

  [[nodiscard]] Epoch epoch() const override { return Epoch{epoch_.load()}; }

 private:
  [[nodiscard]] Result<void> take();
  [[nodiscard]] Result<void> confirm();

  StateDatabase& database_;
  std::mutex mutex_;  // over session_ and holder_
  std::unique_ptr<Connection> session_;
  std::string holder_;
  std::atomic<std::int64_t> epoch_ = 0;
};

}  // namespace diastole::postgres
