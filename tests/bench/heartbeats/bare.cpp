#include "bare.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <thread>

namespace diastole::bench {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
template <typename T = void>
using Task = asio::awaitable<T, Executor>;
constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> kAsTuple{};

Task<> serve(Socket socket) {
  boost::beast::flat_buffer buffer;
  while (true) {
    beast_http::request<beast_http::string_body> request;
    const auto [read_error, read] = co_await beast_http::async_read(socket, buffer, request, kAsTuple);
    if (read_error) co_return;
    beast_http::response<beast_http::string_body> response(beast_http::status::ok, request.version());
    response.set(beast_http::field::content_type, "application/json");
    response.keep_alive(request.keep_alive());
    response.body() = R"({"accepted":1,"floor":null,"next_in_ms":10000})";
    response.prepare_payload();
    const auto [write_error, written] = co_await beast_http::async_write(socket, response, kAsTuple);
    if (write_error || !request.keep_alive()) co_return;
  }
}

}  // namespace

class BareServer::Impl {
 public:
  Impl() {
    asio::co_spawn(io_, accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Impl() {
    io_.stop();
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  Task<> accept() {
    while (true) {
      auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
      if (error) co_return;
      socket.set_option(asio::ip::tcp::no_delay(true));
      asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
    }
  }

  asio::io_context io_{1};
  Acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

BareServer::BareServer() : impl_(std::make_unique<Impl>()) {}
BareServer::~BareServer() = default;
std::uint16_t BareServer::port() const {
  return impl_->port();
}

}  // namespace diastole::bench
