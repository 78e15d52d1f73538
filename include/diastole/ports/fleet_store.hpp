// What is remembered of the fleet over a restart.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"

namespace diastole::ports {

struct InstanceRecord {
  ServiceName service;
  InstanceId instance;
  std::string version;
  std::string incarnation;
  WallTime last_seen;
  bool gone = false;  // signed off or decommissioned: to be removed
  std::string gone_reason;
};

// Thread-safe; unavailable when the database is out of reach.
class FleetStore {
 public:
  virtual ~FleetStore() = default;
  // Upserts the living, deletes the gone, in one transaction.
  [[nodiscard]] virtual Result<void> flush(std::span<const InstanceRecord> records) = 0;
  [[nodiscard]] virtual Result<std::vector<InstanceRecord>> load() = 0;
};

}  // namespace diastole::ports
