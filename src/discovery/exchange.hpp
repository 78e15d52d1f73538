// One HTTP/1.1 GET over a connection of its own, bounded in time and size. Redirects are answers like any other.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connection.hpp"
#include "diastole/base/host_port.hpp"
#include "diastole/base/result.hpp"
#include "net.hpp"
#include "resolver.hpp"

namespace diastole::discovery {

struct GetRequest {
  HostPort at;
  std::string target;  // path and query, encoded
  std::vector<std::pair<std::string, std::string>> headers = {};
  TlsContext tls = {};           // none: plain
  std::string server_name = {};  // of the peer's certificate; empty: the host
  Milliseconds timeout{};        // for all of it, the resolving of the name included
  std::size_t body_limit = 0;    // in bytes
};

struct GetAnswer {
  int status = 0;
  std::string body;
};

// Errors are unavailable, and say what went wrong.
[[nodiscard]] Task<Result<GetAnswer>> get(asio::io_context& io, Resolver& resolver, GetRequest request);

// An answer of lines without end. Each is given to `on_line`, without its newline, until that returns false or the peer
// ends it in order. request.timeout is for the head, `silence` is how long nothing may come after it, body_limit is a
// line's. An answer other than 200 comes back whole, as from get(); otherwise the body is empty.
[[nodiscard]] Task<Result<GetAnswer>> get_lines(asio::io_context& io, Resolver& resolver, GetRequest request,
                                                Milliseconds silence, std::function<bool(std::string_view)> on_line);

}  // namespace diastole::discovery
