#include "diastole/http/server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <thread>
#include <unordered_set>

#include "session.hpp"

namespace diastole::http {
namespace {

using boost::system::error_code;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;

// Connections above the limit that are told so at the same time; further ones are closed without a word.
constexpr std::size_t kRefusalsAtOnce = 64;
constexpr std::chrono::milliseconds kAcceptRetry{100};

class TcpServer final : public Server {
 public:
  TcpServer(const ServerLimits& limits, Handler& handler, ports::Log& log) : state_(limits, handler, log) {}
  ~TcpServer() override { stop_now(std::chrono::milliseconds{0}); }

  Result<void> bind(const ListenAddress& address);

  [[nodiscard]] std::uint16_t port() const override { return port_; }
  void start() override;
  void wake() override;
  void stop(std::chrono::milliseconds grace) override { stop_now(grace); }

 private:
  Task<> accept_loop();
  void admit(Socket socket);
  void on_end(const std::shared_ptr<Session>& session, std::size_t& count, const std::exception_ptr& thrown);
  void stop_now(std::chrono::milliseconds grace);
  void begin_stop(std::chrono::milliseconds grace);

  asio::io_context io_{1};
  ServerState state_;
  Acceptor acceptor_{io_};
  Timer accept_retry_{io_};
  Timer grace_{io_};
  std::uint16_t port_ = 0;
  std::atomic<bool> wake_pending_ = false;
  std::atomic<bool> stopped_ = false;

  // Network thread only.
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  std::size_t serving_ = 0;
  std::size_t refusing_ = 0;

  std::thread network_;
};

Result<void> TcpServer::bind(const ListenAddress& address) {
  error_code error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} is not an IP address", address.host));
  }
  const asio::ip::tcp::endpoint endpoint(ip, address.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) {
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  }
  if (!error) {
    acceptor_.bind(endpoint, error);
  }
  if (!error) {
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot listen on {} port {}: {}", address.host, address.port, error.message()));
  }
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

void TcpServer::start() {
  asio::co_spawn(io_, accept_loop(), [this](const std::exception_ptr& thrown) {
    if (thrown) {
      state_.log.error("the accept loop ended by an exception");
    }
  });
  network_ = std::thread([this] { io_.run(); });
}

Task<> TcpServer::accept_loop() {
  while (!state_.stopping) {
    auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
    if (state_.stopping) {
      break;
    }
    if (!error) {
      admit(std::move(socket));
    } else if (error != asio::error::connection_aborted) {
      // Out of descriptors, most likely: it would fail again at once.
      state_.log.warning("cannot accept a connection", {{"error", error.message()}});
      accept_retry_.expires_after(kAcceptRetry);
      [[maybe_unused]] const auto waited = co_await accept_retry_.async_wait(kAsTuple);
    }
  }
}

void TcpServer::admit(Socket socket) {
  const bool reserved = serving_ >= state_.limits.connections;
  const bool full = serving_ >= state_.limits.connections + state_.limits.reserved;
  if (full && refusing_ >= kRefusalsAtOnce) {
    return;
  }
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto session = std::make_shared<Session>(std::move(socket), state_, reserved);
  sessions_.insert(session);
  std::size_t& count = full ? refusing_ : serving_;
  ++count;
  Task<> task = full ? session->refuse() : session->serve();
  asio::co_spawn(io_, std::move(task),
                 [this, session, &count](const std::exception_ptr& thrown) { on_end(session, count, thrown); });
}

void TcpServer::on_end(const std::shared_ptr<Session>& session, std::size_t& count, const std::exception_ptr& thrown) {
  if (thrown) {
    state_.log.error("a session ended by an exception");
    session->close();
  }
  --count;
  sessions_.erase(session);
  if (state_.stopping && sessions_.empty()) {
    grace_.cancel();
  }
}

void TcpServer::wake() {
  if (wake_pending_.exchange(true)) {
    return;
  }
  asio::post(io_, [this] {
    wake_pending_.store(false);  // first: a wake() from now on may be about something newer
    ++state_.generation;
    std::ranges::for_each(sessions_, [](const auto& session) { session->wake(); });
  });
}

void TcpServer::stop_now(std::chrono::milliseconds grace) {
  if (stopped_.exchange(true)) {
    return;
  }
  if (network_.joinable()) {
    asio::post(io_, [this, grace] { begin_stop(grace); });
    network_.join();  // run() returns when the last session has ended
  }
  state_.pool.join();
}

void TcpServer::begin_stop(std::chrono::milliseconds grace) {
  state_.stopping = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_retry_.cancel();
  std::ranges::for_each(sessions_, [](const auto& session) { session->drain(); });
  if (sessions_.empty()) {
    return;
  }
  grace_.expires_after(grace);
  grace_.async_wait([this](const error_code& cancelled) {
    if (!cancelled) {
      state_.abandon = true;
      std::ranges::for_each(sessions_, [](const auto& session) { session->close(); });
    }
  });
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const ListenAddress& address, const ServerLimits& limits,
                                               Handler& handler, ports::Log& log) {
  auto server = std::make_unique<TcpServer>(limits, handler, log);
  if (auto bound = server->bind(address); !bound) {
    return std::unexpected(bound.error());
  }
  return server;
}

}  // namespace diastole::http
