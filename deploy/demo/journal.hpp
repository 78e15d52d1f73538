// What one instance has to account for after the run: every acknowledged write, every failure, and how long operations
// took.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace demo {

// Thread-safe. Writes three files, PREFIX.acks, PREFIX.latency and PREFIX.errors; complete once the journal is gone.
class Journal {
 public:
  // Throws std::runtime_error where a file cannot be written.
  explicit Journal(const std::filesystem::path& prefix);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  enum class Write { insert, update };
  // The database has confirmed it: a line "insert|update <uuid> <value>".
  void acknowledged(Write write, std::string_view id, std::string_view value);
  // An operation that was meant to start at a given time has ended so much later.
  void took(std::chrono::microseconds latency);
  // A statement failed; nobody tries it again. `sqlstate` is empty where the connection broke.
  void failed(std::string_view operation, std::string_view sqlstate, std::string_view message);
  // The database answered something that cannot be right.
  void wrong(std::string_view message);

  // "operations=… failed=… wrong=…"
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] bool clean() const;

 private:
  void write_window();

  mutable std::mutex mutex_;
  std::ofstream acks_;
  std::ofstream latency_;
  std::ofstream errors_;
  std::int64_t operations_ = 0;
  std::int64_t failed_ = 0;
  std::int64_t wrong_ = 0;

  std::int64_t window_ = 0;  // the one being filled, in kWindow since the epoch
  std::int64_t count_ = 0;
  std::int64_t worst_us_ = 0;
  std::map<std::int64_t, std::int64_t> buckets_;  // upper bound in µs and count
};

}  // namespace demo
