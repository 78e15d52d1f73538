// A server on a free port with a handler made of functions, and a connection that says exactly what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/http/client.hpp"
#include "diastole/http/server.hpp"

namespace diastole::http::testing {

// How long anything that is waited for may take before the test has failed.
inline constexpr std::chrono::seconds kPatience{20};

// Opens once; waiting for it is bounded.
class Gate {
 public:
  void open();
  [[nodiscard]] bool wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class RecordingLog : public ports::Log {
 public:
  void write(ports::LogLevel level, std::string_view message, std::initializer_list<ports::LogField> fields) override;
  // "message key=value …", one a line
  [[nodiscard]] std::string text() const;
  // Waits until a line holds all of the parts.
  [[nodiscard]] bool await(const std::vector<std::string>& parts);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

class FunctionHandler : public Handler {
 public:
  std::optional<Response> handle_inline(const Request& request) override { return on_inline(request); }
  Answer handle(const Request& request) override { return on_request(request); }
  bool privileged(const Request& request) override { return request.header("x-operator").has_value(); }

  std::function<std::optional<Response>(const Request&)> on_inline = [](const Request&) { return std::nullopt; };
  // By default what came, as JSON.
  std::function<Answer(const Request&)> on_request = echo;

  static Answer echo(const Request& request);
};

struct RawResponse {
  int status = 0;
  std::string head;
  std::string body;
  [[nodiscard]] bool has(std::string_view header_line) const { return head.contains(header_line); }
};

// A blocking TCP connection to loopback. A read that takes too long fails the test and looks like the end.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // False where the server would not take it all.
  bool send(std::string_view bytes);
  // Status 0 where the connection ended first. `with_body` false: the answer to a HEAD.
  [[nodiscard]] RawResponse read_response(bool with_body = true);
  // All up to and with `end`, or up to the connection's end.
  [[nodiscard]] std::string read_until(std::string_view end);
  // Nothing more comes but an orderly end, which a reset is not.
  [[nodiscard]] bool ended();
  void close();
  void close_sending();

 private:
  bool receive();

  int fd_ = -1;
  bool reset_ = false;
  std::string input_;
};

class ServerTest : public ::testing::Test {
 protected:
  // Before the members that the handler's functions use.
  void TearDown() override;
  // With what handler and limits hold now.
  void start();
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  // One request, one answer, on a connection of its own.
  [[nodiscard]] RawResponse exchange(std::string_view bytes);

  FunctionHandler handler;
  ServerLimits limits;
  RecordingLog log;
  std::unique_ptr<Server> server_;
};

[[nodiscard]] std::string get(std::string_view target);
[[nodiscard]] std::string post(std::string_view target, std::string_view body);

}  // namespace diastole::http::testing
