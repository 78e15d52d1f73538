#include "request_reader.hpp"

#include <gtest/gtest.h>

namespace diastole::http {
namespace {

struct Case {
  const char* name;
  std::string bytes;
  int status;  // 0: accepted
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

int status_of(const std::optional<Response>& refusal) {
  return refusal ? refusal->status : 0;
}

std::string with_headers(const std::string& headers, const std::string& rest = "") {
  return "POST /a HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + rest;
}

class RequestFormTest : public ::testing::TestWithParam<Case> {};

TEST_P(RequestFormTest, WholeAndByteByByteAreJudgedAlike) {
  std::string whole = GetParam().bytes;
  RequestReader reader({});
  const auto refusal = reader.take(whole);
  EXPECT_EQ(status_of(refusal), GetParam().status) << refusal.value_or(Response{}).body;
  EXPECT_EQ(reader.done() && !refusal, GetParam().status == 0);

  RequestReader slow({});
  std::optional<Response> slow_refusal;
  std::string input;
  for (const char c : GetParam().bytes) {
    input += c;
    slow_refusal = slow.take(input);
    if (slow_refusal) {
      break;
    }
  }
  EXPECT_EQ(status_of(slow_refusal), GetParam().status) << slow_refusal.value_or(Response{}).body;
}

INSTANTIATE_TEST_SUITE_P(
    All, RequestFormTest,
    ::testing::Values(Case{"Plain", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 0},
                      Case{"Body", with_headers("Content-Length: 2\r\n", "ab"), 0},
                      Case{"EmptyBody", with_headers("Content-Length: 0\r\n"), 0},
                      Case{"UnknownMethod", "BREW /a HTTP/1.1\r\nHost: x\r\n\r\n", 0},
                      Case{"Chunked", with_headers("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 411},
                      Case{"Identity", with_headers("Transfer-Encoding: identity\r\nContent-Length: 0\r\n"), 411},
                      Case{"ChunkedTwice",
                           with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                           411},
                      Case{"UnknownCoding", with_headers("Transfer-Encoding: xchunked\r\n"), 411},
                      Case{"LengthThenChunked",
                           with_headers("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 411},
                      Case{"ChunkedThenLength",
                           with_headers("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400},
                      Case{"SameLengthTwice", with_headers("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), 400},
                      Case{"OtherLengthTwice", with_headers("Content-Length: 2\r\nContent-Length: 3\r\n", "abc"), 400},
                      Case{"LengthList", with_headers("Content-Length: 2, 2\r\n", "ab"), 400},
                      Case{"LengthSigned", with_headers("Content-Length: +2\r\n", "ab"), 400},
                      Case{"LengthNegative", with_headers("Content-Length: -2\r\n", "ab"), 400},
                      Case{"LengthHex", with_headers("Content-Length: 0x2\r\n", "ab"), 400},
                      Case{"LengthEmpty", with_headers("Content-Length:\r\n", "ab"), 400},
                      Case{"LengthOverflow", with_headers("Content-Length: 99999999999999999999999\r\n", "ab"), 400},
                      Case{"LengthTooLarge", with_headers("Content-Length: 1048577\r\n"), 413},
                      Case{"NoHost", "GET /a HTTP/1.1\r\n\r\n", 400},
                      Case{"HostTwice", "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
                      Case{"Http10", "GET /a HTTP/1.0\r\nHost: x\r\n\r\n", 505},
                      Case{"Http20", "GET /a HTTP/2.0\r\nHost: x\r\n\r\n", 505},
                      Case{"AbsoluteTarget", "GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                      Case{"AuthorityTarget", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                      Case{"AsteriskTarget", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                      Case{"SpaceBeforeColon", with_headers("Content-Length : 2\r\n", "ab"), 400},
                      Case{"SpaceBeforeName", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", 400},
                      Case{"Folded", with_headers("X-A: 1\r\n Content-Length: 2\r\n"), 400},
                      Case{"FoldedByTab", with_headers("X-A: 1\r\n\t2\r\n"), 400},
                      Case{"ControlInValue", with_headers(std::string("X-A: 1\0002\r\n", 10)), 400},
                      Case{"BareCarriageReturn", with_headers("X-A: 1\rX-B: 2\r\n"), 400},
                      Case{"OtherExpectation", with_headers("Expect: 200-ok\r\nContent-Length: 1\r\n", "a"), 417},
                      Case{"Garbage", "\x16\x03\x01\x02\r\n\r\n", 400}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(RequestReaderTest, StopsAtTheEndOfItsRequest) {
  std::string input = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\n";
  RequestReader reader({});
  ASSERT_FALSE(reader.take(input));
  ASSERT_TRUE(reader.done());
  EXPECT_EQ(input, "GET /b HTTP/1.1\r\n");
  EXPECT_EQ(reader.target(), "/a");
  const Request request = reader.release();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.body, "ab");
}

TEST(RequestReaderTest, HeaderNamesAreLowerCaseAndRepeatedOnesJoined) {
  std::string input = "GET /a HTTP/1.1\r\nX-Tag: 1\r\nHOST: x\r\nx-tag: 2\r\n\r\n";
  RequestReader reader({});
  ASSERT_FALSE(reader.take(input));
  const Request request = reader.release();
  EXPECT_EQ(request.header("host"), "x");
  EXPECT_EQ(request.header("x-tag"), "1, 2");
  EXPECT_EQ(request.header("x-other"), std::nullopt);
}

// Many short lines, each of which is below the limit on its own.
TEST(RequestReaderTest, HeaderLimitIsOverAllLines) {
  ServerLimits limits;
  limits.header_bytes = 300;
  RequestReader reader(limits);
  std::string input = "GET /a HTTP/1.1\r\nHost: x\r\n";
  ASSERT_FALSE(reader.take(input));
  std::optional<Response> refusal;
  std::size_t sent = 26;
  while (!refusal && sent < 2'000) {
    input += "X-Some: thing\r\n";
    sent += 15;
    refusal = reader.take(input);
  }
  EXPECT_EQ(status_of(refusal), 431);
  EXPECT_GT(sent, 300U);
  EXPECT_LE(sent, 315U);
}

TEST(RequestReaderTest, HeaderOfExactlyTheLimitIsAccepted) {
  const std::string request = "GET /a HTTP/1.1\r\nHost: x\r\nX-Some: thing\r\n\r\n";
  ServerLimits limits;
  limits.header_bytes = request.size();
  std::string input = request + std::string(1'000, 'G');
  EXPECT_FALSE(RequestReader(limits).take(input));
  limits.header_bytes = request.size() - 1;
  input = request;
  EXPECT_EQ(status_of(RequestReader(limits).take(input)), 431);
}

TEST(RequestReaderTest, ContinueIsWaitedForOnlyBeforeTheBody) {
  std::string input = with_headers("Expect: 100-Continue\r\nContent-Length: 2\r\n");
  RequestReader reader({});
  ASSERT_FALSE(reader.take(input));
  EXPECT_TRUE(reader.head_done());
  EXPECT_TRUE(reader.expects_continue());
  input = "a";
  ASSERT_FALSE(reader.take(input));
  EXPECT_FALSE(reader.expects_continue());
}

}  // namespace
}  // namespace diastole::http
