// One outgoing connection, plain or TLS, whose every wait ends at its deadline.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "net.hpp"
#include "tls.hpp"

namespace diastole::discovery {

// After an error only good for being destroyed. Errors are unavailable, and say what went wrong as a person would.
class Connection {
 public:
  Connection(asio::io_context& io, Milliseconds time);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The deadline, from now on.
  void give(Milliseconds time);
  // The first of the addresses that takes the connection.
  [[nodiscard]] Task<Result<void>> connect(std::vector<asio::ip::address> addresses, std::uint16_t port);
  // The peer's certificate has to be valid for `name`, a host's name or address.
  [[nodiscard]] Task<Result<void>> encrypt(TlsContext context, std::string name);
  [[nodiscard]] Task<Result<void>> write(std::string text);
  // What comes next, valid until the next call; empty: the peer has closed in order.
  [[nodiscard]] Task<Result<std::string_view>> read();

 private:
  // Outlives the connection until the timer's handler has run.
  struct Line {
    explicit Line(asio::io_context& io) : socket(io), timer(io) {}
    Socket socket;
    Timer timer;
    bool expired = false;
  };
  [[nodiscard]] std::unexpected<Error> broken(std::string_view what, const error_code& error) const;

  std::shared_ptr<Line> line_;
  Milliseconds time_;
  TlsContext context_;
  std::optional<asio::ssl::stream<Socket&>> tls_;
  std::array<char, 16 * 1024> buffer_{};
};

}  // namespace diastole::discovery
