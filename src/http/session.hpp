// One connection: reads requests, has them answered, writes the answers. Everything runs on the network thread except
// the handler's own calls, which on_pool hands to the pool.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "diastole/http/message.hpp"
#include "diastole/http/server.hpp"
#include "diastole/ports/log.hpp"

namespace diastole::http {

namespace asio = boost::asio;

// The executor is named everywhere: type erasure costs a microsecond a request (facts/toolchain.md).
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using SteadyClock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Executor>;
template <typename T = void>
using Task = asio::awaitable<T, Executor>;
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> kAsTuple{};

// What all sessions of a server share.
struct ServerState {
  ServerState(const ServerLimits& server_limits, Handler& server_handler, ports::Log& server_log)
      : limits(server_limits), handler(server_handler), log(server_log) {}

  ServerLimits limits;
  Handler& handler;
  ports::Log& log;
  asio::thread_pool pool{limits.threads};
  std::atomic<bool> abandon = false;  // work that has not begun is not begun any more

  // Network thread only.
  std::size_t in_hand = 0;  // requests given to the pool and not back yet
  std::size_t waiters = 0;
  std::uint64_t generation = 0;  // of wake-ups
  bool stopping = false;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  // `reserved`: only privileged requests are answered.
  Session(Socket socket, ServerState& server, bool reserved);

  Task<> serve();
  // One connection too many: says so without reading.
  Task<> refuse();

  // The generation or `stopping` has changed.
  void wake() { signal_.cancel(); }
  // Closes at once if no request has begun, otherwise after it.
  void drain();
  void close();

 private:
  class WaiterSlot;
  // What else than a request: a refusal to be sent before closing, or nothing where the connection is simply over.
  using Incoming = std::expected<Request, std::optional<Response>>;
  using Outcome = std::tuple<boost::system::error_code, std::size_t>;

  Task<Incoming> read_request();
  Task<Outcome> read_some();
  // Keeps what was read.
  bool took(const Outcome& outcome);
  Task<> swallow_input();
  [[nodiscard]] std::optional<Response> read_failure() const;

  std::optional<Response> answer_inline(Request& request);
  Task<> answer(Request request);
  Task<std::optional<Response>> long_poll(LongPoll poll, std::uint64_t seen);
  Task<> event_feed(EventFeed feed);
  Task<bool> send_chunk(EventFeed::Chunk chunk);
  Task<> until_woken(std::uint64_t seen);
  Task<> respond(Response response);
  // False where something is left to write, for finish_response.
  bool respond_at_once(Response& response);
  Task<> finish_response(Response response);
  Task<bool> write(std::string head, std::string body);
  void log_access(int status);

  Task<> on_pool(std::function<void()> work);
  Task<> signalled(SteadyClock::time_point until);
  // What ask() returns, or nothing where it threw, which is logged.
  template <typename Ask>
  auto guarded(Ask ask) -> std::optional<std::invoke_result_t<Ask>>;

  // Sees a client go away while its answer is waited for; what it sends meanwhile is kept for the next request.
  void watch();
  void on_watched(const boost::system::error_code& error, std::size_t bytes);
  Task<> end_watch();

  // The time that I/O may take from now on. Moving it later costs no timer operation.
  void arm(std::chrono::milliseconds timeout);
  void disarm() { deadline_ = SteadyClock::time_point::max(); }
  void start_timer(SteadyClock::time_point at);
  void on_timer();

  ServerState& server_;
  const bool reserved_;
  Socket socket_;
  std::string buffered_;  // received, not parsed yet
  std::array<char, 8 * 1024> read_{};

  Timer timer_;
  SteadyClock::time_point timer_at_ = SteadyClock::time_point::max();  // max: not running
  SteadyClock::time_point deadline_ = SteadyClock::time_point::max();
  bool expired_ = false;

  Timer signal_;  // cancelled whenever something a coroutine may wait for has changed
  bool pool_done_ = true;
  bool gone_ = false;  // the client has closed, or we have
  bool keep_alive_ = true;
  bool idle_ = true;  // no byte of a request has come yet
  bool first_request_ = true;
  bool refused_ = false;  // while the client may still be sending

  bool watch_wanted_ = false;
  bool watching_ = false;
  std::array<char, 512> watched_{};
  asio::cancellation_signal cancel_watch_;

  // Of the request in hand.
  std::string method_;
  std::string target_;
  std::string unsent_;  // of its answer
  SteadyClock::time_point received_;
  SteadyClock::time_point last_write_;
};

}  // namespace diastole::http
