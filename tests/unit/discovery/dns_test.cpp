// Discovery by DNS, from a server of the test's own.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "discovered.hpp"
#include "fake_dns.hpp"
#include "loopback_server.hpp"

namespace diastole::discovery::testing {
namespace {

using Names = Discovered::Names;
using ::testing::HasSubstr;

class DnsTest : public ::testing::Test {
 protected:
  DiscoverySettings settings() {
    DiscoverySettings out = Discovered::quick();
    out.dns_servers = dns_.server();
    out.services.push_back(Discovered::service());
    out.services.back().interval = Milliseconds{50};
    return out;
  }
  void follow_addresses() {
    auto all = settings();
    all.services.back().dns_a = HostPort{"api.test.", 8080};
    found_.start(std::move(all));
  }
  void follow_services() {
    auto all = settings();
    all.services.back().dns_srv = "_http._tcp.api.test.";
    found_.start(std::move(all));
  }

  FakeDns dns_;
  Discovered found_;
};

TEST_F(DnsTest, EachAddressIsAnInstance) {
  dns_.set_addresses("api.test", {"127.0.0.9", "127.0.0.8"});
  follow_addresses();
  EXPECT_TRUE(found_.await_listed("dns_a", {"127.0.0.8:8080", "127.0.0.9:8080"})) << found_.log();
  dns_.set_addresses("api.test", {"127.0.0.8", "127.0.0.7", "127.0.0.6"});
  EXPECT_TRUE(found_.await_listed("dns_a", {"127.0.0.6:8080", "127.0.0.7:8080", "127.0.0.8:8080"}));
}

TEST_F(DnsTest, ManyAddressesAreAllTaken) {
  std::vector<std::string> addresses;
  Names names;
  for (int i = 0; i < 28; ++i) {
    addresses.push_back(fmt::format("127.1.0.{}", i + 1));
    names.insert(addresses.back() + ":8080");
  }
  dns_.set_addresses("api.test", addresses);
  follow_addresses();
  EXPECT_TRUE(found_.await_listed("dns_a", names)) << found_.log();
}

TEST_F(DnsTest, AddressesOfIpv6AreTakenWhereThereAreNoOthers) {
  dns_.set_addresses("api.test", {"fd00::1", "fd00::2"});
  follow_addresses();
  EXPECT_TRUE(found_.await_listed("dns_a", {"[fd00::1]:8080", "[fd00::2]:8080"})) << found_.log();
  // An instance with one of each is one instance.
  dns_.set_addresses("api.test", {"fd00::1", "127.0.0.9"});
  EXPECT_TRUE(found_.await_listed("dns_a", {"127.0.0.9:8080"}));
}

TEST_F(DnsTest, AFailureIsNoList) {
  dns_.set_addresses("api.test", {"127.0.0.9"});
  follow_addresses();
  EXPECT_TRUE(found_.await_listed("dns_a", {"127.0.0.9:8080"}));
  dns_.set_outcome("api.test", FakeDns::Outcome::server_failure);
  EXPECT_TRUE(found_.await_log("a source of discovery fails")) << found_.log();
  dns_.set_outcome("api.test", FakeDns::Outcome::records);
  EXPECT_TRUE(found_.await_log("a source of discovery answers again"));
  dns_.set_outcome("api.test", FakeDns::Outcome::no_name);
  EXPECT_TRUE(found_.await_log("Domain name not found"));
  found_.stop();
  EXPECT_TRUE(found_.await_listed("dns_a", {"127.0.0.9:8080"}));
}

TEST_F(DnsTest, ANameThatDoesNotExistIsUnknownNotEmpty) {
  follow_addresses();
  EXPECT_TRUE(found_.await_listed("dns_a", {"source:dns_a"}));
  EXPECT_THAT(found_.log(), HasSubstr("source=dns_a error=api.test.: Domain name not found"));
}

TEST_F(DnsTest, StopsWhileTheServerIsSilent) {
  dns_.set_outcome("api.test", FakeDns::Outcome::silence);
  auto all = settings();
  all.services.back().dns_a = HostPort{"api.test.", 8080};
  all.services.back().fixed = {{"api.test.", 8080}};
  all.services.back().timeout = Milliseconds{60'000};
  found_.start(std::move(all));
  EXPECT_TRUE(found_.await_listed("static", {"api.test.:8080"}));
  const auto begun = std::chrono::steady_clock::now();
  found_.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds{5});
}

TEST_F(DnsTest, AServiceSaysHostsAndPorts) {
  LoopbackServer server(says_version("2.0.0"));
  dns_.set_addresses("one.test", {"127.0.0.1"});
  dns_.set_services("_http._tcp.api.test", {{server.port(), "one.test"}, {81, "two.test"}});
  follow_services();
  const std::string one = fmt::format("one.test:{}", server.port());
  EXPECT_TRUE(found_.await_listed("dns_srv", {one, "two.test:81"})) << found_.log();
  EXPECT_TRUE(found_.await_version(one, "2.0.0")) << found_.log();
  // "." says that there is none.
  dns_.set_services("_http._tcp.api.test", {{1, ""}, {81, "two.test"}});
  EXPECT_TRUE(found_.await_listed("dns_srv", {"two.test:81"}));
}

TEST_F(DnsTest, NoServiceAtAllIsNotBelievedAtOnce) {
  dns_.set_services("_http._tcp.api.test", {{81, "two.test"}});
  follow_services();
  EXPECT_TRUE(found_.await_listed("dns_srv", {"two.test:81"}));
  dns_.set_services("_http._tcp.api.test", {});
  EXPECT_TRUE(found_.await_log("lists no instance service=api source=dns_srv believed_after=5m"));
  found_.stop();
  EXPECT_TRUE(found_.await_listed("dns_srv", {"two.test:81"}));
}

}  // namespace
}  // namespace diastole::discovery::testing
