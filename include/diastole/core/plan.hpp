// The plan: what is to happen, as a value. Made by codec from a document and completed by sql's analysis; never changed
// after.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/statement.hpp"
#include "diastole/core/throttle.hpp"
#include "diastole/core/version.hpp"
#include "diastole/core/walk.hpp"

namespace diastole::core {

// What a role tells of the sessions that log in as it.
struct RoleMapping {
  enum class Tells {
    version,           // the one version that logs in as it: a fence can keep it out
    application_name,  // whose service it is; the version stands in the application_name
    nothing,           // whose service it is; the version cannot be told
  };
  std::string role;
  Tells tells = Tells::version;
  std::string version = {};

  friend bool operator==(const RoleMapping&, const RoleMapping&) = default;
};

// One service that uses the database, and what each of its instances must run.
struct FleetRequirement {
  ServiceName service;
  VersionRequirement version;
  int min_instances = 1;
  std::string reason;                   // why min_instances may be 0; required then
  std::vector<RoleMapping> roles = {};  // how its sessions are known; none: by application_name, service@version

  friend bool operator==(const FleetRequirement&, const FleetRequirement&) = default;
};

// What becomes of a row that cannot be changed for its own sake: the step fails and names it, or it is listed and left.
enum class OnError { stop, skip };
[[nodiscard]] std::string_view to_string(OnError on_error);
[[nodiscard]] std::optional<OnError> on_error_from(std::string_view text);

// What a backfill's verification asks once more just before contract: after the analysis, one of these.
struct Recheck {
  std::string where = {};  // may select no row of the table
  std::string query = {};  // may return no row
  std::string none = {};   // why nothing is asked

  friend bool operator==(const Recheck&, const Recheck&) = default;
};

// A backfill sets columns of every row that `where` selects, in batches; or runs `sql` over one range of keys after the
// other.
struct Backfill {
  std::string table;                                     // as an SQL identifier
  std::vector<std::pair<std::string, std::string>> set;  // column (unquoted name) and SQL expression over the row
  std::string where;                                     // rows still to do; empty is every row
  std::vector<FleetRequirement> needs;                   // runs only while these hold
  std::string verify;                                    // "zero_rows", or a query that must return no row; empty: none
  std::optional<int> batch_rows;                         // the size to begin with
  std::optional<WalkBy> walk_by = {};                    // wishes; the rest is chosen from the catalog
  std::optional<int> strides = {};
  int workers = 1;
  std::optional<Walk> walk = {};  // from the analysis, where it had the catalog; what runs is chosen when it begins
  OnError on_error = OnError::stop;
  std::string sql = {};  // instead of set: a statement on the keys from :from to :to, both among them
  std::vector<std::string> sql_pieces = {};  // from the analysis: sql, cut so that each parameter is a piece of its own
  Recheck recheck = {};
  std::optional<Hours> hours = {};       // runs only within these
  std::string hold_while = {};           // a query of one boolean; runs only while it says false
  std::string probe = {};                // a query like the application's own, whose time is watched
  std::optional<int> vacuum_every = {};  // rows changed in one part, after which it is vacuumed

  friend bool operator==(const Backfill&, const Backfill&) = default;
};

// The pieces of a backfill's sql that stand for the first and the last key of its window.
inline constexpr std::string_view kWindowFrom = ":from";
inline constexpr std::string_view kWindowTo = ":to";

struct Step {
  StepId id;
  Phase phase = Phase::expand;
  std::string path;          // JSON pointer of the entry it came from, e.g. /contract/0
  std::string sql;           // the text as written; empty for a backfill
  std::string undo_sql;      // likewise; empty with no_undo set
  std::string no_undo;       // why there is nothing to undo
  std::string set_not_null;  // short form, "table.column"; codec fills it, sql replaces the step by the recipe's
  std::optional<Backfill> backfill;  // set for a backfill, else statements
  std::optional<Milliseconds> statement_timeout;
  std::map<std::string, std::string> allow;  // rule and reason

  // From the analysis.
  std::vector<Statement> statements;
  std::vector<Statement> undo;
  std::vector<Finding> findings;

  [[nodiscard]] bool transactional() const;
  [[nodiscard]] bool destructive() const;
  [[nodiscard]] LockMode lock() const;
  friend bool operator==(const Step&, const Step&) = default;
};

// Sessions that are no application's, by role or application_name: from the configuration, for all plans of a target.
struct Tool {
  enum class By { role, application_name };
  By by = By::role;
  std::string name;

  friend bool operator==(const Tool&, const Tool&) = default;
};

struct GateSpec {
  std::vector<FleetRequirement> fleet;
  Milliseconds soak{};
  Milliseconds quarantine{};                  // 0: none
  Milliseconds drain_budget{600'000};         // after which the gate falls back
  bool terminate = false;                     // sessions below the floor; else they are waited for
  std::vector<FleetRequirement> others = {};  // declared services of which this gate asks nothing
  friend bool operator==(const GateSpec&, const GateSpec&) = default;
};

// What a contract step drops for good, and quarantine renames first.
struct Doomed {
  StepId step;
  std::string table;   // as an SQL identifier
  std::string column;  // unquoted; empty: the table itself

  friend bool operator==(const Doomed&, const Doomed&) = default;
};

struct Plan {
  PlanId id;
  std::string name;
  TargetName target;
  std::string summary;
  std::string hash;         // "sha256-" and 64 hex digits, over the canonical document; what approvals are bound to
  std::vector<Step> steps;  // in the order in which they run: expand, backfill, contract
  std::map<Phase, int> approvals;
  GateSpec gate;
  std::vector<Doomed> doomed = {};  // from the analysis, in the order of the steps

  [[nodiscard]] const Step* find(const StepId& id) const;
  [[nodiscard]] std::optional<std::size_t> index_of(const StepId& id) const;
  [[nodiscard]] bool has(Phase phase) const;
  [[nodiscard]] int approvals_needed(Phase phase) const;
  friend bool operator==(const Plan&, const Plan&) = default;
};

// Everything about a completed plan that no single field shows: unique ids, a fleet where there is a contract,
// statements that cannot share a transaction, needs that name declared services. Errors carry the path.
[[nodiscard]] Result<void> validate(const Plan& plan);

}  // namespace diastole::core
