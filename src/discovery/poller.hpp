// Asks instances for their version, each once an interval.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "diastole/ports/clock.hpp"
#include "diastole/ports/log.hpp"
#include "endpoint.hpp"
#include "net.hpp"
#include "resolver.hpp"
#include "task_group.hpp"
#include "tls.hpp"

namespace diastole::discovery {

// How the instances of a service are asked.
struct Question {
  std::string path;
  std::string pointer;
  Milliseconds interval{};
  Milliseconds timeout{};
  std::shared_ptr<Tls> tls;  // none: plain HTTP
  std::string server_name;
};

// The instance's first turn after that moment: turns leave a remainder of its own when divided by the interval, so that
// neither the order of a list nor a restart bunches them.
[[nodiscard]] MonoTime next_turn(const ServiceName& service, const InstanceId& instance, Milliseconds interval,
                                 MonoTime after);

// Polls are spread over the interval by next_turn, and at most `at_once` are under way; who is due then waits in turn.
// An instance has one poll at a time.
//
// Who is no longer listed but has answered before is asked on, until it fails to answer three times in a row or another
// instance is listed in its place: an answer is better evidence than a list.
class Poller {
 public:
  using Polled = std::function<void(const ServiceName&, const InstanceId&, const std::string& version)>;

  Poller(asio::io_context& io, TaskGroup& tasks, Resolver& resolver, const ports::Clock& clock, ports::Log& log,
         std::size_t at_once, Polled polled);

  // Once for each service, before its first listing.
  void declare(const ServiceName& service, Question question);
  // All instances of the service that are listed now.
  void list(const ServiceName& service, const Listing& listing);
  // Begins the polls as they become due, until it is cancelled.
  [[nodiscard]] Task<> run();

 private:
  using Key = std::pair<ServiceName, InstanceId>;
  struct Asked {
    HostPort at;
    bool listed = true;
    bool answers = false;  // it has answered, and not failed three times since
    bool in_hand = false;  // a poll is under way; then it is not in queue_
    int failures = 0;      // in a row
    bool complained = false;
    MonoTime due{};
  };

  void begin_due();
  [[nodiscard]] Task<> poll(Key key, HostPort at);
  [[nodiscard]] Task<Result<std::string>> ask(ServiceName service, HostPort at);
  void answered(const Key& key, Asked& asked, const Result<std::string>& version);
  void enqueue(const Key& key, Asked& asked);
  void drop(const Key& key);

  asio::io_context& io_;
  TaskGroup& tasks_;
  Resolver& resolver_;
  const ports::Clock& clock_;
  ports::Log& log_;
  const std::size_t at_once_;
  const Polled polled_;
  std::map<ServiceName, Question> questions_;
  std::map<Key, Asked> asked_;
  std::set<std::pair<MonoTime, Key>> queue_;
  std::size_t under_way_ = 0;
  Timer wake_;
};

}  // namespace diastole::discovery
