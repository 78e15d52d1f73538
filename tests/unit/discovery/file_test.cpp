// Discovery by a file of Prometheus' file_sd.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "discovered.hpp"
#include "file_source.hpp"
#include "loopback_server.hpp"

namespace diastole::discovery::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Endpoint called(const std::string& name, HostPort at) {
  return {.instance = InstanceId(name), .at = std::move(at)};
}

TEST(FileFormatTest, JsonAndYamlSayTheSame) {
  const auto json = listing_from(R"([{"targets":["app1:8080","[::1]:81"],"labels":{"job":"api"}},
                                     {"targets":["app3:8080"],"labels":{"diastole_instance":"api-3"}},
                                     {"targets":[]}])",
                                 true);
  const auto yaml = listing_from(
      "- targets: ['app1:8080', '[::1]:81']\n"
      "  labels: {job: api}\n"
      "- targets:\n  - app3:8080\n"
      "  labels:\n    diastole_instance: api-3\n"
      "- targets: []\n",
      false);
  ASSERT_TRUE(json) << json.error().message;
  ASSERT_TRUE(yaml) << yaml.error().message;
  EXPECT_THAT(*json, ElementsAre(called("app1:8080", {"app1", 8080}), called("[::1]:81", {"::1", 81}),
                                 called("api-3", {"app3", 8080})));
  EXPECT_EQ(*yaml, *json);
}

TEST(FileFormatTest, AnEmptyListIsOne) {
  EXPECT_EQ(listing_from("[]", true), Listing{});
  EXPECT_EQ(listing_from("[]\n", false), Listing{});
}

TEST(FileFormatTest, AFileCountsAsAWhole) {
  const auto json = [](const std::string& text) {
    const auto listing = listing_from(text, true);
    return listing ? "a listing" : listing.error().message;
  };
  EXPECT_THAT(json(""), HasSubstr("not in the format of file_sd: "));
  EXPECT_THAT(json(R"([{"targets":["app1:80"]})"), HasSubstr("not in the format of file_sd: "));
  EXPECT_EQ(json("{}"), "expected a list of groups");
  EXPECT_THAT(json(R"([{"labels":{}}])"), HasSubstr("targets"));
  EXPECT_THAT(json(R"([{"targets":[1]}])"), HasSubstr("not in the format of file_sd: "));
  EXPECT_THAT(json(R"([{"targets":["app1:80"]},{"targets":["app2"]}])"), HasSubstr("group 1: 'app2' is not HOST:PORT"));
  EXPECT_EQ(json(R"([{"targets":["a:1","b:1"],"labels":{"diastole_instance":"x"}}])"),
            "group 0: diastole_instance names one instance, but there are 2 targets");
  EXPECT_EQ(json(R"([{"targets":["a:1"],"labels":{"diastole_instance":"x y"}}])"),
            "group 0: diastole_instance is not 1 to 128 bytes without spaces");
  EXPECT_EQ(json(R"([{"targets":["a:1"],"labels":{"diastole_instance":"x"}},
                     {"targets":["b:1"],"labels":{"diastole_instance":"x"}}])"),
            "group 1: diastole_instance x is there already");
  for (const char* yaml : {"", "a: b", "- a", "- {targets: app1}", "- targets: [a:1\n"}) {
    EXPECT_FALSE(listing_from(yaml, false)) << yaml;
  }
}

class FileTest : public ::testing::Test {
 protected:
  void start() {
    auto settings = Discovered::quick();
    settings.services.push_back(Discovered::service());
    settings.services.back().file_sd = file_;
    settings.services.back().timeout = Milliseconds{500};
    found_.start(std::move(settings));
  }
  // As tools do: a new file takes the old one's place.
  void replace(const std::string& text) const {
    directory_.write("new", text);
    std::filesystem::rename(directory_.path() / "new", file_);
  }

  const test::TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "api.json";
  Discovered found_;
};

TEST_F(FileTest, IsReadAnewWhenItChanges) {
  replace(R"([{"targets":["127.0.0.1:1"]}])");
  start();
  EXPECT_TRUE(found_.await_listed("file_sd", {"127.0.0.1:1"})) << found_.log();
  replace(R"([{"targets":["127.0.0.1:2","127.0.0.1:3"]}])");
  EXPECT_TRUE(found_.await_listed("file_sd", {"127.0.0.1:2", "127.0.0.1:3"}));
  // In place, too.
  directory_.write("api.json", R"([{"targets":["127.0.0.1:4"]}])");
  EXPECT_TRUE(found_.await_listed("file_sd", {"127.0.0.1:4"}));
}

TEST_F(FileTest, WhatCannotBeReadChangesNothing) {
  start();
  EXPECT_TRUE(found_.await_listed("file_sd", {"source:file_sd"}));
  replace(R"([{"targets":["127.0.0.1:1"]}])");
  EXPECT_TRUE(found_.await_listed("file_sd", {"127.0.0.1:1"})) << found_.log();
  replace(R"([{"targets":["127.0.0.1:2"]})");
  EXPECT_TRUE(found_.await_log("api.json: not in the format of file_sd"));
  std::filesystem::remove(file_);
  replace(R"([{"targets":["127.0.0.1:1"]}])");
  EXPECT_TRUE(found_.await_log("answers again"));
  std::filesystem::remove(file_);
  EXPECT_TRUE(found_.await_log("No such file or directory"));
  found_.stop();
  EXPECT_TRUE(found_.await_listed("file_sd", {"127.0.0.1:1"}));
}

// An answer is better evidence than a list.
TEST_F(FileTest, WhoLeavesTheListButAnswersIsAskedOn) {
  auto leaver = std::make_unique<LoopbackServer>(says_version("1.0.0"));
  LoopbackServer other(says_version("2.0.0"));
  const std::string name = fmt::format("127.0.0.1:{}", leaver->port());
  const std::string others = fmt::format("127.0.0.1:{}", other.port());
  replace(fmt::format(R"([{{"targets":["{}","{}"]}}])", name, others));
  start();
  EXPECT_TRUE(found_.await_version(name, "1.0.0")) << found_.log();
  replace(fmt::format(R"([{{"targets":["{}"]}}])", others));
  EXPECT_TRUE(found_.await_listed("file_sd", {others}));
  EXPECT_TRUE(found_.await_polls(name, found_.polls(name) + 5));
  // Gone, it is asked three times more; a new process at its port is nobody that is listed.
  const std::uint16_t port = leaver->port();
  leaver.reset();
  EXPECT_TRUE(found_.await_polls(others, found_.polls(others) + 6));
  LoopbackServer stranger(says_version("3.0.0"), nullptr, port);
  EXPECT_TRUE(found_.await_polls(others, found_.polls(others) + 4));
  found_.stop();
  EXPECT_EQ(stranger.accepted(), 0);
  EXPECT_EQ(found_.version(name), "1.0.0");
}

TEST_F(FileTest, WhosePlaceIsTakenIsNotAskedOn) {
  LoopbackServer server(says_version("2.0.0"));
  const std::string group = R"([{{"targets":["127.0.0.1:{}"],"labels":{{"diastole_instance":"{}"}}}}])";
  replace(fmt::format(fmt::runtime(group), server.port(), "first"));
  start();
  EXPECT_TRUE(found_.await_version("first", "2.0.0")) << found_.log();
  replace(fmt::format(fmt::runtime(group), server.port(), "second"));
  EXPECT_TRUE(found_.await_version("second", "2.0.0"));
  const int polls = found_.polls("first");
  EXPECT_TRUE(found_.await_polls("second", 5));
  EXPECT_LE(found_.polls("first"), polls + 1);  // one may have been under way
}

}  // namespace
}  // namespace diastole::discovery::testing
