// The adapter of ports::Target. Its methods are spread by subject: target.cpp (fence, ledger, statements in a
// transaction), target_concurrently.cpp, target_backfill.cpp, target_verification.cpp, target_vacuum.cpp,
// target_pressure.cpp, target_preflight.cpp, target_catalog.cpp, target_sessions.cpp, target_gate.cpp (fence of a gate,
// last look), target_quarantine.cpp, target_statements.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/target.hpp"
#include "session_scanner.hpp"
#include "session_watch.hpp"
#include "sql_error.hpp"

namespace diastole::postgres {

struct OutsideStatement;
struct OutsideClaim;

// The step's statement that runs now.
struct Position {
  int statement = 0;  // 1-based; 0 while it is one of ours
  std::string sql;
};

// A transaction under the fence, as its body sees it.
struct Unit {
  Connection& connection;
  pqxx::work& work;
  Position& at;  // kept by the body, for the error
};

struct UnitSpec {
  const ports::WorkId& id;
  Milliseconds lock_timeout{};
  Milliseconds statement_timeout{};
  bool lossy = false;  // the commit need not reach the disk before it is answered
};

struct LedgerRow {
  bool done = false;
  std::int64_t rows = 0;
  Milliseconds duration{};
};

class PgTarget final : public ports::Target {
 public:
  PgTarget(const TargetName& name, std::string dsn, std::string owner, ports::Log& log, std::filesystem::path disk,
           const std::vector<std::string>& replicas);

  ports::TargetResult<void> prepare(Epoch epoch) override;
  ports::TargetResult<std::vector<core::Reason>> preflight(const ports::PreflightRequest& request) override;
  ports::TargetResult<core::CatalogSnapshot> catalog(const core::CatalogRequest& request) override;
  ports::TargetResult<core::Applied> settle(const ports::WorkId& id, bool transactional) override;
  ports::TargetResult<ports::WorkDone> execute(const ports::StatementWork& work, std::stop_token stop) override;
  ports::TargetResult<ports::WorkDone> execute_concurrently(const ports::StatementWork& work,
                                                            std::stop_token stop) override;
  ports::TargetResult<ports::BackfillPreview> backfill_preview(const ports::BackfillWork& work, int rows) override;
  ports::TargetResult<ports::BackfillState> backfill_begin(const ports::BackfillWork& work) override;
  ports::TargetResult<ports::BackfillBatch> backfill_batch(const ports::BackfillWork& work, int part, int rows,
                                                           std::stop_token stop) override;
  ports::TargetResult<ports::BackfillBatch> backfill_isolate(const ports::BackfillWork& work, int part, int rows,
                                                             std::stop_token stop) override;
  ports::TargetResult<std::string> backfill_vacuum(const ports::BackfillWork& work, int part,
                                                   std::stop_token stop) override;
  ports::TargetResult<ports::BackfillState> backfill_again(const ports::BackfillWork& work) override;
  ports::TargetResult<std::int64_t> backfill_remaining(const ports::BackfillWork& work, std::stop_token stop) override;
  ports::TargetResult<core::Pressure> backfill_pressure(const ports::BackfillWork& work,
                                                        const core::ThrottleLimits& limits,
                                                        std::stop_token stop) override;
  ports::TargetResult<ports::RecheckResult> backfill_recheck(const ports::BackfillWork& work, Milliseconds quiet,
                                                             std::stop_token stop) override;
  ports::TargetResult<std::vector<core::RowFault>> backfill_finish(const ports::BackfillWork& work) override;
  ports::TargetResult<core::SessionScan> sessions(const ports::SessionRequest& request) override;
  ports::TargetResult<std::vector<core::ServerStatements>> statements(const std::vector<std::string>& words) override;
  ports::TargetResult<std::vector<std::string>> keep_out(const ports::GateWork& work) override;
  ports::TargetResult<void> let_in(const ports::GateWork& work, std::stop_token stop) override;
  ports::TargetResult<std::int64_t> end_sessions(const std::vector<core::Session>& sessions) override;
  ports::TargetResult<std::vector<std::string>> quarantine(const ports::GateWork& work, std::stop_token stop) override;

 private:
  using UnitBody = std::function<ports::TargetResult<void>(Unit&)>;

  // One transaction: timeouts, fence, body, commit. Rolled back where the body fails; `stop` cancels what it runs.
  [[nodiscard]] ports::TargetResult<void> transact(const UnitSpec& spec, const std::stop_token& stop,
                                                   const UnitBody& body);
  [[nodiscard]] ports::TargetResult<void> transact_on(Connection& connection, const UnitSpec& spec,
                                                      const std::stop_token& stop, const UnitBody& body);
  // Something outside the fence that changes nothing of the plan's.
  [[nodiscard]] ports::TargetResult<void> inspect(const std::function<ports::TargetResult<void>(Connection&)>& body);

  [[nodiscard]] ports::TargetResult<void> raise_fence(Connection& connection, Epoch epoch);
  // Ends the sessions of earlier epochs that hold up a takeover.
  void end_retired_sessions(Connection& connection, Epoch epoch);

  // A statement outside a transaction: claim it in the ledger, run it, record it.
  [[nodiscard]] ports::TargetResult<OutsideClaim> claim_outside(Connection& connection,
                                                                const ports::StatementWork& work,
                                                                const OutsideStatement& outside,
                                                                const std::stop_token& stop);
  [[nodiscard]] ports::TargetResult<void> run_claimed(Connection& connection, const ports::StatementWork& work,
                                                      const OutsideClaim& claim, const std::stop_token& stop);
  [[nodiscard]] ports::TargetResult<ports::WorkDone> record_outside(Connection& connection,
                                                                    const ports::StatementWork& work,
                                                                    const OutsideStatement& outside);
  [[nodiscard]] ports::TargetResult<void> run_outside(Connection& connection, const ports::StatementWork& work,
                                                      const std::string& sql, const std::stop_token& stop);
  [[nodiscard]] core::Applied leftover_of(const ports::StatementWork& work, const ports::TargetError& error);
  void release_claim(const ports::StatementWork& work);

  // Every server's sessions, asked at once; what does not answer within `patience` is in it as not scanned.
  [[nodiscard]] core::SessionScan scan(const ports::SessionRequest& request, Milliseconds patience);
  // In the transaction that destroys, or claims to: interrupted where the gate is not, or no longer, open.
  [[nodiscard]] ports::TargetResult<void> last_look(pqxx::work& work, const PlanId& plan, const ports::LastLook& look);
  // Gives this step's things in quarantine their names back, and those of the relations that its statements touch.
  [[nodiscard]] ports::TargetResult<void> release_for(Unit& unit, const ports::StatementWork& work);
  // What would break by a quarantine, or follow it, as a conflict.
  [[nodiscard]] ports::TargetResult<void> look_for_followers(const ports::GateWork& work);
  // A session of end_sessions() with one server.
  [[nodiscard]] ports::TargetResult<std::int64_t> end_on(Connection& connection,
                                                         const std::vector<const core::Session*>& sessions);

  const std::string name_;  // "target main"
  const std::string owner_;
  const std::filesystem::path disk_;  // on the filesystem that the database grows on; empty: not at hand
  ports::Log& log_;
  ConnectionPool pool_;
  std::vector<std::unique_ptr<SessionScanner>> scanners_;  // the primary's first
};

// "forward" or "undo", as the ledger has it.
[[nodiscard]] std::string direction_text(ports::Direction direction);

// What a working session calls itself: diastole/<epoch>/<hash of plan and step>/<step>, cut to what PostgreSQL keeps.
// The hash, not the readable part, says which step it is.
[[nodiscard]] std::string session_name(const ports::WorkId& id);
[[nodiscard]] std::string work_hash(const ports::WorkId& id);

// Makes a session that works outside a transaction this work's, for good: it must be spoiled. 0 is no timeout.
void claim_session(pqxx::nontransaction& session, const ports::WorkId& id, Milliseconds lock_timeout,
                   Milliseconds statement_timeout);

// The ledger's row of this work; conflict where it was written for other statements.
[[nodiscard]] ports::TargetResult<std::optional<LedgerRow>> ledger_row(pqxx::transaction_base& transaction,
                                                                       const ports::WorkId& id);

// What work does, its opposite has not done any more: a step that was undone when the gate fell back runs again.
void take_back_opposite(pqxx::transaction_base& transaction, const ports::WorkId& id);

// Writes the row of work that is done, in its own transaction.
ports::WorkDone finish_in_ledger(pqxx::transaction_base& transaction, const ports::WorkId& id, std::int64_t rows);

// SQL's ARRAY['a', 'b']::text[].
[[nodiscard]] std::string text_array(const pqxx::transaction_base& transaction, const std::vector<std::string>& texts);

}  // namespace diastole::postgres
