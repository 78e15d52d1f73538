#include "heartbeat_reader.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "diastole/codec/plan_codec.hpp"

namespace diastole::http {
namespace {

std::optional<Heartbeats> strictly(const std::string& text) {
  const auto body = codec::parse_json(text);
  if (!body) return std::nullopt;
  auto read = read_heartbeats(*body);
  return read ? std::optional(std::move(*read)) : std::nullopt;
}

std::string told(const std::optional<Heartbeats>& read) {
  if (!read) return "refused";
  std::string out = read->batch ? "batch" : "single";
  for (const auto& item : read->items) {
    out += "|" + item.service.str() + "," + item.instance.str() + "," + item.version + "," + item.incarnation + "," +
           (item.sequence ? std::to_string(*item.sequence) : "none");
  }
  return out;
}

const std::string kGood = R"({"service":"api","instance":"a-1","version":"1.0.0","incarnation":"p","sequence":7})";

TEST(HeartbeatReaderTest, BothWaysReadTheSame) {
  for (const std::string& text :
       {kGood, "[" + kGood + "," + kGood + "]", std::string("[]"),
        std::string(R"( { "version" : "v\u00e9" , "instance":"\u0061","service":"api" } )"),
        std::string(R"({"service":"api","instance":"a","version":"1","incarnation":"","sequence":0})"),
        std::string(R"({"service":"api","instance":"a","version":"1","sequence":9223372036854775807})")}) {
    EXPECT_NE(told(strictly(text)), "refused") << text;
    EXPECT_EQ(told(read_plain_heartbeats(text)), told(strictly(text))) << text;
  }
}

TEST(HeartbeatReaderTest, WhatIsOutOfTheOrdinaryIsLeftToTheStrictWay) {
  for (const std::string text : {"",
                                 "null",
                                 "7",
                                 "[7]",
                                 "{}",
                                 "[[]]",
                                 "{\"service\":\"api\"}",
                                 R"({"service":"api","instance":"a","version":"1","version":"2"})",
                                 R"({"service":"api","instance":"a","version":"1","color":"red"})",
                                 R"({"service":"Api","instance":"a","version":"1"})",
                                 R"({"service":"api","instance":"a b","version":"1"})",
                                 R"({"service":"api","instance":"a\u0000","version":"1"})",
                                 R"({"service":"api","instance":"","version":"1"})",
                                 R"({"service":"api","instance":"a","version":1})",
                                 R"({"service":"api","instance":"a","version":"1","sequence":-1})",
                                 R"({"service":"api","instance":"a","version":"1","sequence":1.0})",
                                 R"({"service":"api","instance":"a","version":"1","sequence":9223372036854775808})",
                                 R"({"service":"api","instance":"a","version":"1","incarnation":null})",
                                 R"({"service":"api","instance":"a","version":"1"} x)",
                                 "{\"service\":\"api\",\"instance\":\"\xff\"}"}) {
    EXPECT_FALSE(read_plain_heartbeats(text)) << text;
  }
  EXPECT_FALSE(read_plain_heartbeats(R"({"service":"api","instance":"a","version":")" + std::string(129, '1') + "\"}"));
}

// Whatever is done to a text: the fast way never takes what the strict way refuses, nor reads it otherwise.
TEST(HeartbeatReaderTest, NoTextIsTakenThatTheStrictWayRefuses) {
  const std::string good = "[" + kGood + "," + kGood + "]";
  constexpr std::string_view kBytes = "{}[]\",:\\ue0a179.-+ \x01\x7f\xc3\xa9\xff";
  std::minstd_rand random(1);
  int taken = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto text = good;
    for (auto changes = random() % 3 + 1; changes > 0; --changes) {
      const auto at = random() % text.size();
      const auto byte = kBytes[random() % kBytes.size()];
      switch (random() % 3) {
        case 0: text[at] = byte; break;
        case 1: text.insert(at, 1, byte); break;
        default: text.erase(at, random() % 8 + 1);
      }
      if (text.empty()) text = " ";
    }
    const auto plain = read_plain_heartbeats(text);
    if (!plain) continue;
    ++taken;
    ASSERT_EQ(told(plain), told(strictly(text))) << text;
  }
  EXPECT_GT(taken, 1'000);
}

}  // namespace
}  // namespace diastole::http
