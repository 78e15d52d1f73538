// Asking instances, over real connections.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "discovered.hpp"
#include "loopback_server.hpp"
#include "version.hpp"

namespace diastole::discovery::testing {
namespace {

using ::testing::HasSubstr;

std::string name_of(const LoopbackServer& server) {
  return fmt::format("127.0.0.1:{}", server.port());
}

DiscoverySettings fixed(std::vector<HostPort> at, const std::function<void(ServiceSettings&)>& change = {}) {
  DiscoverySettings settings = Discovered::quick();
  settings.services.push_back(Discovered::service());
  settings.services.back().fixed = std::move(at);
  if (change) change(settings.services.back());
  return settings;
}

TEST(VersionTest, IsFoundByItsPointer) {
  EXPECT_EQ(version_in(R"({"version":"2.3.0"})", "/version"), "2.3.0");
  EXPECT_EQ(version_in(R"({"a/b":{"~":["x","4f1c"]}})", "/a~1b/~0/1"), "4f1c");
  EXPECT_EQ(version_in(R"({"build":417})", "/build"), "417");
}

TEST(VersionTest, SaysWhatIsThereInstead) {
  const auto error = [](std::string_view body) { return version_in(body, "/version").error().message; };
  EXPECT_EQ(error("2.3.0-rc"), "it answers no JSON");
  EXPECT_EQ(error("{}"), "its answer has no /version");
  EXPECT_EQ(error("[1]"), "its answer has no /version");
  EXPECT_EQ(error(R"({"version":null})"), "/version is of the kind null, not a text");
  EXPECT_EQ(error(R"({"version":1.5})"), "/version is of the kind number, not a text");
  EXPECT_THAT(error(R"({"version":""})"), HasSubstr("no text of 1 to 128 bytes"));
  EXPECT_THAT(error(R"({"version":"a b"})"), HasSubstr("no text of 1 to 128 bytes"));
  EXPECT_THAT(error(R"({"version":")" + std::string(129, 'x') + "\"}"), HasSubstr("no text of 1 to 128 bytes"));
  EXPECT_EQ(error(std::string(20'000, '[')), "it answers no JSON");
}

TEST(PollingTest, AnInstanceIsListedAndTellsItsVersion) {
  std::mutex mutex;
  std::string head;
  LoopbackServer server([&](Peer& peer) {
    const std::string request = peer.read_head();
    const std::scoped_lock lock(mutex);
    if (!request.empty()) head = request;
    peer.send(response(R"({"app":{"v":"2.0.0"}})"));
  });
  Discovered found;
  found.start(fixed({{"127.0.0.1", server.port()}}, [](ServiceSettings& service) {
    service.path = "/internal/info?short=1";
    service.pointer = "/app/v";
  }));
  EXPECT_TRUE(found.await_listed("static", {name_of(server)}));
  EXPECT_TRUE(found.await_version(name_of(server), "2.0.0")) << found.log();
  EXPECT_TRUE(found.await_polls(name_of(server), 3));
  found.stop();
  EXPECT_THAT(head, ::testing::StartsWith("GET /internal/info?short=1 HTTP/1.1\r\nHost: " + name_of(server) + "\r\n"));
}

TEST(PollingTest, ANameIsResolvedByHosts) {
  LoopbackServer server(says_version("2.0.0"));
  Discovered found;
  found.start(fixed({{"localhost", server.port()}}));
  EXPECT_TRUE(found.await_version(fmt::format("localhost:{}", server.port()), "2.0.0")) << found.log();
}

TEST(PollingTest, TheVersionFollowsTheInstance) {
  std::atomic<int> version = 1;
  LoopbackServer server([&](Peer& peer) {
    if (!peer.read_head().empty()) peer.send(response(fmt::format(R"({{"version":"{}.0.0"}})", version.load())));
  });
  Discovered found;
  found.start(fixed({{"127.0.0.1", server.port()}}));
  EXPECT_TRUE(found.await_version(name_of(server), "1.0.0"));
  version = 2;
  EXPECT_TRUE(found.await_version(name_of(server), "2.0.0"));
}

// What an endpoint answers, and what the log says of it.
struct BadAnswer {
  const char* name;
  std::string answer;
  const char* error;
};

class BadAnswerTest : public ::testing::TestWithParam<BadAnswer> {};

TEST_P(BadAnswerTest, IsNoVersionAndSaidOnce) {
  LoopbackServer server([](Peer& peer) {
    if (!peer.read_head().empty()) peer.send(GetParam().answer);
  });
  Discovered found;
  found.start(fixed({{"127.0.0.1", server.port()}}));
  EXPECT_TRUE(found.await_log(fmt::format("an instance does not tell its version service=api instance={} error={}",
                                          name_of(server), GetParam().error)))
      << found.log();
  const int before = server.accepted();
  while (server.accepted() < before + 3) std::this_thread::yield();
  found.stop();
  EXPECT_EQ(found.logged("does not tell its version"), 1);
  EXPECT_EQ(found.version(name_of(server)), "");
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadAnswerTest,
    ::testing::Values(
        BadAnswer{"Redirect", response("", 302, "Location: http://127.0.0.1:1/\r\n"),
                  "it answers 302; redirects are not followed"},
        BadAnswer{"NotFound", response(R"({"version":"2.0.0"})", 404), "it answers 404"},
        BadAnswer{"TooLarge", response(R"({"version":"2.0.0","x":")" + std::string(65'536, 'x') + "\"}"),
                  "it answers more than 65536 bytes"},
        BadAnswer{"LargeHeader", response("{}", 200, "X: " + std::string(20'000, 'x') + "\r\n"), "no HTTP answer: "},
        BadAnswer{"Endless", "HTTP/1.1 200 OK\r\n\r\n{\"version\":\"2.0.0\"", "it answers no JSON"},
        BadAnswer{"CutOff", "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"version\":\"2.0.0\"}",
                  "the answer broke off"},
        BadAnswer{"CutOffChunk",
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{\"version\":\"2.0.0\"}\r\n",
                  "the answer broke off"},
        BadAnswer{"NoHttp", "SSH-2.0-OpenSSH_9.2\r\n", "no HTTP answer: "},
        BadAnswer{"Closed", "", "it closed the connection without an answer"}),
    [](const auto& test) { return test.param.name; });

TEST(PollingTest, AnInstanceThatTellsAgainIsSaidSo) {
  std::atomic<bool> well = false;
  LoopbackServer server([&](Peer& peer) {
    if (!peer.read_head().empty()) peer.send(response(R"({"version":"2.0.0"})", well ? 200 : 503));
  });
  Discovered found;
  found.start(fixed({{"127.0.0.1", server.port()}}));
  EXPECT_TRUE(found.await_log("it answers 503"));
  well = true;
  EXPECT_TRUE(found.await_log("tells its version again"));
  EXPECT_TRUE(found.await_version(name_of(server), "2.0.0"));
}

TEST(PollingTest, SlowInstancesDelayNoOther) {
  const auto silent = [](Peer& peer) { peer.wait_until_gone(); };
  LoopbackServer slow(silent);
  LoopbackServer slower(silent);
  LoopbackServer quick(says_version("2.0.0"));
  Discovered found;
  found.start(fixed({{"127.0.0.1", slow.port()}, {"127.0.0.1", slower.port()}, {"127.0.0.1", quick.port()}},
                    [](ServiceSettings& service) { service.timeout = Milliseconds{60'000}; }));
  EXPECT_TRUE(found.await_polls(name_of(quick), 10)) << found.log();
  // One poll of an instance at a time.
  EXPECT_LE(slow.accepted(), 1);
  EXPECT_LE(slower.accepted(), 1);
}

TEST(PollingTest, AnAnswerHasItsTime) {
  LoopbackServer silent([](Peer& peer) { peer.wait_until_gone(); });
  Discovered found;
  found.start(
      fixed({{"127.0.0.1", silent.port()}}, [](ServiceSettings& service) { service.timeout = Milliseconds{50}; }));
  EXPECT_TRUE(found.await_log("error=no answer within 50ms")) << found.log();
}

TEST(PollingTest, OnlySoManyAreAskedAtOnce) {
  std::mutex mutex;
  int now = 0;
  int most = 0;
  std::list<LoopbackServer> servers;
  std::vector<HostPort> places;
  for (int i = 0; i < 12; ++i) {
    servers.emplace_back([&](Peer& peer) {
      {
        const std::scoped_lock lock(mutex);
        most = std::max(most, ++now);
      }
      if (!peer.read_head().empty()) peer.send(response(R"({"version":"2.0.0"})"));
      const std::scoped_lock lock(mutex);
      --now;
    });
    places.push_back({"127.0.0.1", servers.back().port()});
  }
  Discovered found;
  auto settings = fixed(places, [](ServiceSettings& service) { service.interval = Milliseconds{10}; });
  settings.polls_at_once = 2;
  found.start(std::move(settings));
  for (const LoopbackServer& server : servers) EXPECT_TRUE(found.await_polls(name_of(server), 3));
  found.stop();
  // A server may count a connection that we have closed already.
  EXPECT_LE(most, 4);
}

TEST(PollingTest, TurnsAreSpreadEvenlyOverTheInterval) {
  const Milliseconds interval{10'000};
  std::array<int, 10> tenths{};
  for (int i = 0; i < 1'000; ++i) {
    const auto turn = next_turn(ServiceName("api"), InstanceId(fmt::format("10.0.{}.{}:8080", i / 250, i % 250)),
                                interval, MonoTime(Milliseconds{123'456}));
    EXPECT_GT(turn, MonoTime(Milliseconds{123'456}));
    EXPECT_LE(turn, MonoTime(Milliseconds{133'456}));
    ++tenths.at(static_cast<std::size_t>((turn.time_since_epoch().count() - 123'457) / 1'000));
  }
  for (const int count : tenths) {
    EXPECT_GE(count, 60);
    EXPECT_LE(count, 140);
  }
}

TEST(PollingTest, AnInstanceKeepsItsTurn) {
  const Milliseconds interval{10'000};
  const auto turn = [&](MonoTime after) { return next_turn(ServiceName("a"), InstanceId("b"), interval, after); };
  const MonoTime first = turn(MonoTime(Milliseconds{5}));
  EXPECT_EQ(turn(first - Milliseconds{1}), first);
  EXPECT_EQ(turn(first), first + interval);
  EXPECT_EQ(turn(first + Milliseconds{9'999}), first + interval);
}

TEST(PollingTest, StopsWhileInstancesAreSilent) {
  LoopbackServer silent([](Peer& peer) { peer.wait_until_gone(); });
  const Authority authority("ca");
  const OwnedContext context = authority.server("IP:127.0.0.1");
  LoopbackServer half_shaken([](Peer& peer) { peer.wait_until_gone(); });
  Discovered found;
  auto settings =
      fixed({{"127.0.0.1", silent.port()}}, [](ServiceSettings& service) { service.timeout = Milliseconds{600'000}; });
  settings.services.push_back(Discovered::service("tls"));
  settings.services.back().fixed = {{"127.0.0.1", half_shaken.port()}};
  settings.services.back().https = true;
  settings.services.back().timeout = Milliseconds{600'000};
  found.start(std::move(settings));
  while (silent.accepted() == 0 || half_shaken.accepted() == 0) std::this_thread::yield();
  const auto begun = std::chrono::steady_clock::now();
  found.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds{10});
}

class TlsPollingTest : public ::testing::Test {
 protected:
  // Polls 127.0.0.1 by https.
  void start(std::uint16_t port, const std::function<void(ServiceSettings&)>& change) {
    found_.start(fixed({{"127.0.0.1", port}}, [&](ServiceSettings& service) {
      service.https = true;
      service.ca_file = authority_.ca_file();
      change(service);
    }));
  }

  const Authority authority_{"ours"};
  Discovered found_;
};

TEST_F(TlsPollingTest, ATrustedInstanceTellsItsVersion) {
  const OwnedContext context = authority_.server("IP:127.0.0.1");
  LoopbackServer server(says_version("2.0.0"), context.get());
  start(server.port(), [](ServiceSettings&) {});
  EXPECT_TRUE(found_.await_version(name_of(server), "2.0.0")) << found_.log();
  found_.stop();
}

TEST_F(TlsPollingTest, AnotherAuthorityIsNotTrusted) {
  const Authority other("theirs");
  const OwnedContext context = other.server("IP:127.0.0.1");
  LoopbackServer server(says_version("2.0.0"), context.get());
  start(server.port(), [](ServiceSettings&) {});
  EXPECT_TRUE(found_.await_log("its certificate is not trusted, or not one for 127.0.0.1: ")) << found_.log();
  found_.stop();
  EXPECT_EQ(found_.version(name_of(server)), "");
}

TEST_F(TlsPollingTest, ACertificateForAnotherHostIsRefusedUnlessItsNameIsSaid) {
  const OwnedContext context = authority_.server("DNS:api.internal");
  LoopbackServer server(says_version("2.0.0"), context.get());
  start(server.port(), [](ServiceSettings&) {});
  EXPECT_TRUE(found_.await_log("its certificate is not trusted, or not one for 127.0.0.1: ")) << found_.log();
  found_.stop();
  EXPECT_EQ(found_.version(name_of(server)), "");
  Discovered named;
  named.start(fixed({{"127.0.0.1", server.port()}}, [&](ServiceSettings& service) {
    service.https = true;
    service.ca_file = authority_.ca_file();
    service.server_name = "api.internal";
  }));
  EXPECT_TRUE(named.await_version(name_of(server), "2.0.0")) << named.log();
}

TEST_F(TlsPollingTest, OurCertificateIsShownAndReadAnew) {
  const OwnedContext context = authority_.server("IP:127.0.0.1", true);
  LoopbackServer server(says_version("2.0.0"), context.get());
  authority_.write("us", authority_.issue("DNS:diastoled"));
  start(server.port(), [&](ServiceSettings& service) {
    service.cert_file = authority_.directory() / "us.pem";
    service.key_file = authority_.directory() / "us.key";
  });
  EXPECT_TRUE(found_.await_version(name_of(server), "2.0.0")) << found_.log();
  found_.stop();
}

TEST(TlsFilesTest, AreReadAgainWhenTheyChange) {
  const Authority authority("ca");
  authority.write("us", authority.issue("DNS:one"));
  Tls tls({authority.ca_file(), authority.directory() / "us.pem", authority.directory() / "us.key"});
  const MonoTime start{Milliseconds{1'000}};
  const auto first = tls.context(start);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(*tls.context(start + Milliseconds{60'000}), *first);
  authority.write("us", authority.issue("DNS:another.example"));
  EXPECT_EQ(*tls.context(start + Milliseconds{60'999}), *first);  // not looked at yet
  const auto second = tls.context(start + Milliseconds{70'000});
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *first);
  // What cannot be read leaves what was.
  std::filesystem::remove(authority.directory() / "us.key");
  EXPECT_EQ(*tls.context(start + Milliseconds{80'000}), *second);
}

TEST(TlsFilesTest, SayWhatCannotBeRead) {
  const Authority authority("ca");
  Tls absent({authority.directory() / "absent.pem", {}, {}});
  EXPECT_THAT(absent.context(MonoTime{}).error().message, HasSubstr("absent.pem: "));
}

}  // namespace
}  // namespace diastole::discovery::testing
