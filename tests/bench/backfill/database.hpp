// The benchmark's private PostgreSQL with its table, users, of which every run gets a fresh copy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "diastole/postgres/embedded_cluster.hpp"

namespace diastole::bench {

struct TableShape {
  std::int64_t rows = 1'000'000;
  int fillfactor = 100;
};

// How far the table is. Bytes of heap and indexes; updates of rows since the copy was made, and how many of them were
// HOT.
struct TableState {
  std::int64_t heap = 0;
  std::int64_t indexes = 0;
  std::int64_t updates = 0;
  std::int64_t hot = 0;
};

// Everything throws std::exception where it fails. Not thread-safe. Make it on the main thread: the server ends with
// the thread that started it.
class Database {
 public:
  // In memory-backed storage where there is room.
  explicit Database(TableShape shape);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // Makes the table, about 60 rows a page, with two secondary indexes and the new column; vacuumed and analysed. Called
  // once.
  void build();
  // A copy of it, file by file, checkpointed and in the server's buffers. Disconnects everybody from the one before.
  void renew();

  [[nodiscard]] const TableShape& shape() const { return shape_; }
  // Of the database with the copy; it stays the same.
  [[nodiscard]] std::string dsn() const;
  // Of an empty database.
  [[nodiscard]] std::string state_dsn() const;
  // Of a database that stays, for whoever watches over the server.
  [[nodiscard]] std::string maintenance_dsn() const;
  // Where the files are, and the space that is left there.
  [[nodiscard]] std::string place() const;

  // Bytes of WAL written since the server was made.
  [[nodiscard]] std::int64_t wal_bytes() const;
  [[nodiscard]] TableState state() const;
  // The same once at least so many updates have been counted: sessions hand in their counts when they end, at the
  // latest.
  [[nodiscard]] TableState settled_state(std::int64_t updates) const;
  // Rows of the copy whose new column does not have its value yet.
  [[nodiscard]] std::int64_t rows_left() const;

 private:
  [[nodiscard]] pqxx::result ask(const std::string& sql) const;

  TableShape shape_;
  std::filesystem::path directory_;
  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  mutable std::optional<pqxx::connection> observer_;  // of the copy
};

}  // namespace diastole::bench
