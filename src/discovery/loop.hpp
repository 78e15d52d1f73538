// The thread that follows the sources and polls.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "diastole/discovery/discovery.hpp"
#include "kubernetes_source.hpp"
#include "poller.hpp"
#include "roster.hpp"
#include "source.hpp"
#include "task_group.hpp"

namespace diastole::discovery {

// What is told of the fleet, on the loop's thread.
struct Report {
  // All that one source lists. False: not now, tell it again.
  std::function<bool(const ServiceName&, const std::string& source, const std::vector<InstanceId>&)> listed;
  Poller::Polled polled;
};

class Loop {
 public:
  Loop(DiscoverySettings settings, Report report, const ports::Clock& clock, ports::Log& log);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  void stop();

 private:
  void follow(const ServiceSettings& service);
  [[nodiscard]] Sink sink(const ServiceName& service, const std::string& source);
  [[nodiscard]] Task<> settle();

  const DiscoverySettings settings_;
  const Report report_;
  const ports::Clock& clock_;
  ports::Log& log_;
  asio::io_context io_{1};
  TaskGroup tasks_{io_, log_};
  Resolver resolver_;
  Kubernetes kubernetes_;
  std::map<ServiceName, Roster> rosters_;
  Poller poller_;
  std::thread thread_;
};

}  // namespace diastole::discovery
