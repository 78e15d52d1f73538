// The HTTP/1.1 server. One network thread, a bounded pool for handlers that block.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "diastole/base/result.hpp"
#include "diastole/http/message.hpp"
#include "diastole/ports/log.hpp"

namespace diastole::http {

struct ServerLimits {
  std::size_t header_bytes = 8 * 1024;
  std::size_t body_bytes = 1024 * 1024;
  std::chrono::milliseconds header_time{10'000};
  std::chrono::milliseconds body_time{30'000};
  std::chrono::milliseconds idle_time{60'000};
  std::chrono::milliseconds comment_time{15'000};  // an event feed that has been silent for so long sends a comment
  std::size_t connections = 1024;
  std::size_t reserved = 16;  // more than those, for requests that the handler calls privileged
  std::size_t waiters = 256;  // long polls and event feeds together; one more gets 429 with Retry-After
  std::size_t threads = 4;    // of the pool
};

struct ListenAddress {
  std::string host = "127.0.0.1";  // an IP address
  std::uint16_t port = 8433;       // 0: any free one
};

class Server {
 public:
  // Binds at once. unavailable where the address is taken or not ours.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(const ListenAddress& address, const ServerLimits& limits,
                                                              Handler& handler, ports::Log& log);
  virtual ~Server() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  virtual void start() = 0;
  // Something has happened that long polls and feeds may wait for. Thread-safe, cheap, coalesced.
  virtual void wake() = 0;
  // Accepts nothing more, lets requests in hand finish for `grace`, closes the rest, joins. Long polls get their last
  // attempt.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace diastole::http
