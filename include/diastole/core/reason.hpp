// Why a plan waits, as data: what is in the way, since when, and what would clear it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/time.hpp"

namespace diastole::core {

enum class ReasonKind {
  approval_missing,
  // gate
  backfill_incomplete,
  too_few_instances,
  instance_old,
  instance_unknown,  // silent
  version_unparsable,
  watching,  // the daemon has not watched for one suspect time yet
  soaking,
  sources_disagree,     // heartbeat and poll name different versions
  membership_changing,  // two looks, one suspect time apart, did not see the same members
  mass_silence,
  held,             // by an operator
  sessions_unseen,  // a server's sessions were not scanned, or not in full
  session_old,
  session_unversioned,
  session_undeclared,
  drain_budget,    // sessions below the floor did not end in time
  role_can_login,  // though the fence has taken its login
  quarantined,     // the time of quarantine is not over
  gate_restoring,  // quarantine and fence are being undone
  // preflight
  long_transaction,
  prepared_transaction,
  invalid_index,
  privilege_missing,
  relation_missing,
  no_usable_key,
  target_unavailable,
  target_read_only,
  quarantine_blocked,   // something would break by the renaming, or follow it and hide that it is used
  verification_failed,  // of a backfill, asked once more before contract
  // before a step
  manual,    // an operator has paused this backfill
  retrying,  // between an attempt and the next
};
[[nodiscard]] std::string_view to_string(ReasonKind kind);
[[nodiscard]] std::optional<ReasonKind> reason_kind_from(std::string_view text);

// Fields that do not apply are empty (or 0).
struct Reason {
  ReasonKind kind = ReasonKind::approval_missing;
  std::string message;  // one sentence for people
  std::string clears;   // what would clear it
  std::string service;
  std::string instance;
  std::string version;
  std::string source;  // where the evidence comes from: heartbeat, pg_stat_activity, …
  std::string object;  // phase, table, index
  std::int64_t pid = 0;
  Milliseconds age{};
  std::string query;
  std::int64_t count = 0;  // how many are meant, when only examples are named
  std::optional<WallTime> since;

  friend bool operator==(const Reason&, const Reason&) = default;
};

}  // namespace diastole::core
