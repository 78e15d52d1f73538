#include "database.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace diastole::bench {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;
constexpr std::string_view kMemory = "/dev/shm";
constexpr std::string_view kPrefix = "diastole-bench-";
constexpr std::string_view kTemplate = "bench_template";
constexpr std::string_view kCopy = "bench";
constexpr std::string_view kState = "bench_state";

// What a run writes, and some more.
std::int64_t wal_mib(const TableShape& shape) {
  return std::clamp<std::int64_t>(shape.rows * 1'000 / kMiB, 1'024, 8'192);
}
std::int64_t buffers_mib(const TableShape& shape) {
  return std::clamp<std::int64_t>(shape.rows * 1'000 / kMiB, 128, 2'048);
}
// The template, and its copy with every row twice.
std::int64_t needed_bytes(const TableShape& shape) {
  return shape.rows * 700 + (wal_mib(shape) + buffers_mib(shape) + 512) * kMiB;
}

std::int64_t free_bytes(const fs::path& path) {
  std::error_code error;
  const fs::space_info space = fs::space(path, error);
  return error ? 0 : static_cast<std::int64_t>(space.available);
}

// A file system in memory may be larger than the memory that is left.
std::int64_t free_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::string unit;
  std::int64_t kib = 0;
  while (file >> name >> kib && std::getline(file, unit)) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

// A run that was killed has left its files in the memory; the process that its directory is named after is gone.
void remove_left_behind(const fs::path& parent) {
  std::error_code error;
  std::vector<fs::path> gone;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    pid_t pid = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) gone.push_back(entry.path());
  }
  for (const fs::path& path : gone) fs::remove_all(path, error);
}

fs::path make_directory(const TableShape& shape) {
  remove_left_behind(kMemory);
  const bool fits = std::min(free_bytes(kMemory), free_memory()) > needed_bytes(shape);
  const fs::path parent = fits ? fs::path(kMemory) : fs::temp_directory_path();
  if (!fits && free_bytes(parent) < needed_bytes(shape)) {
    throw std::runtime_error(fmt::format("{} rows need {} MiB; there is no room for them in {} or {}", shape.rows,
                                         needed_bytes(shape) / kMiB, kMemory, parent.string()));
  }
  std::string name = (parent / fmt::format("{}{}-XXXXXX", kPrefix, getpid())).string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  fs::permissions(name, fs::perms(0755));  // as root, PostgreSQL runs as the user postgres
  return name;
}

pqxx::result execute(const std::string& dsn, const std::string& sql) {
  pqxx::connection connection(dsn);
  return pqxx::nontransaction(connection).exec(sql);
}

}  // namespace

Database::Database(TableShape shape) : shape_(shape), directory_(make_directory(shape)) {
  auto started = postgres::EmbeddedCluster::start(
      {.data_dir = directory_ / "data",
       .settings = {{"shared_buffers", fmt::format("{}MB", buffers_mib(shape))},
                    // A checkpoint would begin at half of it: none does in the middle of a run, where it were noise.
                    {"max_wal_size", fmt::format("{}MB", 2 * wal_mib(shape))},
                    {"min_wal_size", fmt::format("{}MB", wal_mib(shape))},
                    {"checkpoint_timeout", "1h"},
                    // A vacuum that begins in one run and not in the next would be noise.
                    {"autovacuum", "off"}}});
  if (!started) {
    std::error_code error;
    fs::remove_all(directory_, error);
    throw std::runtime_error(started.error().message);
  }
  cluster_ = std::move(*started);
}

Database::~Database() {
  observer_.reset();
  if (!cluster_->stop()) return;  // its files must stay while it runs
  std::error_code error;
  fs::remove_all(directory_, error);
}

std::string Database::dsn() const {
  return cluster_->dsn(kCopy);
}
std::string Database::state_dsn() const {
  return cluster_->dsn(kState);
}
std::string Database::maintenance_dsn() const {
  return cluster_->dsn();
}
std::string Database::place() const {
  return fmt::format("{} ({} MiB free)", directory_.parent_path().string(), free_bytes(directory_) / kMiB);
}

void Database::build() {
  for (const std::string_view database : {kTemplate, kState}) {
    execute(cluster_->dsn(), fmt::format("CREATE DATABASE {}", database));
  }
  pqxx::connection connection(cluster_->dsn(kTemplate));
  pqxx::nontransaction session(connection);
  session.exec(
      fmt::format("CREATE TABLE users (id bigint NOT NULL, name text NOT NULL, email text NOT NULL, created_at "
                  "timestamptz NOT NULL, visits integer NOT NULL DEFAULT 0, profile text NOT NULL) WITH (fillfactor = "
                  "{})",
                  shape_.fillfactor));
  // In the order of the ids and of the time, as an application inserts; an e-mail address is anywhere in its index.
  session.exec(
      fmt::format("INSERT INTO users SELECT n, 'user ' || n, left(md5(n::text), 12) || '@example.com', timestamptz "
                  "'2020-01-01' + n * interval '1 minute', 0, md5('profile ' || n) || left(md5(n::text), 8) FROM "
                  "generate_series(1, {}) AS n",
                  shape_.rows));
  session.exec("ALTER TABLE users ADD PRIMARY KEY (id)");
  session.exec("CREATE INDEX users_email ON users (email)");
  session.exec("CREATE INDEX users_created_at ON users (created_at)");
  session.exec("ALTER TABLE users ADD COLUMN display_name text");
  session.exec("VACUUM ANALYZE users");
  session.exec("CREATE EXTENSION pg_prewarm");
}

void Database::renew() {
  observer_.reset();
  execute(cluster_->dsn(), fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", kCopy));
  execute(cluster_->dsn(), fmt::format("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", kCopy, kTemplate));
  observer_.emplace(dsn());
  (void)ask("SELECT pg_prewarm(indexrelid) FROM pg_index WHERE indrelid = 'users'::regclass");
  (void)ask("SELECT pg_prewarm('users')");
  (void)ask("CHECKPOINT");
}

pqxx::result Database::ask(const std::string& sql) const {
  return pqxx::nontransaction(*observer_).exec(sql);
}

std::int64_t Database::wal_bytes() const {
  return ask("SELECT pg_current_wal_insert_lsn() - '0/0'")[0][0].as<std::int64_t>();
}

TableState Database::state() const {
  const pqxx::row row = ask(
      "SELECT pg_table_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE "
      "relid = 'users'::regclass")[0];
  return {.heap = row[0].as<std::int64_t>(),
          .indexes = row[1].as<std::int64_t>(),
          .updates = row[2].as<std::int64_t>(),
          .hot = row[3].as<std::int64_t>()};
}

TableState Database::settled_state(std::int64_t updates) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{15};
  while (true) {
    const TableState now = state();
    if (now.updates >= updates) return now;
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(fmt::format("PostgreSQL has counted {} updates of {}", now.updates, updates));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

std::int64_t Database::rows_left() const {
  return ask("SELECT count(*) FROM users WHERE display_name IS DISTINCT FROM name")[0][0].as<std::int64_t>();
}

}  // namespace diastole::bench
