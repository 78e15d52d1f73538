// A deadline that holds whatever the server does, even where it has frozen and answers nothing.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

#include "diastole/base/time.hpp"

namespace diastole::postgres {

// Cuts a connection's socket unless it is destroyed in time. Works on a duplicate of the descriptor, because libpq may
// close its own at any moment and the number may then be somebody else's.
class Watchdog {
 public:
  Watchdog(int socket, Milliseconds patience)
      : socket_(::dup(socket)), thread_([this, patience](const std::stop_token& stop) { watch(stop, patience); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    thread_.request_stop();
    thread_.join();
    if (socket_ >= 0) ::close(socket_);
  }

 private:
  void watch(const std::stop_token& stop, Milliseconds patience) {
    std::unique_lock lock(mutex_);
    const bool in_time = ended_.wait_for(lock, stop, patience, [&] { return stop.stop_requested(); });
    if (!in_time && socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
  }

  int socket_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread thread_;
};

}  // namespace diastole::postgres
