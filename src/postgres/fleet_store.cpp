#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "diastole/postgres/state.hpp"
#include "state_transaction.hpp"

namespace diastole::postgres {

Result<void> PgFleetStore::flush(std::span<const ports::InstanceRecord> records) {
  if (records.empty()) return {};
  // One statement may not meet the same row twice.
  std::map<std::pair<ServiceName, InstanceId>, const ports::InstanceRecord*> latest;
  for (const auto& record : records) latest[{record.service, record.instance}] = &record;
  auto living = nlohmann::json::array();
  auto gone = nlohmann::json::array();
  for (const auto& [key, record] : latest) {
    nlohmann::json row{{"service", record->service.str()}, {"instance", record->instance.str()}};
    if (record->gone) {
      gone.push_back(std::move(row));
      continue;
    }
    row["version"] = record->version;
    row["incarnation"] = record->incarnation;
    row["last_seen"] = to_rfc3339(record->last_seen);
    living.push_back(std::move(row));
  }
  const auto text = [](const nlohmann::json& rows) {
    return rows.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  return write_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<void> {
    query(transaction,
          "INSERT INTO diastole.instances (service, instance, version, incarnation, last_seen)"
          " SELECT service, instance, version, incarnation, last_seen FROM json_to_recordset($1::json)"
          " AS row(service text, instance text, version text, incarnation text, last_seen timestamptz)"
          " ON CONFLICT (service, instance) DO UPDATE SET version = excluded.version,"
          " incarnation = excluded.incarnation, last_seen = excluded.last_seen",
          text(living));
    query(transaction,
          "DELETE FROM diastole.instances i USING json_to_recordset($1::json) AS row(service text, instance text)"
          " WHERE i.service = row.service AND i.instance = row.instance",
          text(gone));
    return {};
  });
}

Result<std::vector<ports::InstanceRecord>> PgFleetStore::load() {
  using Records = std::vector<ports::InstanceRecord>;
  return read_state(database_.pool(), [](pqxx::transaction_base& transaction) -> Result<Records> {
    Records records;
    for (const auto& row :
         transaction.exec("SELECT service, instance, version, incarnation, " + as_milliseconds("last_seen") +
                          " AS last_seen FROM diastole.instances ORDER BY service, instance")) {
      records.push_back({.service = ServiceName(row["service"].as<std::string>()),
                         .instance = InstanceId(row["instance"].as<std::string>()),
                         .version = row["version"].as<std::string>(),
                         .incarnation = row["incarnation"].as<std::string>(),
                         .last_seen = wall_time(row["last_seen"]),
                         .gone = false,
                         .gone_reason = {}});
    }
    return records;
  });
}

}  // namespace diastole::postgres
