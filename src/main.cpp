// diastoled: reads its arguments and runs the daemon.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "diastole/app/daemon.hpp"
#include "diastole/config/config.hpp"

namespace {

using namespace diastole;

struct Arguments {
  std::string config_file;
  bool check_config = false;
  bool reference = false;
  bool example = false;
  bool dev = false;
  std::string data_dir;
  std::string listen;
  std::string heartbeat;
  std::string suspect_after;
};

int complain(const std::string& message, int status) {
  fmt::print(stderr, "diastoled: {}\n", message);
  return status;
}

// HOST:PORT, with the host a loopback address.
bool read_listen(const std::string& text, config::Config& config) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  int port = -1;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc{} || stop != end || port < 0 || port > 65535) return false;
  config.listen.address = text.substr(0, colon);
  config.listen.port = port;
  return config.listen.address == "127.0.0.1" || config.listen.address == "::1";
}

Result<config::Config> dev_config(const Arguments& arguments) {
  config::Config config;
  config.log.format = "text";
  config.approvals.by_submitter = true;
  if (!arguments.listen.empty() && !read_listen(arguments.listen, config)) {
    return fail(
        ErrorCode::invalid_argument,
        "--listen takes 127.0.0.1:PORT or ::1:PORT; --dev asks for no token and is not to be reached from elsewhere");
  }
  const auto read_duration = [](const std::string& text, const char* option, Milliseconds& out) -> Result<void> {
    if (text.empty()) return {};
    const auto duration = parse_duration(text);
    if (!duration || duration->count() < 100)
      return fail(ErrorCode::invalid_argument, fmt::format("{} takes a duration such as 1s", option));
    out = *duration;
    return {};
  };
  if (auto read = read_duration(arguments.heartbeat, "--heartbeat", config.fleet.heartbeat); !read)
    return std::unexpected(read.error());
  if (auto read = read_duration(arguments.suspect_after, "--suspect-after", config.fleet.suspect_after); !read) {
    return std::unexpected(read.error());
  }
  return config;
}

int run(const Arguments& arguments) {
  if (arguments.reference) return fmt::print("{}", config::reference()), 0;
  if (arguments.example) return fmt::print("{}", config::example()), 0;
  if (arguments.dev == !arguments.config_file.empty()) return complain("give --config FILE, or --dev (see --help)", 2);
  auto config = arguments.dev ? dev_config(arguments) : config::load(arguments.config_file);
  if (!config) return complain(config.error().message, 2);
  if (arguments.check_config) return fmt::print("{}: ok\n", arguments.config_file), 0;

  app::block_stop_signals();
  std::optional<app::DevOptions> dev;
  if (arguments.dev) {
    dev.emplace();
    if (!arguments.data_dir.empty()) dev->data_dir = arguments.data_dir;
  }
  auto daemon = app::Daemon::start(std::move(*config), dev);
  if (!daemon) return complain(daemon.error().message, 1);
  if (dev) {
    fmt::print("diastoled ready: {}  target main: {}\n", (*daemon)->url(), (*daemon)->dev_dsn());
    std::fflush(stdout);
  }
  (*daemon)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli{
      "diastoled takes PostgreSQL migration plans through expand, backfill and contract, and contracts only once "
      "every\n"
      "instance of the applications runs the new code."};
  Arguments arguments;
  cli.add_option("--config", arguments.config_file, "the configuration, a YAML file");
  cli.add_flag("--check-config", arguments.check_config, "check the file given with --config and exit");
  cli.add_flag("--config-reference", arguments.reference, "print every configuration key as a Markdown table and exit");
  cli.add_flag("--config-example", arguments.example, "print a configuration file that says the defaults and exit");
  cli.add_flag(
      "--dev", arguments.dev,
      "run with a private PostgreSQL of its own, as state database and as target 'main'; loopback only, no tokens");
  cli.add_option("--data", arguments.data_dir, "with --dev: where that PostgreSQL is kept (default: gone at exit)");
  cli.add_option("--listen", arguments.listen,
                 "with --dev: 127.0.0.1:PORT; port 0 is any free one (default 127.0.0.1:8433)");
  cli.add_option("--heartbeat", arguments.heartbeat,
                 "with --dev: how often instances are asked to report (default 10s)");
  cli.add_option("--suspect-after", arguments.suspect_after,
                 "with --dev: when a silent instance is unknown (default 40s)");
  cli.set_version_flag("--version", std::string("diastoled ") + DIASTOLE_VERSION);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;  // 0: --help, --version
  }
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}
