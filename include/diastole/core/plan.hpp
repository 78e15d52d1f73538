// The plan: what is to happen, as a value. Made by codec from a document and completed by sql's analysis; never changed
// after.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/throttle.hpp"
#include "diastole/core/version.hpp"
#include "diastole/core/walk.hpp"

namespace diastole::core {

enum class Phase { expand, backfill, contract };
inline constexpr Phase kPhases[] = {Phase::expand, Phase::backfill, Phase::contract};
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] std::optional<Phase> phase_from(std::string_view text);

// PostgreSQL's table locks, weakest first (documentation, section 13.3.1).
enum class LockMode {
  none,
  access_share,
  row_share,
  row_exclusive,
  share_update_exclusive,
  share,
  share_row_exclusive,
  exclusive,
  access_exclusive,
};
[[nodiscard]] std::string_view to_string(LockMode mode);
[[nodiscard]] std::optional<LockMode> lock_mode_from(std::string_view text);

enum class Severity { error, warning };
[[nodiscard]] std::string_view to_string(Severity severity);

// What can be said from the text and the catalog. Ordered: the worst of several is their maximum.
enum class Answer {
  no,
  maybe,  // it depends on what the catalog, or nobody, can tell
  yes,
};
[[nodiscard]] std::string_view to_string(Answer answer);
[[nodiscard]] std::optional<Answer> answer_from(std::string_view text);

// A part of the safe form of a statement: one step of a plan.
struct SafeStep {
  enum class Form { sql, set_not_null, backfill };  // the key of the plan document that `text` belongs under
  std::optional<Phase> phase;                       // empty: the phase in which the statement stands
  Form form = Form::sql;
  std::string text;  // <what> stands for something that the analyser does not know
  std::string note;

  friend bool operator==(const SafeStep&, const SafeStep&) = default;
};
[[nodiscard]] std::string_view to_string(SafeStep::Form form);
[[nodiscard]] std::optional<SafeStep::Form> safe_form_from(std::string_view text);

// What a finding is about, as SQL identifiers; empty where it does not apply.
struct Subject {
  std::string table;
  std::string column;
  std::string object;  // an index, constraint, type, …

  friend bool operator==(const Subject&, const Subject&) = default;
};

// What the analyser says of a statement. An error refuses the plan unless the step allows the rule with a reason.
struct Finding {
  std::string rule;  // the linters' name where they have one, e.g. ban-drop-column
  Severity severity = Severity::error;
  std::string message;
  Subject subject = {};
  std::vector<SafeStep> safe_form = {};  // what does it safely; may be empty
  std::vector<std::string> concerned =
      {};  // what goes with it or stands in its way: "view app.names", "function f() (by its text)"
  std::string sharper_with = {};  // what the target's catalog would decide here, where it was not at hand
  std::string path = {};          // JSON pointer into the plan document, e.g. /expand/0/sql
  int line = 0;                   // 1-based, in the SQL at path; 0 where it concerns the whole
  int column = 0;
  std::string allowed_because;  // the step's allow reason, when it lets this finding pass

  friend bool operator==(const Finding&, const Finding&) = default;
};

// One service that uses the database, and what each of its instances must run.
struct FleetRequirement {
  ServiceName service;
  VersionRequirement version;
  int min_instances = 1;
  std::string reason;  // why min_instances may be 0; required then

  friend bool operator==(const FleetRequirement&, const FleetRequirement&) = default;
};

// An existing relation that a statement touches.
struct Touch {
  enum class Kind { table, index, sequence };  // a view, matview or foreign table is a table here
  std::string relation;                        // as an SQL identifier: users, app."Order"
  LockMode lock = LockMode::none;              // the strongest
  Answer scans = Answer::no;                   // reads all of its rows while it holds the lock
  Answer rewrites = Answer::no;                // makes a new copy of it while it holds the lock
  Kind kind = Kind::table;
  bool named = true;  // false: not in the statement's text, but the catalog says that it is touched as well

  friend bool operator==(const Touch&, const Touch&) = default;
};
[[nodiscard]] std::string_view to_string(Touch::Kind kind);
[[nodiscard]] std::optional<Touch::Kind> touch_kind_from(std::string_view text);

// From the catalog's figures.
struct Estimate {
  std::int64_t rows = 0;  // read or written under the strongest lock
  Milliseconds time{};    // an order of magnitude, not a promise

  friend bool operator==(const Estimate&, const Estimate&) = default;
};

// One statement as it will run.
struct Statement {
  std::string sql;
  std::string kind;                  // e.g. "ALTER TABLE"
  LockMode lock = LockMode::none;    // the strongest it takes on a relation that existed before
  bool transactional = true;         // false: CREATE INDEX CONCURRENTLY and its like
  bool destructive = false;          // what it removes cannot be brought back by its undo
  bool reversible = true;            // another statement takes it back, and nothing is lost
  std::optional<Phase> phase;        // where it belongs: the first whose rules let it pass; empty: none does
  std::optional<Estimate> estimate;  // where the catalog knows the relations that it scans or rewrites
  std::vector<Touch> touches;
  std::vector<std::string> creates;  // relations it creates, as SQL identifiers
  std::string index;                 // CREATE/DROP INDEX CONCURRENTLY: the index, as an SQL identifier

  [[nodiscard]] std::vector<std::string> tables() const;  // those of touches that are named
  [[nodiscard]] Answer scans() const;
  [[nodiscard]] Answer rewrites() const;
  friend bool operator==(const Statement&, const Statement&) = default;
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

struct GateSpec {
  std::vector<FleetRequirement> fleet;
  Milliseconds soak{};
  friend bool operator==(const GateSpec&, const GateSpec&) = default;
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
