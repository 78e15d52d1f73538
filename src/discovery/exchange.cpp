#include "exchange.hpp"

#include <fmt/format.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/optional.hpp>
#include <optional>

namespace diastole::discovery {
namespace {

using ResponseParser = boost::beast::http::response_parser<boost::beast::http::string_body>;
using HttpError = boost::beast::http::error;

constexpr std::uint32_t kHeaderLimit = 16 * 1024;

std::string request_text(const GetRequest& request) {
  std::string text = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: diastoled/{}\r\nConnection: close\r\n",
                                 request.target, to_string(request.at), DIASTOLE_VERSION);
  for (const auto& [name, value] : request.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n";
}

// An answer as it comes in.
class Incoming {
 public:
  explicit Incoming(std::size_t body_limit) : limit_(body_limit) {
    parser_.header_limit(kHeaderLimit);
    parser_.body_limit(boost::none);  // ours is looked at piece by piece, since a stream's body has no end
    parser_.eager(true);
  }

  // Empty: the peer has closed.
  Result<void> take(std::string_view piece) {
    error_code error;
    if (piece.empty()) {
      if (!parser_.got_some()) return fail(ErrorCode::unavailable, "it closed the connection without an answer");
      parser_.put_eof(error);
      return result_of(error);
    }
    input_.append(piece);
    while (!input_.empty() && !parser_.is_done()) {
      const std::size_t taken = parser_.put(asio::buffer(input_), error);
      input_.erase(0, taken);
      if (error == HttpError::need_more) return check_size();
      if (error) return result_of(error);
    }
    return check_size();
  }
  [[nodiscard]] bool done() const { return parser_.is_done(); }
  [[nodiscard]] bool streams() const { return parser_.is_header_done() && status() == 200; }
  [[nodiscard]] int status() const { return static_cast<int>(parser_.get().result_int()); }
  [[nodiscard]] std::string& body() { return parser_.get().body(); }

 private:
  Result<void> check_size() {
    if (!parser_.is_header_done() || body().size() <= limit_) return {};
    return fail(ErrorCode::unavailable, fmt::format("it answers more than {} bytes", limit_));
  }
  static Result<void> result_of(const error_code& error) {
    if (!error) return {};
    const bool broken_off = error == HttpError::partial_message || error == HttpError::end_of_stream;
    return fail(ErrorCode::unavailable,
                broken_off ? "the answer broke off" : fmt::format("no HTTP answer: {}", error.message()));
  }

  ResponseParser parser_;
  std::string input_;
  std::size_t limit_;
};

// Connected, with the request sent.
Task<Result<void>> begin(Connection& connection, Resolver& resolver, GetRequest request) {
  auto addresses = co_await resolver.addresses(request.at.host, request.timeout);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  auto connected = co_await connection.connect(std::move(*addresses), request.at.port);
  if (!connected) co_return connected;
  if (request.tls) {
    std::string name = request.server_name.empty() ? request.at.host : request.server_name;
    auto encrypted = co_await connection.encrypt(request.tls, std::move(name));
    if (!encrypted) co_return encrypted;
  }
  std::string text = request_text(request);
  co_return co_await connection.write(std::move(text));
}

// Gives away the complete lines. False: no more are wanted.
bool give_lines(std::string& body, const std::function<bool(std::string_view)>& on_line) {
  std::size_t from = 0;
  for (std::size_t end = body.find('\n'); end != std::string::npos; from = end + 1, end = body.find('\n', from)) {
    const std::string_view line(body.data() + from, end - from);
    if (!line.empty() && !on_line(line)) return false;
  }
  body.erase(0, from);
  return true;
}

}  // namespace

Task<Result<GetAnswer>> get(asio::io_context& io, Resolver& resolver, GetRequest request) {
  Connection connection(io, request.timeout);
  Incoming incoming(request.body_limit);
  const auto begun = co_await begin(connection, resolver, request);
  if (!begun) co_return std::unexpected(begun.error());
  while (!incoming.done()) {
    const auto piece = co_await connection.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (auto taken = incoming.take(*piece); !taken) co_return std::unexpected(std::move(taken.error()));
  }
  co_return GetAnswer{.status = incoming.status(), .body = std::move(incoming.body())};
}

Task<Result<GetAnswer>> get_lines(asio::io_context& io, Resolver& resolver, GetRequest request, Milliseconds silence,
                                  std::function<bool(std::string_view)> on_line) {
  Connection connection(io, request.timeout);
  Incoming incoming(request.body_limit);
  const auto begun = co_await begin(connection, resolver, request);
  if (!begun) co_return std::unexpected(begun.error());
  while (!incoming.done()) {
    const auto piece = co_await connection.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (auto taken = incoming.take(*piece); !taken) co_return std::unexpected(std::move(taken.error()));
    if (!incoming.streams()) continue;
    connection.give(silence);
    if (!give_lines(incoming.body(), on_line)) break;
  }
  std::string body = incoming.status() == 200 ? std::string() : std::move(incoming.body());
  co_return GetAnswer{.status = incoming.status(), .body = std::move(body)};
}

}  // namespace diastole::discovery
