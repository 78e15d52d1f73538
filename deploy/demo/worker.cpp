#include "worker.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>

namespace demo {
namespace {

constexpr double kReads = 0.70;
constexpr double kUpdates = 0.28;       // the rest are inserts
constexpr int kLockSpace = 0x64656d6f;  // "demo", so that the shares' advisory locks are nobody else's

struct Statements {
  const char* read;
  const char* update;
  const char* insert;
};

constexpr Statements statements(Release release) {
  switch (release) {
    case Release::v1:
      return {.read = "SELECT name FROM users WHERE id = $1",
              .update = "UPDATE users SET name = $2 WHERE id = $1",
              .insert = "INSERT INTO users (id, name) VALUES ($1, $2)"};
    case Release::v2:
      return {.read = "SELECT COALESCE(display_name, name) FROM users WHERE id = $1",
              .update = "UPDATE users SET name = $2, display_name = $2 WHERE id = $1",
              .insert = "INSERT INTO users (id, name, display_name) VALUES ($1, $2, $2)"};
    case Release::v3:
      return {.read = "SELECT display_name FROM users WHERE id = $1",
              .update = "UPDATE users SET display_name = $2 WHERE id = $1",
              .insert = "INSERT INTO users (id, display_name) VALUES ($1, $2)"};
  }
  throw std::logic_error("no such release");
}

// The steady clock is one for all processes of a machine, so a later write of a row has a greater number.
std::string new_value() {
  return "renamed " + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
}

// 0 for the value a row began with; nothing for a value that nobody can have written.
std::optional<std::int64_t> write_number(std::string_view value) {
  constexpr std::string_view kInitial = "user ";
  constexpr std::string_view kWritten = "renamed ";
  if (value.starts_with(kInitial)) return 0;
  if (!value.starts_with(kWritten)) return std::nullopt;
  value.remove_prefix(kWritten.size());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return number;
}

std::string as_uuid(const std::array<unsigned char, 16>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

std::string md5_uuid(const std::string& text) {
  std::array<unsigned char, 16> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_md5(), nullptr) != 1) {
    throw std::runtime_error("no MD5 in this OpenSSL");
  }
  return as_uuid(digest);
}

}  // namespace

Worker::Worker(const Load& load, unsigned share, Journal& journal)
    : load_(load), share_(share), journal_(journal), connection_(load.dsn), random_(std::random_device{}()) {
#if PQXX_VERSION_MAJOR < 7
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  connection_.inhibit_reactivation(true);  // a new backend behind our back would not hold our lock
#pragma clang diagnostic pop
#endif
  const Statements sql = statements(load_.release);
  connection_.prepare("read", sql.read);
  connection_.prepare("update", sql.update);
  connection_.prepare("insert", sql.insert);
  connection_.prepare("lock", "SELECT pg_try_advisory_lock($1, $2)");
}

bool Worker::run(const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  const auto interval =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / load_.per_second));
  std::uniform_real_distribution<double> dice(0, 1);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  // Latency counts from when an operation was due, not from when it got its turn: waiting behind a slow one is part of
  // it.
  for (auto due = Clock::now();; due += interval) {
    stopped.wait_until(lock, stop, due, [] { return false; });
    if (stop.stop_requested()) return true;
    if (!operate(dice(random_))) return false;
    journal_.took(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - due));
  }
}

// True unless the connection is lost. A statement that failed is not tried again: it counts.
bool Worker::operate(double dice) {
  try {
    if (dice < kReads || !writer()) {
      read();
    } else if (dice < kReads + kUpdates) {
      update();
    } else {
      insert();
    }
    return true;
  } catch (const pqxx::sql_error& error) {
    journal_.failed(statement_, error.sqlstate(), error.what());
    return connection_.is_open();
  } catch (const pqxx::broken_connection& error) {
    journal_.failed(statement_, "", error.what());
    return false;
  }
}

template <typename... Args>
pqxx::result Worker::execute(const char* statement, const Args&... args) {
  statement_ = statement;
  return pqxx::nontransaction(connection_).exec_prepared(statement, args...);
}

void Worker::read() {
  // Half of the reads look at rows whose value we know to the letter.
  std::string id = any_id();
  if (!written_.empty() && std::bernoulli_distribution(0.5)(random_)) {
    const auto own = written_.lower_bound(id);
    id = own == written_.end() ? written_.begin()->first : own->first;
  }
  const pqxx::result rows = execute("read", id);
  if (rows.size() != 1) return journal_.wrong("user " + id + " was read as " + std::to_string(rows.size()) + " rows");
  const std::string value = rows[0][0].is_null() ? "NULL" : rows[0][0].c_str();
  const auto number = write_number(value);
  if (!number) return journal_.wrong("user " + id + " has the name " + value);
  if (const auto own = written_.find(id); own != written_.end() && own->second != value) {
    journal_.wrong("user " + id + " has the name " + value + ", we wrote " + own->second);
  }
  std::int64_t& seen = last_seen_[id];
  if (*number < seen) journal_.wrong("user " + id + " went back to " + value + " from " + std::to_string(seen));
  seen = std::max(seen, *number);
}

void Worker::update() {
  const std::string id = own_id();
  const std::string value = new_value();
  const auto rows = execute("update", id, value).affected_rows();
  if (rows != 1) return journal_.wrong("the update of user " + id + " changed " + std::to_string(rows) + " rows");
  journal_.acknowledged(Journal::Write::update, id, value);
  written_[id] = value;
}

void Worker::insert() {
  const std::string id = new_own_id();
  const std::string value = new_value();
  execute("insert", id, value);
  journal_.acknowledged(Journal::Write::insert, id, value);
  inserted_.push_back(id);
  written_[id] = value;
}

// Polls: a session that waits in pg_advisory_lock would deadlock with CREATE INDEX CONCURRENTLY.
bool Worker::writer() {
  if (!writer_) writer_ = execute("lock", kLockSpace, share_)[0][0].as<bool>();
  return writer_;
}

std::string Worker::any_id() {
  const auto n = std::uniform_int_distribution<std::int64_t>(0, load_.rows - 1)(random_);
  return md5_uuid("user " + std::to_string(n));
}

std::string Worker::own_id() {
  if (!inserted_.empty() && std::bernoulli_distribution(0.1)(random_)) {
    return inserted_[std::uniform_int_distribution<std::size_t>(0, inserted_.size() - 1)(random_)];
  }
  std::string id = any_id();
  while (!owns(id)) id = any_id();
  return id;
}

std::string Worker::new_own_id() {
  std::string id;
  do {
    std::array<unsigned char, 16> bytes{};
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random_());
    id = as_uuid(bytes);
  } while (!owns(id));
  return id;
}

bool Worker::owns(const std::string& id) const {
  return std::stoul(id.substr(0, 8), nullptr, 16) % load_.shares == share_;
}

}  // namespace demo
