#include "task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

namespace diastole::discovery {
namespace {

constexpr Milliseconds kBeginAgain{1'000};

std::string message_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of no known kind";
  }
}

}  // namespace

Task<> pause(asio::io_context& io, Milliseconds time) {
  Timer timer(io);
  timer.expires_after(time);
  const auto [error] = co_await timer.async_wait(kAsTuple);
  if (error) throw boost::system::system_error(error);
}

void TaskGroup::spawn(Task<> task) {
  if (cancelled_) return;
  const auto signal = signals_.emplace(signals_.end());
  const auto ended = [this, signal](const std::exception_ptr& thrown) {
    if (thrown && !cancelled_) log_.error("a task of discovery ended by an exception", {{"error", message_of(thrown)}});
    // Not at once: Asio is still using its slot.
    asio::post(io_, [this, signal] { signals_.erase(signal); });
  };
  asio::co_spawn(io_, std::move(task), asio::bind_cancellation_slot(signal->slot(), ended));
}

void TaskGroup::keep(std::function<Task<>()> begin, std::function<void(const std::string&)> failed) {
  spawn(keeping(std::move(begin), std::move(failed)));
}

Task<> TaskGroup::keeping(std::function<Task<>()> begin, std::function<void(const std::string&)> failed) {
  while (!cancelled_) {
    std::exception_ptr thrown;
    try {
      Task<> task = begin();
      co_await std::move(task);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (cancelled_) co_return;
    failed(thrown ? message_of(thrown) : "it ended");
    co_await pause(io_, kBeginAgain);
  }
}

void TaskGroup::cancel() {
  cancelled_ = true;
  for (auto& signal : signals_) signal.emit(asio::cancellation_type::terminal);
}

}  // namespace diastole::discovery
