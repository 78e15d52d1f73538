// What POST /v1/heartbeats costs: the daemon's server, API and registry, with authentication, against a bare Beast
// server that answers a constant. One server thread each, the same load tool, in turn.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "diastole/engine/floors.hpp"
#include "diastole/http/api.hpp"
#include "diastole/http/server.hpp"
#include "diastole/observability/log.hpp"
#include "heartbeats/bare.hpp"
#include "heartbeats/load.hpp"
#include "support/fake_plan_store.hpp"

namespace diastole::bench {
namespace {

constexpr int kRounds = 11;  // each times every way once, the order turned round in between
constexpr std::chrono::milliseconds kTime{400};
constexpr std::size_t kConnections = 32;
constexpr int kBatch = 100;
constexpr int kInstances = 10'000;
constexpr std::int64_t kFirstSequence = 1'000'000'000;  // all have ten digits, so that texts keep their length

class SystemClock final : public ports::Clock {
 public:
  [[nodiscard]] Now now() const override {
    return {std::chrono::floor<Milliseconds>(std::chrono::system_clock::now()),
            std::chrono::floor<Milliseconds>(std::chrono::steady_clock::now())};
  }
};

// The part of the daemon that a heartbeat meets, as app puts it together.
class Daemon {
 public:
  explicit Daemon(const std::string& token) {
    http::ApiSettings settings;
    // As many tokens as a company has, ours the last.
    for (const auto& other : {"ci", "operator", "viewer"})
      settings.principals.push_back({other, http::Role::viewer, codec::sha256(other + token)});
    settings.principals.push_back({"app", http::Role::instance, codec::sha256(token)});
    api_ = http::make_api({journal_, fleet_, reconciler_, floors_, lease_, clock_, {}}, std::move(settings));
    auto server = http::Server::listen({"127.0.0.1", 0}, {}, *api_, *log_);
    if (!server) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    server_->start();
  }
  ~Daemon() { server_->stop(std::chrono::milliseconds{0}); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  [[nodiscard]] std::uint64_t accepted() const { return fleet_.heartbeats().accepted; }

 private:
  SystemClock clock_;
  test::FakeLease lease_;
  test::FakePlanStore plans_;
  test::FakeFleetStore instances_;
  std::unique_ptr<ports::Log> log_ = observability::open_log(observability::LogFormat::json, ports::LogLevel::info);
  engine::Journal journal_{plans_, lease_, clock_, *log_};
  engine::FleetRegistry fleet_{instances_, clock_, {}};
  engine::Floors floors_;
  engine::Reconciler reconciler_{journal_, fleet_, {}, lease_, clock_, *log_, {}};
  std::unique_ptr<http::Handler> api_;
  std::unique_ptr<http::Server> server_;
};

// Requests of heartbeats that differ in instance and sequence, changed in place.
class Requests {
 public:
  // `pod` sets its instances apart: another's sequences would make them replays.
  Requests(const std::string& token, char pod, int batch) {
    const auto heartbeat = heartbeat_of(pod);
    std::string body = batch == 1 ? "" : "[";
    std::vector<std::size_t> offsets;
    for (int i = 0; i < batch; ++i) {
      if (i > 0) body += ',';
      offsets.push_back(body.size());
      body += heartbeat;
    }
    if (batch != 1) body += "]";
    text_ = fmt::format(
        "POST /v1/heartbeats HTTP/1.1\r\nHost: 127.0.0.1:8433\r\nUser-Agent: bench\r\nAuthorization: Bearer {}\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        token, body.size());
    for (const auto offset : offsets) {
      const auto at = text_.size() + offset;
      places_.emplace_back(at + heartbeat.find("00000"), at + heartbeat.find("1000000000"));
    }
    text_ += body;
  }
  const std::string& operator()() {
    for (const auto& [instance, sequence] : places_) {
      count_ = (count_ + 1) % kInstances;
      if (count_ == 0) ++sequence_;
      fmt::format_to(text_.begin() + static_cast<std::ptrdiff_t>(instance), "{:05}", count_);
      fmt::format_to(text_.begin() + static_cast<std::ptrdiff_t>(sequence), "{}", sequence_);
    }
    return text_;
  }
  [[nodiscard]] static std::string heartbeat_of(char pod) {
    return fmt::format(R"({{"service":"checkout","instance":"checkout-7c9d5b6f4{}-00000","version":"2026.11.3",)"
                       R"("incarnation":"4e6f1c0d-9a57-4d1c-8f25","sequence":1000000000}})",
                       pod);
  }

 private:
  std::string text_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;  // of instance and sequence
  int count_ = 0;
  std::int64_t sequence_ = kFirstSequence;
};

struct Way {
  std::string_view name;
  Load& load;
  Requests& requests;
  std::vector<double> per_second = {};  // requests; an entry a round
  std::vector<double> server_us = {};   // of processor time, a request

  void run() {
    const auto before = process_time();
    const auto result = load.run(std::ref(requests), kTime);
    const auto server = process_time() - before - result.processor;
    const auto count = static_cast<double>(result.requests);
    per_second.push_back(count / result.wall.count());
    server_us.push_back(server.count() * 1e6 / count);
  }
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Round by round, since both ran within the same moment.
double ratio(const std::vector<double>& ours, const std::vector<double>& other) {
  std::vector<double> all;
  for (std::size_t i = 0; i < ours.size(); ++i) all.push_back(ours[i] / other[i]);
  return median(std::move(all));
}

int run() {
  const std::string token = "f3a1c5d0e7b94f6a8c2d1e0f9b8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b";
  const BareServer bare;
  const Daemon daemon(token);
  Load to_bare(bare.port(), kConnections);
  Load to_daemon(daemon.port(), kConnections);
  Requests to_answer(token, 'a', 1);
  Requests singles(token, 'a', 1);
  Requests batches(token, 'b', kBatch);
  std::vector<Way> ways{{"bare Beast, single", to_bare, to_answer},
                        {"diastoled, single", to_daemon, singles},
                        {"diastoled, batches of 100", to_daemon, batches}};
  for (auto& way : ways) way.load.run(std::ref(way.requests), kTime);  // everybody has arrived
  const auto warm = daemon.accepted();
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) ways[round % 2 == 0 ? i : ways.size() - 1 - i].run();
  }
  fmt::print("a heartbeat has {} bytes; {} connections; {} accepted while measured\n",
             Requests::heartbeat_of('a').size(), kConnections, daemon.accepted() - warm);
  for (const auto& way : ways) {
    fmt::print("{:<28} {:>9.0f} requests/s {:>8.2f} us of the server's processor time each\n", way.name,
               median(way.per_second), median(way.server_us));
  }
  const auto& single = ways[1];
  const auto& batch = ways[2];
  fmt::print(
      "RESULT single_vs_bare={:.2f} single_vs_bare_cpu={:.2f} batch_vs_single={:.1f} batch_vs_single_cpu={:.1f} "
      "single_per_s={:.0f} batch_instances_per_s={:.0f}\n",
      ratio(single.per_second, ways[0].per_second), ratio(ways[0].server_us, single.server_us),
      kBatch * ratio(batch.per_second, single.per_second), kBatch * ratio(single.server_us, batch.server_us),
      median(single.per_second), kBatch * median(batch.per_second));
  return 0;
}

}  // namespace
}  // namespace diastole::bench

int main() {
  try {
    return diastole::bench::run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "heartbeats: {}\n", error.what());
    return 1;
  }
}
