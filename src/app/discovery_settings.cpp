#include "discovery_settings.hpp"

#include <string_view>

namespace diastole::app {
namespace {

discovery::ServiceSettings service_settings(const std::string& name, const config::Config::Service& service) {
  discovery::ServiceSettings out;
  out.service = ServiceName(name);
  out.fixed = service.fixed;
  out.file_sd = service.file_sd;
  out.dns_a = service.dns_a;
  out.dns_srv = service.dns_srv;
  if (!service.kubernetes_service.empty()) {
    out.kubernetes = discovery::KubernetesService{
        .space = service.kubernetes_namespace, .name = service.kubernetes_service, .port = service.kubernetes_port};
  }
  out.https = service.scheme == "https";
  out.path = service.path;
  out.pointer = service.pointer;
  out.interval = service.interval;
  out.timeout = service.timeout;
  out.ca_file = service.ca_file;
  out.cert_file = service.cert_file;
  out.key_file = service.key_file;
  out.server_name = service.server_name;
  return out;
}

// A token does not go out in clear: http is for a proxy that has its own.
discovery::KubernetesSettings kubernetes_settings(const config::Config::Kubernetes& kubernetes) {
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  discovery::KubernetesSettings out;
  out.https = kubernetes.api.starts_with(kHttps);
  if (const auto at = parse_host_port(kubernetes.api.substr((out.https ? kHttps : kHttp).size()))) out.api = *at;
  if (!out.https) return out;
  out.token_file = kubernetes.token_file;
  out.ca_file = kubernetes.ca_file;
  return out;
}

}  // namespace

discovery::DiscoverySettings discovery_settings(const config::Config& config) {
  discovery::DiscoverySettings settings;
  for (const auto& [name, service] : config.services) settings.services.push_back(service_settings(name, service));
  if (!config.kubernetes.api.empty()) settings.kubernetes = kubernetes_settings(config.kubernetes);
  settings.dns_servers = config.dns.servers;
  settings.polls_at_once = static_cast<std::size_t>(config.fleet.polls_at_once);
  settings.suspect_after = config.fleet.suspect_after;
  return settings;
}

}  // namespace diastole::app
