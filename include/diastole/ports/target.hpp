// A database that plans change. Each call is one unit of work on it: one transaction, or one statement that cannot run
// in one. Retrying, pacing and recording are the engine's.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/core/backfill.hpp"
#include "diastole/core/catalog.hpp"
#include "diastole/core/event.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/pressure.hpp"
#include "diastole/core/reason.hpp"
#include "diastole/ports/target_backfill.hpp"
#include "diastole/ports/target_gate.hpp"
#include "diastole/ports/work_id.hpp"

namespace diastole::ports {

// code: lock_timeout (rolled back; failure.blockers says who), interrupted (our stop token; rolled back), fenced,
// unavailable (nothing happened), outcome_unknown (settle it), conflict (the ledger contradicts the plan),
// invalid_argument (PostgreSQL refused the statement; rolled back).
struct TargetError {
  ErrorCode code = ErrorCode::internal;
  core::Failure failure;
  core::Applied applied = core::Applied::none;  // what a statement outside a transaction has left behind
};
template <typename T>
using TargetResult = std::expected<T, TargetError>;

struct StatementWork {
  WorkId id;
  std::vector<core::Statement> statements;
  Milliseconds lock_timeout{};
  Milliseconds statement_timeout{};  // 0: none
  // Told of the sessions that block a statement outside a transaction, whenever they change; on a thread of the
  // target's. Those that block a transaction come with its lock_timeout.
  std::function<void(const std::vector<core::Blocker>&)> on_blocked = {};
  std::optional<LastLook> last_look = {};  // of contract's steps
};

struct WorkDone {
  std::int64_t rows = 0;
  Milliseconds duration{};
  bool was_done = false;  // the ledger showed that an earlier attempt had committed; nothing ran
};

struct PreflightRequest {
  core::Phase phase = core::Phase::expand;
  std::vector<core::Step> steps;            // the phase's steps that still have to run
  std::vector<std::string> created;         // tables that earlier steps of the same plan create
  std::string ledger_plan;                  // whose INVALID leftovers are our own business
  Milliseconds long_transaction{};          // sessions older than this on the tables concerned block
  std::optional<GateWork> quarantine = {};  // what will be renamed: whatever follows it, or would break, blocks
};

// Thread-safe; calls on different plans may run at once. `stop` cancels what is running within about a second.
class Target {
 public:
  virtual ~Target() = default;

  // Makes schema diastole, brings it up to date and raises the fence to `epoch`. fenced where it is already higher;
  // conflict where the target is managed by a daemon with another state database (`owner`).
  [[nodiscard]] virtual TargetResult<void> prepare(Epoch epoch) = 0;

  // Obstacles to the phase, as reasons; empty is clean.
  [[nodiscard]] virtual TargetResult<std::vector<core::Reason>> preflight(const PreflightRequest& request) = 0;

  // What the catalogs say of what the request names and of what hangs together with it, at one moment. Needs no
  // prepare(), changes nothing, and returns within a few seconds whatever the database does: lock_timeout where
  // another session holds a relation concerned so that not even its definition can be read.
  [[nodiscard]] virtual TargetResult<core::CatalogSnapshot> catalog(const core::CatalogRequest& request) = 0;

  // Proves that no earlier session of this work is alive (terminating it if need be), then reads the ledger.
  [[nodiscard]] virtual TargetResult<core::Applied> settle(const WorkId& id, bool transactional) = 0;

  // All statements and the ledger row in one transaction, under the fence. What of the step is in quarantine gets its
  // name back first, in the same transaction. interrupted, and rolled back, where the last look finds the gate closed.
  [[nodiscard]] virtual TargetResult<WorkDone> execute(const StatementWork& work, std::stop_token stop) = 0;

  // The one statement of a step that cannot run in a transaction: probes by definition, removes our INVALID leftover,
  // runs, verifies, records. Waits for locks as long as the statement's timeout lets it. The last look is before it
  // runs.
  [[nodiscard]] virtual TargetResult<WorkDone> execute_concurrently(const StatementWork& work,
                                                                    std::stop_token stop) = 0;

  // Looks what the backfill would do with batches of about `rows` rows: nothing runs. Needs no prepare(). conflict
  // where what it names does not exist (yet).
  [[nodiscard]] virtual TargetResult<BackfillPreview> backfill_preview(const BackfillWork& work, int rows) = 0;

  // Reads where the backfill stands; the first time chooses its way and begins.
  [[nodiscard]] virtual TargetResult<BackfillState> backfill_begin(const BackfillWork& work) = 0;
  // One batch of about `rows` rows: they are updated and the part's cursor moved in one transaction, under the fence.
  // Nothing where the part is done. Different parts may be worked on at once.
  [[nodiscard]] virtual TargetResult<BackfillBatch> backfill_batch(const BackfillWork& work, int part, int rows,
                                                                   std::stop_token stop) = 0;
  // The same batch row by row, still in one transaction: for one that failed for a row's sake. Where such rows are to
  // be skipped, they are listed in the target and the others are changed; else nothing is, and the failure names them.
  [[nodiscard]] virtual TargetResult<BackfillBatch> backfill_isolate(const BackfillWork& work, int part, int rows,
                                                                     std::stop_token stop) = 0;
  // Vacuums the part's table and returns its name. Gently, as autovacuum does, and it gives no space back to the
  // system, since that would lock readers out. lock_timeout where other maintenance is at work; conflict where the role
  // may not.
  [[nodiscard]] virtual TargetResult<std::string> backfill_vacuum(const BackfillWork& work, int part,
                                                                  std::stop_token stop) = 0;
  // Begins another pass, where the present one has reached the end.
  [[nodiscard]] virtual TargetResult<BackfillState> backfill_again(const BackfillWork& work) = 0;
  // How many rows the plan's verification still finds, but for those that are listed as skipped (for a query: rows it
  // returns); counted up to 1,000.
  [[nodiscard]] virtual TargetResult<std::int64_t> backfill_remaining(const BackfillWork& work,
                                                                      std::stop_token stop) = 0;
  // What the load on the target is now, of what `limits` does not switch off and the plan asks for; within a few
  // seconds, whatever the database does. Changes nothing; what cannot be read is named in it.
  [[nodiscard]] virtual TargetResult<core::Pressure> backfill_pressure(const BackfillWork& work,
                                                                       const core::ThrottleLimits& limits,
                                                                       std::stop_token stop) = 0;
  // The same before contract, by the plan's recheck. `quiet`: for so long at least nobody who might leave rows undone
  // has been able to write; what was written before shows in the server's statistics.
  [[nodiscard]] virtual TargetResult<RecheckResult> backfill_recheck(const BackfillWork& work, Milliseconds quiet,
                                                                     std::stop_token stop) = 0;
  // Clients' sessions and prepared transactions on this database, of the primary and of every configured replica;
  // within a few seconds, whatever they do. A server that cannot be asked, or shows other roles' sessions only in part,
  // is in it with the reason. Needs no prepare(), changes nothing. `at` is the caller's to set.
  [[nodiscard]] virtual TargetResult<core::SessionScan> sessions(const SessionRequest& request) = 0;
  // Queries that clients run on this database, by pg_stat_statements of each of the same servers, the primary first;
  // those that hold one of `words` (in lower case of ASCII), read or write rows and are of other roles than ours. At
  // most 5,000 of each server, the most called first; a text of more than 65,536 characters is cut. Within a few
  // seconds, whatever the servers do. What a server cannot tell is in it with the reason; a server without
  // pg_stat_statements is no error.
  [[nodiscard]] virtual TargetResult<std::vector<core::ServerStatements>> statements(
      const std::vector<std::string>& words) = 0;
  // Keeps old code out, in one transaction under the fence of epochs: notes the plan's gate epoch and takes the login
  // from the roles. Returns those that have none now for this plan's sake. Again is no harm. conflict where our role
  // may not.
  [[nodiscard]] virtual TargetResult<std::vector<std::string>> keep_out(const GateWork& work) = 0;
  // Undoes quarantine and then keep_out(), in one transaction: everything has its name again, and each role its login
  // that had it before and that no other plan keeps out. From then on the gate epoch has no effect. Again is no harm.
  [[nodiscard]] virtual TargetResult<void> let_in(const GateWork& work, std::stop_token stop) = 0;
  // Ends these sessions, each only while it is still the same; returns how many were told to.
  [[nodiscard]] virtual TargetResult<std::int64_t> end_sessions(const std::vector<core::Session>& sessions) = 0;
  // Renames what is doomed, in one transaction; returns "users.name → name__…" for each. Again is no harm: what has
  // been renamed stays. conflict where something depends on it that would break or follow (views, functions by their
  // text).
  [[nodiscard]] virtual TargetResult<std::vector<std::string>> quarantine(const GateWork& work,
                                                                          std::stop_token stop) = 0;
  // Writes the ledger row; returns the rows that were skipped.
  [[nodiscard]] virtual TargetResult<std::vector<core::RowFault>> backfill_finish(const BackfillWork& work) = 0;
};

}  // namespace diastole::ports
