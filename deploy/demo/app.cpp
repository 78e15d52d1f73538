// One instance of the demonstration's application: serves a steady load, reports its version, stops in order on
// SIGTERM.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "diastole/http/client.hpp"
#include "journal.hpp"
#include "worker.hpp"

namespace demo {
namespace {

struct Options {
  std::string version;
  std::string instance;
  std::string daemon;  // http://HOST:PORT
  std::string journal;
  unsigned slot = 0;
  unsigned slots = 1;
  unsigned workers = 2;
  double rate = 100;
  std::int64_t rows = 0;
};

// Where its instance is registered: one heartbeat after another, then the signing off.
class Registration {
 public:
  explicit Registration(const Options& options) : options_(options) {
    constexpr std::string_view kScheme = "http://";
    const std::string_view url = options.daemon;
    const auto colon = url.rfind(':');
    const std::string_view port = url.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), port_);
    if (!url.starts_with(kScheme) || colon < kScheme.size() || error != std::errc{} ||
        end != port.data() + port.size()) {
      throw std::invalid_argument("--daemon wants http://HOST:PORT");
    }
    host_ = url.substr(kScheme.size(), colon - kScheme.size());
    incarnation_ = std::to_string(std::random_device{}());
  }

  // When the daemon wants the next one. An instance serves on without its daemon, so a failure is only reported.
  [[nodiscard]] std::chrono::milliseconds beat() {
    constexpr std::chrono::milliseconds kTryAgain{1'000};
    const nlohmann::json body{{"service", "api"},
                              {"instance", options_.instance},
                              {"version", options_.version},
                              {"incarnation", incarnation_},
                              {"sequence", ++sequence_}};
    const auto answer = call("POST", "/v1/heartbeats", body.dump());
    if (!answer) return kTryAgain;
    const auto json = nlohmann::json::parse(*answer, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.value("next_in_ms", nlohmann::json()).is_number_unsigned()) return kTryAgain;
    return std::chrono::milliseconds(json["next_in_ms"].get<std::uint32_t>());
  }

  [[nodiscard]] bool sign_off() {
    return call("DELETE", "/v1/services/api/instances/" + options_.instance, "").has_value();
  }

 private:
  std::optional<std::string> call(const std::string& method, const std::string& target, const std::string& body) {
    diastole::http::ClientRequest request{.method = method, .target = target, .headers = {}, .body = body};
    request.timeout = std::chrono::seconds(3);
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    const auto response = diastole::http::send(host_, port_, request);
    if (response && response->status / 100 == 2) return response->body;
    std::fprintf(stderr, "%s %s: %s\n", method.c_str(), target.c_str(),
                 response ? response->body.c_str() : response.error().message.c_str());
    return std::nullopt;
  }

  const Options& options_;
  std::string host_;
  std::uint16_t port_ = 0;
  std::string incarnation_;
  std::int64_t sequence_ = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  CLI::App app("One instance of the demonstration's application; the database is in the environment, DEMO_DSN.");
  app.add_option("--version", options.version, "1.0.0, 2.0.0 or 3.0.0")->required();
  app.add_option("--instance", options.instance, "its name in the fleet")->required();
  app.add_option("--daemon", options.daemon, "diastoled's URL")->required();
  app.add_option("--journal", options.journal, "prefix of the files it writes")->required();
  app.add_option("--rows", options.rows, "how many users there are")->required()->check(CLI::PositiveNumber);
  app.add_option("--slot", options.slot, "which part of the rows it writes, from 0");
  app.add_option("--slots", options.slots, "how many parts there are")->check(CLI::PositiveNumber);
  app.add_option("--workers", options.workers, "threads with a connection each")->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate, "operations a second, of all workers")->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

Release release_of(const std::string& version) {
  if (version == "1.0.0") return Release::v1;
  if (version == "2.0.0") return Release::v2;
  if (version == "3.0.0") return Release::v3;
  throw std::invalid_argument("there is no version " + version);
}

// Connected, and busy until asked to stop. One that loses its connection ends the whole process.
std::vector<std::jthread> start_workers(const Options& options, const std::string& dsn, Journal& journal) {
  const Load load{.release = release_of(options.version),
                  .dsn = dsn,
                  .rows = options.rows,
                  .shares = options.slots * options.workers,
                  .per_second = options.rate / options.workers};
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < options.workers; ++i) {
    auto worker = std::make_unique<Worker>(load, options.slot * options.workers + i, journal);
    threads.emplace_back([worker = std::move(worker)](const std::stop_token& stop) {
      if (!worker->run(stop)) ::kill(::getpid(), SIGTERM);
    });
  }
  return threads;
}

int run(const Options& options) {
  const char* dsn = std::getenv("DEMO_DSN");
  if (dsn == nullptr) throw std::invalid_argument("DEMO_DSN is not set");
  ::setenv("PGAPPNAME", ("api@" + options.version).c_str(), 1);

  // Blocked before any thread exists, so that only sigtimedwait below takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Journal journal(options.journal);
  Registration registration(options);
  // Known to the daemon before it touches the database: otherwise a contract could begin under it.
  auto next = registration.beat();
  {
    const auto workers = start_workers(options, dsn, journal);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) {
      const timespec wait{.tv_sec = next.count() / 1'000, .tv_nsec = next.count() % 1'000 * 1'000'000};
      if (sigtimedwait(&signals, nullptr, &wait) > 0) break;
      next = registration.beat();
    }
  }
  // Its sessions are closed: from here on it is really gone.
  const bool signed_off = registration.sign_off();
  std::puts(journal.summary().c_str());
  return journal.clean() && signed_off ? 0 : 1;
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  try {
    return demo::run(demo::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "demo_app: %s\n", error.what());
    return 2;
  }
}
