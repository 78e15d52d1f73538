// What is known of who runs which version, as counts: the same size for ten instances and for a million.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/base/time.hpp"

namespace diastole::core {

// Where an instance's version comes from.
enum class Source {
  heartbeat,  // it reports by itself
  poll,       // the daemon asks it, since discovery lists it
};
[[nodiscard]] std::string_view to_string(Source source);
[[nodiscard]] std::optional<Source> source_from(std::string_view text);

// An instance under every incarnation that it has.
struct InstanceName {
  ServiceName service;
  InstanceId instance;
  friend auto operator<=>(const InstanceName&, const InstanceName&) = default;
};

// A member is an instance in one incarnation: two live processes that call themselves the same are two members.
struct Sighting {
  InstanceId instance;
  std::string incarnation;
  WallTime last_seen;
  bool silent = false;
  Source source = Source::heartbeat;
  friend bool operator==(const Sighting&, const Sighting&) = default;
};

// All members of a service that run one version.
struct VersionTally {
  std::string version;  // empty: discovery lists them, and they have never said
  std::int64_t live = 0;
  std::int64_t silent = 0;              // not heard of for longer than the suspect time: unknown, never gone
  std::optional<MonoTime> last_report;  // the latest report of this version by anyone, since the daemon began
  std::vector<Sighting> examples = {};  // at most FleetView::kExamples, silent ones first
  std::int64_t long_silent = 0;         // of the silent, for so long that the database may prove them gone
};

struct ServiceTally {
  ServiceName service;
  std::vector<VersionTally> versions;
  std::optional<MonoTime> last_silence = {};  // the latest moment at which a member fell silent, even if it came back
  std::int64_t members = 0;                   // live and silent
  std::int64_t fell_silent = 0;               // of them, silent now and since less than one suspect time
  std::int64_t conflicts = 0;                 // instances whose live sources name different versions
  std::vector<Sighting> conflict_examples = {};
  std::uint64_t membership = 0;  // a digest of (instance, incarnation) of all members, equal for equal sets
};

// A member that was asked for by name.
struct NamedMember {
  InstanceName name;
  std::string version;
  Sighting seen;
  bool long_silent = false;
};

struct FleetView {
  static constexpr std::size_t kExamples = 10;
  std::vector<ServiceTally> services;
  MonoTime watching_since;              // the daemon's evidence is complete only one suspect time after this
  Milliseconds suspect_after{};         // at least the configured one; grows with the interval that replies ask for
  std::vector<NamedMember> named = {};  // the members of the instances that the view was asked for
  bool resumed = false;  // a fresh record carried over a restart: what it says to be live was live a moment before

  [[nodiscard]] const ServiceTally* find(const ServiceName& service) const;
};

}  // namespace diastole::core
