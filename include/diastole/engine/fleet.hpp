// Who runs which version, from heartbeats: in memory, with tallies per service and version, so that a verdict never
// counts rows.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "diastole/core/gate.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/fleet_store.hpp"

namespace diastole::engine {

struct Heartbeat {
  ServiceName service;
  InstanceId instance;
  std::string version;
  std::string incarnation;               // changes when the process restarts; may be empty
  std::optional<std::int64_t> sequence;  // grows within an incarnation; a repeated or older one is no evidence
};

struct HeartbeatReply {
  Milliseconds next_in{};
  bool replayed = false;  // the sequence was not new: nothing was renewed
};

struct InstanceView {
  InstanceId instance;
  std::string version;
  std::string incarnation;
  WallTime last_seen;
  bool silent = false;
};

struct FleetSettings {
  Milliseconds heartbeat{10'000};
  Milliseconds suspect_after{40'000};
  std::size_t max_instances = 1'000'000;
};

// Thread-safe. Time of receipt counts, on the monotonic clock. A silent instance stays known, as unknown, until it
// reports, signs off or is decommissioned.
class FleetRegistry {
 public:
  FleetRegistry(ports::FleetStore& store, const ports::Clock& clock, const FleetSettings& settings);

  // What was known before the start, all silent until it reports again. Called once, before the first report.
  [[nodiscard]] Result<void> load();
  // unavailable where the registry is full.
  [[nodiscard]] Result<HeartbeatReply> report(const Heartbeat& heartbeat);
  // Removes an instance: it signed off, or an operator says it is gone for good. not_found where there is none.
  [[nodiscard]] Result<void> remove(const ServiceName& service, const InstanceId& instance, const std::string& reason);
  // Writes what has changed since the last flush: arrivals, versions, departures, and last-seen at most once a minute
  // each. On failure it is kept for the next.
  [[nodiscard]] Result<void> flush();

  [[nodiscard]] core::FleetView view();
  // Instances of a service in the order of their ids, after `after`, at most `limit`.
  [[nodiscard]] std::vector<InstanceView> instances(const ServiceName& service, const std::string& after,
                                                    std::size_t limit);

 private:
  struct Tally;
  struct Instance {
    InstanceId id;
    std::string incarnation;
    std::optional<std::int64_t> sequence;
    MonoTime last_seen;
    WallTime last_seen_wall;
    MonoTime flushed;
    bool silent = false;
    bool dirty = false;
    Tally* tally = nullptr;
  };
  using Instances = std::list<Instance>;
  // Instances move between lists by splicing, so that positions stay valid; `live` is ordered by last_seen.
  struct Tally {
    std::string version;
    Instances live;
    Instances silent;
    std::optional<MonoTime> last_report;
  };
  struct Service {
    std::map<std::string, Tally> tallies;
    std::map<InstanceId, Instances::iterator> instances;
    std::optional<MonoTime> last_silence;
  };

  // The rest is called with mutex_ held.
  Tally& tally_of(Service& service, const std::string& version);
  void expire(Service& service, MonoTime now);
  void mark_dirty(const ServiceName& service, Instance& instance);

  ports::FleetStore& store_;
  const ports::Clock& clock_;
  const FleetSettings settings_;
  const MonoTime started_;
  std::mutex flush_mutex_;  // one flush at a time: an older record never overwrites a newer one
  std::mutex mutex_;        // of what follows
  std::map<ServiceName, Service> services_;
  std::size_t count_ = 0;
  std::uint64_t jitter_ = 0;
  std::vector<std::pair<ServiceName, InstanceId>> dirty_;
  std::vector<ports::InstanceRecord> gone_;
};

}  // namespace diastole::engine
