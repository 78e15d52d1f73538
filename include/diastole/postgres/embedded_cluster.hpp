// A private PostgreSQL cluster: made, started and stopped by this process, reachable only through a unix socket of its
// own. What --dev and the tests stand on.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::postgres {

struct EmbeddedOptions {
  // Where the cluster is kept (in <data_dir>/pg, made if it is not there). None: in a temporary directory that goes
  // with it.
  std::optional<std::filesystem::path> data_dir;
  // Server settings beyond our own, which they override: {"fsync", "off"}.
  std::vector<std::pair<std::string, std::string>> settings;
};

// The programs are those of the newest /usr/lib/postgresql/*/bin (for an existing cluster: of its own major version),
// or of the PATH. PostgreSQL refuses to run as root: there the server runs as user postgres.
//
// The server stops when this process dies, in whatever way: the kernel sends it SIGINT when the THREAD that started it
// ends, so start it from one that lives as long as the cluster should, such as main's. Otherwise not thread-safe.
class EmbeddedCluster {
 public:
  // Returns when the server accepts connections (at most 60 s). conflict: another process holds data_dir. unavailable:
  // no programs, or they failed; the message then ends with what they had to say. A server that a killed process has
  // left behind in data_dir is stopped first.
  [[nodiscard]] static Result<std::unique_ptr<EmbeddedCluster>> start(EmbeddedOptions options = {});

  EmbeddedCluster(const EmbeddedCluster&) = delete;
  EmbeddedCluster& operator=(const EmbeddedCluster&) = delete;
  ~EmbeddedCluster();  // stops

  // A libpq connection string of the superuser, postgres. It stays the same over a restart. The database must be a
  // plain name.
  [[nodiscard]] std::string dsn(std::string_view database = "postgres") const;

  // Disconnects the clients and ends; after 10 s ends without a checkpoint. Removes the socket and a temporary cluster:
  // this is the end of it. Nothing happens the second time.
  Result<void> stop();

  // An orderly stop, and a start.
  [[nodiscard]] Result<void> restart();
  // As in a crash: every connection breaks off, the next start recovers from the log.
  [[nodiscard]] Result<void> kill_immediate();
  // After kill_immediate, or when the server has died by itself.
  [[nodiscard]] Result<void> start_again();

 private:
  struct State;
  explicit EmbeddedCluster(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace diastole::postgres
