// How far a step is, and what bounds a backfill.
#pragma once

#include <cstdint>
#include <optional>

#include "diastole/base/time.hpp"
#include "diastole/core/throttle.hpp"

namespace diastole::core {

struct Progress {
  std::int64_t rows = 0;  // visited, all passes together
  std::int64_t rows_changed = 0;
  std::int64_t rows_total = 0;  // estimate; 0 unknown
  int pass = 1;
  double rows_per_second = 0;
  std::optional<Milliseconds> eta;  // of this pass
  double share = 0;                 // of this pass's way that is behind, 0 to 1
  // The same at two standard errors of the mean rate up and down, from how unsteady it was; eta_high is empty where
  // that shows no end.
  std::optional<Milliseconds> eta_low = {};
  std::optional<Milliseconds> eta_high = {};
  std::int64_t rows_skipped = 0;  // in this pass, for their own fault
  Throttle throttle = {};
  friend bool operator==(const Progress&, const Progress&) = default;
};

// What an operator asks of a backfill: bounds that it keeps to, below what it would do by itself.
struct Pace {
  std::optional<int> rows_per_second;
  std::optional<int> batch_rows;
  std::optional<int> workers;
  bool paused = false;
  friend bool operator==(const Pace&, const Pace&) = default;
};

}  // namespace diastole::core
