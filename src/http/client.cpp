#include "diastole/http/client.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/optional.hpp>

#include "wire.hpp"

namespace diastole::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using ResponseParser = boost::beast::http::response_parser<boost::beast::http::string_body>;
using OnData = std::function<bool(std::string_view)>;

constexpr std::uint32_t kMaxHeaderBytes = 64 * 1024;

// A connection whose calls block, each until the deadline at the most.
class BlockingConnection {
 public:
  explicit BlockingConnection(std::chrono::milliseconds timeout) : timeout_(timeout) { extend(); }

  void extend() { deadline_ = std::chrono::steady_clock::now() + timeout_; }

  error_code connect(const std::string& host, std::uint16_t port) {
    error_code error;
    tcp::resolver resolver(io_);
    const auto endpoints = resolver.resolve(host, std::to_string(port), error);
    if (error) {
      return error;
    }
    return run([&](auto done) {
      boost::asio::async_connect(socket_, endpoints, [done](const error_code& ec, const tcp::endpoint&) { done(ec); });
    });
  }

  error_code write(const std::string& text) {
    return run([&](auto done) {
      boost::asio::async_write(socket_, boost::asio::buffer(text),
                               [done](const error_code& ec, std::size_t) { done(ec); });
    });
  }

  // Appends what comes next to `input`.
  error_code read(std::string& input) {
    std::size_t bytes = 0;
    const error_code error = run([&](auto done) {
      socket_.async_read_some(boost::asio::buffer(piece_), [done, &bytes](const error_code& ec, std::size_t n) {
        bytes = n;
        done(ec);
      });
    });
    input.append(piece_.data(), bytes);
    return error;
  }

 private:
  template <typename Start>
  error_code run(Start start) {
    error_code result;
    start([&result](const error_code& error) { result = error; });
    io_.restart();
    io_.run_until(deadline_);
    if (!io_.stopped()) {
      error_code ignored;
      socket_.close(ignored);
      io_.run();
      return boost::asio::error::timed_out;
    }
    return result;
  }

  boost::asio::io_context io_{1};
  tcp::socket socket_{io_};
  std::chrono::milliseconds timeout_;
  std::chrono::steady_clock::time_point deadline_;
  std::array<char, 16 * 1024> piece_{};
};

std::string request_text(const std::string& host, std::uint16_t port, const ClientRequest& request) {
  const bool ipv6 = host.contains(':');
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nConnection: close\r\n", request.method,
                                 request.target, ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
  for (const auto& [name, value] : request.headers) {
    text += fmt::format("{}: {}\r\n", name, value);
  }
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    text += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  return text + "\r\n" + request.body;
}

// Gives the parser all that has come.
error_code parse(ResponseParser& parser, std::string& input) {
  error_code error;
  while (!input.empty() && !parser.is_done()) {
    const std::size_t taken = parser.put(boost::asio::buffer(input), error);
    input.erase(0, taken);
    if (error) {
      break;
    }
  }
  return error == boost::beast::http::error::need_more ? error_code{} : error;
}

ClientResponse to_response(ResponseParser& parser) {
  ClientResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& header : parser.get()) {
    response.headers.emplace(lower_case(header.name_string()), std::string(header.value()));
  }
  response.body = std::move(parser.get().body());
  return response;
}

Result<ClientResponse> exchange(const std::string& host, std::uint16_t port, const ClientRequest& request,
                                const OnData* on_data) {
  const auto broken = [&](std::string_view what, const error_code& error) {
    return fail(ErrorCode::unavailable, fmt::format("{} {} port {}: {}", what, host, port, error.message()));
  };
  BlockingConnection connection(request.timeout);
  if (const error_code error = connection.connect(host, port)) {
    return broken("cannot connect to", error);
  }
  // A server that refuses may answer before it has read everything: what it says is worth more than that the write
  // failed.
  const error_code unwritten = connection.write(request_text(host, port, request));

  ResponseParser parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(boost::none);
  parser.eager(true);
  parser.skip(request.method == "HEAD");
  std::string input;
  while (!parser.is_done()) {
    if (on_data != nullptr) {
      connection.extend();
    }
    error_code error = connection.read(input);
    if (error == boost::asio::error::eof && parser.got_some()) {
      parser.put_eof(error);
    } else if (!error) {
      error = parse(parser, input);
    }
    if (error) {
      return broken("no complete answer from", unwritten ? unwritten : error);
    }
    if (on_data != nullptr && parser.is_header_done() && parser.get().result_int() == 200) {
      const std::string piece = std::exchange(parser.get().body(), {});
      if (!piece.empty() && !(*on_data)(piece)) {
        break;
      }
    }
  }
  return to_response(parser);
}

}  // namespace

Result<ClientResponse> send(const std::string& host, std::uint16_t port, const ClientRequest& request) {
  return exchange(host, port, request, nullptr);
}

Result<ClientResponse> stream(const std::string& host, std::uint16_t port, const ClientRequest& request,
                              const std::function<bool(std::string_view)>& on_data) {
  return exchange(host, port, request, &on_data);
}

}  // namespace diastole::http
