#include "load.hpp"

#include <algorithm>
#include <memory>
#include <pqxx/pqxx>
#include <random>
#include <stdexcept>

namespace diastole::bench {
namespace {

constexpr int kConnections = 8;
constexpr int kPerSecond = 1'000;
constexpr auto kInterval = std::chrono::microseconds{1'000'000} * kConnections / kPerSecond;  // of a connection

}  // namespace

struct Load::Worker {
  Worker(const std::string& dsn, int number)
      : connection(dsn),
        random(static_cast<std::uint64_t>(number)),
        due(Clock::now() + kInterval * number / kConnections) {
    connection.prepare("read", "SELECT name, email FROM users WHERE id = $1");
    connection.prepare("update", "UPDATE users SET visits = visits + 1 WHERE id = $1");
  }

  pqxx::connection connection;
  std::mt19937_64 random;
  std::atomic<Clock::time_point> due;  // of the operation in hand, or the next
  std::int64_t updates = 0;
  std::vector<Sample> samples;
  std::jthread thread;
};

Load::Load(const std::string& dsn, std::int64_t rows) : rows_(rows) {
  for (int number = 0; number < kConnections; ++number) workers_.push_back(std::make_unique<Worker>(dsn, number));
  for (const auto& worker : workers_) {
    worker->thread = std::jthread([this, &each = *worker] { work(each); });
  }
}

Load::~Load() {
  end_ = Clock::time_point::min();
}

void Load::work(Worker& worker) {
  std::uniform_int_distribution<std::int64_t> any_id(1, rows_);
  std::bernoulli_distribution is_update(0.5);
  try {
    for (auto due = worker.due.load(); due < end_.load(); due += kInterval) {
      worker.due = due;
      std::this_thread::sleep_until(due);
      const bool update = is_update(worker.random);
      const pqxx::result result =
          pqxx::nontransaction(worker.connection).exec_prepared(update ? "update" : "read", any_id(worker.random));
      if ((update ? result.affected_rows() : result.size()) != 1) throw std::runtime_error("a row is missing");
      const std::chrono::duration<float, std::milli> took = Clock::now() - due;
      worker.samples.push_back({due, took.count()});
      worker.updates += update ? 1 : 0;
    }
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    if (failure_.empty()) failure_ = error.what();
  }
  worker.due = Clock::time_point::max();
}

void Load::catch_up(const std::stop_token& stop) const {
  const auto now = Clock::now();
  const auto behind = [&] {
    return std::ranges::any_of(workers_, [&](const auto& worker) { return worker->due.load() < now; });
  };
  while (behind() && !stop.stop_requested()) std::this_thread::sleep_for(kInterval);
}

void Load::finish() {
  end_ = Clock::now();
  for (const auto& worker : workers_) worker->thread.join();
  for (const auto& worker : workers_) {
    samples_.insert(samples_.end(), worker->samples.begin(), worker->samples.end());
    updates_ += worker->updates;
  }
  workers_.clear();
  if (!failure_.empty()) throw std::runtime_error("the load broke off: " + failure_);
}

Latency Load::latency(const std::vector<Span>& spans) const {
  std::vector<float> all;
  for (const Sample& sample : samples_) {
    if (std::ranges::any_of(spans, [&](const Span& s) { return sample.due >= s.begin && sample.due < s.end; })) {
      all.push_back(sample.ms);
    }
  }
  if (all.empty()) throw std::runtime_error("no operation was due within the time to be measured");
  std::ranges::sort(all);
  const auto quantile = [&](double share) {
    return static_cast<double>(all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))]);
  };
  return {.p50 = quantile(0.5), .p99 = quantile(0.99), .max = static_cast<double>(all.back())};
}

}  // namespace diastole::bench
