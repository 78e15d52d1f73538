#include "diastole/app/daemon.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "diastole/engine/fleet.hpp"
#include "diastole/engine/floors.hpp"
#include "diastole/engine/journal.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/http/api.hpp"
#include "diastole/http/server.hpp"
#include "diastole/observability/log.hpp"
#include "diastole/observability/systemd.hpp"
#include "diastole/postgres/embedded_cluster.hpp"
#include "diastole/postgres/state.hpp"
#include "diastole/postgres/target.hpp"

namespace diastole::app {
namespace {

using observability::LogFormat;
namespace systemd = observability::systemd;

constexpr const char* kDevTarget = "main";
constexpr std::size_t kStateConnections = 8;
constexpr Milliseconds kLeaseWait{10'000};  // a killed predecessor's session is gone by then
constexpr Milliseconds kLeaseCheck{2'000};
constexpr Milliseconds kFlush{1'000};
constexpr Milliseconds kStalled{30'000};
constexpr Milliseconds kServerGrace{1'000};
constexpr Milliseconds kStepGrace{4'000};
constexpr Milliseconds kStopLimit{8'500};

class SystemClock final : public ports::Clock {
 public:
  [[nodiscard]] Now now() const override {
    return {std::chrono::floor<Milliseconds>(std::chrono::system_clock::now()),
            std::chrono::floor<Milliseconds>(std::chrono::steady_clock::now())};
  }
};

std::string holder_name() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format("{} pid {}", host.data(), getpid());
}

core::ThrottleLimits throttle_limits(const config::Config::Backfill& backfill) {
  constexpr auto kBytes = [](int mib) { return std::int64_t{mib} << 20; };
  return {.lock_wait = backfill.lock_wait,
          .probe = backfill.probe_limit,
          .replica_lag = backfill.replica_lag,
          .replica_bytes = kBytes(backfill.replica_mib),
          .replica_gone = backfill.replica_gone,
          .ignored_standbys = backfill.ignore_standbys,
          .unarchived = kBytes(backfill.unarchived_mib),
          .vacuum = backfill.yield_to_vacuum,
          .checkpoint_gap = backfill.checkpoint_gap,
          .disk_free = kBytes(backfill.disk_free_mib)};
}

engine::EngineSettings engine_settings(const config::Config& config) {
  engine::EngineSettings settings;
  settings.lock_timeout = config.execution.lock_timeout;
  settings.lock_attempts = config.execution.lock_attempts;
  settings.lock_retry_max = config.execution.lock_retry_max;
  settings.statement_timeout = config.execution.statement_timeout;
  settings.long_statement_timeout = config.execution.long_statement_timeout;
  settings.long_transaction = config.preflight.long_transaction;
  settings.workers = config.execution.workers;
  settings.pacing = {config.backfill.min_rows, config.backfill.max_rows, config.backfill.batch_target};
  settings.batch_rows = config.backfill.batch_rows;
  settings.batch_lock_timeout = config.backfill.lock_timeout;
  settings.max_passes = config.backfill.max_passes;
  settings.scan_every = config.gate.scan_every;
  for (const auto& [name, target] : config.targets) settings.tools[TargetName(name)] = target.tools;
  settings.throttle = throttle_limits(config.backfill);
  return settings;
}

http::ServerLimits server_limits(const config::Config& config) {
  const auto& limits = config.limits;
  http::ServerLimits out;
  out.header_bytes = static_cast<std::size_t>(limits.header_bytes);
  out.body_bytes = static_cast<std::size_t>(std::max(limits.plan_bytes, limits.batch_bytes));
  out.header_time = limits.header_time;
  out.body_time = limits.body_time;
  out.idle_time = limits.idle_time;
  out.connections = static_cast<std::size_t>(limits.connections);
  out.waiters = static_cast<std::size_t>(limits.waiters);
  out.threads = static_cast<std::size_t>(limits.threads);
  return out;
}

http::ApiSettings api_settings(const config::Config& config, bool dev) {
  http::ApiSettings settings;
  settings.open = dev;
  for (const auto& token : config.tokens) {
    const auto role = http::role_from(token.role);
    if (role) settings.principals.push_back({token.name, *role, codec::sha256(token.secret.reveal())});
  }
  settings.plan_defaults = {config.gate.soak, config.gate.min_soak, config.approvals.min_contract,
                            config.gate.drain_budget};
  settings.override_lasts = config.gate.override_lasts;
  settings.analysis = {.require_table_schema = config.analysis.require_table_schema};
  settings.approval_by_submitter = config.approvals.by_submitter;
  settings.plan_bytes = static_cast<std::size_t>(config.limits.plan_bytes);
  settings.heartbeat_bytes = static_cast<std::size_t>(config.limits.heartbeat_bytes);
  settings.batch_bytes = static_cast<std::size_t>(config.limits.batch_bytes);
  return settings;
}

std::unique_ptr<ports::Log> make_log(const config::Config& config) {
  return observability::open_log(observability::log_format_from(config.log.format).value_or(LogFormat::json),
                                 observability::log_level_from(config.log.level).value_or(ports::LogLevel::info));
}

}  // namespace

void block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

class Daemon::Impl {
 public:
  Impl(config::Config config, bool dev) : config_(std::move(config)), dev_(dev), log_(make_log(config_)) {}
  ~Impl() { stop(); }

  Result<void> start(const std::optional<DevOptions>& dev) {
    if (dev) {
      if (auto started = start_cluster(*dev); !started) return started;
    }
    auto opened = postgres::StateDatabase::open(config_.state_dsn.reveal(), kStateConnections);
    if (!opened) return std::unexpected(opened.error());
    state_ = std::move(*opened);
    plans_ = std::make_unique<postgres::PgPlanStore>(*state_);
    instances_ = std::make_unique<postgres::PgFleetStore>(*state_);
    lease_ = std::make_unique<postgres::PgLease>(*state_);
    if (auto taken = take_lease(); !taken) return taken;

    engine::Targets targets;
    for (const auto& [name, known] : config_.targets) {
      std::vector<std::string> replicas;
      for (const auto& replica : known.replicas) replicas.push_back(replica.reveal());
      auto& target = targets_[name] =
          postgres::make_target(TargetName(name), known.dsn.reveal(), state_->owner(), *log_, known.disk, replicas);
      targets[TargetName(name)] = target.get();
    }
    if (auto loaded = floors_.load(*plans_); !loaded) return loaded;
    journal_ = std::make_unique<engine::Journal>(*plans_, *lease_, clock_, *log_);
    fleet_ =
        std::make_unique<engine::FleetRegistry>(*instances_, clock_,
                                                engine::FleetSettings{.heartbeat = config_.fleet.heartbeat,
                                                                      .suspect_after = config_.fleet.suspect_after,
                                                                      .provable_after = config_.gate.provable_after,
                                                                      .max_rate = config_.fleet.max_rate});
    if (auto loaded = fleet_->load(); !loaded) return loaded;
    reconciler_ = std::make_unique<engine::Reconciler>(*journal_, *fleet_, targets, *lease_, clock_, *log_,
                                                       engine_settings(config_));
    api_ = http::make_api({*journal_, *fleet_, *reconciler_, floors_, *lease_, clock_, targets},
                          api_settings(config_, dev_));
    auto server = http::Server::listen({config_.listen.address, static_cast<std::uint16_t>(config_.listen.port)},
                                       server_limits(config_), *api_, *log_);
    if (!server) return std::unexpected(server.error());
    server_ = std::move(*server);
    journal_->on_change([this](const core::PlanState& state) {
      floors_.update(state);
      reconciler_->wake();
      server_->wake();
    });
    reconciler_->start();
    server_->start();
    upkeep_ = std::jthread([this](const std::stop_token& stop) { keep_up(stop); });
    log_->info("ready",
               {{"version", DIASTOLE_VERSION}, {"url", url()}, {"epoch", fmt::to_string(lease_->epoch().value)}});
    systemd::ready();
    return {};
  }

  void run() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);  // the terminal is gone
    const auto interval = systemd::watchdog_interval().value_or(Milliseconds{60'000});
    const auto seconds = std::chrono::floor<std::chrono::seconds>(interval);
    const timespec timeout{seconds.count(), std::chrono::nanoseconds(interval - seconds).count()};
    while (true) {
      if (const int signal = sigtimedwait(&signals, nullptr, &timeout); signal > 0) {
        log_->info("stopping", {{"signal", fmt::format("SIG{}", sigabbrev_np(signal))}});
        break;
      }
      // Alive means that the loop comes round, not merely that this thread does.
      if (clock_.now().mono - reconciler_->last_round() < kStalled) systemd::watchdog();
    }
    stop();
  }

  [[nodiscard]] std::string url() const {
    const bool v6 = config_.listen.address.find(':') != std::string::npos;
    return fmt::format("http://{}:{}", v6 ? "[" + config_.listen.address + "]" : config_.listen.address,
                       server_->port());
  }
  [[nodiscard]] std::string dev_dsn() const { return cluster_ ? cluster_->dsn() : ""; }

 private:
  Result<void> start_cluster(const DevOptions& dev) {
    auto cluster =
        postgres::EmbeddedCluster::start({.data_dir = dev.data_dir, .settings = {{"max_prepared_transactions", "10"}}});
    if (!cluster) return std::unexpected(cluster.error());
    cluster_ = std::move(*cluster);
    config_.state_dsn = config::Secret(cluster_->dsn());
    // A developer's psql is in nobody's way.
    config_.targets = {
        {kDevTarget,
         {.dsn = config::Secret(cluster_->dsn()), .disk = {}, .tools = {{core::Tool::By::application_name, "psql"}}}}};
    return {};
  }

  Result<void> take_lease() {
    const auto until = clock_.now().mono + kLeaseWait;
    while (true) {
      const auto epoch = lease_->acquire(holder_name());
      if (epoch) return {};
      if (epoch.error().code != ErrorCode::conflict || clock_.now().mono >= until)
        return std::unexpected(epoch.error());
      std::this_thread::sleep_for(Milliseconds{250});
    }
  }

  // The lease and the fleet's record, beside the loop, so that a slow database delays neither it nor a stop.
  void keep_up(const std::stop_token& stop) {
    auto checked = clock_.now().mono;
    bool held = true;
    bool flushed = true;
    std::mutex mutex;
    std::condition_variable_any never;
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex);
        never.wait_for(lock, stop, kFlush, [] { return false; });
      }
      // Without the lease the record is somebody else's to write.
      if (lease_->epoch().value != 0) note(fleet_->flush(), flushed, "the fleet's record");
      if (clock_.now().mono - checked >= kLeaseCheck) {
        checked = clock_.now().mono;
        note(lease_->check(), held, "the lease");
        reconciler_->wake();
      }
    }
  }

  // A database that has frozen can hold any of the threads below. What is recorded is recorded and what is not is
  // settled at the next start, so that ending here loses nothing.
  void end_in_time(const std::stop_token& done) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    if (never.wait_for(lock, done, kStopLimit, [] { return false; }); done.stop_requested()) return;
    log_->error("a database does not answer; ending without waiting for it");
    std::_Exit(EXIT_FAILURE);
  }

  // One line when it breaks and one when it is well again, not one a second.
  void note(const Result<void>& result, bool& was_well, std::string_view what) {
    if (result.has_value() == was_well) return;
    was_well = result.has_value();
    if (was_well) {
      log_->info(fmt::format("{} is kept again", what));
    } else {
      log_->error(fmt::format("{} cannot be kept", what), {{"error", result.error().message}});
    }
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    systemd::stopping();
    const std::jthread limit([this](const std::stop_token& done) { end_in_time(done); });
    if (server_) server_->stop(kServerGrace);
    if (reconciler_) reconciler_->stop(kStepGrace);
    if (upkeep_.joinable()) {
      upkeep_.request_stop();
      upkeep_.join();
    }
    if (fleet_) {
      if (auto flushed = fleet_->flush(); !flushed) {
        log_->warning("the last of the fleet's record was not written", {{"error", flushed.error().message}});
      }
    }
    server_.reset();
    api_.reset();
    reconciler_.reset();
    fleet_.reset();
    journal_.reset();
    targets_.clear();
    lease_.reset();
    instances_.reset();
    plans_.reset();
    state_.reset();
    if (cluster_) {
      if (auto ended = cluster_->stop(); !ended)
        log_->error("PostgreSQL did not stop in order", {{"error", ended.error().message}});
    }
    log_->info("stopped");
  }

  config::Config config_;
  const bool dev_;
  std::unique_ptr<ports::Log> log_;
  SystemClock clock_;
  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  std::unique_ptr<postgres::StateDatabase> state_;
  std::unique_ptr<postgres::PgPlanStore> plans_;
  std::unique_ptr<postgres::PgFleetStore> instances_;
  std::unique_ptr<postgres::PgLease> lease_;
  std::map<std::string, std::unique_ptr<ports::Target>> targets_;
  engine::Floors floors_;
  std::unique_ptr<engine::Journal> journal_;
  std::unique_ptr<engine::FleetRegistry> fleet_;
  std::unique_ptr<engine::Reconciler> reconciler_;
  std::unique_ptr<http::Handler> api_;
  std::unique_ptr<http::Server> server_;
  std::jthread upkeep_;
  bool stopped_ = false;
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::start(config::Config config, const std::optional<DevOptions>& dev) {
  auto impl = std::make_unique<Impl>(std::move(config), dev.has_value());
  if (auto started = impl->start(dev); !started) return std::unexpected(started.error());
  return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
}

std::string Daemon::url() const {
  return impl_->url();
}
std::string Daemon::dev_dsn() const {
  return impl_->dev_dsn();
}
void Daemon::run() {
  impl_->run();
}

}  // namespace diastole::app
