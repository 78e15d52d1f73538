// A request and what may be answered, free of Beast: only the server's own source knows that.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace diastole::http {

struct Request {
  // No map, which would allocate for each header of each heartbeat.
  using Headers = std::vector<std::pair<std::string, std::string>>;

  std::string method;                        // GET, POST, PATCH, DELETE
  std::vector<std::string> path;             // segments, percent-decoded: /v1/plans/x is {"v1", "plans", "x"}
  std::map<std::string, std::string> query;  // percent-decoded; a repeated key is refused before this
  Headers headers;                           // names in lower case, each once
  std::string body;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_name) const;
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;  // beyond Content-Length, Date and the connection's own
  std::string content_type = "application/json";
  std::string body;
};

// A long poll: `attempt` is asked at once, after every wake-up, and a last time (with `last` true: it must answer) when
// the time is up.
struct LongPoll {
  std::chrono::milliseconds timeout{};
  std::function<std::optional<Response>(bool last)> attempt;
};

// A text/event-stream: `next` returns what to send now (may be empty), asked at once and after every wake-up. A comment
// line is sent every 15 s so that proxies keep the connection.
struct EventFeed {
  struct Chunk {
    std::string text;   // complete "id: …\ndata: …\n\n" blocks
    bool more = false;  // ask again at once
    bool end = false;   // close after sending
  };
  std::function<Chunk()> next;
};

using Answer = std::variant<Response, LongPoll, EventFeed>;

// What the server serves. handle is called on a thread of the pool and may block; handle_inline is asked first, on the
// network thread, must not block, and answers only what needs no database (heartbeats, /livez).
class Handler {
 public:
  virtual ~Handler() = default;
  [[nodiscard]] virtual std::optional<Response> handle_inline(const Request& request) = 0;
  [[nodiscard]] virtual Answer handle(const Request& request) = 0;
  // May this request use one of the reserved connections, when all others are taken? Asked on the network thread.
  [[nodiscard]] virtual bool privileged(const Request& request) = 0;
};

}  // namespace diastole::http
