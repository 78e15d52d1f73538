// An API server that has the EndpointSlices of one Service, api in the namespace prod, and speaks LIST and WATCH.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "loopback_server.hpp"

namespace diastole::discovery::testing {

class FakeKubernetes {
 public:
  using json = nlohmann::json;

  explicit FakeKubernetes(std::string token, SSL_CTX* tls = nullptr);
  ~FakeKubernetes();
  FakeKubernetes(const FakeKubernetes&) = delete;
  FakeKubernetes& operator=(const FakeKubernetes&) = delete;

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

  void put(const std::string& name, json slice);
  void erase(const std::string& name);
  // Tells watchers how far everything is, by no event.
  void bookmark();
  // Forgets what has happened so far: who watches from before, or at the moment, gets 410, as an event or as a status.
  void expire(bool by_status = false);
  // Ends watches in order, as after their time.
  void end_watches();
  // Breaks all connections.
  void disconnect();
  // Every request from now on is answered so; 0: as it should be.
  void refuse(int status);
  void set_token(std::string token);
  // Sent to those who watch.
  void say(const std::string& line);

  [[nodiscard]] int lists();
  [[nodiscard]] int watches();
  // Until so many watches have been begun.
  [[nodiscard]] bool await_watches(int count);

  // A slice's endpoint as the API server writes it; pod "": it has no targetRef.
  static json endpoint(const std::string& address, const std::string& pod, const json& conditions = {{"ready", true}});
  static json slice(json endpoints, int port, const std::string& family = "IPv4");

 private:
  struct Event {
    std::int64_t version;
    std::string line;
  };
  void serve(Peer& peer);
  void serve_watch(Peer& peer, std::int64_t from);
  std::string list();
  void record(const char* type, const json& slice);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string token_;
  int refusal_ = 0;
  std::int64_t version_ = 100;
  std::int64_t known_from_ = 0;
  bool expired_by_status_ = false;
  std::map<std::string, json> slices_;
  std::deque<Event> events_;
  int ends_ = 0;
  int breaks_ = 0;
  int lists_ = 0;
  int watches_ = 0;
  std::unique_ptr<LoopbackServer> server_;
};

}  // namespace diastole::discovery::testing
