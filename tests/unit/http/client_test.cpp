#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "test_server.hpp"

namespace diastole::http::testing {
namespace {

using namespace std::chrono_literals;

// Takes one connection, reads a request's head, says `answer`, and closes once the client has, unless `at_once`.
class CannedServer {
 public:
  explicit CannedServer(std::string answer, bool at_once = true)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 1) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      ADD_FAILURE() << "cannot listen";
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, said = std::move(answer), at_once] { serve(said, at_once); });
  }
  ~CannedServer() {
    thread_.join();
    ::close(listener_);
  }
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve(const std::string& answer, bool at_once) const {
    const int fd = ::accept(listener_, nullptr, nullptr);
    std::string request;
    std::array<char, 1024> piece{};
    ssize_t got = 1;
    while (got > 0 && !request.contains("\r\n\r\n")) {
      got = ::recv(fd, piece.data(), piece.size(), 0);
      request.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    while (!at_once && got > 0) {
      got = ::recv(fd, piece.data(), piece.size(), 0);
    }
    ::close(fd);
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

ClientRequest request(std::chrono::milliseconds timeout = kPatience) {
  ClientRequest made;
  made.target = "/";
  made.timeout = timeout;
  return made;
}

ErrorCode error_of(const Result<ClientResponse>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? ErrorCode::internal : result.error().code;
}

TEST(ClientTest, NobodyListensIsUnavailable) {
  std::uint16_t port = 0;
  {
    FunctionHandler handler;
    RecordingLog log;
    port = Server::listen({.host = "127.0.0.1", .port = 0}, {}, handler, log).value()->port();
  }
  EXPECT_EQ(error_of(send("127.0.0.1", port, request())), ErrorCode::unavailable);
}

TEST(ClientTest, AnswerThatBreaksOffIsUnavailable) {
  for (const char* answer : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                             "no HTTP\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"}) {
    const CannedServer server(answer);
    EXPECT_EQ(error_of(send("127.0.0.1", server.port(), request())), ErrorCode::unavailable) << answer;
  }
}

TEST(ClientTest, SilenceIsUnavailableAfterTheTimeout) {
  const CannedServer server("HTTP/1.1 200 OK\r\n", false);
  EXPECT_EQ(error_of(send("127.0.0.1", server.port(), request(50ms))), ErrorCode::unavailable);
}

TEST(ClientTest, BodyMayEndWithTheConnectionOrInChunks) {
  const CannedServer until_end("HTTP/1.1 404 Not Found\r\nX-Thing: a\r\n\r\nhello");
  const auto plain = send("localhost", until_end.port(), request());
  ASSERT_TRUE(plain.has_value()) << plain.error().message;
  EXPECT_EQ(plain->status, 404);
  EXPECT_EQ(plain->headers.at("x-thing"), "a");
  EXPECT_EQ(plain->body, "hello");
  const CannedServer chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  EXPECT_EQ(send("127.0.0.1", chunked.port(), request()).value().body, "hello");
}

class StreamTest : public ServerTest {};

TEST_F(StreamTest, PiecesComeAsTheyAreSentUntilTheReaderHasEnough) {
  Gate first_read;
  handler.on_request = [&](const Request&) {
    return EventFeed{.next = [&, n = 0]() mutable {
      if (n == 1) {
        EXPECT_TRUE(first_read.wait());
      }
      return EventFeed::Chunk{.text = "data: " + std::to_string(++n) + "\n\n", .more = true};
    }};
  };
  start();
  std::string read;
  const auto response = stream("127.0.0.1", port(), request(), [&](std::string_view piece) {
    read += piece;
    first_read.open();
    return !read.contains("data: 3\n\n");
  });
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(read.starts_with("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  EXPECT_EQ(response->body, "");
}

TEST_F(StreamTest, EndOfTheStreamIsTheEnd) {
  handler.on_request = [](const Request&) {
    return EventFeed{.next = [] { return EventFeed::Chunk{.text = "data: 1\n\n", .more = false, .end = true}; }};
  };
  start();
  std::string read;
  const auto response = stream("127.0.0.1", port(), request(), [&](std::string_view piece) {
    read += piece;
    return true;
  });
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(read, "data: 1\n\n");
}

TEST_F(StreamTest, OtherAnswersComeBackWhole) {
  handler.on_request = [](const Request&) {
    return Response{.status = 404, .headers = {}, .body = "{\"status\":404}"};
  };
  start();
  const auto response = stream("127.0.0.1", port(), request(), [](std::string_view) {
    ADD_FAILURE() << "no data was to come";
    return false;
  });
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "{\"status\":404}");
}

}  // namespace
}  // namespace diastole::http::testing
