#include "interruption.hpp"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <pqxx/pqxx>
#include <stdexcept>
#include <utility>

namespace diastole::bench {
namespace {

constexpr timespec kInterval{.tv_sec = 0, .tv_nsec = 200'000'000};

// Whether it could; not where the server is stopping, which ends them too.
bool end_sessions(const std::string& dsn) {
  try {
    pqxx::connection connection(dsn);
    pqxx::nontransaction(connection)
        .exec(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> "
            "pg_backend_pid()");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

BlockedSignals::BlockedSignals(std::chrono::seconds limit) {
  sigemptyset(&set_);
  for (const int number : {SIGINT, SIGTERM, SIGALRM}) sigaddset(&set_, number);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  alarm(static_cast<unsigned>(limit.count()));
}

Interruption::Interruption(const BlockedSignals& signals, std::string dsn)
    : signals_(signals), dsn_(std::move(dsn)), watcher_([this](const std::stop_token& stop) { watch(stop); }) {}

void Interruption::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (const int number = sigtimedwait(&signals_.set(), nullptr, &kInterval); number > 0 && signal_ == 0) {
      signal_ = number;
      interrupted_.request_stop();
    }
    if (signal_ != 0) (void)end_sessions(dsn_);
  }
}

void Interruption::sleep(std::chrono::duration<double> time) const {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, token(), time, [] { return false; });
  if (token().stop_requested()) throw std::runtime_error("interrupted");
}

}  // namespace diastole::bench
