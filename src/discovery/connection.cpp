#include "connection.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <tuple>
#include <utility>

namespace diastole::discovery {
namespace {

namespace ssl = asio::ssl;

// A peer that is gone without a word shows within a minute, on a watch that may be silent for longer than that.
void keep_alive(Socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  for (const auto& [option, value] : {std::pair{TCP_KEEPIDLE, 30}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 3}}) {
    setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
  }
}

}  // namespace

Connection::Connection(asio::io_context& io, Milliseconds time) : line_(std::make_shared<Line>(io)), time_(time) {
  give(time);
}

Connection::~Connection() {
  line_->timer.cancel();
  error_code ignored;
  line_->socket.close(ignored);
}

void Connection::give(Milliseconds time) {
  time_ = time;
  line_->timer.expires_after(time);
  line_->timer.async_wait([line = line_](const error_code& cancelled) {
    if (cancelled || SteadyClock::now() < line->timer.expiry()) return;
    line->expired = true;
    error_code ignored;
    line->socket.close(ignored);
  });
}

std::unexpected<Error> Connection::broken(std::string_view what, const error_code& error) const {
  if (line_->expired) return fail(ErrorCode::unavailable, fmt::format("no answer within {}", format_duration(time_)));
  return fail(ErrorCode::unavailable, fmt::format("{}: {}", what, error.message()));
}

Task<Result<void>> Connection::connect(std::vector<asio::ip::address> addresses, std::uint16_t port) {
  error_code last = asio::error::host_not_found;
  for (const auto& address : addresses) {
    if (line_->expired) break;  // a socket that is opened now would have no deadline
    error_code ignored;
    line_->socket.close(ignored);
    const asio::ip::tcp::endpoint endpoint(address, port);
    const auto [error] = co_await line_->socket.async_connect(endpoint, kAsTuple);
    last = error;
    if (error) continue;
    keep_alive(line_->socket);
    break;
  }
  if (last || line_->expired) co_return broken("cannot connect", last);
  co_return Result<void>{};
}

Task<Result<void>> Connection::encrypt(TlsContext context, std::string name) {
  context_ = std::move(context);
  tls_.emplace(line_->socket, *context_);
  error_code error;
  tls_->set_verify_callback(ssl::host_name_verification(name), error);
  // SNI is for names only (RFC 6066).
  error_code no_address;
  asio::ip::make_address(name, no_address);
  if (no_address) SSL_set_tlsext_host_name(tls_->native_handle(), name.c_str());
  std::tie(error) = co_await tls_->async_handshake(ssl::stream_base::client, kAsTuple);
  if (!error) co_return Result<void>{};
  const long verified = SSL_get_verify_result(tls_->native_handle());
  if (verified == X509_V_OK || line_->expired) co_return broken("TLS", error);
  co_return fail(ErrorCode::unavailable, fmt::format("its certificate is not trusted, or not one for {}: {}", name,
                                                     X509_verify_cert_error_string(verified)));
}

Task<Result<void>> Connection::write(std::string text) {
  error_code error;
  std::size_t written = 0;
  if (tls_) {
    std::tie(error, written) = co_await asio::async_write(*tls_, asio::buffer(text), kAsTuple);
  } else {
    std::tie(error, written) = co_await asio::async_write(line_->socket, asio::buffer(text), kAsTuple);
  }
  if (error || line_->expired) co_return broken("cannot send", error);
  co_return Result<void>{};
}

Task<Result<std::string_view>> Connection::read() {
  error_code error;
  std::size_t size = 0;
  if (tls_) {
    std::tie(error, size) = co_await tls_->async_read_some(asio::buffer(buffer_), kAsTuple);
  } else {
    std::tie(error, size) = co_await line_->socket.async_read_some(asio::buffer(buffer_), kAsTuple);
  }
  if (error == asio::error::eof && !line_->expired) co_return std::string_view{};
  if (error || line_->expired) co_return broken("the answer broke off", error);
  co_return std::string_view(buffer_.data(), size);
}

}  // namespace diastole::discovery
