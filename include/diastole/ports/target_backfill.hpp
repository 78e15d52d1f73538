// A backfill's work on a target, and what the target answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diastole/base/time.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/walk.hpp"
#include "diastole/ports/work_id.hpp"

namespace diastole::ports {

struct BackfillWork {
  WorkId id;
  core::Backfill backfill;
  Milliseconds lock_timeout{};
  Milliseconds statement_timeout{};
};

// Where a backfill stands, as the target's own tables say.
struct BackfillState {
  core::Walk walk;
  int pass = 1;
  std::int64_t rows = 0;  // visited, over all passes; by blocks an estimate
  std::int64_t rows_changed = 0;
  std::int64_t rows_before = 0;   // of them, those of the passes before this one
  std::int64_t rows_total = 0;    // estimate of the table's rows
  double share = 0;               // of this pass's way that is behind, 0 to 1; by key an estimate
  std::vector<int> open_parts;    // of this pass; none: it has reached the end
  std::int64_t rows_skipped = 0;  // in this pass
};

// What a batch has added to that.
struct BackfillBatch {
  std::int64_t rows = 0;
  std::int64_t rows_changed = 0;
  double share = 0;
  bool part_done = false;
  bool window_done = false;
  std::int64_t rows_skipped = 0;
  Milliseconds changing{};  // how long its rows were being changed, without what else a batch needs
};

// What a backfill would do, from its beginning.
struct BackfillPreview {
  struct Part {
    std::string relation;  // as an SQL identifier
    std::int64_t rows = 0;
  };
  core::Walk walk;
  std::vector<Part> parts;  // rows are estimates
  std::string window_sql;   // finds where the first window ends; empty by blocks
  std::string batch_sql;    // of the first batch; empty where there is no row
  std::string explain;      // of that
  std::string refused;      // why it would not begin; empty where it would
};

// What a verification finds that is asked once more.
struct RecheckResult {
  std::int64_t rows = 0;   // as backfill_remaining() counts
  bool unwritten = false;  // no row was written since the verification, so that none had to be read
};

}  // namespace diastole::ports
