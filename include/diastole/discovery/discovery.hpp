// Which instances a service has, by what lists them, and which version each runs, by asking it. Both go to the fleet's
// registry.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diastole/base/host_port.hpp"
#include "diastole/engine/fleet.hpp"
#include "diastole/ports/clock.hpp"
#include "diastole/ports/log.hpp"

namespace diastole::discovery {

struct KubernetesService {
  std::string space;  // its namespace
  std::string name;
  std::string port;  // a name or a number; empty: the only one
};

// The sources that are said are followed all at once. In the registry they are called as the configuration's keys:
// static, file_sd, dns_a, dns_srv, kubernetes.
struct ServiceSettings {
  ServiceName service;
  std::vector<HostPort> fixed;
  std::filesystem::path file_sd;  // empty: none
  std::optional<HostPort> dns_a;
  std::string dns_srv;  // empty: none
  std::optional<KubernetesService> kubernetes;
  bool https = false;
  std::string path = "/version";
  std::string pointer = "/version";
  Milliseconds interval{10'000};  // of the polls, and of DNS
  Milliseconds timeout{2'000};    // of a poll
  std::filesystem::path ca_file;  // with https, as the next three; empty: the system's certificates
  std::filesystem::path cert_file;
  std::filesystem::path key_file;
  std::string server_name;
};

struct KubernetesSettings {
  bool https = true;
  HostPort api;
  std::filesystem::path token_file;  // empty: none is sent
  std::filesystem::path ca_file;
};

struct DiscoverySettings {
  std::vector<ServiceSettings> services;
  KubernetesSettings kubernetes;  // where a service needs it
  std::string dns_servers;        // "ADDRESS:PORT ADDRESS:PORT"; empty: the system's
  std::size_t polls_at_once = 128;
  Milliseconds suspect_after{40'000};  // a source that fails for longer blocks the gate
  Milliseconds empty_for{300'000};     // a source that lists nothing is believed after this
  Milliseconds first_pause{1'000};     // after a first failure of Kubernetes; it doubles
  Milliseconds file_check{1'000};      // how often a file_sd file is looked at
};

// Has one thread of its own, from start() to stop(). Nothing that goes wrong outside ends it: it is logged, once, and
// tried again.
class Discovery {
 public:
  Discovery(DiscoverySettings settings, engine::FleetRegistry& registry, const ports::Clock& clock, ports::Log& log);
  ~Discovery();  // stops

  void start();
  // Ends all polls and sources, within moments. The registry hears nothing after it. Any number of times.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::discovery
