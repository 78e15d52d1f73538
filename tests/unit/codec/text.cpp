// JSON and YAML text: what is refused, where, and what the traps of each become.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "diastole/codec/plan_codec.hpp"

namespace diastole::codec {
namespace {

using nlohmann::json;

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

struct Refused {
  std::string text;
  std::string place;  // how the message begins
  std::string about;  // and what it says
};

void expect_refused(const Refused& wanted, const Result<json>& found) {
  ASSERT_FALSE(found.has_value()) << wanted.text << " became " << found->dump();
  EXPECT_EQ(found.error().code, ErrorCode::invalid_argument);
  const auto& message = found.error().message;
  EXPECT_TRUE(message.starts_with(wanted.place) && message.contains(wanted.about))
      << wanted.text << " gave: " << message;
  EXPECT_NO_THROW((void)json(message).dump()) << "a message has to be UTF-8 itself";
}

TEST(JsonTextTest, RefusesWithThePlace) {
  const Refused cases[] = {
      {"", "line 1, column 1: ", "unexpected end of input"},
      {"{\"a\": 1,}", "line 1, column 9: ", "unexpected '}'"},
      {"[1,]", "line 1, column 4: ", "unexpected ']'"},
      {"[1 2]", "line 1, column 4: ", "expected ']'"},
      {"{\n  \"a\": 1\n  \"b\": 2}", "line 3, column 5: ", "expected '}'"},
      {"{\"a\": 1}x", "line 1, column 9: ", "expected end of input"},
      {"{\"a\": 1} {}", "line 1, column 10: ", "expected end of input"},
      {"{\n \"a\": 1,\n \"b\": 2,\n \"a\": 3}", "line 4, column 2: ", "the key 'a' stands twice"},
      {"{\"x\": {\"a\": 1, \"a\": 1}}", "line 1, column 16: ", "the key 'a' stands twice"},
      {"{\"a\": 1, \"\\u0061\": 1}", "line 1, column 10: ", "the key 'a' stands twice"},
      {nested(33), "line 1, column 33: ", "more than 32 levels"},
      {"\n" + std::string(100'000, '['), "line 2, column 33: ", "more than 32 levels"},
      {"{\"a\": \"\xff\"}", "line 1, column 8: ", "not UTF-8"},
      {"\"\xc3\"", "line 1, column 3: ", "not UTF-8"},
      {"\"\\ud800\"", "line 1, column 8: ", "surrogate"},
      {"{\"a\": \"x\\u0000y\"}", "line 1, column 7: ", "U+0000"},
      {"{\"a\\u0000\": 1}", "line 1, column 2: ", "U+0000"},
      {"\"a\nb\"", "line 1, column 3: ", "control character"},
      {"NaN", "line 1, column 1: ", "invalid literal"},
      {"[Infinity]", "line 1, column 2: ", "invalid literal"},
      {"{\"a\":\n 1e999}", "line 2, column 6: ", "the number 1e999 is too large"},
      {"01", "line 1, column 2: ", "expected end of input"},
      {"'a'", "line 1, column 1: ", "invalid literal"},
      {"// no\n1", "line 1, column 1: ", "invalid literal"},
  };
  for (const auto& wanted : cases) expect_refused(wanted, parse_json(wanted.text));
}

TEST(JsonTextTest, ReadsWhatItMay) {
  EXPECT_EQ(*parse_json(nested(32)), json::parse(nested(32)));
  EXPECT_EQ(*parse_json(" {\"a\": [true, null, -1, 1.5, \"\\u00fc\"]} \n"),
            json::parse("{\"a\": [true, null, -1, 1.5, \"\xc3\xbc\"]}"));
  // The same key in two objects, and one after a nested object.
  EXPECT_EQ(parse_json(R"([{"a": 1}, {"a": {"a": 2}}])")->dump(), R"([{"a":1},{"a":{"a":2}}])");
  // Too long for an integer: a float, which nothing that wants a whole number takes.
  EXPECT_TRUE(parse_json("123456789012345678901234567890")->is_number_float());
}

TEST(YamlTextTest, OnlyPlainNumbersBooleansAndNullAreMoreThanText) {
  const std::pair<const char*, json> cases[] = {
      {"no", "no"},
      {"yes", "yes"},
      {"on", "on"},
      {"off", "off"},
      {"True", "True"},
      {"y", "y"},
      {"true", true},
      {"false", false},
      {"null", nullptr},
      {"~", nullptr},
      {"", nullptr},
      {"'true'", "true"},
      {"\"null\"", "null"},
      {"''", ""},
      {"5", 5},
      {"-3", -3},
      {"0", 0},
      {"'5'", "5"},
      {"\"5\"", "5"},
      {"!!str 5", "5"},
      {"007", "007"},
      {"+5", "+5"},
      {"-0", "-0"},
      {"0x10", "0x10"},
      {"1_000", "1_000"},
      {"1.5", "1.5"},
      {"1e3", "1e3"},
      {"12:30", "12:30"},
      {"2026-01-01", "2026-01-01"},
      {".inf", ".inf"},
      {"9223372036854775807", 9223372036854775807},
      {"9223372036854775808", "9223372036854775808"},
      {"0012345", "0012345"},
      {"12e4567", "12e4567"},
      {"!foo bar", "bar"},
  };
  for (const auto& [text, expected] : cases) {
    const auto value = parse_yaml(fmt::format("key: {}\n", text));
    ASSERT_TRUE(value.has_value()) << text << ": " << value.error().message;
    EXPECT_EQ(value->at("key"), expected) << text;
  }
  EXPECT_EQ(parse_yaml("no: 1\n2: x")->dump(), R"({"2":"x","no":1})");
  EXPECT_EQ(parse_yaml("sql: |\n  ALTER TABLE t\n  ADD c int\n")->at("sql"), "ALTER TABLE t\nADD c int\n");
}

TEST(YamlTextTest, EmptyIsNull) {
  for (const std::string text : {"", "\n", "# only a remark\n", "---\n"}) EXPECT_EQ(*parse_yaml(text), json()) << text;
}

TEST(YamlTextTest, RefusesWithThePlace) {
  const Refused cases[] = {
      {"a: 1\nb: 2\na: 3", "line 3, column 1: ", "the key 'a' stands twice"},
      {"a: {b: 1, b: 2}", "line 1, column 11: ", "the key 'b' stands twice"},
      {"a: 1\n\"a\": 2", "line 2, column 1: ", "the key 'a' stands twice"},
      {"a:\n\tb: 1", "line 2, column ", ""},
      {"a: b: c", "line 1, column 5: ", "illegal map value"},
      {"a: \"x", "line 1, column 6: ", "illegal EOF"},
      {"a: *nope", "line 1, column 4: ", "anchor"},
      {"? [a]\n: b", "line 1, column 3: ", "a key must be plain text"},
      {"---\na: 1\n---\nb: 2", "line 4, column 1: ", "second document"},
      {nested(33), "line 1, column 33: ", "more than 32 levels"},
      {std::string(10'000, '['), "line ", "more than 32 levels"},
      {"a: &a [*a]", "line 1, column ", "more than 32 levels"},
      {"a: &a [*a, *a]", "line 1, column ", "more than 32 levels"},
      {"a: \"x\\0\"", "line 1, column 4: ", "U+0000"},
      {"a: \xff\xfe\xfd", "", "not UTF-8"},
  };
  for (const auto& wanted : cases) expect_refused(wanted, parse_yaml(wanted.text));
}

TEST(YamlTextTest, AliasesServeAndABombIsRefused) {
  EXPECT_EQ(parse_yaml("a: &x {b: 1}\nc: *x")->dump(), R"({"a":{"b":1},"c":{"b":1}})");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i <= 9; ++i) {
    bomb +=
        fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  expect_refused({"a bomb", "line ", "aliases multiply"}, parse_yaml(bomb));
}

TEST(YamlTextTest, LineOfAPointer) {
  const std::string text =
      "plan: x\n"
      "# a remark\n"
      "expand:\n"
      "  - id: a\n"
      "    sql: |\n"
      "      SELECT 1\n"
      "  - {id: b, sql: SELECT 2}\n"
      "fleet:\n"
      "  - service: api\n";
  EXPECT_EQ(line_of(text, ""), 1);
  EXPECT_EQ(line_of(text, "/plan"), 1);
  EXPECT_EQ(line_of(text, "/expand/0/id"), 4);
  EXPECT_EQ(line_of(text, "/expand/0/sql"), 5);
  EXPECT_EQ(line_of(text, "/expand/1/sql"), 7);
  EXPECT_EQ(line_of(text, "/fleet/0/service"), 9);
  // What is missing is missing from the nearest thing there.
  EXPECT_EQ(line_of(text, "/expand/1/undo"), 7);
  EXPECT_EQ(line_of(text, "/expand/9/undo"), 4);
  EXPECT_EQ(line_of(text, "/expand/99999999999999999999"), 0);
  EXPECT_EQ(line_of(text, "no pointer"), 0);
  EXPECT_EQ(line_of("a: [", "/a"), 0);
  EXPECT_EQ(line_of("x/y:\n  - 1\n\n  - 2\n", "/x~1y/1"), 4);
}

TEST(Sha256Test, IsTheStandards) {
  EXPECT_EQ(sha256("abc"), "sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace diastole::codec
