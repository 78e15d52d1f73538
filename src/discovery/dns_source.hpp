// What DNS lists, asked for once an interval: whatever caches answers, and for how long, is the resolver's business.
#pragma once

#include <string>

#include "net.hpp"
#include "resolver.hpp"
#include "source.hpp"

namespace diastole::discovery {

// Each address of the name, at its port.
[[nodiscard]] Task<> follow_addresses(asio::io_context& io, Resolver& resolver, HostPort name, Milliseconds interval,
                                      Sink sink);
// Each host and port of the name's SRV records.
[[nodiscard]] Task<> follow_services(asio::io_context& io, Resolver& resolver, std::string name, Milliseconds interval,
                                     Sink sink);

}  // namespace diastole::discovery
