#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "test_server.hpp"

namespace diastole::http::testing {
namespace {

using nlohmann::json;

class RequestTest : public ServerTest {};

TEST_F(RequestTest, HandlerSeesMethodPathQueryHeadersAndBody) {
  start();
  const auto response = send("127.0.0.1", port(),
                             {.method = "POST",
                              .target = "/v1/plans/a%2Fb?wait=60s",
                              .headers = {{"X-Thing", "Value"}},
                              .body = "{\"plan\":1}",
                              .timeout = kPatience});
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.at("content-type"), "application/json");
  EXPECT_TRUE(response->headers.contains("date"));
  const json seen = json::parse(response->body);
  EXPECT_EQ(seen["method"], "POST");
  EXPECT_EQ(seen["path"], (json{"v1", "plans", "a/b"}));
  EXPECT_EQ(seen["query"], (json{{"wait", "60s"}}));
  EXPECT_EQ(seen["headers"]["x-thing"], "Value");
  EXPECT_EQ(seen["body"], "{\"plan\":1}");
}

TEST_F(RequestTest, ConnectionIsKeptAndPipelinedRequestsAreAnsweredInOrder) {
  start();
  RawConnection connection(port());
  connection.send(get("/1") + post("/2", "two") + get("/3"));
  for (const char* path : {"1", "2", "3"}) {
    const RawResponse response = connection.read_response();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(json::parse(response.body)["path"], json{path});
    EXPECT_FALSE(response.has("Connection:"));
  }
  connection.send(get("/4"));
  EXPECT_EQ(connection.read_response().status, 200);
}

TEST_F(RequestTest, ConnectionClosesWhenTheClientAsksForIt) {
  start();
  RawConnection connection(port());
  connection.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(connection.read_response().has("\r\nConnection: close\r\n"));
  EXPECT_TRUE(connection.ended());
}

TEST_F(RequestTest, RequestThatComesByteByByteIsAnswered) {
  start();
  RawConnection connection(port());
  for (const char c : post("/slow", "body")) {
    connection.send(std::string_view(&c, 1));
  }
  EXPECT_EQ(json::parse(connection.read_response().body)["body"], "body");
}

TEST_F(RequestTest, HalfClosedClientGetsItsAnswer) {
  start();
  RawConnection connection(port());
  connection.send(get("/"));
  connection.close_sending();
  EXPECT_EQ(connection.read_response().status, 200);
  EXPECT_TRUE(connection.ended());
}

TEST_F(RequestTest, HeadHasTheLengthAndNoBody) {
  start();
  RawConnection connection(port());
  connection.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/b"));
  const RawResponse head = connection.read_response(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_FALSE(head.has("Content-Length: 0\r\n"));
  EXPECT_EQ(json::parse(connection.read_response().body)["path"], json{"b"});
}

TEST_F(RequestTest, NoContentHasNeitherLengthNorType) {
  handler.on_request = [](const Request&) { return Response{.status = 204, .headers = {}, .body = ""}; };
  start();
  const RawResponse response = exchange(get("/"));
  EXPECT_EQ(response.status, 204);
  EXPECT_FALSE(response.has("Content-"));
}

TEST_F(RequestTest, HeaderValueCannotAddAHeader) {
  handler.on_request = [](const Request&) {
    return Response{.status = 201, .headers = {{"Location", "/a\r\nX-Evil: 1"}}, .body = "{}"};
  };
  start();
  const RawResponse response = exchange(get("/"));
  EXPECT_TRUE(response.has("\r\nLocation: /a  X-Evil: 1\r\n"));
}

TEST_F(RequestTest, InlineAnswerDoesNotReachThePool) {
  handler.on_inline = [](const Request& request) -> std::optional<Response> {
    if (request.path == std::vector<std::string>{"livez"}) {
      return Response{.status = 200, .headers = {}, .body = "alive"};
    }
    return std::nullopt;
  };
  handler.on_request = [](const Request&) { return Response{.status = 202, .headers = {}, .body = "pool"}; };
  start();
  EXPECT_EQ(exchange(get("/livez")).body, "alive");
  EXPECT_EQ(exchange(get("/other")).body, "pool");
}

TEST_F(RequestTest, ExceptionIsALineInTheLogAndTellsTheClientNothing) {
  handler.on_request = [](const Request&) -> Answer { throw std::runtime_error("the secret"); };
  start();
  RawConnection connection(port());
  connection.send(get("/a"));
  const RawResponse response = connection.read_response();
  EXPECT_EQ(response.status, 500);
  EXPECT_TRUE(response.has("Content-Type: application/problem+json\r\n"));
  EXPECT_FALSE(response.body.contains("secret"));
  EXPECT_TRUE(log.await({"handler threw", "the secret"}));
  connection.send(get("/b"));
  EXPECT_EQ(connection.read_response().status, 500) << "the connection is still good";
}

TEST_F(RequestTest, InlineExceptionIsAnsweredToo) {
  handler.on_inline = [](const Request&) -> std::optional<Response> { throw 7; };
  start();
  EXPECT_EQ(exchange(get("/a")).status, 500);
  EXPECT_TRUE(log.await({"handler threw"}));
}

TEST_F(RequestTest, BadTargetIsAProblemAndKeepsTheConnection) {
  start();
  RawConnection connection(port());
  for (const char* target : {"/a%00", "/a%zz", "/a?k=1&k=2"}) {
    connection.send(get(target));
    const RawResponse response = connection.read_response();
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_EQ(json::parse(response.body)["type"], "urn:diastole:problem:malformed-target");
  }
}

TEST_F(RequestTest, AccessLogHasNeitherAuthorizationNorBodyNorQuery) {
  start();
  RawConnection connection(port());
  connection.send(
      "POST /v1/plans?q=hidden1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hidden2\r\nContent-Length: "
      "7\r\n\r\nhidden3");
  EXPECT_EQ(connection.read_response().status, 200);
  EXPECT_TRUE(log.await({"request", "method=POST", "path=/v1/plans", "status=200", "ms="}));
  EXPECT_FALSE(log.text().contains("hidden"));
}

TEST_F(RequestTest, ContinueIsSentBeforeTheBody) {
  start();
  RawConnection connection(port());
  connection.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(connection.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send("body");
  EXPECT_EQ(json::parse(connection.read_response().body)["body"], "body");
}

TEST_F(RequestTest, TooLargeABodyIsRefusedInsteadOfContinue) {
  limits.body_bytes = 10;
  start();
  RawConnection connection(port());
  connection.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(connection.read_response().status, 413);
  connection.close_sending();
  EXPECT_TRUE(connection.ended());
}

TEST_F(RequestTest, ManyThreadsGetTheirOwnAnswers) {
  constexpr int kThreads = 8;
  constexpr int kRequests = 300;
  start();
  std::atomic<int> right = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &right] {
      RawConnection connection(port());
      for (int i = 0; i < kRequests; ++i) {
        const std::string body = std::to_string(t * kRequests + i);
        connection.send(post("/", body));
        right += json::parse(connection.read_response().body)["body"] == body ? 1 : 0;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right, kThreads * kRequests);
}

TEST(ListenTest, WrongAddressAndTakenPortAreErrors) {
  FunctionHandler handler;
  RecordingLog log;
  const auto name = Server::listen({.host = "localhost", .port = 0}, {}, handler, log);
  ASSERT_FALSE(name.has_value());
  EXPECT_EQ(name.error().code, ErrorCode::invalid_argument);
  const auto first = Server::listen({.host = "127.0.0.1", .port = 0}, {}, handler, log);
  ASSERT_TRUE(first.has_value());
  const auto second = Server::listen({.host = "127.0.0.1", .port = (*first)->port()}, {}, handler, log);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  const auto foreign = Server::listen({.host = "192.0.2.1", .port = 0}, {}, handler, log);
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(foreign.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace diastole::http::testing
