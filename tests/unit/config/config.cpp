#include "diastole/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "keys.hpp"

namespace diastole::config {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTokenText = "0123456789abcdef0123456789abcdef";

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A directory with the files that a configuration names.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string path = (fs::temp_directory_path() / "diastole-config-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = path;
    write("state.dsn", "host=db dbname=state password=hunter2\n");
    write("main.dsn", "host=db dbname=main\n");
    write("pipeline.token", std::string(kTokenText) + "\n");
  }
  ~ConfigTest() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    fs::permissions(directory_ / name, fs::perms::owner_read | fs::perms::owner_write);
  }
  // Errors name the file as "f.yaml".
  [[nodiscard]] std::string error_of(const std::string& text) const {
    const Result<Config> config = parse(text, file());
    if (config) return "no error";
    std::string message = config.error().message;
    const std::string prefix = directory_.string() + "/";
    for (std::size_t at; (at = message.find(prefix)) != std::string::npos;) message.erase(at, prefix.size());
    return message;
  }
  [[nodiscard]] std::string file() const { return (directory_ / "f.yaml").string(); }

  // A complete configuration, 8 lines long; what follows begins at line 9.
  const std::string minimal_ =
      "state:\n  dsn_file: state.dsn\n"
      "targets:\n  main: {dsn_file: main.dsn}\n"
      "tokens:\n  - name: pipeline\n    role: ci\n    token_file: pipeline.token\n";
  fs::path directory_;
};

TEST_F(ConfigTest, ReadsSecretsFromFilesBesideIt) {
  const Result<Config> config = parse(minimal_, file());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->state_dsn.reveal(), "host=db dbname=state password=hunter2");
  EXPECT_EQ(config->targets.at("main").dsn.reveal(), "host=db dbname=main");
  ASSERT_EQ(config->tokens.size(), 1U);
  EXPECT_EQ(config->tokens[0].name, "pipeline");
  EXPECT_EQ(config->tokens[0].role, "ci");
  EXPECT_EQ(config->tokens[0].secret.reveal(), kTokenText);
  EXPECT_EQ(config->listen.port, 8433);
}

TEST_F(ConfigTest, ReadsSecretsFromTheEnvironment) {
  setenv("DIASTOLE_TEST_DSN", "dbname=from_env", 1);
  unsetenv("DIASTOLE_TEST_UNSET");
  const std::string text = minimal_.substr(minimal_.find("targets"));
  const Result<Config> config = parse("state: {dsn_env: DIASTOLE_TEST_DSN}\n" + text, file());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->state_dsn.reveal(), "dbname=from_env");
  EXPECT_EQ(error_of("state: {dsn_env: DIASTOLE_TEST_UNSET}\n" + text),
            "f.yaml:1: state.dsn_env: the environment variable DIASTOLE_TEST_UNSET is not set");
}

TEST_F(ConfigTest, ReadsEveryKind) {
  const Result<Config> config = parse(minimal_ +
                                          "listen: {address: '::1', port: 0}\n"
                                          "approvals: {by_submitter: true}\n"
                                          "gate: {soak: 1h30m, min_soak: PT10M}\n"
                                          "execution:\n  lock_timeout: 250ms\n"
                                          "log: {format: text, level: debug}\n"
                                          "backfill:\n",
                                      file());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen.address, "::1");
  EXPECT_EQ(config->listen.port, 0);
  EXPECT_TRUE(config->approvals.by_submitter);
  EXPECT_EQ(config->gate.soak, std::chrono::minutes(90));
  EXPECT_EQ(config->gate.min_soak, std::chrono::minutes(10));
  EXPECT_EQ(config->execution.lock_timeout, Milliseconds(250));
  EXPECT_EQ(config->log.format, "text");
  EXPECT_EQ(config->log.level, "debug");
}

// What is wrong in a line added to the minimal configuration, and what the daemon says.
struct Refusal {
  const char* name;
  const char* text;
  const char* error;
};

class ConfigRefusalTest : public ConfigTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(ConfigRefusalTest, SaysWhereWhyAndWhatToDo) {
  EXPECT_EQ(error_of(minimal_ + GetParam().text), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, ConfigRefusalTest,
    ::testing::Values(
        Refusal{"Typo", "listen:\n  prot: 1\n", "f.yaml:10: listen.prot: is not known; did you mean port?"},
        Refusal{"SectionTypo", "lisetn:\n  port: 1\n", "f.yaml:9: lisetn: is not known; did you mean listen?"},
        Refusal{"Misplaced", "max_passes: 1\n",
                "f.yaml:9: max_passes: is not known; did you mean backfill.max_passes?"},
        Refusal{"Strange", "log:\n  destination: x\n",
                "f.yaml:10: log.destination: is not known; known here: format, level"},
        Refusal{"TablesOwnWildcard", "\"tokens[]\":\n  name: x\n",
                "f.yaml:9: tokens[]: is not known; did you mean tokens?"},
        Refusal{"Duplicate", "log:\n  level: info\n  level: debug\n",
                "f.yaml:11: log.level: is there already, at line 10; keep one"},
        Refusal{"DuplicateSection", "state:\n  dsn_file: other\n",
                "f.yaml:9: state: is there already, at line 1; keep one"},
        Refusal{"NotANumber", "listen:\n  port: http\n",
                "f.yaml:10: listen.port: 'http' is not a whole number, write 0 to 65535"},
        Refusal{"Fraction", "listen:\n  port: 1.5\n",
                "f.yaml:10: listen.port: '1.5' is not a whole number, write 0 to 65535"},
        Refusal{"TooLarge", "listen:\n  port: 65536\n",
                "f.yaml:10: listen.port: 65536 is out of range, write 0 to 65535"},
        Refusal{"FarTooLarge", "listen:\n  port: 99999999999\n",
                "f.yaml:10: listen.port: 99999999999 is out of range, write 0 to 65535"},
        Refusal{"TooShort", "execution:\n  lock_timeout: 9ms\n",
                "f.yaml:10: execution.lock_timeout: 9ms is out of range, write 10ms to 10s"},
        Refusal{"NoUnit", "gate:\n  soak: 10\n",
                "f.yaml:10: gate.soak: '10' is not a duration; write 250ms, 10s, 10m, 24h, 7d, 1h30m or PT10M"},
        Refusal{"NoFlag", "approvals:\n  by_submitter: yes\n",
                "f.yaml:10: approvals.by_submitter: 'yes' is neither, write true or false"},
        Refusal{"NoChoice", "log:\n  format: xml\n", "f.yaml:10: log.format: 'xml' is not known, write json or text"},
        Refusal{"NoValue", "listen:\n  port:\n", "f.yaml:10: listen.port: has no value, write integer: 0 to 65535"},
        Refusal{"NestedValue", "listen:\n  address: [a]\n",
                "f.yaml:10: listen.address: must be a single value, write text"},
        Refusal{"ScalarSection", "listen: 80\n",
                "f.yaml:9: listen: must hold keys and values, write them indented below it"},
        Refusal{
            "NoAddress", "listen:\n  address: localhost\n",
            "f.yaml:10: listen.address: 'localhost' is not an IP address, write 127.0.0.1, 0.0.0.0, ::1 or one of this "
            "machine's"},
        Refusal{"Contradiction", "gate:\n  soak: 1m\n  min_soak: 2m\n",
                "f.yaml:11: gate.min_soak: is more than gate.soak, lower it or raise gate.soak"},
        Refusal{"NoSource", "services:\n  api:\n    path: /v\n",
                "f.yaml:10: services.api: does not say where its instances are, write static, file_sd, dns_a, dns_srv "
                "or kubernetes_service"},
        Refusal{"ServiceName", "services:\n  Api: {static: \"a:1\"}\n",
                "f.yaml:10: services.Api: is not a name, write 1 to 63 of a-z, 0-9 and -"},
        Refusal{"StaticWithoutPort", "services:\n  api:\n    static: a:1 b\n",
                "f.yaml:11: services.api.static: 'b' is not HOST:PORT, write one such as app1:8080, 10.0.0.7:8080 or "
                "[fd00::7]:8080"},
        Refusal{"AddressForDns", "services:\n  api:\n    dns_a: 10.0.0.1:80\n",
                "f.yaml:11: services.api.dns_a: is an address, write it under static"},
        Refusal{"StaticTwice", "services:\n  api:\n    static: a:1 a:1\n",
                "f.yaml:11: services.api.static: names a:1 twice, keep one"},
        Refusal{"SlowPolls", "services:\n  api:\n    static: a:1\n    interval: 38s\n",
                "f.yaml:12: services.api.interval: is, with the timeout of 2s, not less than fleet.suspect_after "
                "(40s), so that instances would be unknown between two polls; lower it or raise that"},
        Refusal{"Pointer", "services:\n  api:\n    static: a:1\n    pointer: version\n",
                "f.yaml:12: services.api.pointer: is no JSON pointer, write one such as /version or /app/version"},
        Refusal{"Path", "services:\n  api:\n    static: a:1\n    path: \"/a b\"\n",
                "f.yaml:12: services.api.path: is no path, write one that begins with / and has no spaces"},
        Refusal{"TlsWithoutHttps", "services:\n  api:\n    static: a:1\n    server_name: x\n",
                "f.yaml:12: services.api.server_name: means nothing without scheme: https, write that or remove the "
                "line"},
        Refusal{"HalfACertificate", "services:\n  api:\n    static: a:1\n    scheme: https\n    cert_file: main.dsn\n",
                "f.yaml:13: services.api.cert_file: needs the other of cert_file and key_file"},
        Refusal{"AbsentCa", "services:\n  api:\n    static: a:1\n    scheme: https\n    ca_file: absent.pem\n",
                "f.yaml:13: services.api.ca_file: cannot read absent.pem"},
        Refusal{"NoCluster", "services:\n  api:\n    kubernetes_service: api\n    kubernetes_namespace: x\n",
                "f.yaml:1: kubernetes.api: is not said, and KUBERNETES_SERVICE_HOST is not in the environment; write "
                "https://HOST:PORT"},
        Refusal{"NoNamespace",
                "services:\n  api:\n    kubernetes_service: api\nkubernetes:\n  api: https://10.0.0.1:6443\n",
                "f.yaml:10: services.api.kubernetes_namespace: is not said, and diastoled does not run in a cluster; "
                "write it"},
        Refusal{"TokenInClear", "kubernetes:\n  api: http://10.0.0.1:80\n",
                "f.yaml:10: kubernetes.api: would send the token in clear; write https://HOST:PORT"},
        Refusal{"NoPortOfKubernetes", "kubernetes:\n  api: https://10.0.0.1\n",
                "f.yaml:10: kubernetes.api: 'https://10.0.0.1' is no API server, write https://HOST:PORT"},
        Refusal{"DnsServer", "dns:\n  servers: 127.0.0.1:53 resolver:53\n",
                "f.yaml:10: dns.servers: 'resolver:53' is not ADDRESS:PORT, write one such as 127.0.0.1:53"},
        Refusal{"TwoInOrder", "log:\n  level: loud\nlisten:\n  port: -1\n",
                "f.yaml:10: log.level: 'loud' is not known, write debug, info, warning or error\n"
                "f.yaml:12: listen.port: -1 is out of range, write 0 to 65535"}),
    [](const auto& test) { return test.param.name; });

TEST_F(ConfigTest, ReadsServices) {
  write("ca.pem", "x");
  const Result<Config> config = parse(minimal_ +
                                          "services:\n"
                                          "  api: {static: 'app1:8080 [::1]:81', interval: 1s, pointer: /app~1/v}\n"
                                          "  web:\n"
                                          "    file_sd: web.json\n"
                                          "    dns_a: web.internal:80\n"
                                          "    dns_srv: _http._tcp.web.internal\n"
                                          "    kubernetes_service: web\n"
                                          "    kubernetes_namespace: prod\n"
                                          "    scheme: https\n"
                                          "    ca_file: ca.pem\n"
                                          "kubernetes: {api: 'https://[fd00::1]:6443', token_file: token}\n"
                                          "dns: {servers: '127.0.0.1:53 [::1]:53'}\n",
                                      file());
  ASSERT_TRUE(config) << config.error().message;
  const Config::Service& api = config->services.at("api");
  EXPECT_EQ(api.fixed, (std::vector<HostPort>{{"app1", 8080}, {"::1", 81}}));
  EXPECT_EQ(api.interval, Milliseconds(1000));
  EXPECT_EQ(api.path, "/version");
  EXPECT_EQ(api.pointer, "/app~1/v");
  const Config::Service& web = config->services.at("web");
  EXPECT_EQ(web.file_sd, directory_ / "web.json");
  EXPECT_EQ(web.dns_a, (HostPort{"web.internal", 80}));
  EXPECT_EQ(web.ca_file, directory_ / "ca.pem");
  EXPECT_EQ(config->kubernetes.token_file, directory_ / "token");
  EXPECT_EQ(config->kubernetes.ca_file, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
}

TEST_F(ConfigTest, TakesTheClusterThatItRunsIn) {
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const Result<Config> config =
      parse(minimal_ + "services: {api: {kubernetes_service: api, kubernetes_namespace: x}}\n", file());
  unsetenv("KUBERNETES_SERVICE_HOST");
  unsetenv("KUBERNETES_SERVICE_PORT");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->kubernetes.api, "https://10.96.0.1:443");
}

TEST_F(ConfigTest, RefusesWhatIsNotYaml) {
  EXPECT_THAT(error_of("listen:\n  port: [1\nlog: x\n"), HasSubstr("f.yaml:3: not valid YAML: "));
  EXPECT_THAT(error_of("- a\n"), HasSubstr("f.yaml:1: the file: must hold keys and values"));
  EXPECT_EQ(error_of(minimal_ + "---\nlog: {}\n"), "f.yaml:10: a second document begins, keep one");
  EXPECT_THAT(error_of("&a [*a]\n"), HasSubstr("f.yaml:1: the file: must hold keys and values"));
}

TEST_F(ConfigTest, SaysWhatIsMissing) {
  EXPECT_EQ(error_of(""),
            "f.yaml:1: state.dsn: is there not at all, write either state.dsn_file or state.dsn_env\n"
            "f.yaml:1: targets: there are none, so no plan could run; add at least one\n"
            "f.yaml:1: tokens: there are none, so nobody could use the API; add at least one");
  EXPECT_THAT(error_of("state: {dsn_file: state.dsn, dsn_env: X}\n"), HasSubstr("f.yaml:1: state.dsn: is there twice"));
}

TEST_F(ConfigTest, RefusesBadTargetNames) {
  const std::string text = "targets:\n  Main_1: {dsn_file: main.dsn}\n";
  EXPECT_THAT(error_of(text), HasSubstr("f.yaml:2: targets.Main_1: is not a name, write 1 to 63 of a-z, 0-9 and -"));
}

TEST_F(ConfigTest, ReadsReplicasAndTools) {
  write("main.replicas", "# near\nhost=r1 dbname=main\r\n\n  host=r2 dbname=main  \n#host=r3\n");
  const std::string begin = minimal_.substr(0, minimal_.find("{dsn_file: main.dsn}"));
  const std::string end = minimal_.substr(minimal_.find("tokens"));
  const Result<Config> config =
      parse(begin +
                "\n    dsn_file: main.dsn\n    replicas_file: main.replicas\n"
                "    tools: role=backup , application_name=pg_dump, application_name=psql = mine\n" +
                end,
            file());
  ASSERT_TRUE(config) << config.error().message;
  const auto& target = config->targets.at("main");
  ASSERT_EQ(target.replicas.size(), 2U);
  EXPECT_EQ(target.replicas[0].reveal(), "host=r1 dbname=main");
  EXPECT_EQ(target.replicas[1].reveal(), "host=r2 dbname=main");
  using By = core::Tool::By;
  EXPECT_EQ(target.tools, (std::vector<core::Tool>{{.by = By::role, .name = "backup"},
                                                   {.by = By::application_name, .name = "pg_dump"},
                                                   {.by = By::application_name, .name = "psql = mine"}}));
  const Result<Config> plain = parse(minimal_, file());
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->targets.at("main").replicas.empty());
  EXPECT_TRUE(plain->targets.at("main").tools.empty());
}

TEST_F(ConfigTest, RefusesBadReplicasAndTools) {
  const auto error = [&](const std::string& added) {
    std::string text = minimal_;
    text.replace(text.find("{dsn_file: main.dsn}"), 20, "\n    dsn_file: main.dsn\n    " + added);
    return error_of(text);
  };
  EXPECT_EQ(error("tools: 'role=backup, user=x'"),
            "f.yaml:6: targets.main.tools: entry 2 ('user=x') is not known, write role=NAME or application_name=NAME");
  EXPECT_EQ(error("tools: 'role='"),
            "f.yaml:6: targets.main.tools: entry 1 ('role=') is not known, write role=NAME or application_name=NAME");
  EXPECT_EQ(error("tools: 'backup,'"),
            "f.yaml:6: targets.main.tools: entry 1 ('backup') is not known, write role=NAME or application_name=NAME\n"
            "f.yaml:6: targets.main.tools: entry 2 ('') is not known, write role=NAME or application_name=NAME");
  EXPECT_EQ(error("replicas_file: absent"),
            "f.yaml:6: targets.main.replicas_file: cannot read absent: No such file or directory");
  write("main.replicas", "# none yet\n\n");
  EXPECT_EQ(
      error("replicas_file: main.replicas"),
      "f.yaml:6: targets.main.replicas_file: main.replicas has only comments, write a connection string a line or "
      "remove the key");
  write("main.replicas", "host=r1 password=hunter2\n");
  EXPECT_EQ(error("replicas_file: main.replicas"), "no error");
  fs::permissions(directory_ / "main.replicas", fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(error("replicas_file: main.replicas"),
            "f.yaml:6: targets.main.replicas_file: main.replicas is readable by every user, run chmod o-rwx on it");
}

TEST_F(ConfigTest, RefusesBadTokens) {
  write("short", "0123456789\n");
  write("spaced", "0123456789abcdef 0123456789abcdef\n");
  const std::string begin = minimal_ + "  - {name: other, role: viewer, token_file: ";
  EXPECT_THAT(error_of(begin + "short}\n"), HasSubstr("f.yaml:9: tokens[1].token: must be at least 32 printable"));
  EXPECT_THAT(error_of(begin + "spaced}\n"), HasSubstr("f.yaml:9: tokens[1].token: must be at least 32 printable"));
  EXPECT_EQ(error_of(begin + "pipeline.token}\n"),
            "f.yaml:9: tokens[1].token: is the same as that of pipeline, make another");
  write("good", std::string(40, 'x'));
  EXPECT_EQ(error_of(begin + "good}\n"), "no error");
  EXPECT_EQ(error_of(minimal_ + "  - {name: pipeline, role: viewer, token_file: good}\n"),
            "f.yaml:9: tokens[1].name: 'pipeline' is there already, choose another");
  EXPECT_EQ(error_of(minimal_ + "  - {name: x, role: root, token_file: good}\n"),
            "f.yaml:9: tokens[1].role: 'root' is not known, write ci, operator, instance, viewer or admin");
  EXPECT_EQ(error_of(minimal_ + "  - {name: x, token_file: good}\n"), "f.yaml:9: tokens[1].role: is missing, write it");
}

TEST_F(ConfigTest, RefusesASecretThatEveryoneCanRead) {
  fs::permissions(directory_ / "state.dsn", fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(error_of(minimal_), "f.yaml:2: state.dsn_file: state.dsn is readable by every user, run chmod o-rwx on it");
}

TEST_F(ConfigTest, RefusesAnEmptyOrAbsentSecret) {
  write("state.dsn", "\n");
  EXPECT_EQ(error_of(minimal_), "f.yaml:2: state.dsn_file: state.dsn is empty");
  fs::remove(directory_ / "state.dsn");
  EXPECT_EQ(error_of(minimal_), "f.yaml:2: state.dsn_file: cannot read state.dsn: No such file or directory");
}

TEST_F(ConfigTest, ErrorsNeverShowASecret) {
  write("pipeline.token", "hunter2");
  fs::permissions(directory_ / "state.dsn", fs::perms::others_read, fs::perm_options::add);
  EXPECT_THAT(error_of(minimal_), Not(HasSubstr("hunter2")));
}

TEST_F(ConfigTest, LoadsFilesOnly) {
  EXPECT_THAT(load(directory_ / "absent").error().message, HasSubstr("cannot read"));
  EXPECT_THAT(load(directory_).error().message, HasSubstr("cannot read"));
  write("f.yaml", minimal_);
  EXPECT_TRUE(load(file()));
}

TEST_F(ConfigTest, TheExampleSaysTheDefaults) {
  const Result<Config> config = parse(example(), file());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->targets.size(), 1U);
  Draft said{.config = *config, .state = {}, .targets = {{}}, .services = {{}}, .tokens = {{}}};
  for (const Key& key : keys()) EXPECT_EQ(value_text(key, said), default_text(key)) << key.path;
}

// Otherwise the example would be right only because it is not read.
TEST_F(ConfigTest, TheExampleIsRead) {
  std::string text = example();
  const std::string from = "port: 8433";
  text.replace(text.find(from), from.size(), "port: 1");
  EXPECT_EQ(parse(text, file())->listen.port, 1);
}

TEST(ConfigTableTest, DefaultsAreWithinTheirRange) {
  for (const Key& key : keys()) {
    if (default_text(key).empty()) continue;
    Draft draft;
    draft.targets.emplace_back();
    draft.services.emplace_back();
    const Result<void> stored = store(key, default_text(key), draft);
    EXPECT_TRUE(stored) << key.path << ": " << stored.error().message;
  }
}

TEST(ConfigTableTest, EveryKeyIsExplained) {
  for (const Key& key : keys()) {
    EXPECT_TRUE(key.help.ends_with('.') || key.help.ends_with(").")) << key.path;
    EXPECT_NE(default_text(key).empty(), key.example.empty()) << key.path << ": either a default or an example";
  }
}

TEST(ConfigDocumentTest, TheShippedFileIsTheExample) {
  EXPECT_EQ(contents(fs::path(DIASTOLE_SOURCE_DIR) / "config/diastoled.yaml"), example())
      << "write it anew with diastoled --config-example";
}

TEST(ConfigDocumentTest, TheReadmeHoldsTheReference) {
  const std::string readme = contents(fs::path(DIASTOLE_SOURCE_DIR) / "README.md");
  const std::string begin = "<!-- config:begin -->\n";
  const std::size_t from = readme.find(begin);
  const std::size_t to = readme.find("<!-- config:end -->");
  ASSERT_NE(from, std::string::npos) << "README.md has no line " << begin;
  ASSERT_NE(to, std::string::npos) << "README.md has no line <!-- config:end -->";
  ASSERT_LT(from, to);
  EXPECT_EQ(readme.substr(from + begin.size(), to - from - begin.size()), reference())
      << "write it anew with diastoled --config-reference";
}

}  // namespace
}  // namespace diastole::config
