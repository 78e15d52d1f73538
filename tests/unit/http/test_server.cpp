#include "test_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

namespace diastole::http::testing {

void Gate::open() {
  const std::scoped_lock lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

bool Gate::wait() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [this] { return open_; });
}

void RecordingLog::write(ports::LogLevel /*level*/, std::string_view message,
                         std::initializer_list<ports::LogField> fields) {
  std::string line(message);
  for (const auto& field : fields) {
    line += fmt::format(" {}={}", field.key, field.value);
  }
  const std::scoped_lock lock(mutex_);
  lines_.push_back(std::move(line));
  changed_.notify_all();
}

std::string RecordingLog::text() const {
  const std::scoped_lock lock(mutex_);
  return fmt::format("{}", fmt::join(lines_, "\n"));
}

bool RecordingLog::await(const std::vector<std::string>& parts) {
  const auto holds_all = [&](const std::string& line) {
    return std::ranges::all_of(parts, [&](const std::string& part) { return line.contains(part); });
  };
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return std::ranges::any_of(lines_, holds_all); });
}

Answer FunctionHandler::echo(const Request& request) {
  const nlohmann::json seen = {{"method", request.method},
                               {"path", request.path},
                               {"query", request.query},
                               {"headers", std::map(request.headers.begin(), request.headers.end())},
                               {"body", request.body}};
  Response response;
  response.body = seen.dump();
  return response;
}

RawConnection::RawConnection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ADD_FAILURE() << "cannot connect";
  }
}

RawConnection::~RawConnection() {
  close();
}

void RawConnection::close() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

void RawConnection::close_sending() {
  ::shutdown(fd_, SHUT_WR);
}

bool RawConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawConnection::receive() {
  std::array<char, 4096> piece{};
  const ssize_t got = ::recv(fd_, piece.data(), piece.size(), 0);
  if (got < 0 && errno == EAGAIN) {
    ADD_FAILURE() << "nothing came in time";
  }
  if (got <= 0) {
    reset_ = got < 0;
    return false;
  }
  input_.append(piece.data(), static_cast<std::size_t>(got));
  return true;
}

std::string RawConnection::read_until(std::string_view end) {
  std::size_t at = input_.find(end);
  while (at == std::string::npos && receive()) {
    at = input_.find(end);
  }
  std::string text = input_.substr(0, at == std::string::npos ? at : at + end.size());
  input_.erase(0, text.size());
  return text;
}

RawResponse RawConnection::read_response(bool with_body) {
  RawResponse response;
  response.head = read_until("\r\n\r\n");
  constexpr std::string_view kLength = "Content-Length: ";
  if (!response.head.starts_with("HTTP/1.1 ")) {
    return response;
  }
  response.status = std::stoi(response.head.substr(9));
  if (const std::size_t at = response.head.find(kLength); at != std::string::npos && with_body) {
    const std::size_t length = std::stoul(response.head.substr(at + kLength.size()));
    while (input_.size() < length && receive()) {
    }
    response.body = input_.substr(0, length);
    input_.erase(0, response.body.size());
  }
  return response;
}

bool RawConnection::ended() {
  return input_.empty() && !receive() && !reset_;
}

void ServerTest::TearDown() {
  if (server_) {
    server_->stop(std::chrono::milliseconds{0});
  }
}

void ServerTest::start() {
  auto server = Server::listen({.host = "127.0.0.1", .port = 0}, limits, handler, log);
  ASSERT_TRUE(server.has_value()) << server.error().message;
  server_ = std::move(*server);
  server_->start();
}

RawResponse ServerTest::exchange(std::string_view bytes) {
  RawConnection connection(port());
  connection.send(bytes);
  return connection.read_response();
}

std::string get(std::string_view target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target);
}

std::string post(std::string_view target, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", target, body.size(), body);
}

}  // namespace diastole::http::testing
