// Names to addresses and services, by c-ares: unlike getaddrinfo it holds no thread while a server is silent, and it
// asks for SRV records.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <vector>

#include "diastole/base/host_port.hpp"
#include "diastole/base/result.hpp"
#include "net.hpp"

namespace diastole::discovery {

// Nothing is cached: /etc/resolv.conf and /etc/hosts count as they are at the moment. Errors are unavailable; a name
// that does not exist is one.
class Resolver {
 public:
  // `servers`: "ADDRESS:PORT ADDRESS:PORT"; empty: those of /etc/resolv.conf.
  Resolver(asio::io_context& io, const std::string& servers);

  // Of a host, for connecting to it: an address is its own, names are looked for in /etc/hosts too. Never empty.
  [[nodiscard]] Task<Result<std::vector<asio::ip::address>>> addresses(std::string host, Milliseconds timeout);
  // All A records of a name, or all AAAA records where it has no A. Empty where it has neither.
  [[nodiscard]] Task<Result<std::vector<asio::ip::address>>> records(std::string name, Milliseconds timeout);
  // All SRV records of a name, as HOST:PORT in the order of their hosts. Empty where it has none.
  [[nodiscard]] Task<Result<std::vector<HostPort>>> services(std::string name, Milliseconds timeout);

 private:
  asio::io_context& io_;
  std::string servers_;  // as c-ares reads them
};

}  // namespace diastole::discovery
