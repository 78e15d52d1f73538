#include "loop.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "dns_source.hpp"
#include "file_source.hpp"

namespace diastole::discovery {
namespace {

constexpr Milliseconds kSettle{1'000};
constexpr const char* kStatic = "static";
constexpr const char* kFile = "file_sd";
constexpr const char* kAddresses = "dns_a";
constexpr const char* kServices = "dns_srv";
constexpr const char* kKubernetes = "kubernetes";

std::vector<std::string> sources_of(const ServiceSettings& service) {
  std::vector<std::string> names;
  if (!service.fixed.empty()) names.emplace_back(kStatic);
  if (!service.file_sd.empty()) names.emplace_back(kFile);
  if (service.dns_a) names.emplace_back(kAddresses);
  if (!service.dns_srv.empty()) names.emplace_back(kServices);
  if (service.kubernetes) names.emplace_back(kKubernetes);
  return names;
}

Question question_of(const ServiceSettings& service) {
  std::shared_ptr<Tls> tls;
  if (service.https) tls = std::make_shared<Tls>(TlsFiles{service.ca_file, service.cert_file, service.key_file});
  return {.path = service.path,
          .pointer = service.pointer,
          .interval = service.interval,
          .timeout = service.timeout,
          .tls = std::move(tls),
          .server_name = service.server_name};
}

}  // namespace

Loop::Loop(DiscoverySettings settings, Report report, const ports::Clock& clock, ports::Log& log)
    : settings_(std::move(settings)),
      report_(std::move(report)),
      clock_(clock),
      log_(log),
      resolver_(io_, settings_.dns_servers),
      kubernetes_(io_, resolver_, clock_, settings_.kubernetes, settings_.first_pause),
      poller_(io_, tasks_, resolver_, clock_, log_, settings_.polls_at_once, report_.polled) {
  for (const ServiceSettings& service : settings_.services) {
    const RosterSettings times{.suspect_after = settings_.suspect_after, .empty_for = settings_.empty_for};
    const auto tell = [this, name = service.service](const std::string& source, const std::vector<InstanceId>& all) {
      return report_.listed(name, source, all);
    };
    rosters_.try_emplace(service.service, service.service, sources_of(service), times, tell, clock_, log_);
    poller_.declare(service.service, question_of(service));
  }
}

Loop::~Loop() {
  stop();
}

// What ends because we stop is no failure of the source.
Sink Loop::sink(const ServiceName& service, const std::string& source) {
  Roster& roster = rosters_.at(service);
  return {.answered =
              [this, service, source, &roster](Listing listing) {
                if (tasks_.cancelled()) return;
                if (roster.answered(source, std::move(listing))) poller_.list(service, roster.endpoints());
              },
          .failed =
              [this, source, &roster](const std::string& error) {
                if (!tasks_.cancelled()) roster.failed(source, error);
              }};
}

void Loop::follow(const ServiceSettings& service) {
  const auto keep = [&](const char* source, auto begin) {
    Sink to = sink(service.service, source);
    tasks_.keep([to, begin] { return begin(to); }, to.failed);
  };
  if (!service.fixed.empty()) {
    Listing listing;
    for (const HostPort& at : service.fixed) listing.push_back(endpoint_at(at));
    sink(service.service, kStatic).answered(std::move(listing));
  }
  if (!service.file_sd.empty()) {
    keep(kFile,
         [this, &service](const Sink& to) { return follow_file(io_, service.file_sd, settings_.file_check, to); });
  }
  if (service.dns_a) {
    keep(kAddresses, [this, &service](const Sink& to) {
      return follow_addresses(io_, resolver_, *service.dns_a, service.interval, to);
    });
  }
  if (!service.dns_srv.empty()) {
    keep(kServices, [this, &service](const Sink& to) {
      return follow_services(io_, resolver_, service.dns_srv, service.interval, to);
    });
  }
  if (service.kubernetes) {
    keep(kKubernetes, [this, &service](const Sink& to) { return follow_slices(kubernetes_, *service.kubernetes, to); });
  }
}

Task<> Loop::settle() {
  while (!tasks_.cancelled()) {
    co_await pause(io_, kSettle);
    for (auto& [service, roster] : rosters_) {
      if (roster.settle()) poller_.list(service, roster.endpoints());
    }
  }
}

void Loop::start() {
  for (const ServiceSettings& service : settings_.services) follow(service);
  const auto complain = [this](const std::string& error) {
    log_.error("polling or discovery met a bug, and begins again", {{"error", error}});
  };
  tasks_.keep([this] { return poller_.run(); }, complain);
  tasks_.keep([this] { return settle(); }, complain);
  thread_ = std::thread([this] { io_.run(); });
}

void Loop::stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] { tasks_.cancel(); });
  thread_.join();
}

}  // namespace diastole::discovery
