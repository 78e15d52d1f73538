// A gate's fence on its target: which roles may not log in, the epoch under which that holds, and the last look before
// something is destroyed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "pg_target.hpp"
#include "quarantine.hpp"

namespace diastole::postgres {
namespace {

using ports::GateWork;
using ports::TargetError;
using ports::TargetResult;

// Locks are held meanwhile.
constexpr Milliseconds kLastLookPatience{1'000};
constexpr std::size_t kReasonsShown = 3;

// Two plans may keep out one role: they take turns, or ALTER ROLE would fail with "tuple concurrently updated".
void take_turns(pqxx::work& work) {
  work.exec("LOCK TABLE diastole.kept_out_role IN SHARE ROW EXCLUSIVE MODE");
}

std::unexpected<TargetError> fell_back(const PlanId& plan, std::int64_t epoch) {
  return target_fail(
      ErrorCode::conflict,
      fmt::format("the gate of plan {} has fallen back: its epoch {} has no effect any more", plan.str(), epoch));
}

// What PostgreSQL says to a role that may not change others names no way out.
TargetError in_words(TargetError error, const std::string& name, int server_version) {
  if (error.failure.sqlstate != "42501") return error;
  error.code = ErrorCode::conflict;
  error.failure.message = fmt::format("our role may not change a login on {}: {}", name, error.failure.message);
  error.failure.hint = server_version >= 160000
                           ? "ALTER ROLE … CREATEROLE for it, and GRANT the roles to it WITH ADMIN OPTION"
                           : "ALTER ROLE … CREATEROLE for it; a superuser's login only a superuser may change";
  return error;
}

// Before this plan, or another, has taken it.
bool had_login(pqxx::work& work, const std::string& role) {
  return query(work,
               "SELECT rolcanlogin OR EXISTS (SELECT FROM diastole.kept_out_role WHERE role = rolname AND had_login) "
               "FROM pg_roles WHERE rolname = $1",
               role)[0][0]
      .as<bool>();
}

void keep_out_role(pqxx::work& work, const PlanId& plan, const std::string& role) {
  query(work,
        "INSERT INTO diastole.kept_out_role AS k (plan, role, had_login) VALUES ($1, $2, $3) "
        "ON CONFLICT (plan, role) DO UPDATE SET had_login = k.had_login OR excluded.had_login",
        plan.str(), role, had_login(work, role));
  // Not where it has none: the role's owner may have no right to say so again.
  if (!query(work, "SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin", role).empty())
    work.exec(fmt::format("ALTER ROLE {} NOLOGIN", work.quote_name(role)));
}

// Those of its roles that had a login, still exist, and are kept out by no other plan have it back.
void let_roles_in(pqxx::work& work, const PlanId& plan) {
  const auto roles =
      query(work,
            "WITH ours AS (DELETE FROM diastole.kept_out_role WHERE plan = $1 RETURNING role, had_login) "
            "SELECT o.role FROM ours o JOIN pg_roles r ON r.rolname = o.role WHERE o.had_login "
            "AND NOT EXISTS (SELECT FROM diastole.kept_out_role k WHERE k.role = o.role AND k.plan <> $1) "
            "ORDER BY 1",
            plan.str());
  for (const auto& row : roles)
    work.exec(fmt::format("ALTER ROLE {} LOGIN", work.quote_name(row[0].as<std::string>())));
}

}  // namespace

ports::WorkId gate_id(const GateWork& work) {
  return {.plan = work.plan,
          .step = StepId{"gate"},
          .direction = ports::Direction::forward,
          .checksum = {},
          .epoch = work.epoch};
}

TargetResult<void> hold_gate(pqxx::work& work, const PlanId& plan, std::int64_t epoch) {
  if (!query(work, "SELECT FROM diastole.gate WHERE plan = $1 AND epoch = $2 AND kept_out FOR SHARE", plan.str(), epoch)
           .empty())
    return {};
  return fell_back(plan, epoch);
}

TargetResult<std::vector<std::string>> PgTarget::keep_out(const GateWork& work) {
  std::vector<std::string> kept_out;
  int version = 0;
  const auto id = gate_id(work);
  const UnitSpec spec{.id = id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
  auto done = transact(spec, {}, [&](Unit& unit) -> TargetResult<void> {
    version = unit.connection.server_version();
    take_turns(unit.work);
    const auto noted = query(unit.work,
                             "INSERT INTO diastole.gate AS g (plan, epoch, kept_out) VALUES ($1, $2, true) "
                             "ON CONFLICT (plan) DO UPDATE SET epoch = excluded.epoch, kept_out = true, "
                             "changed_at = now() WHERE g.epoch <= excluded.epoch",
                             work.plan.str(), work.gate_epoch);
    if (noted.affected_rows() == 0) return fell_back(work.plan, work.gate_epoch);
    for (const auto& row : unit.work.exec("SELECT rolname, rolname IN (session_user, current_user) FROM pg_roles "
                                          "WHERE rolname = ANY (" +
                                          text_array(unit.work, work.roles) + ") ORDER BY 1")) {
      const auto role = row[0].as<std::string>();
      if (row[1].as<bool>()) {
        return target_fail(ErrorCode::conflict,
                           fmt::format("role {} is our own on {}: without its login nobody could let the old version "
                                       "in again; give the daemon a role of its own",
                                       role, name_));
      }
      keep_out_role(unit.work, work.plan, role);
    }
    for (const auto& row :
         query(unit.work, "SELECT role FROM diastole.kept_out_role WHERE plan = $1 AND had_login ORDER BY 1",
               work.plan.str()))
      kept_out.push_back(row[0].as<std::string>());
    return {};
  });
  if (!done) return std::unexpected(in_words(std::move(done.error()), name_, version));
  return kept_out;
}

TargetResult<void> PgTarget::let_in(const GateWork& work, std::stop_token stop) {
  int version = 0;
  bool renamed = false;
  const auto id = gate_id(work);
  const UnitSpec spec{.id = id, .lock_timeout = work.lock_timeout, .statement_timeout = work.statement_timeout};
  auto done = transact(spec, stop, [&](Unit& unit) -> TargetResult<void> {
    version = unit.connection.server_version();
    take_turns(unit.work);
    // First, so that it waits for a transaction that destroys, and that one's successor finds the gate closed. An epoch
    // that is over has been let in already.
    const auto closed =
        query(unit.work,
              "INSERT INTO diastole.gate AS g (plan, epoch, kept_out) VALUES ($1, $2::bigint + 1, false) "
              "ON CONFLICT (plan) DO UPDATE SET epoch = excluded.epoch, kept_out = false, "
              "changed_at = now() WHERE g.epoch < excluded.epoch",
              work.plan.str(), work.gate_epoch);
    if (closed.affected_rows() == 0) return {};
    for (const auto& thing : quarantined(unit.work, work.plan)) {
      if (auto back = release(unit.work, work.plan, thing, log_, name_); !back) return back;
    }
    renamed = true;
    let_roles_in(unit.work, work.plan);
    return {};
  });
  if (!done && !renamed) return std::unexpected(not_the_owner(std::move(done.error())));
  if (!done) return std::unexpected(in_words(std::move(done.error()), name_, version));
  return {};
}

TargetResult<void> PgTarget::last_look(pqxx::work& work, const PlanId& plan, const ports::LastLook& look) {
  if (auto held = hold_gate(work, plan, look.gate_epoch); !held) {
    held.error().code = ErrorCode::interrupted;
    held.error().failure.message += "; rolled back";
    return held;
  }
  // By sessions of their own, each of which sees what is now: pg_stat_activity as this transaction may have read it
  // before would still be what it was.
  const auto reasons = look.judge(scan(look.request, kLastLookPatience));
  if (reasons.empty()) return {};
  std::vector<std::string> messages;
  for (const auto& reason : reasons) {
    if (messages.size() == kReasonsShown) break;
    messages.push_back(reason.message);
  }
  const auto more = reasons.size() - messages.size();
  return target_fail(ErrorCode::interrupted,
                     fmt::format("rolled back at the last look before the commit: {}{}", fmt::join(messages, "; "),
                                 more > 0 ? fmt::format("; and {} more", more) : ""));
}

}  // namespace diastole::postgres
