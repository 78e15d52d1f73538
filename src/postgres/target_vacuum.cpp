// The vacuum between windows that a backfill's plan may ask for.
#include <fmt/format.h>

#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using ports::TargetResult;

constexpr int kMaintainRight = 170000;  // the first version with a right of its own

// A vacuum that may not run only warns.
bool may_vacuum(pqxx::transaction_base& session, int server_version, const std::string& relation) {
  return query(
             session,
             fmt::format("SELECT pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE'){} "
                         "FROM pg_class c, pg_database d WHERE c.oid = $1::regclass AND d.datname = current_database()",
                         server_version >= kMaintainRight ? " OR has_table_privilege(c.oid, 'MAINTAIN')" : ""),
             relation)[0][0]
      .as<bool>();
}

}  // namespace

TargetResult<std::string> PgTarget::backfill_vacuum(const ports::BackfillWork& work, int part, std::stop_token stop) {
  auto connection = pool_.checkout();
  if (!connection) return std::unexpected(target_error(connection.error()));
  auto& raw = (*connection)->raw();
  // Its settings are changed for the whole session.
  (*connection)->spoil();
  const SessionWatch watch(**connection, pool_, stop, kLookEvery);
  try {
    pqxx::nontransaction session(raw);
    claim_session(session, work.id, work.lock_timeout, Milliseconds{0});
    session.exec("SET vacuum_cost_delay = '2ms'");
    const auto found =
        query(session, "SELECT relation FROM diastole.backfill_part WHERE plan = $1 AND step = $2 AND part = $3",
              work.id.plan.str(), work.id.step.str(), part);
    if (found.empty()) return target_fail(ErrorCode::conflict, fmt::format("the target has no part {}", part));
    auto relation = found[0][0].as<std::string>();
    if (!may_vacuum(session, raw.server_version(), relation))
      return target_fail(ErrorCode::conflict,
                         fmt::format("the target's role may not vacuum {}: it is not its owner", relation));
    session.exec(fmt::format("VACUUM (TRUNCATE false) {}", relation));
    return relation;
  } catch (...) {
    auto error = target_error(**connection, std::current_exception());
    if (error.failure.sqlstate == "57014" && stop.stop_requested())
      return target_fail(ErrorCode::interrupted, "stopped on request");
    return std::unexpected(std::move(error));
  }
}

}  // namespace diastole::postgres
