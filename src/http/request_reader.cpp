// Beast 1.81 lets several request-smuggling forms through, so the head is checked again here.
#include "request_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>
#include <string_view>
#include <utility>

#include "problem.hpp"
#include "wire.hpp"

namespace diastole::http {
namespace {

namespace beast_http = boost::beast::http;
using Head = beast_http::request<beast_http::string_body>;

Response refusal_of(const boost::system::error_code& error) {
  if (error == beast_http::error::header_limit) {
    return problem(431, "Header too large", "the request's header exceeds the limit");
  }
  if (error == beast_http::error::body_limit) {
    return problem(413, "Body too large", "the request's body exceeds the limit");
  }
  if (error == beast_http::error::bad_version) {
    return problem(505, "Version not supported", "this server speaks HTTP/1.1");
  }
  if (error == beast_http::error::bad_transfer_encoding) {
    return problem(411, "Length required", "send a Content-Length and no Transfer-Encoding");
  }
  return problem(400, "Malformed request", error.message());
}

Response malformed(std::string_view detail) {
  return problem(400, "Malformed request", detail);
}

// Everything that another parser on the way might read differently (RFC 9112, 3.2 and 6.3).
std::optional<Response> head_refusal(const Head& head) {
  using beast_http::field;
  if (head.version() != 11) {
    return refusal_of(beast_http::error::bad_version);
  }
  if (head.count(field::transfer_encoding) > 0) {
    return refusal_of(beast_http::error::bad_transfer_encoding);
  }
  if (head.count(field::host) != 1) {
    return malformed("exactly one Host is needed");
  }
  const std::string_view length = head[field::content_length];
  if (head.count(field::content_length) > 1 || length.contains(',')) {
    return malformed("more than one Content-Length");
  }
  if (!head.target().starts_with('/')) {
    return malformed("the target must be a path that starts with /");
  }
  if (head.count(field::expect) > 0 && !boost::beast::iequals(head[field::expect], "100-continue")) {
    return problem(417, "Expectation failed", "the only expectation that is met is 100-continue");
  }
  return std::nullopt;
}

}  // namespace

struct RequestReader::Parsing {
  beast_http::request_parser<beast_http::string_body> parser;
  std::size_t header_limit = 0;
  std::size_t head_bytes = 0;  // all lines: Beast forgets those that came in an earlier piece
  bool body_begun = false;
};

RequestReader::RequestReader(const ServerLimits& limits) : parsing_(std::make_unique<Parsing>()) {
  parsing_->header_limit = limits.header_bytes;
  parsing_->parser.header_limit(std::numeric_limits<std::uint32_t>::max());
  parsing_->parser.body_limit(limits.body_bytes);
}

RequestReader::~RequestReader() = default;

std::optional<Response> RequestReader::take(std::string& input) {
  auto& [parser, header_limit, head_bytes, body_begun] = *parsing_;
  while (!input.empty() && !parser.is_done()) {
    const bool in_head = !parser.is_header_done();
    boost::system::error_code error;
    const std::size_t taken = parser.put(boost::asio::buffer(input), error);
    // A line that begins with a blank continues the one before, and is read differently by different parsers.
    const std::string_view text = std::string_view(input).substr(0, taken);
    const bool folded = in_head && (text.contains("\r\n ") || text.contains("\r\n\t"));
    input.erase(0, taken);
    if (in_head) {
      head_bytes += taken;
      if (head_bytes + (parser.is_header_done() ? 0 : input.size()) > header_limit) {
        return refusal_of(beast_http::error::header_limit);
      }
    } else {
      body_begun = true;
    }
    if (error && error != beast_http::error::need_more) {
      return refusal_of(error);
    }
    if (folded) {
      return malformed("a header is folded over several lines");
    }
    if (in_head && parser.is_header_done()) {
      if (auto refusal = head_refusal(parser.get())) {
        return refusal;
      }
      parser.eager(true);
      continue;
    }
    if (error) {
      break;
    }
  }
  return std::nullopt;
}

bool RequestReader::head_done() const {
  return parsing_->parser.is_header_done();
}

bool RequestReader::done() const {
  return parsing_->parser.is_done();
}

std::string RequestReader::method() const {
  return parsing_->parser.get().method_string();
}

std::string RequestReader::target() const {
  return parsing_->parser.get().target();
}

bool RequestReader::keep_alive() const {
  return parsing_->parser.keep_alive();
}

bool RequestReader::expects_continue() const {
  return !parsing_->body_begun && parsing_->parser.get().count(beast_http::field::expect) > 0;
}

Request RequestReader::release() {
  Head head = parsing_->parser.release();
  Request request;
  request.method = std::string(head.method_string());
  auto& headers = request.headers;
  headers.reserve(8);
  for (const auto& header : head) {
    auto name = lower_case(header.name_string());
    if (!headers.empty() && headers.back().first == name) {       // Beast keeps those of one name together
      headers.back().second.append(", ").append(header.value());  // RFC 9110, 5.3
    } else {
      headers.emplace_back(std::move(name), header.value());
    }
  }
  request.body = std::move(head.body());
  return request;
}

}  // namespace diastole::http
