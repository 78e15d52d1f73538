// diastoled as its users run it: a configuration that says only what has no default, a plan over HTTP, its events.
#include <fmt/format.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "diastole/base/time.hpp"
#include "diastole/http/client.hpp"
#include "strategy.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace diastole::bench {
namespace {

using nlohmann::json;

constexpr std::string_view kToken = "benchmark-token-0123456789abcdef0123";

json plan_of(const std::string& name) {
  return {{"plan", name},
          {"target", "main"},
          {"fleet", json::array({{{"service", "api"},
                                  {"version", ">=1.0.0"},
                                  {"min_instances", 0},
                                  {"reason", "the load of a benchmark reports to nobody"}}})},
          {"backfill", json::array({{{"id", "copy-names"},
                                     {"table", "users"},
                                     {"set", {{"display_name", "name"}}},
                                     {"where", "display_name IS DISTINCT FROM name"},
                                     {"verify", "zero_rows"}}})},
          {"approvals", {{"expand", 0}, {"backfill", 0}, {"contract", 0}}}};
}

class Daemon {
 public:
  Daemon(const std::string& state_dsn, const std::string& target_dsn) {
    directory_.write("state.dsn", state_dsn);
    directory_.write("main.dsn", target_dsn);
    directory_.write("bench.token", std::string(kToken));
    const auto config = directory_.write("diastoled.yaml",
                                         "listen: { port: 0 }\n"
                                         "state: { dsn_file: state.dsn }\n"
                                         "targets: { main: { dsn_file: main.dsn } }\n"
                                         "tokens: [{ name: bench, role: admin, token_file: bench.token }]\n");
    process_.emplace(test::Command{{test::program("diastoled"), "--config", config.string()}});
    const auto line = process_->await_line([](const std::string& text) { return text.contains("\"ready\""); });
    const auto url = json::parse(line).at("url").get<std::string>();
    port_ = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() {
    process_->signal(SIGTERM);
    (void)process_->wait(std::chrono::milliseconds{15'000});
  }

  json call(const std::string& method, const std::string& target, const json& body = {}) const {
    http::ClientRequest request;
    request.method = method;
    request.target = target;
    request.headers = {{"Authorization", fmt::format("Bearer {}", kToken)}};
    if (!body.is_null()) {
      request.headers.emplace_back("Content-Type", "application/json");
      request.body = body.dump();
    }
    const auto response = http::send("127.0.0.1", port_, request);
    if (!response) throw std::runtime_error(response.error().message + log());
    if (response->status >= 300) throw std::runtime_error(method + " " + target + ": " + response->body);
    return json::parse(response->body);
  }

  [[nodiscard]] std::string log() const {
    constexpr std::size_t kTail = 3'000;
    const std::string all = process_->err();
    return "\nthe end of diastoled's log:\n" + all.substr(all.size() < kTail ? 0 : all.size() - kTail);
  }

 private:
  test::TemporaryDirectory directory_;
  std::optional<test::Process> process_;
  std::uint16_t port_ = 0;
};

// Wall time of this machine's daemon, on our own clock.
Clock::time_point moment(const json& event) {
  const auto at = parse_rfc3339(event.at("at").get_ref<const std::string&>());
  if (!at) throw std::runtime_error(at.error().message);
  return Clock::now() - std::chrono::duration_cast<Clock::duration>(std::chrono::system_clock::now() - *at);
}

class Ours : public Backfill {
 public:
  explicit Ours(const Database& database) : daemon_(database.state_dsn(), database.dsn()) {}

  Span run(const std::stop_token& stop) override {
    // A plan's name is used once, and the state database stays from run to run.
    static std::atomic<int> runs = 0;
    const auto name = fmt::format("bench-{}", ++runs);
    daemon_.call("POST", "/v1/plans", plan_of(name));
    const auto path = "/v1/plans/main." + name;
    json plan;
    do {
      if (stop.stop_requested()) throw std::runtime_error("interrupted");
      plan = daemon_.call("GET", path + "?until=backfilled&wait=2s");
      if (plan.at("condition") == "failed") throw std::runtime_error("the plan failed: " + plan.dump() + daemon_.log());
    } while (plan.at("stage") != "backfilled" && plan.at("stage") != "completed");
    return span_of_step(path);
  }

 private:
  // From the step's first beginning to its end, whatever came in between.
  [[nodiscard]] Span span_of_step(const std::string& path) const {
    std::optional<Clock::time_point> begin;
    std::int64_t after = 0;
    while (true) {
      const json page = daemon_.call("GET", fmt::format("{}/events?after={}", path, after)).at("events");
      if (page.empty()) throw std::runtime_error("the step's events do not say when it began and ended");
      for (const json& event : page) {
        after = event.at("id").get<std::int64_t>();
        if (event.at("kind") == "step_started" && !begin) begin = moment(event);
        if (event.at("kind") == "step_finished" && begin) return {*begin, moment(event)};
      }
    }
  }

  Daemon daemon_;
};

}  // namespace

std::unique_ptr<Backfill> prepare_ours(const Database& database) {
  return std::make_unique<Ours>(database);
}

}  // namespace diastole::bench
