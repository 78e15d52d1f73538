#include "session.hpp"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "problem.hpp"
#include "request_reader.hpp"
#include "target.hpp"
#include "wire.hpp"

namespace diastole::http {
namespace {

using boost::system::error_code;

constexpr std::size_t kMaxPipelinedBytes = 16 * 1024;  // read ahead of a long poll's answer
constexpr std::size_t kRequestsPerThread = 32;         // in the pool, running ones included
constexpr int kClientGone = 499;                       // in the log only, as nginx has it
constexpr std::chrono::milliseconds kSwallowTime{1'000};
constexpr std::size_t kSwallowBytes = 4 * 1024 * 1024;
constexpr std::size_t kWrittenAtOnce = 4 * 1024;  // bytes of a body that are copied behind its head

Response busy(int status, std::string_view title, std::string_view detail) {
  return problem(status, title, detail, {{"retry_after_s", 1}});
}

Response internal_error() {
  return problem(500, "Internal", "the request could not be answered; the daemon's log says why");
}

Response all_in_use() {
  return busy(503, "Too many connections", "the server's connections are all in use");
}

}  // namespace

class Session::WaiterSlot {
 public:
  explicit WaiterSlot(std::size_t& waiters) : waiters_(waiters) { ++waiters_; }
  ~WaiterSlot() { --waiters_; }
  WaiterSlot(const WaiterSlot&) = delete;
  WaiterSlot& operator=(const WaiterSlot&) = delete;

 private:
  std::size_t& waiters_;
};

Session::Session(Socket socket, ServerState& server, bool reserved)
    : server_(server),
      reserved_(reserved),
      socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      signal_(socket_.get_executor()) {
  error_code ignored;
  socket_.non_blocking(true, ignored);  // for respond_at_once
}

Task<> Session::serve() {
  while (keep_alive_) {
    Incoming incoming = co_await read_request();
    std::optional<Response> quick;
    if (incoming) {
      quick = answer_inline(*incoming);
    } else {
      keep_alive_ = false;
      refused_ = incoming.error().has_value();
      quick = std::move(incoming.error());
    }
    if (quick && !respond_at_once(*quick)) {
      co_await finish_response(std::move(*quick));
    }
    if (!quick && incoming) {
      Request request = std::move(*incoming);
      co_await answer(std::move(request));
    }
  }
  if (refused_) {
    co_await swallow_input();
  }
  close();
}

Task<> Session::refuse() {
  keep_alive_ = false;
  idle_ = false;
  received_ = SteadyClock::now();
  Response refusal = all_in_use();
  co_await respond(std::move(refusal));
  co_await swallow_input();
  close();
}

void Session::drain() {
  if (idle_) {
    close();
  } else {
    wake();
  }
}

void Session::close() {
  gone_ = true;
  keep_alive_ = false;
  disarm();
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  wake();
}

Task<Session::Incoming> Session::read_request() {
  RequestReader reader(server_.limits);
  method_.clear();
  target_.clear();
  if (buffered_.empty() && !server_.stopping) {
    idle_ = true;
    arm(first_request_ ? server_.limits.header_time : server_.limits.idle_time);
    took(co_await read_some());
  }
  idle_ = false;
  first_request_ = false;
  if (gone_ || buffered_.empty()) {
    co_return std::unexpected(std::nullopt);
  }
  received_ = SteadyClock::now();
  bool in_body = false;
  bool timed = false;  // only what has to be waited for: most requests come in one piece
  for (;;) {
    if (auto refusal = reader.take(buffered_)) {
      co_return std::unexpected(std::move(refusal));
    }
    if (reader.head_done() && !in_body) {
      in_body = true;
      method_ = reader.method();
      target_ = reader.target();
      timed = false;
      if (!reader.done() && reader.expects_continue()) {
        std::string go_on(kContinue);
        if (const bool written = co_await write(std::move(go_on), {}); !written) {
          co_return std::unexpected(std::nullopt);
        }
      }
    }
    if (reader.done()) {
      break;
    }
    if (!timed) {
      arm(in_body ? server_.limits.body_time : server_.limits.header_time);
      timed = true;
    }
    if (const bool more = took(co_await read_some()); !more) {
      co_return std::unexpected(read_failure());
    }
  }
  disarm();
  keep_alive_ = reader.keep_alive();
  co_return reader.release();
}

// By way of a buffer: a string would have to be filled with zeros first, for every read.
Task<Session::Outcome> Session::read_some() {
  return socket_.async_read_some(asio::buffer(read_), kAsTuple);
}

bool Session::took(const Outcome& outcome) {
  const auto& [error, bytes] = outcome;
  buffered_.append(read_.data(), bytes);
  return !error;
}

std::optional<Response> Session::read_failure() const {
  return expired_ ? std::optional(problem(408, "Request timeout", "the request did not come in full in time"))
                  : std::nullopt;
}

// Closing while input is unread would reset the connection, and the client might lose the answer.
Task<> Session::swallow_input() {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  arm(kSwallowTime);
  std::size_t swallowed = 0;
  do {
    swallowed += buffered_.size();
    buffered_.clear();
  } while (swallowed < kSwallowBytes && took(co_await read_some()));
}

template <typename Ask>
auto Session::guarded(Ask ask) -> std::optional<std::invoke_result_t<Ask>> {
  try {
    return ask();
  } catch (const std::exception& e) {
    server_.log.error("handler threw", {{"method", method_}, {"error", e.what()}});
  } catch (...) {
    server_.log.error("handler threw something unknown", {{"method", method_}});
  }
  return std::nullopt;
}

// Nothing where the answer needs the pool.
std::optional<Response> Session::answer_inline(Request& request) {
  Result<Target> target = parse_target(target_);
  if (!target) {
    return problem(400, "Malformed target", target.error().message);
  }
  request.path = std::move(target->path);
  request.query = std::move(target->query);

  if (reserved_ && !guarded([&] { return server_.handler.privileged(request); }).value_or(false)) {
    keep_alive_ = false;
    refused_ = true;
    return all_in_use();
  }

  auto quick = guarded([&] { return server_.handler.handle_inline(request); });
  std::optional<Response> response = quick ? std::move(*quick) : internal_error();
  if (!response && server_.in_hand >= server_.limits.threads * kRequestsPerThread) {
    response = busy(503, "Busy", "too many requests are waiting for a thread");
  }
  return response;
}

Task<> Session::answer(Request request) {
  const std::uint64_t seen = server_.generation;
  std::optional<Answer> answer;
  std::function<void()> work = [&] {
    answer = guarded([&] {
      Answer given = server_.handler.handle(request);
      if (auto* poll = std::get_if<LongPoll>(&given)) {  // its first attempt, while we are on the pool
        if (auto at_once = poll->attempt(poll->timeout.count() <= 0)) {
          given = std::move(*at_once);
        }
      }
      return given;
    });
  };
  ++server_.in_hand;
  co_await on_pool(std::move(work));
  --server_.in_hand;
  if (!answer) {
    answer = internal_error();
  }
  if (auto* given = std::get_if<Response>(&*answer)) {
    co_await respond(std::move(*given));
  } else if (server_.waiters >= server_.limits.waiters) {
    Response refusal = busy(429, "Too many waiters", "the server's long polls and event feeds are all in use");
    co_await respond(std::move(refusal));
  } else if (auto* poll = std::get_if<LongPoll>(&*answer)) {
    std::optional<Response> waited = co_await long_poll(std::move(*poll), seen);
    if (waited) {
      co_await respond(std::move(*waited));
    } else {
      keep_alive_ = false;
      log_access(kClientGone);
    }
  } else {
    co_await event_feed(std::move(std::get<EventFeed>(*answer)));
  }
}

// Nothing where the client has gone. `seen` is the generation before the attempt that has already been made.
Task<std::optional<Response>> Session::long_poll(LongPoll poll, std::uint64_t seen) {
  const WaiterSlot slot(server_.waiters);
  const auto deadline = received_ + poll.timeout;
  std::optional<Response> response;
  watch_wanted_ = true;
  watch();
  while (!response) {
    while (!gone_ && !server_.stopping && server_.generation == seen && SteadyClock::now() < deadline) {
      co_await signalled(deadline);
    }
    if (gone_) {
      break;
    }
    seen = server_.generation;
    const bool last = server_.stopping || SteadyClock::now() >= deadline;
    std::optional<std::optional<Response>> attempt;
    std::function<void()> work = [&] { attempt = guarded([&] { return poll.attempt(last); }); };
    co_await on_pool(std::move(work));
    response = attempt ? std::move(*attempt) : internal_error();
    if (!response && last) {
      response = internal_error();
    }
  }
  co_await end_watch();
  co_return response;
}

Task<> Session::event_feed(EventFeed feed) {
  const WaiterSlot slot(server_.waiters);
  keep_alive_ = false;
  std::string head = event_stream_head(std::chrono::system_clock::now());
  bool open = co_await write(std::move(head), {});
  if (method_ == "HEAD") {
    co_return;
  }
  watch_wanted_ = true;
  watch();
  bool complete = false;  // a stream that breaks off has no last chunk, so that the client can tell
  while (open && !gone_) {
    const std::uint64_t seen = server_.generation;
    std::optional<EventFeed::Chunk> chunk;
    std::function<void()> work = [&] { chunk = guarded([&] { return feed.next(); }); };
    co_await on_pool(std::move(work));
    if (!chunk) {
      break;
    }
    const bool more = chunk->more;
    complete = chunk->end || server_.stopping;
    open = co_await send_chunk(std::move(*chunk));
    if (complete) {
      break;
    }
    if (open && !more) {
      co_await until_woken(seen);
    }
  }
  if (complete && open) {
    std::string end(kLastChunk);
    open = co_await write(std::move(end), {});
  }
  co_await end_watch();
  log_access(200);
}

Task<bool> Session::send_chunk(EventFeed::Chunk chunk) {
  if (chunk.text.empty()) {
    co_return true;
  }
  std::string text = chunk_of(chunk.text);
  co_return co_await write(std::move(text), {});
}

// Sends a comment whenever nothing has been sent for the comment time.
Task<> Session::until_woken(std::uint64_t seen) {
  while (!gone_ && !server_.stopping && server_.generation == seen) {
    const auto due = last_write_ + server_.limits.comment_time;
    if (SteadyClock::now() < due) {
      co_await signalled(due);
      continue;
    }
    std::string comment = chunk_of(":\n\n");
    if (const bool written = co_await write(std::move(comment), {}); !written) {
      gone_ = true;
    }
  }
}

Task<> Session::respond(Response response) {
  if (!respond_at_once(response)) {
    co_await finish_response(std::move(response));
  }
}

// The socket takes most answers without waiting. That costs neither coroutines nor a time limit, and no look at the
// other sockets before the client has its answer.
bool Session::respond_at_once(Response& response) {
  keep_alive_ = keep_alive_ && !server_.stopping;
  unsent_ = response_head(response, keep_alive_, std::chrono::system_clock::now());
  if (method_ == "HEAD" || response.status == 204 || response.status == 304) {
    response.body.clear();
  }
  if (response.body.size() <= kWrittenAtOnce) {
    unsent_ += std::exchange(response.body, {});
    error_code error;  // finish_response will meet it again
    unsent_.erase(0, socket_.write_some(asio::buffer(unsent_), error));
  }
  if (!unsent_.empty()) {
    return false;
  }
  log_access(response.status);
  return true;
}

Task<> Session::finish_response(Response response) {
  if (const bool written = co_await write(std::move(unsent_), std::move(response.body)); !written) {
    keep_alive_ = false;
  }
  log_access(response.status);
}

Task<bool> Session::write(std::string head, std::string body) {
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
  arm(server_.limits.body_time);
  const auto [error, bytes] = co_await asio::async_write(socket_, buffers, kAsTuple);
  disarm();
  last_write_ = SteadyClock::now();
  co_return !error;
}

void Session::log_access(int status) {
  if (!server_.log.keeps(ports::LogLevel::debug)) {
    return;
  }
  const std::chrono::duration<double, std::milli> took = SteadyClock::now() - received_;
  server_.log.debug("request", {{"method", method_},
                                {"path", target_.substr(0, target_.find('?'))},
                                {"status", fmt::to_string(status)},
                                {"ms", fmt::format("{:.3f}", took.count())}});
}

// `work` may refer to the caller's frame: this returns only after it has run.
Task<> Session::on_pool(std::function<void()> work) {
  pool_done_ = false;
  asio::post(server_.pool, [this, executor = socket_.get_executor(), work = std::move(work)]() mutable {
    if (!server_.abandon.load(std::memory_order_relaxed)) {
      work();
    }
    asio::post(executor, [this] {
      pool_done_ = true;
      signal_.cancel();
    });
  });
  while (!pool_done_) {
    co_await signalled(SteadyClock::time_point::max());
  }
}

Task<> Session::signalled(SteadyClock::time_point until) {
  signal_.expires_at(until);
  // An error is the signal, none is the time: the caller looks at its conditions either way.
  [[maybe_unused]] const auto outcome = co_await signal_.async_wait(kAsTuple);
}

void Session::watch() {
  if (watching_ || gone_ || buffered_.size() >= kMaxPipelinedBytes) {
    return;
  }
  watching_ = true;
  socket_.async_read_some(
      asio::buffer(watched_),
      asio::bind_cancellation_slot(
          cancel_watch_.slot(),
          [self = shared_from_this()](const error_code& error, std::size_t bytes) { self->on_watched(error, bytes); }));
}

void Session::on_watched(const error_code& error, std::size_t bytes) {
  watching_ = false;
  buffered_.append(watched_.data(), bytes);
  if (error && error != asio::error::operation_aborted) {
    gone_ = true;
  }
  if (!error && watch_wanted_) {
    watch();
  }
  signal_.cancel();
}

Task<> Session::end_watch() {
  watch_wanted_ = false;
  cancel_watch_.emit(asio::cancellation_type::terminal);
  while (watching_) {
    co_await signalled(SteadyClock::time_point::max());
  }
}

void Session::arm(std::chrono::milliseconds timeout) {
  expired_ = false;
  deadline_ = SteadyClock::now() + timeout;
  if (deadline_ < timer_at_) {
    start_timer(deadline_);
  }
}

void Session::start_timer(SteadyClock::time_point at) {
  timer_at_ = at;
  timer_.expires_at(at);
  timer_.async_wait([weak = weak_from_this()](const error_code& error) {
    if (const auto self = error ? nullptr : weak.lock()) {
      self->on_timer();
    }
  });
}

void Session::on_timer() {
  timer_at_ = SteadyClock::time_point::max();
  if (deadline_ == SteadyClock::time_point::max()) {
    return;
  }
  if (SteadyClock::now() < deadline_) {
    start_timer(deadline_);
    return;
  }
  disarm();
  expired_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace diastole::http
