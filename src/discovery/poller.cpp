#include "poller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "exchange.hpp"
#include "version.hpp"

namespace diastole::discovery {
namespace {

constexpr std::size_t kLargestAnswer = 64 * 1024;
constexpr int kFailuresOfALeaver = 3;  // one may be a lost packet, or a restart in place
constexpr int kFailuresToSay = 2;
constexpr Milliseconds kNothingDue{3'600'000};

// FNV-1a, since std::hash promises no spread.
std::uint64_t hash_of(const std::string& text, std::uint64_t hash = 14'695'981'039'346'656'037U) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
  return hash;
}

}  // namespace

MonoTime next_turn(const ServiceName& service, const InstanceId& instance, Milliseconds interval, MonoTime after) {
  const auto every = interval.count();
  const auto own = static_cast<std::int64_t>(hash_of(instance.str(), hash_of(service.str())) >> 1U) % every;
  const auto now = after.time_since_epoch().count();
  return MonoTime(Milliseconds(now + every - (((now - own) % every) + every) % every));
}

Poller::Poller(asio::io_context& io, TaskGroup& tasks, Resolver& resolver, const ports::Clock& clock, ports::Log& log,
               std::size_t at_once, Polled polled)
    : io_(io),
      tasks_(tasks),
      resolver_(resolver),
      clock_(clock),
      log_(log),
      at_once_(at_once),
      polled_(std::move(polled)),
      wake_(io) {}

void Poller::declare(const ServiceName& service, Question question) {
  questions_[service] = std::move(question);
}

void Poller::enqueue(const Key& key, Asked& asked) {
  asked.due = next_turn(key.first, key.second, questions_.at(key.first).interval, clock_.now().mono);
  queue_.emplace(asked.due, key);
}

void Poller::drop(const Key& key) {
  const auto found = asked_.find(key);
  queue_.erase({found->second.due, key});
  asked_.erase(found);
}

void Poller::list(const ServiceName& service, const Listing& listing) {
  std::vector<Key> leaving;
  for (auto at = asked_.lower_bound({service, InstanceId()}); at != asked_.end() && at->first.first == service; ++at) {
    at->second.listed = false;
    leaving.push_back(at->first);
  }
  for (const Endpoint& endpoint : listing) {
    if (endpoint.at.port == 0) continue;
    const Key key{service, endpoint.instance};
    const auto [found, fresh] = asked_.try_emplace(key);
    Asked& asked = found->second;
    asked.listed = true;
    if (asked.at != endpoint.at) asked.failures = 0;
    asked.at = endpoint.at;
    if (fresh) enqueue(key, asked);
  }
  for (const Key& key : leaving) {
    const Asked& asked = asked_.at(key);
    if (asked.listed) continue;
    const bool replaced = std::ranges::find(listing, asked.at, &Endpoint::at) != listing.end();
    if (replaced || !asked.answers) drop(key);
  }
  wake_.cancel();
}

Task<> Poller::run() {
  while (!tasks_.cancelled()) {
    begin_due();
    const bool wait_for_an_end = queue_.empty() || under_way_ == at_once_;
    const MonoTime now = clock_.now().mono;
    wake_.expires_after(wait_for_an_end ? kNothingDue : std::max(queue_.begin()->first - now, Milliseconds{0}));
    [[maybe_unused]] const auto woken = co_await wake_.async_wait(kAsTuple);
  }
}

void Poller::begin_due() {
  const MonoTime now = clock_.now().mono;
  while (!queue_.empty() && queue_.begin()->first <= now && under_way_ < at_once_) {
    const Key key = queue_.begin()->second;
    queue_.erase(queue_.begin());
    Asked& asked = asked_.at(key);
    asked.in_hand = true;
    ++under_way_;
    tasks_.spawn(poll(key, asked.at));
  }
}

Task<> Poller::poll(Key key, HostPort at) {
  Result<std::string> version = fail(ErrorCode::internal, "it was not asked");
  try {
    version = co_await ask(key.first, at);
  } catch (const std::exception& error) {
    version = fail(ErrorCode::internal, error.what());
  }
  --under_way_;
  wake_.cancel();
  if (tasks_.cancelled()) co_return;
  // Even of one that is no longer listed: it is there.
  if (version) polled_(key.first, key.second, *version);
  const auto found = asked_.find(key);
  if (found == asked_.end() || !found->second.in_hand) co_return;
  found->second.in_hand = false;
  answered(key, found->second, version);
}

Task<Result<std::string>> Poller::ask(ServiceName service, HostPort at) {
  const Question& question = questions_.at(service);
  GetRequest request{.at = std::move(at),
                     .target = question.path,
                     .headers = {{"Accept", "application/json"}},
                     .server_name = question.server_name,
                     .timeout = question.timeout,
                     .body_limit = kLargestAnswer};
  if (question.tls) {
    auto context = question.tls->context(clock_.now().mono);
    if (!context) co_return std::unexpected(std::move(context.error()));
    request.tls = std::move(*context);
  }
  auto answer = co_await get(io_, resolver_, std::move(request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 200) co_return version_in(answer->body, question.pointer);
  const bool elsewhere = answer->status >= 300 && answer->status < 400;
  co_return fail(ErrorCode::unavailable,
                 fmt::format("it answers {}{}", answer->status, elsewhere ? "; redirects are not followed" : ""));
}

void Poller::answered(const Key& key, Asked& asked, const Result<std::string>& version) {
  if (version) {
    asked.answers = true;
    asked.failures = 0;
    if (std::exchange(asked.complained, false)) {
      log_.info("an instance tells its version again",
                {{"service", key.first.str()}, {"instance", key.second.str()}, {"version", *version}});
    }
  } else if (++asked.failures == kFailuresToSay && asked.listed) {
    asked.complained = true;
    log_.warning("an instance does not tell its version",
                 {{"service", key.first.str()}, {"instance", key.second.str()}, {"error", version.error().message}});
  }
  if (asked.failures >= kFailuresOfALeaver) asked.answers = false;
  if (!asked.listed && !asked.answers) {
    asked_.erase(key);
  } else {
    enqueue(key, asked);
  }
}

}  // namespace diastole::discovery
