#include "services.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

namespace diastole::config {
namespace {

constexpr const char* kOwnNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
constexpr std::string_view kLabelCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-";

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

bool is_address(const std::string& host) {
  in6_addr out{};
  return inet_pton(AF_INET, host.c_str(), &out) == 1 || inet_pton(AF_INET6, host.c_str(), &out) == 1;
}

// A DNS label, as names of Kubernetes are.
bool is_label(std::string_view text) {
  return text.size() <= 63 && text.find_first_not_of(kLabelCharacters) == text.npos;
}

bool is_dns_name(std::string_view text) {
  return text.size() <= 253 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == text.npos;
}

// RFC 6901, without the empty one, which is the whole document; ~ only as ~0 and ~1.
bool is_pointer(std::string_view text) {
  if (!text.starts_with('/')) return false;
  for (std::size_t at = text.find('~'); at != text.npos; at = text.find('~', at + 1)) {
    if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
  }
  return true;
}

bool is_request_path(std::string_view text) {
  return text.starts_with('/') && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '#'; });
}

std::string own_cluster() {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) return {};
  const bool v6 = std::string_view(host).contains(':');
  return fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

class ServiceReader {
 public:
  ServiceReader(Draft& draft, const std::function<int(const std::string&)>& line, std::filesystem::path directory,
                Problems& problems)
      : draft_(draft), line_(line), directory_(std::move(directory)), problems_(problems) {}

  void read(Draft::Service& entry) {
    prefix_ = "services." + entry.name + ".";
    at_ = entry.line;
    read_sources(entry);
    read_kubernetes_service(entry.value);
    read_tls(entry);
    check_request(entry.value);
    draft_.config.services[entry.name] = std::move(entry.value);
  }

  void read_kubernetes(bool needed) {
    Config::Kubernetes& kubernetes = draft_.config.kubernetes;
    prefix_ = "kubernetes.";
    at_ = 1;
    kubernetes.token_file = directory_ / draft_.kubernetes_token_file;
    kubernetes.ca_file = directory_ / draft_.kubernetes_ca_file;
    if (!kubernetes.api.empty()) return check_api(kubernetes.api);
    if (!needed) return;
    kubernetes.api = own_cluster();
    if (!kubernetes.api.empty()) return check_api(kubernetes.api);
    complain("api", "is not said, and KUBERNETES_SERVICE_HOST is not in the environment; write https://HOST:PORT");
  }

  void read_dns() {
    prefix_ = "dns.";
    for (const std::string& server : words_of(draft_.config.dns.servers)) {
      const Result<HostPort> at = parse_host_port(server);
      if (at && is_address(at->host)) continue;
      complain("servers", fmt::format("'{}' is not ADDRESS:PORT, write one such as 127.0.0.1:53", server));
    }
  }

 private:
  void complain(const std::string& key, const std::string& what) {
    problems_.add(std::max(line_(prefix_ + key), at_), prefix_ + key, what);
  }

  std::optional<HostPort> host_port(const std::string& key, const std::string& text) {
    Result<HostPort> at = parse_host_port(text);
    if (at) return std::move(*at);
    complain(key, at.error().message);
    return std::nullopt;
  }

  void read_sources(Draft::Service& entry) {
    Config::Service& value = entry.value;
    for (const std::string& word : words_of(entry.fixed)) {
      auto at = host_port("static", word);
      const bool again = at && std::ranges::find(value.fixed, *at) != value.fixed.end();
      if (again) complain("static", fmt::format("names {} twice, keep one", word));
      if (at) value.fixed.push_back(std::move(*at));
    }
    if (!entry.file_sd.empty()) value.file_sd = directory_ / entry.file_sd;
    if (!entry.dns_a.empty()) value.dns_a = host_port("dns_a", entry.dns_a);
    if (value.dns_a && is_address(value.dns_a->host)) complain("dns_a", "is an address, write it under static");
    if (!value.dns_srv.empty() && !is_dns_name(value.dns_srv)) {
      complain("dns_srv", fmt::format("'{}' is no name, write one such as _http._tcp.api.internal", value.dns_srv));
    }
    const bool none = entry.fixed.empty() && entry.file_sd.empty() && entry.dns_a.empty() && value.dns_srv.empty() &&
                      value.kubernetes_service.empty();
    if (!none) return;
    problems_.add(at_, "services." + entry.name,
                  "does not say where its instances are, write static, file_sd, dns_a, dns_srv or kubernetes_service");
  }

  void read_kubernetes_service(Config::Service& value) {
    if (value.kubernetes_service.empty()) {
      for (const auto& [key, said] : {std::pair{"kubernetes_namespace", !value.kubernetes_namespace.empty()},
                                      std::pair{"kubernetes_port", !value.kubernetes_port.empty()}}) {
        if (said) complain(key, "means nothing without kubernetes_service, write that or remove the line");
      }
      return;
    }
    if (value.kubernetes_namespace.empty()) std::getline(std::ifstream(kOwnNamespace), value.kubernetes_namespace);
    if (value.kubernetes_namespace.empty()) {
      complain("kubernetes_namespace", "is not said, and diastoled does not run in a cluster; write it");
    }
    for (const auto& [key, name] : {std::pair{"kubernetes_service", &value.kubernetes_service},
                                    std::pair{"kubernetes_namespace", &value.kubernetes_namespace},
                                    std::pair{"kubernetes_port", &value.kubernetes_port}}) {
      if (!is_label(*name)) complain(key, fmt::format("'{}' is no name of Kubernetes, write a-z, 0-9 and -", *name));
    }
  }

  void read_tls(Draft::Service& entry) {
    Config::Service& value = entry.value;
    const bool https = value.scheme == "https";
    for (const auto& [key, text, place] : {std::tuple{"ca_file", &entry.ca_file, &value.ca_file},
                                           std::tuple{"cert_file", &entry.cert_file, &value.cert_file},
                                           std::tuple{"key_file", &entry.key_file, &value.key_file}}) {
      if (text->empty()) continue;
      *place = directory_ / *text;
      if (!https) complain(key, "means nothing without scheme: https, write that or remove the line");
      if (!std::ifstream(*place)) complain(key, fmt::format("cannot read {}", place->string()));
    }
    if (!value.server_name.empty() && !https) {
      complain("server_name", "means nothing without scheme: https, write that or remove the line");
    }
    if (value.cert_file.empty() != value.key_file.empty()) {
      complain(value.cert_file.empty() ? "key_file" : "cert_file", "needs the other of cert_file and key_file");
    }
    if (value.key_file.empty()) return;
    if (const Result<Secret> key = Secret::from_file(value.key_file); !key) complain("key_file", key.error().message);
  }

  void check_request(const Config::Service& value) {
    if (!is_request_path(value.path)) complain("path", "is no path, write one that begins with / and has no spaces");
    if (!is_pointer(value.pointer)) {
      complain("pointer", "is no JSON pointer, write one such as /version or /app/version");
    }
    // Between two answers an instance must not fall silent, even where one poll takes its whole time.
    const Milliseconds suspect_after = draft_.config.fleet.suspect_after;
    if (value.interval + value.timeout < suspect_after) return;
    complain("interval", fmt::format("is, with the timeout of {}, not less than fleet.suspect_after ({}), so that "
                                     "instances would be unknown between two polls; lower it or raise that",
                                     format_duration(value.timeout), format_duration(suspect_after)));
  }

  void check_api(const std::string& api) {
    const bool https = api.starts_with("https://");
    const std::size_t scheme = https ? 8 : 7;
    const Result<HostPort> at =
        https || api.starts_with("http://") ? parse_host_port(api.substr(scheme)) : parse_host_port({});
    if (!at) return complain("api", fmt::format("'{}' is no API server, write https://HOST:PORT", api));
    if (https || at->host == "127.0.0.1" || at->host == "::1" || at->host == "localhost") return;
    complain("api", "would send the token in clear; write https://HOST:PORT");
  }

  Draft& draft_;
  const std::function<int(const std::string&)>& line_;
  std::filesystem::path directory_;
  Problems& problems_;
  std::string prefix_;
  int at_ = 1;  // where the section stands, for what is missing
};

}  // namespace

void read_services(Draft& draft, const std::function<int(const std::string&)>& line,
                   const std::filesystem::path& directory, Problems& problems) {
  ServiceReader reader(draft, line, directory, problems);
  const bool kubernetes = std::ranges::any_of(
      draft.services, [](const Draft::Service& entry) { return !entry.value.kubernetes_service.empty(); });
  for (Draft::Service& entry : draft.services) reader.read(entry);
  reader.read_kubernetes(kubernetes);
  reader.read_dns();
}

}  // namespace diastole::config
