#include "keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace diastole::config {
namespace {

template <typename... Cases>
struct PlaceVisitor : Cases... {
  using Cases::operator()...;
};

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kMiB = 1024 * 1024;

// The file's order, too: the keys of a section stand together.
constexpr Key kKeys[] = {
    {"listen.address", [](Draft& d) -> std::string& { return d.config.listen.address; },
     "The IP address of the API. It speaks plain HTTP: put a TLS proxy in front of anything but loopback."},
    {"listen.port", [](Draft& d) -> int& { return d.config.listen.port; }, "Its TCP port; 0 takes any free one.", 0,
     65535},

    {.path = "state.dsn_file",
     .place = [](Draft& d) -> std::string& { return d.state.file; },
     .help = "File with the libpq connection string of the daemon's own database; not readable by every user.",
     .example = "state.dsn"},
    {.path = "state.dsn_env",
     .place = [](Draft& d) -> std::string& { return d.state.env; },
     .help = "Instead: the environment variable that holds it.",
     .example = "DIASTOLE_STATE_DSN",
     .optional = true},

    {.path = "targets.*.dsn_file",
     .place = [](Draft& d) -> std::string& { return d.targets.back().dsn.file; },
     .help = "File with the connection string of a database that plans may name; the name is [a-z0-9-], at most 63.",
     .example = "main.dsn"},
    {.path = "targets.*.dsn_env",
     .place = [](Draft& d) -> std::string& { return d.targets.back().dsn.env; },
     .help = "Instead: the environment variable that holds it.",
     .example = "DIASTOLE_MAIN_DSN",
     .optional = true},

    {.path = "targets.*.disk",
     .place = [](Draft& d) -> std::string& { return d.targets.back().disk; },
     .help = "Where it runs on this machine: a directory on the filesystem that it grows on, whose free space "
             "backfill.disk_free_mib guards.",
     .example = "/var/lib/postgresql",
     .optional = true},
    {.path = "targets.*.replicas_file",
     .place = [](Draft& d) -> std::string& { return d.targets.back().replicas; },
     .help = "File with the connection strings of its read replicas, one a line: the gate looks for old sessions there "
             "as well; not readable by every user, and # begins a comment.",
     .example = "main.replicas",
     .optional = true},
    {.path = "targets.*.tools",
     .place = [](Draft& d) -> std::string& { return d.targets.back().tools; },
     .help = "Sessions that are no application's and do not concern the gate, separated by commas: role=NAME or "
             "application_name=NAME.",
     .example = "role=backup, application_name=pg_dump",
     .optional = true},

    {.path = "tokens[].name",
     .place = [](Draft& d) -> std::string& { return d.tokens.back().name; },
     .help = "Who acts with this bearer token, as the audit log names them; unique.",
     .example = "pipeline"},
    {.path = "tokens[].role",
     .place = [](Draft& d) -> std::string& { return d.tokens.back().role; },
     .help = "What they may do.",
     .choices = "ci operator instance viewer admin",
     .example = "ci"},
    {.path = "tokens[].token_file",
     .place = [](Draft& d) -> std::string& { return d.tokens.back().token.file; },
     .help = "File with the token: at least 32 printable characters without spaces (openssl rand -hex 32).",
     .example = "pipeline.token"},
    {.path = "tokens[].token_env",
     .place = [](Draft& d) -> std::string& { return d.tokens.back().token.env; },
     .help = "Instead: the environment variable that holds it.",
     .example = "DIASTOLE_PIPELINE_TOKEN",
     .optional = true},

    {"approvals.by_submitter", [](Draft& d) -> bool& { return d.config.approvals.by_submitter; },
     "Whether whoever submitted a plan may also approve it."},
    {"approvals.min_contract", [](Draft& d) -> int& { return d.config.approvals.min_contract; },
     "How many approvals a plan must ask for before contract, at the least.", 0, 10},

    {"analysis.require_table_schema", [](Draft& d) -> bool& { return d.config.analysis.require_table_schema; },
     "Warn of tables that a plan names without their schema (rule require-table-schema)."},

    {"fleet.heartbeat", [](Draft& d) -> Milliseconds& { return d.config.fleet.heartbeat; },
     "How often an instance is asked to report.", kSecond, kHour},
    {"fleet.suspect_after", [](Draft& d) -> Milliseconds& { return d.config.fleet.suspect_after; },
     "An instance silent for this long is unknown, and blocks the gate.", kSecond, kDay},
    {"fleet.max_rate", [](Draft& d) -> int& { return d.config.fleet.max_rate; },
     "Heartbeats a second in all: a fleet that would send more is asked to report less often, and may be silent for "
     "four of the longer intervals.",
     1, 1'000'000},
    {"fleet.polls_at_once", [](Draft& d) -> int& { return d.config.fleet.polls_at_once; },
     "How many instances are asked for their version at the same time, at the most.", 1, 4096},

    {.path = "services.*.static",
     .place = [](Draft& d) -> std::string& { return d.services.back().fixed; },
     .help = "The instances of a service that diastoled asks for their version: HOST:PORT, separated by spaces. This "
             "and the next four say where they are; each service has at least one of the five.",
     .example = "app1:8080 app2:8080",
     .optional = true},
    {.path = "services.*.file_sd",
     .place = [](Draft& d) -> std::string& { return d.services.back().file_sd; },
     .help = "A Prometheus file_sd file, JSON or YAML, that lists them; read anew when it changes.",
     .example = "api.json",
     .optional = true},
    {.path = "services.*.dns_a",
     .place = [](Draft& d) -> std::string& { return d.services.back().dns_a; },
     .help = "NAME:PORT: each address that DNS has for the name is one (A records; AAAA where there are none).",
     .example = "api.internal:8080",
     .optional = true},
    {.path = "services.*.dns_srv",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.dns_srv; },
     .help = "A name whose SRV records say the host and port of each.",
     .example = "_http._tcp.api.internal",
     .optional = true},
    {.path = "services.*.kubernetes_service",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.kubernetes_service; },
     .help = "A Service of Kubernetes whose EndpointSlices list them.",
     .example = "api",
     .optional = true},
    {.path = "services.*.kubernetes_namespace",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.kubernetes_namespace; },
     .help = "Its namespace; not said: the one that diastoled itself runs in.",
     .example = "production",
     .optional = true},
    {.path = "services.*.kubernetes_port",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.kubernetes_port; },
     .help = "The name or number of the port to ask at; not said: the Service's only port.",
     .example = "http",
     .optional = true},
    {.path = "services.*.scheme",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.scheme; },
     .help = "How they are asked.",
     .choices = "http https",
     .optional = true},
    {.path = "services.*.path",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.path; },
     .help = "The path that answers 200 with JSON.",
     .optional = true},
    {.path = "services.*.pointer",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.pointer; },
     .help = "Where in that JSON the version is, as a JSON pointer.",
     .optional = true},
    {.path = "services.*.interval",
     .place = [](Draft& d) -> Milliseconds& { return d.services.back().value.interval; },
     .help = "How often each is asked, and DNS too.",
     .min = 100,
     .max = kHour,
     .optional = true},
    {.path = "services.*.timeout",
     .place = [](Draft& d) -> Milliseconds& { return d.services.back().value.timeout; },
     .help = "How long an answer may take.",
     .min = 10,
     .max = kMinute,
     .optional = true},
    {.path = "services.*.ca_file",
     .place = [](Draft& d) -> std::string& { return d.services.back().ca_file; },
     .help = "With https: the certificates to trust (PEM); not said: the system's.",
     .example = "api-ca.pem",
     .optional = true},
    {.path = "services.*.cert_file",
     .place = [](Draft& d) -> std::string& { return d.services.back().cert_file; },
     .help = "With https: the certificate (PEM) that diastoled shows; needs key_file.",
     .example = "diastoled.pem",
     .optional = true},
    {.path = "services.*.key_file",
     .place = [](Draft& d) -> std::string& { return d.services.back().key_file; },
     .help = "Its private key (PEM); not readable by every user.",
     .example = "diastoled.key",
     .optional = true},
    {.path = "services.*.server_name",
     .place = [](Draft& d) -> std::string& { return d.services.back().value.server_name; },
     .help = "With https: the name that their certificates must bear; not said: the host that is asked.",
     .example = "api.internal",
     .optional = true},

    {.path = "kubernetes.api",
     .place = [](Draft& d) -> std::string& { return d.config.kubernetes.api; },
     .help =
         "The API server, https://HOST:PORT; not said: the one of the cluster that diastoled runs in. http is taken "
         "only of loopback (kubectl proxy).",
     .example = "https://10.0.0.1:6443",
     .optional = true},
    {.path = "kubernetes.token_file",
     .place = [](Draft& d) -> std::string& { return d.kubernetes_token_file; },
     .help = "The bearer token for it, read anew for each request.",
     .optional = true},
    {.path = "kubernetes.ca_file",
     .place = [](Draft& d) -> std::string& { return d.kubernetes_ca_file; },
     .help = "The certificates to trust there (PEM).",
     .optional = true},

    {.path = "dns.servers",
     .place = [](Draft& d) -> std::string& { return d.config.dns.servers; },
     .help = "The DNS servers to ask, ADDRESS:PORT, separated by spaces; not said: those of /etc/resolv.conf.",
     .example = "127.0.0.1:8600",
     .optional = true},

    {"gate.soak", [](Draft& d) -> Milliseconds& { return d.config.gate.soak; },
     "How long the gate's conditions must hold unbroken, for plans that do not say.", 0, 30 * kDay},
    {"gate.min_soak", [](Draft& d) -> Milliseconds& { return d.config.gate.min_soak; }, "A plan may not ask for less.",
     0, 30 * kDay},
    {"gate.provable_after", [](Draft& d) -> Milliseconds& { return d.config.gate.provable_after; },
     "Silent for this long, at least twice fleet.suspect_after, an instance may be proven gone by the database.",
     kSecond, 30 * kDay},
    {"gate.drain_budget", [](Draft& d) -> Milliseconds& { return d.config.gate.drain_budget; },
     "How long sessions of old code may take to end once the fence is up, for plans that do not say; then the gate "
     "falls back.",
     kSecond, kDay},
    {"gate.override_lasts", [](Draft& d) -> Milliseconds& { return d.config.gate.override_lasts; },
     "How long an override that two people have made has effect.", kMinute, 7 * kDay},
    {"gate.scan_every", [](Draft& d) -> Milliseconds& { return d.config.gate.scan_every; },
     "How often the sessions of a target are looked at while a plan has a gate to pass.", 100, 20 * kSecond},

    {"execution.lock_timeout", [](Draft& d) -> Milliseconds& { return d.config.execution.lock_timeout; },
     "How long a statement may wait for its lock; everyone behind it waits as long.", 10, 10 * kSecond},
    {"execution.lock_attempts", [](Draft& d) -> int& { return d.config.execution.lock_attempts; },
     "How often it is tried before the step fails.", 1, 1000},
    {"execution.lock_retry_max", [](Draft& d) -> Milliseconds& { return d.config.execution.lock_retry_max; },
     "The longest pause between two attempts; pauses grow up to it.", 10, 10 * kMinute},
    {"execution.statement_timeout", [](Draft& d) -> Milliseconds& { return d.config.execution.statement_timeout; },
     "How long a statement that blocks others may run; a batch too.", 100, kDay},
    {"execution.long_statement_timeout",
     [](Draft& d) -> Milliseconds& { return d.config.execution.long_statement_timeout; },
     "How long CONCURRENTLY, VALIDATE CONSTRAINT and the verification of a backfill may run.", kMinute, 30 * kDay},
    {"execution.workers", [](Draft& d) -> int& { return d.config.execution.workers; },
     "How many plans may act at the same time.", 1, 64},

    {"preflight.long_transaction", [](Draft& d) -> Milliseconds& { return d.config.preflight.long_transaction; },
     "A transaction older than this on a table concerned blocks the phase.", kSecond, kDay},

    {"backfill.batch_rows", [](Draft& d) -> int& { return d.config.backfill.batch_rows; },
     "The size of the first batch, for plans that do not say.", 1, 1'000'000},
    {"backfill.min_rows", [](Draft& d) -> int& { return d.config.backfill.min_rows; }, "The smallest batch.", 1,
     1'000'000},
    {"backfill.max_rows", [](Draft& d) -> int& { return d.config.backfill.max_rows; }, "The largest batch.", 1,
     1'000'000},
    {"backfill.batch_target", [](Draft& d) -> Milliseconds& { return d.config.backfill.batch_target; },
     "How long a batch should take: an application's write waits for it at worst. Batches grow and shrink towards it.",
     1, 10 * kSecond},
    {"backfill.lock_timeout", [](Draft& d) -> Milliseconds& { return d.config.backfill.lock_timeout; },
     "How long a batch may wait for a row's lock.", 10, 10 * kSecond},
    {"backfill.max_passes", [](Draft& d) -> int& { return d.config.backfill.max_passes; },
     "How often the table is gone through until its verification finds nothing.", 1, 100},
    {"backfill.lock_wait", [](Draft& d) -> Milliseconds& { return d.config.backfill.lock_wait; },
     "How long another session may have waited for a batch's lock. This and what follows make a backfill slow down as "
     "it "
     "comes near, and hold beyond it; 0 switches a signal off.",
     0, kMinute},
    {"backfill.probe_limit", [](Draft& d) -> Milliseconds& { return d.config.backfill.probe_limit; },
     "How long a plan's probe may take, by the median of the last five.", 0, 10 * kSecond},
    {"backfill.replica_lag", [](Draft& d) -> Milliseconds& { return d.config.backfill.replica_lag; },
     "How far a physical standby's replay may lag in time.", 0, kDay},
    {"backfill.replica_mib", [](Draft& d) -> int& { return d.config.backfill.replica_mib; },
     "How many MiB of WAL it may lag.", 0, kMiB},
    {"backfill.replica_gone", [](Draft& d) -> Milliseconds& { return d.config.backfill.replica_gone; },
     "How long a standby that leaves during a backfill is waited for; one with a slot, as long as the slot is there.",
     0, kDay},
    {.path = "backfill.ignore_standbys",
     .place = [](Draft& d) -> std::string& { return d.config.backfill.ignore_standbys; },
     .help =
         "The application_names, separated by spaces, of standbys that do not count: one that is delayed on purpose.",
     .example = "delayed1 delayed2",
     .optional = true},
    {"backfill.unarchived_mib", [](Draft& d) -> int& { return d.config.backfill.unarchived_mib; },
     "How many MiB of WAL may wait to be archived.", 0, kMiB},
    {"backfill.yield_to_vacuum", [](Draft& d) -> bool& { return d.config.backfill.yield_to_vacuum; },
     "Whether a backfill slows down beside a vacuum of its table, and holds for one that prevents wraparound."},
    {"backfill.checkpoint_gap", [](Draft& d) -> Milliseconds& { return d.config.backfill.checkpoint_gap; },
     "A backfill slows down, to a quarter at most, where WAL forces checkpoints closer together than this.", 0, kHour},
    {"backfill.disk_free_mib", [](Draft& d) -> int& { return d.config.backfill.disk_free_mib; },
     "How many MiB must be free where the target names its disk.", 0, kMiB},

    {"limits.header_bytes", [](Draft& d) -> int& { return d.config.limits.header_bytes; },
     "The largest request header.", 1024, kMiB},
    {"limits.plan_bytes", [](Draft& d) -> int& { return d.config.limits.plan_bytes; }, "The largest plan.", 1024,
     64 * kMiB},
    {"limits.heartbeat_bytes", [](Draft& d) -> int& { return d.config.limits.heartbeat_bytes; },
     "The largest heartbeat.", 256, kMiB},
    {"limits.batch_bytes", [](Draft& d) -> int& { return d.config.limits.batch_bytes; },
     "The largest batch of heartbeats.", 1024, 64 * kMiB},
    {"limits.header_time", [](Draft& d) -> Milliseconds& { return d.config.limits.header_time; },
     "How long a client may take to send a header.", 100, 10 * kMinute},
    {"limits.body_time", [](Draft& d) -> Milliseconds& { return d.config.limits.body_time; },
     "How long it may take to send a body.", 100, 10 * kMinute},
    {"limits.idle_time", [](Draft& d) -> Milliseconds& { return d.config.limits.idle_time; },
     "How long a connection may stay open without a request.", 100, kHour},
    {"limits.connections", [](Draft& d) -> int& { return d.config.limits.connections; },
     "How many clients may be connected.", 1, 65536},
    {"limits.waiters", [](Draft& d) -> int& { return d.config.limits.waiters; },
     "How many of them may wait in long polls and event streams.", 1, 65536},
    {"limits.threads", [](Draft& d) -> int& { return d.config.limits.threads; },
     "How many requests may use the database at the same time.", 1, 64},

    {.path = "log.format",
     .place = [](Draft& d) -> std::string& { return d.config.log.format; },
     .help = "One JSON object a line, or text for people.",
     .choices = "json text"},
    {.path = "log.level",
     .place = [](Draft& d) -> std::string& { return d.config.log.level; },
     .help = "The least that is logged.",
     .choices = "debug info warning error"},
};

std::vector<std::string> choices_of(const Key& key) {
  std::vector<std::string> result;
  std::string_view rest = key.choices;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    result.emplace_back(word);
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  return result;
}

bool is_choice(const Key& key, const std::string& scalar) {
  const std::vector<std::string> choices = choices_of(key);
  return std::ranges::find(choices, scalar) != choices.end();
}

std::unexpected<Error> refused(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

std::unexpected<Error> out_of_range(const Key& key, const std::string& scalar) {
  return refused(fmt::format("{} is out of range, write {}", scalar, range_text(key)));
}

Result<void> store_text(const Key& key, const std::string& scalar, std::string& place) {
  if (scalar.empty()) return refused("is empty, write a value or remove the line");
  if (!key.choices.empty() && !is_choice(key, scalar)) {
    return refused(fmt::format("'{}' is not known, write {}", scalar, range_text(key)));
  }
  place = scalar;
  return {};
}

Result<void> store_number(const Key& key, const std::string& scalar, int& place) {
  int value = 0;
  const auto [end, error] = std::from_chars(scalar.data(), scalar.data() + scalar.size(), value);
  if (error == std::errc::result_out_of_range) return out_of_range(key, scalar);
  if (error != std::errc{} || end != scalar.data() + scalar.size()) {
    return refused(fmt::format("'{}' is not a whole number, write {}", scalar, range_text(key)));
  }
  if (value < key.min || value > key.max) return out_of_range(key, scalar);
  place = value;
  return {};
}

Result<void> store_duration(const Key& key, const std::string& scalar, Milliseconds& place) {
  const Result<Milliseconds> value = parse_duration(scalar);
  if (!value) return std::unexpected(value.error());
  if (value->count() < key.min || value->count() > key.max) return out_of_range(key, scalar);
  place = *value;
  return {};
}

Result<void> store_flag(const std::string& scalar, bool& place) {
  if (scalar != "true" && scalar != "false")
    return refused(fmt::format("'{}' is neither, write true or false", scalar));
  place = scalar == "true";
  return {};
}

}  // namespace

std::span<const Key> keys() {
  return kKeys;
}

std::string default_text(const Key& key) {
  Draft draft;
  draft.targets.emplace_back();
  draft.services.emplace_back();
  draft.tokens.emplace_back();
  return value_text(key, draft);
}

std::string_view type_name(const Key& key) {
  constexpr std::array<std::string_view, 4> kNames{"text", "integer", "true or false", "duration"};
  return kNames.at(key.place.index());
}

std::string range_text(const Key& key) {
  if (std::holds_alternative<int& (*)(Draft&)>(key.place)) return fmt::format("{} to {}", key.min, key.max);
  if (std::holds_alternative<Milliseconds& (*)(Draft&)>(key.place)) {
    return fmt::format("{} to {}", format_duration(Milliseconds{key.min}), format_duration(Milliseconds{key.max}));
  }
  const std::vector<std::string> choices = choices_of(key);
  if (choices.empty()) return {};
  return fmt::format("{} or {}", fmt::join(choices.begin(), choices.end() - 1, ", "), choices.back());
}

std::string value_text(const Key& key, Draft& draft) {
  return std::visit(PlaceVisitor{[&](std::string& (*place)(Draft&)) { return place(draft); },
                                 [&](int& (*place)(Draft&)) { return fmt::to_string(place(draft)); },
                                 [&](bool& (*place)(Draft&)) { return fmt::to_string(place(draft)); },
                                 [&](Milliseconds& (*place)(Draft&)) { return format_duration(place(draft)); }},
                    key.place);
}

Result<void> store(const Key& key, const std::string& scalar, Draft& draft) {
  return std::visit(
      PlaceVisitor{[&](std::string& (*place)(Draft&)) { return store_text(key, scalar, place(draft)); },
                   [&](int& (*place)(Draft&)) { return store_number(key, scalar, place(draft)); },
                   [&](bool& (*place)(Draft&)) { return store_flag(scalar, place(draft)); },
                   [&](Milliseconds& (*place)(Draft&)) { return store_duration(key, scalar, place(draft)); }},
      key.place);
}

}  // namespace diastole::config
