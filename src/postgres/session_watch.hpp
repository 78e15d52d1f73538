// Company for a session that works: passes on the wish to stop, and sees who blocks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "connection.hpp"
#include "diastole/core/event.hpp"

namespace diastole::postgres {

// After this long a wait is worth naming its blockers.
inline constexpr Milliseconds kLookEvery{100};

// Watches `watched` from its own thread until it is destroyed. Costs the server nothing before `look_every` has passed;
// then looks that often, through a session of `pool`, at who blocks.
class SessionWatch {
 public:
  // `on_blocked`, where given, is told of the blockers whenever their pids change, on the watch's thread.
  using OnBlocked = std::function<void(const std::vector<core::Blocker>&)>;
  SessionWatch(Connection& watched, ConnectionPool& pool, const std::stop_token& stop, Milliseconds look_every,
               OnBlocked on_blocked = {});
  SessionWatch(const SessionWatch&) = delete;
  SessionWatch& operator=(const SessionWatch&) = delete;
  ~SessionWatch() = default;

  // To be asked before COMMIT is sent: false where a stop has been requested. After true nothing is cancelled any more,
  // so that the answer to the COMMIT is not put in doubt.
  [[nodiscard]] bool leave_alone();

  // Whether a cancel has been sent: the connection may have another one under way to it.
  [[nodiscard]] bool cancelled() const;

  // As last seen; empty when it has not been blocked for two looks.
  [[nodiscard]] std::vector<core::Blocker> blockers() const;

 private:
  void watch(const std::stop_token& ended);
  void tell(const std::vector<core::Blocker>& blockers);
  [[nodiscard]] bool look(std::optional<ConnectionPool::Checkout>& observer);

  Connection& watched_;
  ConnectionPool& pool_;
  const int pid_;
  const Milliseconds look_every_;
  const OnBlocked on_blocked_;
  std::vector<std::int64_t> told_;  // pids; of the watch's thread
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool stop_requested_ = false;
  bool left_alone_ = false;
  bool cancelled_ = false;
  int free_looks_ = 0;  // looks in a row that found no blocker
  std::vector<core::Blocker> blockers_;
  std::jthread thread_;
  std::stop_callback<std::function<void()>> on_stop_;  // last: gone before the rest
};

}  // namespace diastole::postgres
