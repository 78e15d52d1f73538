// Puts the parts together, in the order in which they need each other, and takes them down in reverse.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "diastole/base/result.hpp"
#include "diastole/config/config.hpp"

namespace diastole::app {

// --dev: a private PostgreSQL for state and target main, no tokens, loopback only.
struct DevOptions {
  std::optional<std::filesystem::path> data_dir;  // kept between runs; none: gone with the process
};

// Blocks SIGTERM and SIGINT for the process; call before any thread is started, from main's thread, which then runs the
// daemon.
void block_stop_signals();

class Daemon {
 public:
  // Everything is up and serving when this returns; what it could not bring up is the error.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> start(config::Config config,
                                                             const std::optional<DevOptions>& dev);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // "http://127.0.0.1:8433", and in --dev the DSN of target main.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::string dev_dsn() const;

  // Returns after SIGTERM or SIGINT, with everything stopped: at most 10 s later.
  void run();

 private:
  class Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::app
