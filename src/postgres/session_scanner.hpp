// Who is connected to one server, asked on a thread of its own, so that a server that hangs holds nobody up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "connection.hpp"
#include "diastole/core/sessions.hpp"
#include "diastole/ports/target_gate.hpp"

namespace diastole::postgres {

// Keeps one session with its server between looks. Thread-safe. Its destructor waits for a look under way, which ends
// by its deadline, and for a connect under way, which ends within 2 s a host.
class SessionScanner {
 public:
  using Clock = std::chrono::steady_clock;
  struct Answer {
    core::ServerScan scan;
    std::vector<core::Session> sessions;
    std::optional<Milliseconds> quarantined_for;  // of the primary only
  };

  // `server` is "primary" or "replica 1"; `options` say whose it is in errors.
  SessionScanner(std::string server, ConnectionOptions options, bool primary);
  SessionScanner(const SessionScanner&) = delete;
  SessionScanner& operator=(const SessionScanner&) = delete;

  [[nodiscard]] const std::string& server() const { return server_; }
  [[nodiscard]] const ConnectionOptions& options() const { return options_; }

  // A look that begins after this call. The answer may come later than the deadline; whoever asks waits no longer.
  [[nodiscard]] std::future<Answer> ask(ports::SessionRequest request, Clock::time_point deadline);

  // What stands for the answer of a server that gave none by its deadline.
  [[nodiscard]] Answer no_answer() const;

 private:
  struct Job {
    ports::SessionRequest request;
    Clock::time_point deadline;
    std::promise<Answer> promise;
  };

  void serve(const std::stop_token& stop);
  [[nodiscard]] Answer look(const Job& job);
  [[nodiscard]] Answer look_once(const Job& job);
  void read(const Job& job, Answer& answer);

  const std::string server_;
  const ConnectionOptions options_;
  const bool primary_;
  std::unique_ptr<Connection> session_;  // of the thread
  std::mutex mutex_;
  std::condition_variable_any asked_;
  std::deque<Job> jobs_;
  std::jthread thread_;  // last: joined before the rest goes
};

// SQL for when the session of pg_stat_activity's row `a` began, in microseconds since 1970; with its pid it names the
// session for good.
inline constexpr const char* kStartedUs = "(extract(epoch FROM a.backend_start) * 1000000)::bigint";

}  // namespace diastole::postgres
