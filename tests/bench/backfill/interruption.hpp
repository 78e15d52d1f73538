// What ends the benchmark before its time: SIGINT, SIGTERM, or that it takes too long.
#pragma once

#include <chrono>
#include <csignal>
#include <stop_token>
#include <string>
#include <thread>

namespace diastole::bench {

// Blocks the signals in this thread and those that it starts: made before the first of them.
class BlockedSignals {
 public:
  explicit BlockedSignals(std::chrono::seconds limit);
  [[nodiscard]] const sigset_t& set() const { return set_; }

 private:
  sigset_t set_{};
};

// Waits for one of them in a thread of its own. Then ends all sessions of the server, again and again, so that every
// statement under way fails and its caller unwinds and takes down what it has started.
class Interruption {
 public:
  Interruption(const BlockedSignals& signals, std::string dsn);

  [[nodiscard]] std::stop_token token() const { return interrupted_.get_token(); }
  // SIGINT, SIGTERM, SIGALRM (the time is up), or 0.
  [[nodiscard]] int signal() const { return signal_; }
  // Throws where it does not come to its end.
  void sleep(std::chrono::duration<double> time) const;

 private:
  void watch(const std::stop_token& stop);

  const BlockedSignals& signals_;
  std::string dsn_;
  std::stop_source interrupted_;
  std::atomic<int> signal_ = 0;
  std::jthread watcher_;
};

}  // namespace diastole::bench
