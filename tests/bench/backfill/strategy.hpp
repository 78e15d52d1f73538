// The ways to fill the new column that are compared.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "database.hpp"
#include "load.hpp"

namespace diastole::bench {

// One backfill of the fresh copy, connected and ready to begin. Gone, its sessions are closed.
class Backfill {
 public:
  virtual ~Backfill() = default;
  // Sets display_name of every row; from when to when it took. Throws where it fails, or soon after `stop`, which also
  // ends the server's sessions.
  virtual Span run(const std::stop_token& stop) = 0;
};

struct Strategy {
  std::string_view name;   // on the command line
  std::string_view title;  // in the table
  bool every_round;        // or in the first round only: an anchor that is known to be slow
  std::function<std::unique_ptr<Backfill>(const Database&)> prepare;
};

// In the order in which a round runs them. "nothing" first, then the single UPDATE; "ours" last.
[[nodiscard]] const std::vector<Strategy>& strategies();

// The real daemon at its defaults, with a plan of one backfill step; its time is that of the step's own events.
[[nodiscard]] std::unique_ptr<Backfill> prepare_ours(const Database& database);

}  // namespace diastole::bench
