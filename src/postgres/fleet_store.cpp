#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "diastole/postgres/state.hpp"
#include "state_transaction.hpp"

namespace diastole::postgres {
namespace {

using ports::InstanceRecord;
using Records = std::vector<const InstanceRecord*>;

constexpr int kPage = 50'000;  // rows read at a time, so that a million of them do not run into the statement's timeout

// Names come from outside, some of them (discovery's) unread; one that PostgreSQL cannot hold must not keep all others
// from being written.
std::string storable(const std::string& text) {
  if (std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; })) return text;
  const auto replaced = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  auto out = nlohmann::json::parse(replaced).get<std::string>();
  std::ranges::replace(out, '\0', '?');
  return out;
}

// One array of PostgreSQL's text form for each column, so that a statement has as many parameters as columns whatever
// the number of rows.
class Column {
 public:
  void add(const std::string& value) {
    begin();
    text_ += '"';
    for (const char c : storable(value)) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }
  void add_null() {
    begin();
    text_ += "NULL";
  }
  [[nodiscard]] std::string str() const { return text_ + '}'; }

 private:
  void begin() {
    if (text_.size() > 1) text_ += ',';
  }
  std::string text_ = "{";
};

std::string array_of(const std::vector<std::string>& values) {
  Column out;
  for (const auto& value : values) out.add(value);
  return out.str();
}

// The columns that every statement has.
struct Keys {
  Column service;
  Column instance;
  Column incarnation;
  Column source;

  void add(const InstanceRecord& record) {
    service.add(record.service.str());
    instance.add(record.instance.str());
    incarnation.add(record.incarnation);
    source.add(std::string(core::to_string(record.source)));
  }
};

void upsert(pqxx::transaction_base& transaction, const Records& records) {
  if (records.empty()) return;
  Keys keys;
  Column version;
  Column sequence;
  Column silent;
  Column last_seen;
  Column listed_by;
  for (const auto* record : records) {
    keys.add(*record);
    version.add(record->version);
    record->sequence ? sequence.add(std::to_string(*record->sequence)) : sequence.add_null();
    silent.add(record->silent ? "t" : "f");
    last_seen.add(to_rfc3339(record->last_seen));
    listed_by.add(array_of(record->listed_by));
  }
  query(transaction,
        "INSERT INTO diastole.instances"
        " (service, instance, incarnation, source, version, sequence, silent, last_seen, listed_by)"
        " SELECT a, b, c, d, e, f, g, h, i::text[] FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],"
        " $5::text[], $6::bigint[], $7::boolean[], $8::timestamptz[], $9::text[]) AS row(a, b, c, d, e, f, g, h, i)"
        " ON CONFLICT (service, instance, incarnation, source) DO UPDATE SET version = excluded.version,"
        " sequence = excluded.sequence, silent = excluded.silent, last_seen = excluded.last_seen,"
        " listed_by = excluded.listed_by",
        keys.service.str(), keys.instance.str(), keys.incarnation.str(), keys.source.str(), version.str(),
        sequence.str(), silent.str(), last_seen.str(), listed_by.str());
}

void remove(pqxx::transaction_base& transaction, const Records& records) {
  if (records.empty()) return;
  Keys keys;
  for (const auto* record : records) keys.add(*record);
  query(transaction,
        "DELETE FROM diastole.instances i USING unnest($1::text[], $2::text[], $3::text[], $4::text[])"
        " AS row(service, instance, incarnation, source) WHERE i.service = row.service AND i.instance = row.instance"
        " AND i.incarnation = row.incarnation AND i.source = row.source",
        keys.service.str(), keys.instance.str(), keys.incarnation.str(), keys.source.str());
}

void note_departures(pqxx::transaction_base& transaction, const Records& records) {
  if (records.empty()) return;
  Keys keys;
  Column version;
  Column reason;
  for (const auto* record : records) {
    keys.add(*record);
    version.add(record->version);
    reason.add(record->gone_reason);
  }
  query(transaction,
        "INSERT INTO diastole.departures (service, instance, incarnation, source, version, reason)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])",
        keys.service.str(), keys.instance.str(), keys.incarnation.str(), keys.source.str(), version.str(),
        reason.str());
  transaction.exec("DELETE FROM diastole.departures WHERE at < now() - interval '30 days'");
}

// What is to be done about each member in the end: one statement may not meet a row twice.
struct Work {
  Records living;
  Records gone;
  Records departures;
};

Work work_of(std::span<const InstanceRecord> records) {
  const auto key = [](const InstanceRecord& record) {
    return std::tie(record.service, record.instance, record.incarnation, record.source);
  };
  Work out;
  std::map<decltype(key(records.front())), const InstanceRecord*> last;
  for (const auto& record : records) {
    last[key(record)] = &record;
    if (record.gone && !record.gone_reason.empty()) out.departures.push_back(&record);
  }
  for (const auto& [unused, record] : last) (record->gone ? out.gone : out.living).push_back(record);
  return out;
}

InstanceRecord record_from(const pqxx::row& row) {
  InstanceRecord record;
  record.service = ServiceName(row["service"].as<std::string>());
  record.instance = InstanceId(row["instance"].as<std::string>());
  record.incarnation = row["incarnation"].as<std::string>();
  record.source = core::source_from(row["source"].as<std::string>()).value_or(core::Source::heartbeat);
  record.version = row["version"].as<std::string>();
  if (!row["sequence"].is_null()) record.sequence = row["sequence"].as<std::int64_t>();
  record.last_seen = wall_time(row["last_seen"]);
  record.silent = row["silent"].as<bool>();
  auto listed_by = row["listed_by"].as_array();
  for (auto next = listed_by.get_next(); next.first != pqxx::array_parser::juncture::done;
       next = listed_by.get_next()) {
    if (next.first == pqxx::array_parser::juncture::string_value) record.listed_by.push_back(next.second);
  }
  return record;
}

}  // namespace

Result<void> PgFleetStore::flush(std::span<const InstanceRecord> records, bool complete) {
  if (records.empty() && !complete) return {};
  const auto work = work_of(records);
  std::string as_of;
  auto written = write_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<void> {
    upsert(transaction, work.living);
    remove(transaction, work.gone);
    note_departures(transaction, work.departures);
    if (!complete) return {};
    // What this call brings was collected after the last one ended, so the time at which that began is safe to claim.
    if (!as_of_.empty()) {
      query(transaction,
            "INSERT INTO diastole.fleet_record (as_of) VALUES ($1::timestamptz)"
            " ON CONFLICT (singleton) DO UPDATE SET as_of = excluded.as_of",
            as_of_);
    }
    as_of = transaction.exec("SELECT now()").at(0)[0].as<std::string>();
    return {};
  });
  if (written && complete) as_of_ = std::move(as_of);
  return written;
}

Result<ports::FleetRecord> PgFleetStore::load() {
  std::string as_of;
  auto loaded = read_state(database_.pool(), [&](pqxx::transaction_base& transaction) -> Result<ports::FleetRecord> {
    ports::FleetRecord record;
    as_of = transaction.exec("SELECT now()").at(0)[0].as<std::string>();
    const auto stamp =
        transaction.exec("SELECT (extract(epoch FROM now() - as_of) * 1000)::bigint FROM diastole.fleet_record");
    // A stamp from the future says that the clock was set back, and how old it is nobody knows.
    if (!stamp.empty() && stamp[0][0].as<std::int64_t>() >= 0)
      record.age = Milliseconds{stamp[0][0].as<std::int64_t>()};
    std::array<std::string, 4> after;
    while (true) {
      const auto rows = query(transaction,
                              "SELECT service, instance, incarnation, source, version, sequence, silent, listed_by, " +
                                  as_milliseconds("last_seen") +
                                  " AS last_seen FROM diastole.instances"
                                  " WHERE (service, instance, incarnation, source) > ($1, $2, $3, $4)"
                                  " ORDER BY service, instance, incarnation, source LIMIT $5",
                              after[0], after[1], after[2], after[3], kPage);
      for (const auto& row : rows) record.members.push_back(record_from(row));
      if (std::ssize(rows) < kPage) return record;
      for (std::size_t i = 0; i < after.size(); ++i)
        after[i] = rows.back()[static_cast<pqxx::row::size_type>(i)].as<std::string>();
    }
  });
  if (loaded) as_of_ = std::move(as_of);
  return loaded;
}

}  // namespace diastole::postgres
