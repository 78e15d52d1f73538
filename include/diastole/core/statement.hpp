// What the analysis says of a statement: what it does, and what is wrong with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"

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

}  // namespace diastole::core
