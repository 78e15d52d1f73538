// What the daemon's server is held against: Beast and a coroutine, and nothing else.
#pragma once

#include <cstdint>
#include <memory>

namespace diastole::bench {

// Reads each request whole and answers a constant of the size of a heartbeat's answer, on one thread.
class BareServer {
 public:
  BareServer();
  ~BareServer();
  BareServer(const BareServer&) = delete;
  BareServer& operator=(const BareServer&) = delete;
  [[nodiscard]] std::uint16_t port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::bench
