#include "session_watch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace diastole::postgres {
namespace {

// A cancel that arrives between two statements is lost, so it is repeated.
constexpr Milliseconds kCancelEvery{200};
constexpr Milliseconds kObserverPatience{100};

// pg_blocking_pids answers 0 for a prepared transaction, which has no session.
constexpr const char* kBlockers = R"(
  WITH blocking AS MATERIALIZED (SELECT DISTINCT unnest(pg_blocking_pids($1)) AS pid)
  SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.state, ''),
         coalesce(extract(epoch FROM clock_timestamp() - a.xact_start) * 1000, 0)::bigint, coalesce(left(a.query, 200), '')
  FROM blocking b JOIN pg_stat_activity a ON a.pid = b.pid
  UNION ALL
  SELECT 0, p.gid, p.owner, 'prepared transaction',
         (extract(epoch FROM clock_timestamp() - p.prepared) * 1000)::bigint, ''
  FROM pg_prepared_xacts p WHERE p.database = current_database() AND EXISTS (SELECT FROM blocking WHERE pid = 0)
  ORDER BY 5 DESC)";

}  // namespace

SessionWatch::SessionWatch(Connection& watched, ConnectionPool& pool, const std::stop_token& stop,
                           Milliseconds look_every, OnBlocked on_blocked)
    : watched_(watched),
      pool_(pool),
      pid_(watched.backend_pid()),
      look_every_(look_every),
      on_blocked_(std::move(on_blocked)),
      thread_([this](const std::stop_token& ended) { watch(ended); }),
      on_stop_(stop, [this] {
        {
          const std::scoped_lock lock(mutex_);
          stop_requested_ = true;
        }
        changed_.notify_all();
      }) {}

bool SessionWatch::leave_alone() {
  // The lock is held while a cancel is under way, and a cancel has arrived when its call returns.
  const std::scoped_lock lock(mutex_);
  if (stop_requested_) return false;
  left_alone_ = true;
  return true;
}

bool SessionWatch::cancelled() const {
  const std::scoped_lock lock(mutex_);
  return cancelled_;
}

std::vector<core::Blocker> SessionWatch::blockers() const {
  const std::scoped_lock lock(mutex_);
  return blockers_;
}

void SessionWatch::watch(const std::stop_token& ended) {
  std::optional<ConnectionPool::Checkout> observer;
  bool may_look = true;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto pause = cancelled_ ? kCancelEvery : look_every_;
      changed_.wait_for(lock, ended, pause, [&] { return left_alone_ || (stop_requested_ && !cancelled_); });
      if (ended.stop_requested() || left_alone_) return;
      if (stop_requested_) {
        watched_.cancel();
        cancelled_ = true;
        continue;
      }
    }
    if (may_look) may_look = look(observer);
  }
}

void SessionWatch::tell(const std::vector<core::Blocker>& blockers) {
  if (!on_blocked_) return;
  std::vector<std::int64_t> pids;
  pids.reserve(blockers.size());
  for (const auto& blocker : blockers) pids.push_back(blocker.pid);
  std::ranges::sort(pids);
  if (pids == told_) return;
  told_ = std::move(pids);
  if (!blockers.empty()) on_blocked_(blockers);
}

// False where looking makes no sense any more: the target is in trouble, and its own error will say so.
bool SessionWatch::look(std::optional<ConnectionPool::Checkout>& observer) {
  if (!observer) {
    auto checkout = pool_.checkout(kObserverPatience);
    if (!checkout) return false;
    observer.emplace(std::move(*checkout));
  }
  auto seen = (*observer)->run([&]() -> Result<std::vector<core::Blocker>> {
    pqxx::nontransaction session((*observer)->raw());
    std::vector<core::Blocker> blockers;
    for (const auto& row : query(session, kBlockers, pid_)) {
      blockers.push_back({.pid = row[0].as<std::int64_t>(),
                          .application = row[1].as<std::string>(),
                          .user = row[2].as<std::string>(),
                          .state = row[3].as<std::string>(),
                          .age = Milliseconds{row[4].as<std::int64_t>()},
                          .query = row[5].as<std::string>()});
    }
    return blockers;
  });
  if (!seen) return false;
  tell(*seen);
  const std::scoped_lock lock(mutex_);
  // One empty look may come from the moment between a lock timeout and our hearing of it: the blockers are still wanted
  // then.
  free_looks_ = seen->empty() ? free_looks_ + 1 : 0;
  if (free_looks_ != 1) blockers_ = std::move(*seen);
  return true;
}

}  // namespace diastole::postgres
