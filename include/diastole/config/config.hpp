// The daemon's configuration: a YAML file in, plain values out. Every key is defined once, in the table of
// src/config/keys.cpp: reading, validation, the reference and the example file come from it. The defaults are the
// members' initializers.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diastole/base/host_port.hpp"
#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::config {

// A DSN or a token. Has no operator<< and no conversion: whoever wants the text says so.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  // Without the newline at the end. invalid_argument, never with the contents: cannot be read, readable by every user,
  // empty.
  [[nodiscard]] static Result<Secret> from_file(const std::filesystem::path& path);
  [[nodiscard]] static Result<Secret> from_environment(const std::string& variable);

  [[nodiscard]] const std::string& reveal() const { return value_; }

 private:
  std::string value_;
};

struct Token {
  std::string name;  // who acts: shows in the audit log; unique
  std::string role;  // ci, operator, instance, viewer or admin
  Secret secret;
};

// Sizes in bytes.
struct Config {
  struct Listen {
    std::string address = "127.0.0.1";
    int port = 8433;
  } listen;

  Secret state_dsn;
  struct Target {
    Secret dsn;
    std::filesystem::path disk;  // a place on the filesystem that it grows on; empty: not on this machine
    std::vector<Secret> replicas = {};
    std::vector<core::Tool> tools = {};
  };
  std::map<std::string, Target> targets;  // by name
  std::vector<Token> tokens;

  struct Approvals {
    bool by_submitter = false;
    int min_contract = 0;
  } approvals;

  struct Analysis {
    bool require_table_schema = false;
  } analysis;

  struct Fleet {
    Milliseconds heartbeat{10'000};
    Milliseconds suspect_after{40'000};
    int max_rate = 5000;
    int polls_at_once = 128;
  } fleet;

  // A service whose instances are asked for their version. At least one of the first five is said.
  struct Service {
    std::vector<HostPort> fixed;    // static
    std::filesystem::path file_sd;  // empty: none, as the texts that follow
    std::optional<HostPort> dns_a;
    std::string dns_srv;
    std::string kubernetes_service;
    std::string kubernetes_namespace;  // said wherever kubernetes_service is
    std::string kubernetes_port;       // its name or number; empty: the slice's only one
    std::string scheme = "http";       // http or https
    std::string path = "/version";
    std::string pointer = "/version";
    Milliseconds interval{10'000};
    Milliseconds timeout{2'000};
    std::filesystem::path ca_file;
    std::filesystem::path cert_file;
    std::filesystem::path key_file;
    std::string server_name;
  };
  std::map<std::string, Service> services;  // by name

  struct Kubernetes {
    std::string api;  // https://HOST:PORT; empty only where no service needs it
    std::filesystem::path token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    std::filesystem::path ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
  } kubernetes;

  struct Dns {
    std::string servers;  // ADDRESS:PORT, separated by spaces; empty: what /etc/resolv.conf says
  } dns;

  struct Gate {
    Milliseconds soak{600'000};
    Milliseconds min_soak{0};
    Milliseconds provable_after{900'000};
    Milliseconds drain_budget{600'000};
    Milliseconds override_lasts{3'600'000};
    Milliseconds scan_every{5'000};
  } gate;

  struct Execution {
    Milliseconds lock_timeout{500};
    int lock_attempts = 30;
    Milliseconds lock_retry_max{10'000};
    Milliseconds statement_timeout{60'000};
    Milliseconds long_statement_timeout{86'400'000};
    int workers = 4;
  } execution;

  struct Preflight {
    Milliseconds long_transaction{300'000};
  } preflight;

  struct Backfill {
    int batch_rows = 1000;
    int min_rows = 10;
    int max_rows = 10'000;
    Milliseconds batch_target{7};
    Milliseconds lock_timeout{100};
    int max_passes = 3;
    // The limits of the throttle's signals; 0 switches one off.
    Milliseconds lock_wait{250};
    Milliseconds probe_limit{100};
    Milliseconds replica_lag{10'000};
    int replica_mib = 256;
    Milliseconds replica_gone{300'000};
    std::string ignore_standbys = {};  // names, separated by spaces
    int unarchived_mib = 1024;
    bool yield_to_vacuum = true;
    Milliseconds checkpoint_gap{10'000};
    int disk_free_mib = 2048;
  } backfill;

  struct Limits {
    int header_bytes = 8192;
    int plan_bytes = 1'048'576;
    int heartbeat_bytes = 4096;
    int batch_bytes = 1'048'576;
    Milliseconds header_time{10'000};
    Milliseconds body_time{30'000};
    Milliseconds idle_time{60'000};
    int connections = 1024;
    int waiters = 256;
    int threads = 4;
  } limits;

  struct Log {
    std::string format = "json";  // json or text
    std::string level = "info";   // debug, info, warning or error
  } log;
};

// Secrets are read too; a relative path of theirs is meant from the file's own directory. invalid_argument with every
// error that was found, one a line, in the file's order: "FILE:LINE: key: reason, what to do".
[[nodiscard]] Result<Config> load(const std::filesystem::path& path);
// `name` stands for the file in errors and for its directory.
[[nodiscard]] Result<Config> parse(const std::string& text, const std::string& name);

// A Markdown table of all keys.
[[nodiscard]] std::string reference();
// A configuration file that says the defaults, with comments: config/diastoled.yaml.
[[nodiscard]] std::string example();

}  // namespace diastole::config
