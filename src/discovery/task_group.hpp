// The owner of the room's coroutines: none runs outside it, and once cancelled all of them end.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <list>
#include <string>

#include "diastole/ports/log.hpp"
#include "net.hpp"

namespace diastole::discovery {

// Used on the thread that runs `io`, or while none does. Has to outlive the tasks: io.run() returns when they are over.
class TaskGroup {
 public:
  TaskGroup(asio::io_context& io, ports::Log& log) : io_(io), log_(log) {}

  // A task that ends by an exception while the group is not cancelled has a bug, which is logged.
  void spawn(Task<> task);
  // For what must not end: begun again, a second later, wherever it ends by an exception; `failed` is told.
  void keep(std::function<Task<>()> begin, std::function<void(const std::string&)> failed);
  // Every wait of every task ends, and the task with it.
  void cancel();
  [[nodiscard]] bool cancelled() const { return cancelled_; }

 private:
  Task<> keeping(std::function<Task<>()> begin, std::function<void(const std::string&)> failed);

  asio::io_context& io_;
  ports::Log& log_;
  std::list<asio::cancellation_signal> signals_;
  bool cancelled_ = false;
};

}  // namespace diastole::discovery
