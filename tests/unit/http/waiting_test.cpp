#include <atomic>
#include <thread>

#include "test_server.hpp"

namespace diastole::http::testing {
namespace {

using namespace std::chrono_literals;

Response text(std::string body) {
  return Response{.status = 200, .headers = {}, .content_type = "text/plain", .body = std::move(body)};
}

// Answers /poll with a long poll that is done once `value` is above 0, /feed with a feed of all values up to `value`,
// and anything else at once.
class WaitingTest : public ServerTest {
 protected:
  void SetUp() override {
    handler.on_request = [this](const Request& request) -> Answer {
      if (request.path == std::vector<std::string>{"poll"}) {
        return LongPoll{.timeout = poll_time, .attempt = [this](bool last) { return attempt(last); }};
      }
      if (request.path == std::vector<std::string>{"feed"}) {
        return EventFeed{.next = [this, sent = 0]() mutable { return next(sent); }};
      }
      return text("other");
    };
  }

  std::optional<Response> attempt(bool last) {
    const int now = value;
    if (now == 0 && !last) {
      asked.open();
      return std::nullopt;
    }
    return text(last ? "last" : "value");
  }

  EventFeed::Chunk next(int& sent) const {
    EventFeed::Chunk chunk;
    if (sent < value) {
      chunk.text = "data: " + std::to_string(++sent) + "\n\n";
    }
    chunk.more = sent < value;
    chunk.end = sent >= ends_after;
    return chunk;
  }

  void set(int to) {
    value = to;
    server_->wake();
  }

  std::atomic<int> value = 0;
  std::atomic<int> ends_after = 1'000'000;
  std::chrono::milliseconds poll_time{60'000};
  Gate asked;  // an attempt has found nothing
};

TEST_F(WaitingTest, LongPollThatIsDoneAtOnceDoesNotWait) {
  limits.waiters = 0;
  value = 1;
  start();
  EXPECT_EQ(exchange(get("/poll")).body, "value");
}

TEST_F(WaitingTest, LongPollIsWokenAndTheConnectionGoesOn) {
  start();
  RawConnection connection(port());
  connection.send(get("/poll"));
  ASSERT_TRUE(asked.wait());
  set(1);
  EXPECT_EQ(connection.read_response().body, "value");
  connection.send(get("/poll"));
  EXPECT_EQ(connection.read_response().body, "value");
}

TEST_F(WaitingTest, WakeWithoutReasonLetsItWaitOn) {
  start();
  RawConnection connection(port());
  connection.send(get("/poll"));
  ASSERT_TRUE(asked.wait());
  for (int i = 0; i < 100; ++i) {
    server_->wake();
  }
  EXPECT_EQ(exchange(get("/other")).body, "other");
  set(1);
  EXPECT_EQ(connection.read_response().body, "value");
}

TEST_F(WaitingTest, LongPollGetsALastAttemptWhenTheTimeIsUp) {
  poll_time = 50ms;
  start();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(exchange(get("/poll")).body, "last");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
}

TEST_F(WaitingTest, LongPollWithoutTimeIsAskedOnceAndDoesNotWait) {
  poll_time = 0ms;
  limits.waiters = 0;
  start();
  EXPECT_EQ(exchange(get("/poll")).body, "last");
}

TEST_F(WaitingTest, WhatIsSentDuringALongPollIsAnsweredAfterIt) {
  start();
  RawConnection connection(port());
  connection.send(get("/poll"));
  ASSERT_TRUE(asked.wait());
  connection.send(get("/other") + std::string("GET /oth"));
  // The other request that is answered meanwhile shows that the server has come round at least once.
  EXPECT_EQ(exchange(get("/other")).body, "other");
  set(1);
  EXPECT_EQ(connection.read_response().body, "value");
  EXPECT_EQ(connection.read_response().body, "other");
  connection.send("er HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(connection.read_response().body, "other");
}

TEST_F(WaitingTest, OneWaiterTooManyIsToldWhenToComeAgain) {
  limits.waiters = 1;
  limits.threads = 1;
  start();
  RawConnection first(port());
  first.send(get("/poll"));
  ASSERT_TRUE(asked.wait());
  // One thread: its next answer comes after the network thread has seen the attempt's outcome and taken the slot.
  EXPECT_EQ(exchange(get("/other")).status, 200);
  for (const char* target : {"/poll", "/feed"}) {
    const RawResponse refusal = exchange(get(target));
    EXPECT_EQ(refusal.status, 429) << target;
    EXPECT_TRUE(refusal.has("\r\nRetry-After: 1\r\n"));
  }
  set(1);
  EXPECT_EQ(first.read_response().body, "value");
}

TEST_F(WaitingTest, ClientThatGoesAwayFreesItsSlot) {
  limits.waiters = 1;
  start();
  {
    RawConnection first(port());
    first.send(get("/poll"));
    ASSERT_TRUE(asked.wait());
  }
  ASSERT_TRUE(log.await({"path=/poll", "status=499"}));
  RawConnection feed(port());
  feed.send(get("/feed"));
  EXPECT_EQ(feed.read_response().status, 200);
  feed.close();
  ASSERT_TRUE(log.await({"path=/feed", "status=200"}));
  value = 1;
  RawConnection next(port());
  next.send(get("/feed"));
  EXPECT_EQ(next.read_response().status, 200);
}

TEST_F(WaitingTest, FeedSendsWhatThereIsAndWhatComes) {
  value = 2;
  start();
  RawConnection connection(port());
  connection.send(get("/feed"));
  const RawResponse head = connection.read_response();
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_TRUE(head.has("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_EQ(connection.read_until("2\n\n\r\n"), "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n");
  set(3);
  EXPECT_EQ(connection.read_until("3\n\n\r\n"), "9\r\ndata: 3\n\n\r\n");
  ends_after = 4;
  set(4);
  EXPECT_EQ(connection.read_until("0\r\n\r\n"), "9\r\ndata: 4\n\n\r\n0\r\n\r\n");
  EXPECT_TRUE(connection.ended());
}

TEST_F(WaitingTest, ManyWakeUpsReachManyFeeds) {
  constexpr int kFeeds = 20;
  constexpr int kValues = 200;
  ends_after = kValues;
  start();
  std::atomic<int> complete = 0;
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < kFeeds; ++i) {
      readers.emplace_back([this, &complete] {
        RawConnection connection(port());
        connection.send(get("/feed"));
        std::string expected;
        for (int v = 1; v <= kValues; ++v) {
          const std::string event = "data: " + std::to_string(v) + "\n\n";
          expected += (event.size() == 9 ? "9" : event.size() == 10 ? "a" : "b") + ("\r\n" + event) + "\r\n";
        }
        const RawResponse head = connection.read_response();
        complete += head.status == 200 && connection.read_until("\r\n0\r\n\r\n") == expected + "0\r\n\r\n" ? 1 : 0;
      });
    }
    for (int v = 1; v <= kValues; ++v) {
      set(v);
    }
  }
  EXPECT_EQ(complete, kFeeds);
}

TEST_F(WaitingTest, SilentFeedSendsComments) {
  limits.comment_time = 20ms;
  start();
  RawConnection connection(port());
  connection.send(get("/feed"));
  EXPECT_EQ(connection.read_response().status, 200);
  EXPECT_EQ(connection.read_until(":\n\n\r\n"), "3\r\n:\n\n\r\n");
  EXPECT_EQ(connection.read_until(":\n\n\r\n"), "3\r\n:\n\n\r\n");
}

TEST_F(WaitingTest, FeedThatThrowsBreaksOffWithoutALastChunk) {
  handler.on_request = [](const Request&) {
    return EventFeed{.next = []() -> EventFeed::Chunk { throw std::runtime_error("no"); }};
  };
  start();
  RawConnection connection(port());
  connection.send(get("/feed"));
  EXPECT_EQ(connection.read_response().status, 200);
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(log.await({"handler threw", "error=no"}));
}

TEST_F(WaitingTest, LongPollThatThrowsIsAnInternalError) {
  handler.on_request = [](const Request&) {
    return LongPoll{.timeout = 1s, .attempt = [](bool) -> std::optional<Response> { throw std::runtime_error("no"); }};
  };
  start();
  EXPECT_EQ(exchange(get("/")).status, 500);
}

TEST_F(WaitingTest, LongPollWithoutALastAnswerIsAnInternalError) {
  handler.on_request = [](const Request&) {
    return LongPoll{.timeout = 10ms, .attempt = [](bool) -> std::optional<Response> { return std::nullopt; }};
  };
  start();
  EXPECT_EQ(exchange(get("/")).status, 500);
}

class StopTest : public WaitingTest {};

TEST_F(StopTest, RequestInHandIsAnsweredAndTheConnectionCloses) {
  Gate begun;
  Gate go_on;
  handler.on_request = [&](const Request&) {
    begun.open();
    EXPECT_TRUE(go_on.wait());
    return text("done");
  };
  start();
  RawConnection busy(port());
  busy.send(get("/"));
  ASSERT_TRUE(begun.wait());
  RawConnection idle(port());
  idle.send(get("/%zz"));
  ASSERT_EQ(idle.read_response().status, 400);
  std::jthread stopping([this] { server_->stop(kPatience); });
  EXPECT_TRUE(idle.ended()) << "which shows that stopping has begun";
  go_on.open();
  const RawResponse response = busy.read_response();
  EXPECT_EQ(response.body, "done");
  EXPECT_TRUE(response.has("\r\nConnection: close\r\n"));
  EXPECT_TRUE(busy.ended());
}

TEST_F(StopTest, IdleConnectionsDoNotHoldItUp) {
  start();
  RawConnection idle(port());
  idle.send(get("/other"));
  ASSERT_EQ(idle.read_response().status, 200);
  RawConnection fresh(port());
  const auto begin = std::chrono::steady_clock::now();
  server_->stop(kPatience);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience / 2);
  EXPECT_TRUE(idle.ended());
}

TEST_F(StopTest, LongPollsGetTheirLastAttemptAndFeedsTheirEnd) {
  start();
  RawConnection poll(port());
  poll.send(get("/poll"));
  ASSERT_TRUE(asked.wait());
  RawConnection feed(port());
  feed.send(get("/feed"));
  ASSERT_EQ(feed.read_response().status, 200);
  server_->stop(kPatience);
  EXPECT_EQ(poll.read_response().body, "last");
  EXPECT_EQ(feed.read_until("0\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(StopTest, WhatDoesNotEndWithinTheGraceIsClosed) {
  start();
  RawConnection half(port());
  half.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  ASSERT_EQ(half.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  server_->stop(20ms);
  EXPECT_TRUE(half.ended());
}

TEST_F(StopTest, HandlerThatOutlastsTheGraceIsJoined) {
  Gate begun;
  Gate go_on;
  std::atomic<bool> finished = false;
  handler.on_request = [&](const Request&) {
    begun.open();
    EXPECT_TRUE(go_on.wait());
    finished = true;
    return text("too late");
  };
  start();
  RawConnection connection(port());
  connection.send(get("/"));
  ASSERT_TRUE(begun.wait());
  std::jthread stopping([this, &finished] {
    server_->stop(0ms);
    EXPECT_TRUE(finished);
  });
  EXPECT_TRUE(connection.ended()) << "closed when the grace was over";
  go_on.open();
}

TEST_F(StopTest, StopTwiceAndWakeAfterwardsAreHarmless) {
  start();
  server_->stop(0ms);
  server_->wake();
  server_->stop(0ms);
}

TEST_F(StopTest, UnderLoadEveryAnswerIsWholeOrMissing) {
  start();
  std::atomic<int> whole = 0;
  std::atomic<int> broken = 0;
  Gate running;
  std::vector<std::unique_ptr<RawConnection>> connections;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i) {
    connections.push_back(std::make_unique<RawConnection>(port()));
    clients.emplace_back([&, &connection = *connections.back()] {
      for (;;) {
        connection.send(get("/other"));
        const RawResponse response = connection.read_response();
        if (response.status == 0) {
          broken += response.head.empty() ? 0 : 1;
          return;
        }
        (response.body == "other" ? whole : broken) += 1;
        if (whole > 50) {
          running.open();
        }
      }
    });
  }
  ASSERT_TRUE(running.wait());
  server_->stop(kPatience);
  clients.clear();
  EXPECT_EQ(broken, 0);
  EXPECT_GT(whole, 50);
}

}  // namespace
}  // namespace diastole::http::testing
