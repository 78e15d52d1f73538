// The application beside which a backfill runs: point reads and updates at a steady rate.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace diastole::bench {

using Clock = std::chrono::steady_clock;

struct Span {
  Clock::time_point begin;
  Clock::time_point end;
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(end - begin).count(); }
};

// In milliseconds, from the moment at which an operation was due, so that waiting behind one that stalls counts.
struct Latency {
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};

// 1,000 operations a second over eight connections, half reads and half updates of a column that has no index, each of
// any row.
class Load {
 public:
  // Begins, with every connection open; throws where one cannot be had.
  Load(const std::string& dsn, std::int64_t rows);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load();

  // Until every operation that was due has been carried out.
  void catch_up(const std::stop_token& stop) const;
  // Lets what is due by now come to its end, then closes the connections. Throws where an operation has failed.
  void finish();
  // After finish.
  [[nodiscard]] std::int64_t updates() const { return updates_; }
  // Of the operations that were due within the spans, and there must be some.
  [[nodiscard]] Latency latency(const std::vector<Span>& spans) const;

 private:
  struct Sample {
    Clock::time_point due;
    float ms;
  };
  struct Worker;

  void work(Worker& worker);

  std::int64_t rows_;
  std::atomic<Clock::time_point> end_ = Clock::time_point::max();
  std::mutex mutex_;     // of failure_
  std::string failure_;  // the first
  std::vector<std::unique_ptr<Worker>> workers_;
  std::int64_t updates_ = 0;
  std::vector<Sample> samples_;
};

}  // namespace diastole::bench
