// A small blocking HTTP/1.1 client for the command line and the tests; plain TCP.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::http {

struct ClientRequest {
  std::string method = "GET";
  std::string target;  // path and query, already encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds timeout{30'000};
};

struct ClientResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One request over a connection of its own. unavailable where the server cannot be reached or the answer breaks off.
[[nodiscard]] Result<ClientResponse> send(const std::string& host, std::uint16_t port, const ClientRequest& request);

// A text/event-stream: calls `on_data` with every piece of body as it comes until it returns false or the stream ends.
// request.timeout bounds only the time between two pieces. A response that is no 200 comes back whole.
[[nodiscard]] Result<ClientResponse> stream(const std::string& host, std::uint16_t port, const ClientRequest& request,
                                            const std::function<bool(std::string_view)>& on_data);

}  // namespace diastole::http
