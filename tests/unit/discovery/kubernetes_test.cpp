// Discovery by the EndpointSlices of Kubernetes.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "discovered.hpp"
#include "endpoint_slices.hpp"
#include "fake_kubernetes.hpp"

namespace diastole::discovery::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

json named(json slice, const std::string& name) {
  slice["metadata"] = {{"name", name}, {"resourceVersion", "7"}};
  return slice;
}
std::string list_of(const std::vector<json>& slices) {
  return json{{"metadata", {{"resourceVersion", "7"}}}, {"items", slices}}.dump();
}
Endpoint called(const std::string& name, const std::string& host, std::uint16_t port) {
  return {.instance = InstanceId(name), .at = {.host = host, .port = port}};
}
json pods(const std::string& address, const std::string& pod) {
  return json::array({FakeKubernetes::endpoint(address, pod)});
}

TEST(EndpointSlicesTest, EveryEndpointCountsWhateverItsConditions) {
  EndpointSlices slices("");
  const json endpoints = json::array(
      {FakeKubernetes::endpoint("10.0.0.1", "api-1", {{"ready", true}, {"serving", true}, {"terminating", false}}),
       FakeKubernetes::endpoint("10.0.0.2", "api-2", {{"ready", false}, {"serving", true}, {"terminating", true}}),
       FakeKubernetes::endpoint("10.0.0.3", "api-3", {{"ready", false}, {"serving", false}, {"terminating", true}}),
       FakeKubernetes::endpoint("10.0.0.4", "api-4", {{"ready", nullptr}}),
       FakeKubernetes::endpoint("10.0.0.5", "", json::object())});
  ASSERT_TRUE(slices.replace(list_of({named(FakeKubernetes::slice(endpoints, 8080), "a")})));
  EXPECT_THAT(slices.listing(), ElementsAre(called("10.0.0.5:8080", "10.0.0.5", 8080),
                                            called("api-1", "10.0.0.1", 8080), called("api-2", "10.0.0.2", 8080),
                                            called("api-3", "10.0.0.3", 8080), called("api-4", "10.0.0.4", 8080)));
}

TEST(EndpointSlicesTest, ThePortIsTheNamedOneTheNumberOrTheOnlyOne) {
  json slice = FakeKubernetes::slice(pods("10.0.0.1", "api-1"), 8080);
  const auto port = [&](const std::string& wanted) {
    EndpointSlices slices(wanted);
    EXPECT_TRUE(slices.replace(list_of({named(slice, "a")})));
    return slices.listing().at(0).at.port;
  };
  EXPECT_EQ(port("http"), 8080);
  EXPECT_EQ(port(""), 8080);
  EXPECT_EQ(port("9000"), 9000);
  EXPECT_EQ(port("admin"), 0);
  slice["ports"].push_back({{"name", "admin"}, {"port", 9001}});
  EXPECT_EQ(port("admin"), 9001);
  EXPECT_EQ(port(""), 0);
  slice["ports"] = nullptr;
  EXPECT_EQ(port(""), 0);
  EXPECT_EQ(port("9000"), 9000);
}

TEST(EndpointSlicesTest, APodInSeveralSlicesIsOneInstance) {
  EndpointSlices slices("");
  ASSERT_TRUE(slices.replace(list_of({named(FakeKubernetes::slice(pods("fd00::1", "api-1"), 8080, "IPv6"), "a"),
                                      named(FakeKubernetes::slice(pods("10.0.0.1", "api-1"), 8080), "b"),
                                      named(FakeKubernetes::slice(pods("10.0.0.1", "api-1"), 8080), "c")})));
  EXPECT_THAT(slices.listing(), ElementsAre(called("api-1", "10.0.0.1", 8080)));
}

TEST(EndpointSlicesTest, ASliceWithoutEndpointsIsNoError) {
  EndpointSlices slices("");
  ASSERT_TRUE(slices.replace(list_of({named(FakeKubernetes::slice(nullptr, 8080), "a")})));
  EXPECT_THAT(slices.listing(), IsEmpty());
  ASSERT_TRUE(slices.replace(R"({"metadata":{"resourceVersion":"8"},"items":null})"));
  EXPECT_EQ(slices.version(), "8");
}

TEST(EndpointSlicesTest, WhatIsWrongChangesNothing) {
  EndpointSlices slices("");
  ASSERT_TRUE(slices.replace(list_of({named(FakeKubernetes::slice(pods("10.0.0.1", "api-1"), 8080), "a")})));
  for (const char* text :
       {"", "{}", "[]", R"({"metadata":{"resourceVersion":"9"},"items":[{}]})",
        R"({"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a"},"endpoints":[1]}]})"}) {
    EXPECT_FALSE(slices.replace(text)) << text;
  }
  for (const char* text : {"", "{}", R"({"type":"ADDED","object":{}})", R"({"type":"NEW","object":{"metadata":{}}})",
                           R"({"type":"ERROR","object":{"code":500,"message":"etcd"}})"}) {
    EXPECT_FALSE(slices.apply(text)) << text;
  }
  EXPECT_EQ(slices.version(), "7");
  EXPECT_THAT(slices.listing(), ElementsAre(called("api-1", "10.0.0.1", 8080)));
}

class KubernetesTest : public ::testing::Test {
 protected:
  KubernetesTest() { directory_.write("token", "first\n"); }

  void start(FakeKubernetes& api, const std::filesystem::path& ca = {}) {
    auto settings = Discovered::quick();
    settings.kubernetes = {.https = !ca.empty(),
                           .api = {"127.0.0.1", api.port()},
                           .token_file = directory_.path() / "token",
                           .ca_file = ca};
    settings.services.push_back(Discovered::service());
    settings.services.back().kubernetes = KubernetesService{.space = "prod", .name = "api", .port = "http"};
    found_.start(std::move(settings));
  }
  void put(FakeKubernetes& api, const std::string& slice, std::initializer_list<const char*> names) {
    json endpoints = json::array();
    for (const char* name : names) endpoints.push_back(FakeKubernetes::endpoint("127.0.0.1", name));
    api.put(slice, FakeKubernetes::slice(endpoints, 1));
  }

  const test::TemporaryDirectory directory_;
  Discovered found_;
};

TEST_F(KubernetesTest, PodsAreListedAndTellTheirVersion) {
  LoopbackServer pod(says_version("2.0.0"));
  FakeKubernetes api("first");
  api.put("api-x", FakeKubernetes::slice(pods("127.0.0.1", "api-7d9f-x2x"), pod.port()));
  start(api);
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-7d9f-x2x"})) << found_.log();
  EXPECT_TRUE(found_.await_version("api-7d9f-x2x", "2.0.0")) << found_.log();
}

TEST_F(KubernetesTest, AWatchFollowsAllSlices) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1"})) << found_.log();
  EXPECT_TRUE(api.await_watches(1));
  put(api, "b", {"api-2", "api-3"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2", "api-3"}));
  // A pod that terminates is there until it is not.
  json leaving =
      json::array({FakeKubernetes::endpoint("127.0.0.1", "api-2", {{"ready", false}, {"terminating", true}})});
  api.put("b", FakeKubernetes::slice(leaving, 1));
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"}));
  api.erase("b");
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1"}));
  EXPECT_EQ(api.lists(), 1);
}

TEST_F(KubernetesTest, AWatchThatEndsInOrderGoesOnWhereItWas) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.bookmark();
  put(api, "b", {"api-2"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"})) << found_.log();
  // From before it nobody could go on.
  api.end_watches();
  EXPECT_TRUE(api.await_watches(2));
  put(api, "c", {"api-3"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2", "api-3"}));
  EXPECT_EQ(api.lists(), 1);
  EXPECT_EQ(found_.logged("a source of discovery"), 0) << found_.log();
}

TEST_F(KubernetesTest, ABookmarkMovesWhereAWatchGoesOn) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.bookmark();
  put(api, "a", {"api-1", "api-2"});  // so that the bookmark is known to have come
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"})) << found_.log();
  api.bookmark();
  api.end_watches();
  EXPECT_TRUE(api.await_watches(2));
  EXPECT_EQ(api.lists(), 1);
}

TEST_F(KubernetesTest, WhatIsNoLongerKnownIsListedAnew) {
  for (const bool by_status : {false, true}) {
    FakeKubernetes api("first");
    put(api, "a", {"api-1"});
    start(api);
    EXPECT_TRUE(api.await_watches(1));
    api.end_watches();
    put(api, "b", {"api-2"});
    api.erase("a");
    api.expire(by_status);
    EXPECT_TRUE(found_.await_listed("kubernetes", {"api-2"})) << found_.log();
    EXPECT_TRUE(api.await_watches(2));
    put(api, "c", {"api-3"});
    EXPECT_TRUE(found_.await_listed("kubernetes", {"api-2", "api-3"}));
    EXPECT_GE(api.lists(), 2);
    found_.stop();
  }
}

TEST_F(KubernetesTest, ABrokenWatchBeginsWithAList) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1", "api-2"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.refuse(503);
  api.disconnect();
  EXPECT_TRUE(found_.await_log("a source of discovery fails"));
  put(api, "a", {"api-2"});
  put(api, "b", {"api-3"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"}));
  api.refuse(0);
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-2", "api-3"})) << found_.log();
  EXPECT_EQ(api.lists(), 2);
  found_.stop();
  EXPECT_EQ(found_.logged("a source of discovery fails"), 1) << found_.log();
  EXPECT_EQ(found_.logged("a source of discovery answers again"), 1);
}

TEST_F(KubernetesTest, WhatIsNoEventBreaksTheWatch) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.say(R"({"type":"ADDED","object":{"metadata":{}}})");
  EXPECT_TRUE(found_.await_log("not what an API server sends"));
  EXPECT_TRUE(api.await_watches(2));
  put(api, "b", {"api-2"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"})) << found_.log();
}

TEST_F(KubernetesTest, WhoMayNotListIsToldWhatTheServerSays) {
  FakeKubernetes api("first");
  api.refuse(403);
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(found_.await_log("the API server answers 403: endpointslices.discovery.k8s.io is forbidden"));
  EXPECT_TRUE(found_.await_listed("kubernetes", {"source:kubernetes"}));
  api.refuse(0);
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1"}));
}

TEST_F(KubernetesTest, TheTokenIsReadAnew) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.set_token("second");
  api.disconnect();
  EXPECT_TRUE(found_.await_log("fails"));
  directory_.write("token", "second\n");
  EXPECT_TRUE(api.await_watches(2)) << found_.log();
  std::filesystem::remove(directory_.path() / "token");
  api.disconnect();
  directory_.write("token", "second\n");
  EXPECT_TRUE(api.await_watches(3)) << found_.log();
  found_.stop();
  EXPECT_THAT(found_.log(), ::testing::Not(HasSubstr("second")));
}

TEST_F(KubernetesTest, ASelectorThatFindsNothingMakesNobodyGone) {
  FakeKubernetes api("first");
  put(api, "a", {"api-1"});
  start(api);
  EXPECT_TRUE(api.await_watches(1));
  api.erase("a");
  EXPECT_TRUE(found_.await_log("lists no instance service=api source=kubernetes"));
  found_.stop();
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1"}));
}

TEST_F(KubernetesTest, TheServersCertificateIsVerified) {
  const Authority authority("cluster");
  const Authority other("other");
  const OwnedContext context = authority.server("DNS:kubernetes,IP:127.0.0.1");
  FakeKubernetes api("first", context.get());
  put(api, "a", {"api-1"});
  start(api, other.ca_file());
  EXPECT_TRUE(found_.await_log("its certificate is not trusted"));
  EXPECT_TRUE(found_.await_listed("kubernetes", {"source:kubernetes"}));
  // As when the cluster's authority is renewed; the file is looked at once a second.
  std::filesystem::copy_file(authority.ca_file(), other.ca_file(), std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1"})) << found_.log();
  EXPECT_TRUE(api.await_watches(1));
  put(api, "b", {"api-2"});
  EXPECT_TRUE(found_.await_listed("kubernetes", {"api-1", "api-2"}));
  found_.stop();
}

}  // namespace
}  // namespace diastole::discovery::testing
