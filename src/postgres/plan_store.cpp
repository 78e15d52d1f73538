#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "diastole/codec/plan_codec.hpp"
#include "diastole/postgres/state.hpp"
#include "state_transaction.hpp"

namespace diastole::postgres {
namespace {

constexpr int kBodyVersion = 1;

// Invalid UTF-8 (a server message in an odd encoding, say) is replaced: to lose a byte of a message is better than not
// to record that a step has failed.
std::string as_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Our own JSON cannot be read back: not the caller's fault, whatever the codec calls it.
std::unexpected<Error> damaged(std::string_view what, const std::string& message) {
  return fail(ErrorCode::internal, fmt::format("{} in the state database cannot be read: {}", what, message));
}

Result<nlohmann::json> json_of(const pqxx::field& field) {
  auto json = nlohmann::json::parse(field.c_str(), nullptr, false);
  if (json.is_discarded()) return damaged("a JSON value", "not JSON");
  return json;
}

Result<core::PlanState> state_of(const pqxx::row& row) {
  const auto json = json_of(row[0]);
  if (!json) return std::unexpected(json.error());
  auto state = codec::state_from_json(*json);
  if (!state) return damaged("a plan", state.error().message + " at " + state.error().path);
  return state;
}

Result<ports::StoredEvent> event_of(const pqxx::row& row) {
  const auto id = row["id"].as<std::int64_t>();
  const auto name = fmt::format("event {}", id);
  if (const auto version = row["version"].as<int>(); version > kBodyVersion) {
    return damaged(name, fmt::format("its form {} is newer than this binary", version));
  }
  const auto json = json_of(row["body"]);
  if (!json) return std::unexpected(json.error());
  auto event = codec::event_from_json(row["kind"].c_str(), *json);
  if (!event) return damaged(name, event.error().message + " at " + event.error().path);
  return ports::StoredEvent{.id = id,
                            .plan = PlanId(row["plan"].as<std::string>()),
                            .seq = row["seq"].as<std::int64_t>(),
                            .at = wall_time(row["at"]),
                            .event = std::move(*event)};
}

// The row lock makes appends take turns, and keeps the epoch from being raised before we have committed.
Result<void> hold_lease(pqxx::transaction_base& transaction, Epoch epoch) {
  const auto row = transaction.exec("SELECT epoch, holder FROM diastole.lease FOR UPDATE").at(0);
  const auto current = row[0].as<std::int64_t>();
  if (epoch.value > 0 && epoch.value == current) return {};
  return fail(ErrorCode::fenced, fmt::format("the lease's epoch is {} (held by {}), not {}", current,
                                             row[1].as<std::string>(), epoch.value));
}

// Inserts the plan at its first event, else moves it on from `before`.
Result<void> write_projection(pqxx::transaction_base& transaction, const core::PlanState& next, std::int64_t before) {
  const auto& plan = next.plan;
  const auto stage = std::string(core::to_string(next.stage));
  const auto condition = std::string(core::to_string(next.condition));
  const auto state = as_text(codec::state_to_json(next));
  const auto changed_at = to_rfc3339(next.changed_at);
  if (before == 0) {
    const auto inserted = query(
        transaction,
        "INSERT INTO diastole.plans (id, name, target, hash, seq, stage, condition, state, submitted_at, changed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::timestamptz, $10::timestamptz)"
        " ON CONFLICT (id) DO NOTHING",
        plan.id.str(), plan.name, plan.target.str(), plan.hash, next.seq, stage, condition, state,
        to_rfc3339(next.submitted_at), changed_at);
    if (inserted.affected_rows() == 1) return {};
    return fail(ErrorCode::conflict, fmt::format("plan {} exists already", plan.id.str()));
  }
  const auto updated =
      query(transaction,
            "UPDATE diastole.plans SET hash = $3, seq = $4, stage = $5, condition = $6, state = $7::jsonb,"
            " changed_at = $8::timestamptz WHERE id = $1 AND seq = $2",
            plan.id.str(), before, plan.hash, next.seq, stage, condition, state, changed_at);
  if (updated.affected_rows() == 1) return {};
  return fail(ErrorCode::conflict, fmt::format("plan {} is not at event {} any more", plan.id.str(), before));
}

void write_events(pqxx::transaction_base& transaction, const PlanId& plan, std::int64_t before,
                  std::span<const core::Event> events, WallTime at, Epoch epoch) {
  auto seq = before;
  for (const auto& event : events) {
    query(transaction,
          "INSERT INTO diastole.events (plan, seq, at, epoch, kind, body, version)"
          " VALUES ($1, $2, $3::timestamptz, $4, $5, $6::jsonb, $7)",
          plan.str(), ++seq, to_rfc3339(at), epoch.value, std::string(core::kind(event)),
          as_text(codec::event_to_json(event)), kBodyVersion);
  }
}

}  // namespace

Result<void> PgPlanStore::append(const core::PlanState& next, std::span<const core::Event> events, WallTime at,
                                 Epoch epoch, const std::function<Result<void>()>& guard) {
  const auto before = next.seq - static_cast<std::int64_t>(events.size());
  if (events.empty() || before < 0) {
    return fail(ErrorCode::internal,
                fmt::format("{} events cannot lead plan {} to event {}", events.size(), next.plan.id.str(), next.seq));
  }
  return write_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<void> {
    if (auto held = hold_lease(transaction, epoch); !held) return held;
    if (auto written = write_projection(transaction, next, before); !written) return written;
    write_events(transaction, next.plan.id, before, events, at, epoch);
    return guard ? guard() : Result<void>{};
  });
}

Result<core::PlanState> PgPlanStore::load(const PlanId& plan) {
  return read_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<core::PlanState> {
    const auto rows = query(transaction, "SELECT state FROM diastole.plans WHERE id = $1", plan.str());
    if (rows.empty()) return fail(ErrorCode::not_found, fmt::format("there is no plan {}", plan.str()));
    return state_of(rows[0]);
  });
}

Result<std::vector<core::PlanState>> PgPlanStore::list(bool unfinished) {
  return read_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<std::vector<core::PlanState>> {
    const std::string which = unfinished ? " WHERE stage NOT IN ('completed', 'aborted')" : "";
    std::vector<core::PlanState> plans;
    for (const auto& row :
         transaction.exec("SELECT state FROM diastole.plans" + which + " ORDER BY submitted_at DESC, id")) {
      auto state = state_of(row);
      if (!state) return std::unexpected(std::move(state.error()));
      plans.push_back(std::move(*state));
    }
    return plans;
  });
}

Result<std::vector<core::Floor>> PgPlanStore::floors() {
  return read_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<std::vector<core::Floor>> {
    std::vector<core::Floor> floors;
    for (const auto& row : transaction.exec(
             "SELECT state FROM diastole.plans WHERE state->'gate'->>'stage' <> 'closed' ORDER BY submitted_at, id")) {
      const auto state = state_of(row);
      if (!state) return std::unexpected(state.error());
      std::ranges::move(core::floors(*state), std::back_inserter(floors));
    }
    return floors;
  });
}

Result<std::vector<ports::StoredEvent>> PgPlanStore::events_after(const std::optional<PlanId>& plan, std::int64_t after,
                                                                  int limit) {
  using Events = std::vector<ports::StoredEvent>;
  return read_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<Events> {
    const auto columns =
        "SELECT id, plan, seq, " + as_milliseconds("at") + " AS at, kind, body, version FROM diastole.events";
    const auto rows = plan ? query(transaction, columns + " WHERE plan = $1 AND id > $2 ORDER BY id LIMIT $3",
                                   plan->str(), after, limit)
                           : query(transaction, columns + " WHERE id > $1 ORDER BY id LIMIT $2", after, limit);
    Events events;
    for (const auto& row : rows) {
      auto event = event_of(row);
      if (!event) return std::unexpected(std::move(event.error()));
      events.push_back(std::move(*event));
    }
    return events;
  });
}

}  // namespace diastole::postgres
