// What is remembered of the fleet over a restart.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/fleet.hpp"

namespace diastole::ports {

// A member: service, instance, incarnation and source are its key.
struct InstanceRecord {
  ServiceName service;
  InstanceId instance;
  std::string incarnation;
  core::Source source = core::Source::heartbeat;
  std::string version;
  std::optional<std::int64_t> sequence = {};  // the last that counted when this was written
  WallTime last_seen;
  bool silent = false;
  std::vector<std::string> listed_by = {};  // the discovery sources that have ever listed the instance
  bool gone = false;                        // to be removed
  std::string gone_reason = {};             // kept for 30 days; empty: not worth a record
};

struct FleetRecord {
  std::vector<InstanceRecord> members;
  // How old the last complete flush is, by the store's own clock: nothing that changed before is missing. None where
  // there was none.
  std::optional<Milliseconds> age;
};

// For one caller at a time; unavailable when the database is out of reach.
class FleetStore {
 public:
  virtual ~FleetStore() = default;
  // Upserts the living, deletes the gone, in one transaction; of several records of one member the last counts.
  // `complete`: with these, everything has been written that changed before the last complete flush, or load, ended.
  [[nodiscard]] virtual Result<void> flush(std::span<const InstanceRecord> records, bool complete) = 0;
  [[nodiscard]] virtual Result<FleetRecord> load() = 0;
};

}  // namespace diastole::ports
