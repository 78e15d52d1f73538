#include <atomic>
#include <nlohmann/json.hpp>

#include "test_server.hpp"

namespace diastole::http::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class LimitsTest : public ServerTest {
 protected:
  // The refusal, as a problem, after which the connection has closed.
  void expect_refused(std::string_view bytes, int status) {
    RawConnection connection(port());
    EXPECT_TRUE(connection.send(bytes));
    const RawResponse response = connection.read_response();
    EXPECT_EQ(response.status, status) << response.head << response.body;
    EXPECT_TRUE(response.has("\r\nContent-Type: application/problem+json\r\n"));
    EXPECT_TRUE(response.has("\r\nConnection: close\r\n"));
    EXPECT_EQ(json::parse(response.body)["status"], status);
    connection.close_sending();
    EXPECT_TRUE(connection.ended());
    EXPECT_EQ(calls, 0) << "the handler must not see it";
  }

  void SetUp() override {
    handler.on_inline = [this](const Request&) {
      ++calls;
      return std::nullopt;
    };
  }

  std::atomic<int> calls = 0;
};

TEST_F(LimitsTest, RefusedFormsCloseTheConnection) {
  start();
  // What follows would be a request of its own to a parser that reads the first one differently.
  const std::string smuggled = get("/smuggled");
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 411);
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled,
                 411);
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n" + smuggled, 411);
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n" + smuggled, 400);
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0,0\r\n\r\n" + smuggled, 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + smuggled, 400);
  expect_refused("GET / HTTP/1.1\r\n\r\n" + smuggled, 400);
  expect_refused("GET / HTTP/1.0\r\nHost: x\r\n\r\n" + smuggled, 505);
  expect_refused("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n Content-Length: 5\r\n\r\n" + smuggled, 400);
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n" + smuggled, 400);
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 5\r\n\r\nhello" + smuggled, 417);
}

TEST_F(LimitsTest, HeaderTooLarge) {
  limits.header_bytes = 512;
  start();
  expect_refused("GET / HTTP/1.1\r\nHost: x\r\nX-A: " + std::string(512, 'a') + "\r\n\r\n", 431);
  expect_refused("GET /" + std::string(600, 'a'), 431);
}

TEST_F(LimitsTest, BodyTooLargeIsKnownFromItsLength) {
  limits.body_bytes = 100;
  start();
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413);
  EXPECT_EQ(exchange(post("/", std::string(100, 'b'))).status, 200);
}

// The answer must not be lost to a connection reset because much of the body has not been read.
TEST_F(LimitsTest, RefusalArrivesThoughTheClientGoesOnSending) {
  limits.body_bytes = 100;
  start();
  expect_refused(post("/", std::string(2'000'000, 'b')), 413);
}

TEST_F(LimitsTest, HeaderThatDoesNotEndInTime) {
  limits.header_time = 250ms;
  start();
  expect_refused("GET / HTTP/1.1\r\nHost:", 408);
}

TEST_F(LimitsTest, BodyThatDoesNotEndInTime) {
  limits.body_time = 250ms;
  start();
  expect_refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell", 408);
}

TEST_F(LimitsTest, ClientThatDoesNotReadItsAnswerIsLetGo) {
  limits.body_time = 250ms;
  handler.on_request = [](const Request&) {
    // More than the sockets' buffers hold.
    return Response{.status = 200, .headers = {}, .body = std::string(64 * 1024 * 1024, 'b')};
  };
  start();
  RawConnection connection(port());
  connection.send(get("/big") + get("/next"));
  ASSERT_TRUE(log.await({"request", "path=/big"}));
  EXPECT_LT(connection.read_response().body.size(), 64U * 1024 * 1024);
  EXPECT_FALSE(log.text().contains("/next"));
}

TEST_F(LimitsTest, SilentConnectionsAreClosedWithoutAWord) {
  limits.header_time = 250ms;
  limits.idle_time = 260ms;
  start();
  RawConnection fresh(port());
  EXPECT_TRUE(fresh.ended());
  RawConnection used(port());
  used.send(get("/"));
  EXPECT_EQ(used.read_response().status, 200);
  EXPECT_TRUE(used.ended());
}

// The second request begins long after the first one's deadlines would have run out.
TEST_F(LimitsTest, DeadlinesBeginAnewWithEveryRequest) {
  limits.header_time = 300ms;
  limits.body_time = 300ms;
  Gate go_on;
  handler.on_request = [&go_on](const Request& request) {
    if (request.path == std::vector<std::string>{"wait"}) {
      EXPECT_TRUE(go_on.wait());
    }
    return FunctionHandler::echo(request);
  };
  start();
  RawConnection slow(port());
  slow.send(get("/wait") + get("/next"));
  RawConnection expiring(port());
  expiring.send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(expiring.read_response().status, 408);
  go_on.open();
  EXPECT_EQ(slow.read_response().status, 200);
  EXPECT_EQ(slow.read_response().status, 200);
}

TEST_F(LimitsTest, ConnectionsAboveTheCapAreToldWhenToComeAgain) {
  limits.connections = 1;
  start();
  {
    RawConnection first(port());
    first.send(get("/"));
    ASSERT_EQ(first.read_response().status, 200);
    RawConnection second(port());
    second.send(get("/"));
    const RawResponse refusal = second.read_response();
    EXPECT_EQ(refusal.status, 503);
    EXPECT_TRUE(refusal.has("\r\nRetry-After: 1\r\n"));
    EXPECT_TRUE(refusal.has("\r\nConnection: close\r\n"));
    second.close_sending();
    EXPECT_TRUE(second.ended());
    first.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ASSERT_EQ(first.read_response().status, 200);
    ASSERT_TRUE(first.ended());
  }
  EXPECT_EQ(exchange(get("/")).status, 200) << "the place of the first is free again";
}

TEST_F(LimitsTest, ReservedConnectionsServePrivilegedRequests) {
  limits.connections = 1;
  limits.reserved = 1;
  start();
  RawConnection first(port());
  first.send(get("/"));
  ASSERT_EQ(first.read_response().status, 200);
  {
    RawConnection second(port());
    second.send("GET / HTTP/1.1\r\nHost: x\r\nX-Operator: yes\r\n\r\n");
    ASSERT_EQ(second.read_response().status, 200);
    RawConnection third(port());
    third.send("GET / HTTP/1.1\r\nHost: x\r\nX-Operator: yes\r\n\r\n");
    EXPECT_EQ(third.read_response().status, 503) << "the reserve is taken too";
    second.send(get("/"));
    EXPECT_EQ(second.read_response().status, 503) << "each request on it has to be privileged";
  }
}

TEST_F(LimitsTest, PoolTakesOnlySoMuch) {
  constexpr std::size_t kInHand = 32;
  limits.threads = 1;
  Gate go_on;
  handler.on_request = [&go_on](const Request&) {
    EXPECT_TRUE(go_on.wait());
    return Response{};
  };
  start();
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (std::size_t i = 0; i < kInHand + 1; ++i) {
    connections.push_back(std::make_unique<RawConnection>(port()));
    connections.back()->send(get("/"));
  }
  // Whichever came last is refused at once; the others are answered when the handler goes on.
  ASSERT_TRUE(log.await({"request", "status=503"}));
  go_on.open();
  int refused = 0;
  for (const auto& connection : connections) {
    const RawResponse response = connection->read_response();
    refused += response.status == 503 && response.has("\r\nRetry-After: 1\r\n") ? 1 : 0;
    EXPECT_TRUE(response.status == 503 || response.status == 200);
  }
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace diastole::http::testing
