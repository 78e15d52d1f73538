// diastoled as a process on the test cluster, and the calls that tests make of it. Everything it says, in its log or in
// an answer, is searched for secrets when it goes.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "diastole/http/client.hpp"
#include "support/postgres.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace diastole::test {

using nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Answer {
  int status = 0;
  json body;  // null where there is none
  std::map<std::string, std::string> headers;
};

// "planted" is in every secret and nowhere else, so that one search finds them all.
inline std::string token_of(const std::string& who) {
  return who + "-planted-token-0123456789abcdef";
}
inline const std::vector<std::string>& roles() {
  static const std::vector<std::string> kRoles{"ci", "operator", "instance", "viewer", "admin"};
  return kRoles;
}

class Daemon {
 public:
  // YAML values by top-level key, in place of the quick defaults below.
  using Sections = std::map<std::string, std::string>;

  explicit Daemon(Sections sections = {}, std::vector<std::string> environment = {})
      : environment_(std::move(environment)) {
    directory_.write("state.dsn", state_dsn_ + " password=planted-password");
    directory_.write("main.dsn", main_dsn_ + " password=planted-password");
    directory_.write("away.dsn",
                     "host=/planted-directory user=planted-user dbname=planted-db password=planted-password");
    sections.merge(Sections{{"listen", "{ port: 0 }"},
                            {"state", "{ dsn_file: state.dsn }"},
                            {"targets", "{ main: { dsn_file: main.dsn }, away: { dsn_file: away.dsn } }"},
                            {"fleet", "{ heartbeat: 1s, suspect_after: 1s }"},
                            {"gate", "{ soak: 0s }"},
                            {"execution", "{ lock_timeout: 100ms, lock_retry_max: 200ms, lock_attempts: 1000 }"},
                            {"preflight", "{ long_transaction: 1s }"},
                            {"log", "{ level: debug }"}});
    std::string text;
    for (const auto& [key, value] : sections) text += fmt::format("{}: {}\n", key, value);
    text += "tokens:\n";
    for (const auto& role : roles()) {
      directory_.write(role + ".token", token_of(role) + "\n");
      text += fmt::format("  - {{ name: the-{0}, role: {0}, token_file: {0}.token }}\n", role);
    }
    config_ = directory_.write("diastoled.yaml", text);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() {
    end(SIGKILL);
    for (const auto& secret : {std::string("planted"), socket_directory()}) {
      const auto found = seen_.find(secret);
      EXPECT_EQ(found, std::string::npos) << "a secret shows: " << seen_.substr(found < 200 ? 0 : found - 200, 400);
    }
  }

  // Returns when it is ready to serve; throws with what it said where it is not.
  Daemon& start() {
    process_ = std::make_unique<Process>(Command{{program("diastoled"), "--config", config_.string()}, environment_});
    const auto line = process_->await_line([](const std::string& text) { return text.contains("\"ready\""); });
    const auto url = json::parse(line).at("url").get<std::string>();
    port_ = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    return *this;
  }

  // The exit status; 128 + n where a signal ended it, nothing where it goes on for longer than 10 s.
  std::optional<int> end(int number = SIGTERM) {
    if (!process_) return std::nullopt;
    process_->signal(number);
    const auto status = process_->wait(milliseconds{10'000});
    keep(process_->err() + process_->out());
    if (status) process_.reset();
    return status;
  }

  [[nodiscard]] const std::filesystem::path& config() const { return config_; }
  [[nodiscard]] const TemporaryDirectory& directory() const { return directory_; }
  [[nodiscard]] const std::string& state_dsn() const { return state_dsn_; }
  [[nodiscard]] const std::string& main_dsn() const { return main_dsn_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return fmt::format("http://127.0.0.1:{}", port()); }
  [[nodiscard]] Process& process() { return *process_; }
  // All that it has ever said, answers included.
  [[nodiscard]] std::string seen() const {
    const std::scoped_lock lock(seen_mutex_);
    return seen_ + (process_ ? process_->err() : "");
  }

  // Any request, without a token unless `headers` has one. Throws where no answer comes.
  Answer send(const std::string& method, const std::string& target, const std::string& body = {},
              Headers headers = {}) {
    const auto response =
        http::send("127.0.0.1", port_, {method, target, std::move(headers), body, milliseconds{60'000}});
    if (!response) throw std::runtime_error(response.error().message);
    keep(response->body);
    const auto type = response->headers.find("content-type");
    const bool plain = type != response->headers.end() && type->second.starts_with("text/");
    return {response->status,
            plain ? json(response->body) : json::parse(response->body.empty() ? "null" : response->body),
            response->headers};
  }
  // `who` is a role; each has one token.
  Answer call(const std::string& who, const std::string& method, const std::string& target, const json& body = {},
              Headers headers = {}) {
    headers.emplace_back("Authorization", "Bearer " + token_of(who));
    if (!body.is_null()) headers.emplace_back("Content-Type", "application/json");
    return send(method, target, body.is_null() ? "" : body.dump(), std::move(headers));
  }
  Answer get(const std::string& target) { return call("viewer", "GET", target); }
  Answer submit(const json& plan) { return call("ci", "POST", "/v1/plans", plan); }
  // pause, resume, retry or abort.
  Answer tell(const std::string& plan, const std::string& verb) {
    return call("operator", "POST", fmt::format("/v1/plans/main.{}/{}", plan, verb), json::object());
  }
  Answer heartbeat(const json& body) { return call("instance", "POST", "/v1/heartbeats", body); }

  // Long-polls for at most 30 s; the plan as it is then. Ends early where the plan has failed.
  json until(const std::string& plan, const std::string& stage) {
    return get(fmt::format("/v1/plans/main.{}?until={}&wait=30s", plan, stage)).body;
  }
  // Submits, and waits for the stage.
  json run(const json& plan, const std::string& stage = "completed") {
    const auto submitted = submit(plan);
    EXPECT_EQ(submitted.status, 201) << submitted.body;
    return until(plan.at("plan"), stage);
  }

  // The first event of the plan after `after` that is wanted, awaited over the event stream for at most 30 s.
  json await_event(const std::string& plan, const std::function<bool(const json&)>& wanted, std::int64_t after = 0) {
    std::string pending;
    json found;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    const auto on_data = [&](std::string_view piece) {
      pending += piece;
      keep(piece);
      for (auto end = pending.find('\n'); found.is_null() && end != std::string::npos; end = pending.find('\n')) {
        if (pending.starts_with("data: ")) {
          if (auto event = json::parse(pending.substr(6, end - 6)); wanted(event)) found = std::move(event);
        }
        pending.erase(0, end + 1);
      }
      return found.is_null() && std::chrono::steady_clock::now() < deadline;
    };
    const Headers headers{{"Authorization", "Bearer " + token_of("viewer")}, {"Accept", "text/event-stream"}};
    const auto target = fmt::format("/v1/plans/main.{}/events?after={}", plan, after);
    const auto streamed = http::stream("127.0.0.1", port_, {"GET", target, headers, "", milliseconds{30'000}}, on_data);
    if (!found.is_null()) return found;
    throw std::runtime_error((streamed ? "no such event" : streamed.error().message) + "; it said:\n" + seen());
  }
  json await_event(const std::string& plan, const std::string& kind, std::int64_t after = 0) {
    return await_event(plan, [&](const json& event) { return event.at("kind") == kind; }, after);
  }
  // Waits for a reason of the kind in the plan's list of what it waits for.
  json await_reason(const std::string& plan, const std::string& kind) {
    json reason;
    await_event(plan, [&](const json& event) {
      for (const auto& one : event.value("reasons", json::array())) {
        if (one.at("kind") == kind) reason = one;
      }
      return !reason.is_null();
    });
    return reason;
  }

 private:
  void keep(std::string_view said) {
    const std::scoped_lock lock(seen_mutex_);
    seen_ += said;
  }
  [[nodiscard]] static std::string socket_directory() {
    const auto dsn = cluster().dsn();
    return dsn.substr(dsn.find('=') + 1, dsn.find(' ') - dsn.find('=') - 1);
  }

  const std::string state_dsn_ = fresh_database();
  const std::string main_dsn_ = fresh_database();
  std::vector<std::string> environment_;
  TemporaryDirectory directory_;
  std::filesystem::path config_;
  std::unique_ptr<Process> process_;
  std::atomic<std::uint16_t> port_ = 0;  // which a second thread may report to
  mutable std::mutex seen_mutex_;        // a second thread may report meanwhile
  std::string seen_;
};

}  // namespace diastole::test
