#include "journal.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace demo {
namespace {

// Short enough to tell a phase of a second from its neighbours.
constexpr std::chrono::milliseconds kWindow{100};
// Bounds of the histogram grow by this factor: a percentile read from it is at most 5 % too high.
constexpr double kGrowth = 1.05;

std::ofstream open(std::filesystem::path file, std::string_view extension) {
  file += extension;
  std::ofstream out(file);
  if (!out) throw std::runtime_error("cannot write " + file.string());
  return out;
}

std::int64_t bucket_of(std::int64_t us) {
  const double exponent = std::ceil(std::log(static_cast<double>(std::max<std::int64_t>(us, 1))) / std::log(kGrowth));
  return std::llround(std::ceil(std::pow(kGrowth, exponent)));
}

std::int64_t percentile(const std::map<std::int64_t, std::int64_t>& buckets, std::int64_t count, double share) {
  const auto wanted = static_cast<std::int64_t>(std::ceil(static_cast<double>(count) * share));
  std::int64_t seen = 0;
  for (const auto& [bound, in_bucket] : buckets) {
    seen += in_bucket;
    if (seen >= wanted) return bound;
  }
  return 0;
}

}  // namespace

Journal::Journal(const std::filesystem::path& prefix)
    : acks_(open(prefix, ".acks")), latency_(open(prefix, ".latency")), errors_(open(prefix, ".errors")) {}

Journal::~Journal() {
  const std::scoped_lock lock(mutex_);
  if (count_ > 0) write_window();
}

void Journal::acknowledged(Write write, std::string_view id, std::string_view value) {
  const std::scoped_lock lock(mutex_);
  acks_ << (write == Write::insert ? "insert " : "update ") << id << ' ' << value << '\n';
}

void Journal::took(std::chrono::microseconds latency) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::scoped_lock lock(mutex_);
  ++operations_;
  if (const std::int64_t window = now / kWindow; window != window_) {
    if (count_ > 0) write_window();
    window_ = window;
  }
  ++count_;
  worst_us_ = std::max<std::int64_t>(worst_us_, latency.count());
  ++buckets_[bucket_of(latency.count())];
}

void Journal::failed(std::string_view operation, std::string_view sqlstate, std::string_view message) {
  const std::scoped_lock lock(mutex_);
  ++failed_;
  errors_ << "failed " << operation << ": SQLSTATE " << (sqlstate.empty() ? "none" : sqlstate) << ": " << message
          << '\n'
          << std::flush;
}

void Journal::wrong(std::string_view message) {
  const std::scoped_lock lock(mutex_);
  ++wrong_;
  errors_ << "wrong: " << message << '\n' << std::flush;
}

std::string Journal::summary() const {
  const std::scoped_lock lock(mutex_);
  return "operations=" + std::to_string(operations_) + " failed=" + std::to_string(failed_) +
         " wrong=" + std::to_string(wrong_);
}

bool Journal::clean() const {
  const std::scoped_lock lock(mutex_);
  return failed_ == 0 && wrong_ == 0;
}

void Journal::write_window() {
  nlohmann::json histogram = nlohmann::json::object();
  for (const auto& [bound, in_bucket] : buckets_) histogram[std::to_string(bound)] = in_bucket;
  latency_ << nlohmann::json{{"at_ms", (window_ * kWindow).count()},
                             {"count", count_},
                             {"worst_us", worst_us_},
                             {"p99_us", percentile(buckets_, count_, 0.99)},
                             {"histogram_us", std::move(histogram)}}
                  .dump()
           << '\n';
  count_ = 0;
  worst_us_ = 0;
  buckets_.clear();
}

}  // namespace demo
