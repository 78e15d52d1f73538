// The two programs' command lines: what they print, and the statuses they end with.
#include <fstream>

#include "support/daemon.hpp"
#include "support/plans.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

struct Ended {
  int status = -1;
  std::string out;
  std::string err;
};

Ended run(Command command) {
  Process process(std::move(command));
  const auto status = process.wait(milliseconds{60'000});
  return {status.value_or(-1), process.out(), process.err()};
}

constexpr const char* kPlan = R"(plan: people
target: main
fleet:
  - { service: api, version: ">=2.0.0" }
approvals: { contract: 1 }
expand:
  - id: column
    sql: ALTER TABLE people ADD COLUMN nick text
    undo: ALTER TABLE people DROP COLUMN IF EXISTS nick
backfill:
  - id: copy
    table: people
    set: { nick: name }
    where: nick IS NULL
    verify: zero_rows
contract:
  - id: drop
    sql: ALTER TABLE people DROP COLUMN name
    undo: { none: what is dropped stays dropped }
)";

class CommandLineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>();
    daemon_->start();
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(daemon_->end(), 0);
    daemon_.reset();
  }

  // As who holds that role's token.
  static Ended diastole(const std::string& role, std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.begin(), program("diastole"));
    return run(
        {std::move(arguments), {"DIASTOLE_SERVER=" + daemon_->url(), "DIASTOLE_TOKEN=" + token_of(role)}, input});
  }
  static void expect(const Ended& ended, int status, const std::string& out, const std::string& err = {}) {
    EXPECT_EQ(ended.status, status) << ended.out << ended.err;
    EXPECT_TRUE(ended.out.contains(out)) << "no '" << out << "' in: " << ended.out;
    EXPECT_TRUE(ended.err.contains(err)) << "no '" << err << "' in: " << ended.err;
    if (status == 0) EXPECT_EQ(ended.err, "");
    if (err.empty()) return;
    EXPECT_EQ(ended.out, "") << "complaints go to standard error";
  }

  static inline std::unique_ptr<Daemon> daemon_;
  TemporaryDirectory files_;
};

TEST_F(CommandLineTest, TakesAPlanFromItsFileToItsEnd) {
  make_people(daemon_->main_dsn(), "people", 10);
  const auto file = files_.write("people.yaml", kPlan).string();
  expect(diastole("ci", {"list"}), 0, "no plans");
  expect(diastole("ci", {"check", file}), 0,
         "main.people\n  column: ACCESS EXCLUSIVE on people\n  copy: in batches over people\n");
  expect(diastole("viewer", {"show", "main.people"}), 1, "", "there is no plan main.people");
  expect(diastole("ci", {"submit", file}), 0, "main.people\n");
  expect(diastole("ci", {"submit", file}), 0, "main.people\n");
  expect(diastole("ci", {"list"}), 0, "main.people");
  expect(diastole("ci", {"wait", "main.people", "--until", "backfilled", "--timeout", "30s"}), 0,
         "main.people is backfilled");
  expect(diastole("ci", {"wait", "main.people", "--timeout", "200ms"}), 4, "approval_missing");
  expect(diastole("viewer", {"show", "main.people"}), 0, "ALTER TABLE people ADD COLUMN nick text");
  expect(diastole("viewer", {"gate", "main.people"}), 0, "too_few_instances");
  EXPECT_EQ(json::parse(diastole("viewer", {"--json", "gate", "main.people"}).out).at("state"), "collecting");
  expect(diastole("operator", {"pause", "main.people"}), 0, "main.people is paused");
  expect(diastole("operator", {"pause", "main.people"}), 1, "", "paused already");
  expect(diastole("operator", {"resume", "main.people"}), 0, "main.people is backfilled");
  expect(diastole("operator", {"retry", "main.people"}), 1, "", "nothing of it has failed");
  expect(diastole("viewer", {"approve", "main.people", "contract"}), 1, "", "role");
  expect(diastole("operator", {"approve", "main.people", "contract", "--note", "looks good"}), 0, "contract approved");
  EXPECT_EQ(daemon_->heartbeat({{"service", "api"}, {"instance", "old"}, {"version", "1.0.0"}}).status, 200);
  expect(diastole("viewer", {"services"}), 0, "1.0.0");
  expect(diastole("viewer", {"instances", "api"}), 0, "old");
  expect(diastole("operator", {"decommission", "api", "old", "--reason", "was never there"}), 0, "api old is gone");
  Process watch({{program("diastole"), "watch", "main.people"},
                 {"DIASTOLE_SERVER=" + daemon_->url(), "DIASTOLE_TOKEN=" + token_of("ci")}});
  watch.await_line([](const std::string& line) { return line.contains("contract approved by the-operator"); });
  json plan;
  do {
    daemon_->heartbeat({{"service", "api"}, {"instance", "new"}, {"version", "2.0.0"}});
    plan = daemon_->get("/v1/plans/main.people?until=completed&wait=300ms").body;
  } while (plan.at("stage") != "completed" && plan.at("state") != "failed");
  EXPECT_EQ(plan.at("stage"), "completed") << plan;
  EXPECT_EQ(watch.wait(), 0);
  EXPECT_TRUE(watch.out().ends_with("contract is done\n")) << watch.out();
  expect(diastole("operator", {"abort", "main.people", "--reason", "late"}), 1, "", "it is over");
}

TEST_F(CommandLineTest, PacesABackfill) {
  make_people(daemon_->main_dsn(), "paced", 10);
  auto plan = rename("paced", "paced");
  plan["approvals"] = {{"expand", 1}};
  ASSERT_EQ(daemon_->submit(plan).status, 201);
  expect(diastole("operator", {"pace", "main.paced"}), 2, "", "say what to change");
  expect(diastole("operator", {"pace", "main.paced", "--pause", "--resume"}), 2, "", "--resume");
  expect(diastole("operator", {"pace", "main.paced", "--batch-rows", "0"}), 1, "", "/batch_rows: expected a number");
  expect(diastole("operator", {"pace", "main.paced", "--rows-per-second", "500", "--workers", "2", "--pause"}), 0,
         "copy: paused; at most 500 rows/s, 2 workers\n");
  expect(diastole("operator", {"pace", "main.paced", "--resume", "--batch-rows", "50", "--step", "copy"}), 0,
         "copy: at most 500 rows/s, batches of 50 rows, 2 workers\n");
  expect(diastole("viewer", {"show", "main.paced"}), 0, "pace set by the-operator: at most 500 rows/s");
  expect(diastole("operator", {"pace", "main.paced", "--reset", "--workers", "1"}), 0, "copy: at most 1 worker\n");
  expect(diastole("operator", {"pace", "main.paced", "--reset"}), 0, "copy: no bounds\n");
  expect(diastole("viewer", {"pace", "main.paced", "--reset"}), 1, "", "role");
  expect(diastole("operator", {"abort", "main.paced"}), 0, "main.paced");
}

TEST_F(CommandLineTest, AFailedPlanEndsAWaitAndIsAborted) {
  const std::string text = R"({"plan": "failing", "target": "main", "expand": [
    {"id": "a", "sql": "ALTER TABLE not_there ADD COLUMN a text", "undo": {"none": "x"}},
    {"id": "b", "sql": "SELECT 1/0", "undo": {"none": "x"}}]})";
  sql(daemon_->main_dsn(), "CREATE TABLE not_there ()");
  const auto file = files_.write("failing.json", text).string();
  expect(diastole("ci", {"submit", file}), 0, "main.failing");
  const auto waited = diastole("ci", {"wait", "main.failing", "--timeout", "30s"});
  expect(waited, 1, "division by zero (SQLSTATE 22012)");
  expect(diastole("operator", {"abort", "main.failing", "--reason", "no use"}), 0, "main.failing is");
  expect(diastole("ci", {"wait", "main.failing", "--until", "aborted", "--timeout", "30s"}), 0, "aborted");
}

TEST_F(CommandLineTest, ComplaintsNameFileAndLine) {
  const auto bad = files_
                       .write("bad.yaml",
                              "plan: bad\ntarget: main\nexpand:\n  - id: a\n    sql: CREATE INDEX i ON t (x)\n    "
                              "undo: { none: x }\n  - id: b\n    sqll: x\n")
                       .string();
  expect(diastole("ci", {"submit", bad}), 1, "", bad + ":8: /expand/1/sqll: ");
  const auto unsafe =
      files_
          .write(
              "unsafe.yaml",
              "plan: bad\ntarget: main\nexpand:\n  - id: a\n    sql: CREATE INDEX i ON t (x)\n    undo: { none: x }\n")
          .string();
  const auto refused = diastole("ci", {"check", unsafe});
  expect(refused, 1, "", unsafe + ":5: ");
  EXPECT_TRUE(refused.err.contains("    safe form: CREATE INDEX CONCURRENTLY i ON t (x)\n")) << refused.err;
  const auto broken = files_.write("broken.yaml", "plan: x\nexpand: [\n").string();
  expect(diastole("ci", {"submit", broken}), 2, "", broken + ": line ");
  expect(diastole("ci", {"submit", "/not/there.yaml"}), 2, "", "/not/there.yaml");
  expect(diastole("ci", {"check", "-"}, "plan: [\n"), 2, "", "-: line ");
}

TEST_F(CommandLineTest, StatusesTellWrongUsageFromNoAnswer) {
  expect(diastole("ci", {}), 2, "", "subcommand");
  expect(diastole("ci", {"submit"}), 2, "", "file");
  expect(diastole("ci", {"dance"}), 2, "", "subcommand");
  expect(diastole("ci", {"wait", "main.x", "--until", "soon"}), 2, "", "soon");
  expect(diastole("ci", {"wait", "main.x", "--timeout", "soon"}), 2, "", "soon");
  expect(diastole("ci", {"--server", "ftp://x", "list"}), 2, "", "ftp://x");
  expect(diastole("ci", {"--token-file", "/not/there", "list"}), 2, "", "/not/there");
  expect(diastole("ci", {"--version"}), 0, "diastole ");
  expect(diastole("ci", {"--help"}), 0, "submit");
  expect(diastole("nobody", {"list"}), 1, "", "token");
  // Port 1 of loopback: nobody is there.
  expect(diastole("ci", {"--server", "http://127.0.0.1:1", "list"}), 3, "", "127.0.0.1");
}

class DaemonCommandLineTest : public ::testing::Test {
 protected:
  static Ended diastoled(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("diastoled"));
    return run({std::move(arguments)});
  }
  // Checks the configuration with one line of it replaced, or a line added where `old` is empty.
  [[nodiscard]] Ended check(const std::string& old, const std::string& line) const {
    std::ifstream in(daemon_.config());
    std::string text(std::istreambuf_iterator<char>(in), {});
    const auto at = old.empty() ? text.size() : text.find(old);
    text.replace(at, old.size(), line);
    const auto file = daemon_.directory().write("changed.yaml", text);
    auto ended = diastoled({"--check-config", "--config", file.string()});
    // Where it stands now.
    const auto number = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    if (ended.status != 0) {
      EXPECT_TRUE(ended.err.contains(fmt::format("{}:{}: ", file.string(), number))) << ended.err;
    }
    EXPECT_FALSE(ended.err.contains("planted")) << ended.err;
    return ended;
  }

  const Daemon daemon_;  // not started: its files only
};

TEST_F(DaemonCommandLineTest, CheckConfigAcceptsAndStartsNothing) {
  const auto ended = diastoled({"--check-config", "--config", daemon_.config().string()});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.out, daemon_.config().string() + ": ok\n");
  EXPECT_EQ(sql(daemon_.state_dsn(), "SELECT to_regnamespace('diastole')"), "");
}

TEST_F(DaemonCommandLineTest, CheckConfigNamesTheLineOfWhatIsWrong) {
  const auto expect = [](const Ended& ended, const std::string& says) {
    EXPECT_EQ(ended.status, 2);
    EXPECT_TRUE(ended.err.contains(says)) << ended.err;
  };
  expect(check("", "lisen: { port: 1 }\n"), "did you mean listen?");
  expect(check("{ port: 0 }", "{ port: 70000 }"), "listen.port");
  expect(check("{ port: 0 }", "{ port: 0, port: 1 }"), "listen.port");
  expect(check("{ dsn_file: state.dsn }", "{ dsn_file: missing.dsn }"), "No such file");
  expect(check("role: ci", "role: king"), "king");
  expect(check("name: the-admin", "name: the-viewer"), "choose another");
  expect(check("{ soak: 0s }", "{ soak: soon }"), "gate.soak");
  expect(check("{ level: debug }", "{ level: [debug] }"), "log.level");
  expect(check("{ heartbeat: 1s, suspect_after: 1s }", "{ heartbeat: 1s, suspect_after: 100ms }"),
         "fleet.suspect_after");
}

TEST_F(DaemonCommandLineTest, WrongUsageIsTwo) {
  EXPECT_EQ(diastoled({}).status, 2);
  EXPECT_EQ(diastoled({"--dev", "--config", "x"}).status, 2);
  EXPECT_EQ(diastoled({"--no-such-option"}).status, 2);
  EXPECT_EQ(diastoled({"--config", "/not/there.yaml"}).status, 2);
  EXPECT_EQ(diastoled({"--dev", "--heartbeat", "soon"}).status, 2);
  EXPECT_TRUE(diastoled({"--version"}).out.starts_with("diastoled "));
}

TEST_F(DaemonCommandLineTest, TheExampleIsTheOneInTheSourceTree) {
  std::ifstream in(DIASTOLE_SOURCE_DIR "/config/diastoled.yaml");
  EXPECT_EQ(diastoled({"--config-example"}).out, std::string(std::istreambuf_iterator<char>(in), {}));
  EXPECT_TRUE(diastoled({"--config-reference"}).out.contains("| `listen.port` |"));
}

}  // namespace
}  // namespace diastole::test

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
