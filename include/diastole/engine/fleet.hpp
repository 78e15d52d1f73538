// Who runs which version, from heartbeats, from asking, and from discovery: in memory, with tallies per service and
// version, so that a verdict never counts instances.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "diastole/core/fleet.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/fleet_store.hpp"

namespace diastole::engine {

struct Heartbeat {
  ServiceName service;
  InstanceId instance;
  std::string version;                   // not empty
  std::string incarnation;               // changes when the process restarts; may be empty
  std::optional<std::int64_t> sequence;  // grows within an incarnation; a repeated or older one is no evidence
};

struct HeartbeatReply {
  Milliseconds next_in{};
  bool replayed = false;  // the sequence was not new: nothing was renewed
};

// A member, or what a poll has told of an instance that also reports by itself (which is no member of its own).
struct InstanceView {
  InstanceId instance;
  std::string version;  // empty: it has never said
  std::string incarnation;
  WallTime last_seen;
  bool silent = false;
  core::Source source = core::Source::heartbeat;
  bool listed = false;  // by a discovery source, now
};

struct FleetSettings {
  Milliseconds heartbeat{10'000};        // what replies ask for in a small fleet
  Milliseconds suspect_after{40'000};    // at the least; four intervals where they are longer
  Milliseconds provable_after{900'000};  // silent for so long is long_silent; at least twice the suspect time
  std::int64_t max_rate = 5'000;         // heartbeats a second: the interval grows with the fleet so that it is kept
  std::size_t max_instances = 1'000'000;
};

struct HeartbeatCounts {
  std::uint64_t accepted = 0;
  std::uint64_t replayed = 0;
};

// Thread-safe; in shards, so that no call waits long for another. Time of receipt counts, on the monotonic clock.
//
// A member is a process: service, instance, incarnation and source. It is live, or silent after the suspect time, and
// stays known, as unknown, until it reports, is removed, or no discovery source that once listed its instance does so
// while it is silent. Every report of another incarnation is another member. What a poll says of an instance that also
// sends heartbeats is no member: it is compared with them (FleetView's conflicts), and forgotten when it is old.
class FleetRegistry {
 public:
  FleetRegistry(ports::FleetStore& store, const ports::Clock& clock, const FleetSettings& settings);
  ~FleetRegistry();
  FleetRegistry(const FleetRegistry&) = delete;
  FleetRegistry& operator=(const FleetRegistry&) = delete;

  // What was known before the start. Where the record is younger than the suspect time, those recorded as live are
  // live, as if last heard one interval before it was complete, and the view says `resumed`; otherwise all are silent
  // until they report. Called once, before the first report.
  [[nodiscard]] Result<void> load();

  // unavailable where the registry is full, or has 1,000 incarnations of the instance.
  [[nodiscard]] Result<HeartbeatReply> report(const Heartbeat& heartbeat);
  // The daemon has asked the instance, and this is what it said. invalid_argument without a version; else as report.
  [[nodiscard]] Result<void> polled(const ServiceName& service, const InstanceId& instance, const std::string& version);
  // All instances of the service that one discovery source lists now. One that was never heard of becomes a member
  // without a version. A source that fails must not call this: what it no longer lists counts as unlisted.
  // unavailable where the registry is full (what fits has been taken), or has 32 sources of the service.
  [[nodiscard]] Result<void> listed(const ServiceName& service, const std::string& source,
                                    const std::vector<InstanceId>& instances);
  // It signed off, or somebody says that it is gone for good: one incarnation, or the instance with all of them.
  // not_found where there is none.
  [[nodiscard]] Result<void> remove(const ServiceName& service, const InstanceId& instance,
                                    const std::optional<std::string>& incarnation, const std::string& reason);

  // Writes what has changed since the last flush, in batches: arrivals, versions, silence, departures, and last-seen
  // once a minute each (less often for a large fleet); and that the record is complete. To be called every second.
  // On failure it is kept for the next.
  [[nodiscard]] Result<void> flush();

  // One moment's truth. `named`: the instances whose members are wanted one by one.
  [[nodiscard]] core::FleetView view(std::span<const core::InstanceName> named = {});
  // Instances of a service in the order of their ids, after `after`: at least `limit` rows where there are as many,
  // the last instance with all of its rows.
  [[nodiscard]] std::vector<InstanceView> instances(const ServiceName& service, const std::string& after,
                                                    std::size_t limit);
  // Since the start.
  [[nodiscard]] HeartbeatCounts heartbeats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::engine
