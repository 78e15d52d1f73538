#include "diastole/postgres/embedded_cluster.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "diastole/base/time.hpp"
#include "server_process.hpp"

namespace diastole::postgres {
namespace fs = std::filesystem;
namespace {

constexpr Milliseconds kStartTime{60'000};
constexpr Milliseconds kStopTime{10'000};
constexpr Milliseconds kInitdbTime{120'000};
// How often the server's own status file is looked at while it starts; its death is seen at once.
constexpr Milliseconds kStatusInterval{10};

std::unexpected<Error> unavailable(std::string message) {
  return fail(ErrorCode::unavailable, std::move(message));
}

std::optional<std::string> first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// The end of a log, from a line's beginning.
std::string log_tail(const fs::path& path) {
  constexpr std::streamoff kTail = 2000;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
  if (size <= 0) return "(it wrote nothing)";
  file.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (size > kTail) text.erase(0, text.find('\n') + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool has_server(const fs::path& directory) {
  return access((directory / "initdb").c_str(), X_OK) == 0 && access((directory / "postgres").c_str(), X_OK) == 0;
}

// `major` is an existing cluster's version; empty for any.
Result<fs::path> find_binaries(const std::string& major) {
  const fs::path root = "/usr/lib/postgresql";
  fs::path newest;
  double newest_version = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename();
    double version = 0;
    std::from_chars(name.data(), name.data() + name.size(), version);
    if (version <= newest_version || (!major.empty() && name != major) || !has_server(entry.path() / "bin")) continue;
    newest = entry.path() / "bin";
    newest_version = version;
  }
  if (!newest.empty()) return newest;
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(directory.size() + 1, rest.size()));
    if (!directory.empty() && has_server(directory)) return fs::path(directory);
  }
  return unavailable(
      fmt::format("PostgreSQL {} is not installed: no initdb and postgres under {} or on the PATH; "
                  "on Debian: apt-get install postgresql-15",
                  major, root.string()));
}

// For the server's user alone.
Result<void> make_directory(const fs::path& path, const std::optional<ServerUser>& user) {
  if (mkdir(path.c_str(), 0700) != 0) {
    return unavailable(fmt::format("cannot make {}: {}", path.string(), system_error(errno)));
  }
  if (user && chown(path.c_str(), user->uid, user->gid) != 0) {
    return unavailable(fmt::format("cannot give {} to {}: {}", path.string(), user->name, system_error(errno)));
  }
  return {};
}

// SIGINT disconnects clients and makes a checkpoint; SIGQUIT does neither and makes the server kill what hangs after 5
// s.
Result<void> stop_server(ServerProcess& server, int first_signal) {
  server.signal(first_signal);
  if (server.wait(kStopTime)) return {};
  server.signal(SIGQUIT);
  if (server.wait(kStopTime)) return {};
  return unavailable(fmt::format("PostgreSQL, process {}, does not stop", server.pid()));
}

// The server that serves this directory according to its postmaster.pid. The file outlives a crash and process ids are
// used again, so the process must also have the directory as its own.
std::optional<ServerProcess> server_of(const fs::path& directory) {
  const std::string line = first_line(directory / "postmaster.pid").value_or("");
  pid_t pid = 0;
  std::from_chars(line.data(), line.data() + line.size(), pid);
  if (pid <= 0) return std::nullopt;
  std::optional<ServerProcess> process = ServerProcess::find(pid);
  std::error_code error;
  if (!process || !fs::equivalent(fmt::format("/proc/{}/cwd", pid), directory, error)) return std::nullopt;
  return process;
}

// postmaster.pid begins with the process id and ends, in its eighth line, with the status (pidfile.h of PostgreSQL).
bool is_ready(const fs::path& directory, pid_t pid) {
  std::ifstream file(directory / "postmaster.pid");
  std::string line;
  if (!std::getline(file, line) || line != std::to_string(pid)) return false;
  for (int number = 2; number <= 8; ++number) {
    if (!std::getline(file, line)) return false;
  }
  return line.starts_with("ready");
}

}  // namespace

struct EmbeddedCluster::State {
  std::vector<std::pair<std::string, std::string>> settings;
  std::optional<ServerUser> user;
  fs::path run_directory;  // the socket's, short because sun_path holds 107 bytes; a temporary cluster's too
  fs::path data_directory;
  fs::path cluster;  // PGDATA
  fs::path log;
  FileDescriptor lock;  // on data_directory: two daemons would stop each other's server
  fs::path binaries;
  std::optional<ServerProcess> server;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  Result<void> make_directories(const std::optional<fs::path>& data_dir);
  Result<void> claim();
  Result<void> make_cluster();
  Result<void> launch();
  Result<void> halt(int first_signal);
};

// Also where start fails midway.
EmbeddedCluster::State::~State() {
  if (server && !halt(SIGINT)) return;  // its directory must stay while it runs
  std::error_code error;
  if (!run_directory.empty()) fs::remove_all(run_directory, error);
}

Result<void> EmbeddedCluster::State::make_directories(const std::optional<fs::path>& data_dir) {
  std::string run = "/tmp/diastole-XXXXXX";
  if (mkdtemp(run.data()) == nullptr) return unavailable(fmt::format("cannot make {}: {}", run, system_error(errno)));
  run_directory = run;
  if (user && chown(run.c_str(), user->uid, user->gid) != 0) {
    return unavailable(fmt::format("cannot give {} to {}: {}", run, user->name, system_error(errno)));
  }
  std::error_code error;
  data_directory = data_dir ? fs::absolute(*data_dir, error).lexically_normal() : run_directory / "data";
  if (!fs::exists(data_directory, error)) {
    fs::create_directories(data_directory.parent_path(), error);
    if (const Result<void> made = make_directory(data_directory, user); !made) return made;
  }
  cluster = data_directory / "pg";
  log = data_directory / "server.log";
  return {};
}

// Takes the lock, and removes the socket's directory of a process that was killed: the link "run" leads to it.
Result<void> EmbeddedCluster::State::claim() {
  lock = FileDescriptor(open(data_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) {
    return unavailable(fmt::format("cannot open the directory {}: {}", data_directory.string(), system_error(errno)));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::conflict, fmt::format("{} is in use by another process", data_directory.string()));
  }
  std::error_code error;
  const fs::path link = data_directory / "run";
  const fs::path old = fs::read_symlink(link, error);
  if (old.parent_path() == run_directory.parent_path() && old.filename().string().starts_with("diastole-")) {
    fs::remove_all(old, error);
  }
  fs::remove(link, error);
  fs::create_directory_symlink(run_directory, link, error);
  if (error) return unavailable(fmt::format("cannot make {}: {}", link.string(), error.message()));
  return {};
}

// Under another name until it is complete: a half-made cluster would fail at every later start.
Result<void> EmbeddedCluster::State::make_cluster() {
  std::error_code error;
  const fs::path unfinished = data_directory / "pg.new";
  fs::remove_all(unfinished, error);
  if (const Result<void> made = make_directory(unfinished, user); !made) return made;
  ServerCommand command{.program = binaries / "initdb",
                        .arguments = {"--pgdata", unfinished.string(), "--username=postgres", "--auth-local=trust",
                                      "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"},
                        .output = log};
  if (data_directory.parent_path() == run_directory) command.arguments.emplace_back("--no-sync");
  Result<ServerProcess> initdb = ServerProcess::spawn(command, user);
  if (!initdb) return std::unexpected(initdb.error());
  if (!initdb->wait(kInitdbTime)) {
    initdb->signal(SIGKILL);
    return unavailable(fmt::format("initdb of {} took longer than 2 minutes", cluster.string()));
  }
  if (initdb->exit_status() != 0) {
    return unavailable(fmt::format("initdb of {} failed: {}", cluster.string(), log_tail(log)));
  }
  fs::rename(unfinished, cluster, error);
  if (error) return unavailable(fmt::format("cannot make {}: {}", cluster.string(), error.message()));
  return {};
}

Result<void> EmbeddedCluster::State::launch() {
  ServerCommand command{
      .program = binaries / "postgres",
      .arguments = {"-D", cluster.string(), "-c", "listen_addresses=", "-c", "port=5432", "-c",
                    "unix_socket_directories=" + run_directory.string(), "-c", "unix_socket_permissions=0700"},
      .output = log};
  for (const auto& [name, value] : settings) {
    command.arguments.emplace_back("-c");
    command.arguments.push_back(name + "=" + value);
  }
  Result<ServerProcess> process = ServerProcess::spawn(command, user);
  if (!process) return std::unexpected(process.error());
  server = std::move(*process);
  const auto deadline = std::chrono::steady_clock::now() + kStartTime;
  while (!is_ready(cluster, server->pid())) {
    if (server->wait(kStatusInterval)) {
      server.reset();
      return unavailable("PostgreSQL does not start: " + log_tail(log));
    }
    if (std::chrono::steady_clock::now() < deadline) continue;
    const Result<void> stopped = halt(SIGQUIT);
    return unavailable(fmt::format("PostgreSQL is not ready after {}{}: {}", format_duration(kStartTime),
                                   stopped ? "" : " and does not stop", log_tail(log)));
  }
  return {};
}

Result<void> EmbeddedCluster::State::halt(int first_signal) {
  if (!server) return {};
  Result<void> stopped = stop_server(*server, first_signal);
  if (stopped) server.reset();
  return stopped;
}

Result<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::start(EmbeddedOptions options) {
  auto state = std::make_unique<State>();
  Result<std::optional<ServerUser>> user = server_user();
  if (!user) return std::unexpected(user.error());
  state->user = std::move(*user);
  state->settings = std::move(options.settings);
  Result<void> done = state->make_directories(options.data_dir);
  if (done) done = state->claim();
  if (!done) return std::unexpected(done.error());
  Result<fs::path> binaries = find_binaries(first_line(state->cluster / "PG_VERSION").value_or(""));
  if (!binaries) return std::unexpected(binaries.error());
  state->binaries = std::move(*binaries);
  if (!fs::exists(state->cluster)) {
    done = state->make_cluster();
  } else if (std::optional<ServerProcess> orphan = server_of(state->cluster)) {
    done = stop_server(*orphan, SIGINT);
  }
  if (done) done = state->launch();
  if (!done) return std::unexpected(done.error());
  return std::unique_ptr<EmbeddedCluster>(new EmbeddedCluster(std::move(state)));
}

EmbeddedCluster::EmbeddedCluster(std::unique_ptr<State> state) : state_(std::move(state)) {}

EmbeddedCluster::~EmbeddedCluster() = default;

std::string EmbeddedCluster::dsn(std::string_view database) const {
  return fmt::format("host={} port=5432 user=postgres dbname={}", state_->run_directory.string(), database);
}

Result<void> EmbeddedCluster::stop() {
  Result<void> stopped = state_->halt(SIGINT);
  if (!stopped) return stopped;
  std::error_code error;
  fs::remove_all(state_->run_directory, error);
  return {};
}

Result<void> EmbeddedCluster::restart() {
  if (Result<void> stopped = state_->halt(SIGINT); !stopped) return stopped;
  return state_->launch();
}

Result<void> EmbeddedCluster::kill_immediate() {
  return state_->halt(SIGQUIT);
}

Result<void> EmbeddedCluster::start_again() {
  return restart();
}

}  // namespace diastole::postgres
