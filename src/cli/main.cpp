// diastole: the command line for people and pipelines.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "client.hpp"
#include "diastole/base/time.hpp"
#include "diastole/codec/plan_codec.hpp"
#include "diastole/sql/analysis.hpp"
#include "show.hpp"

namespace {

using namespace diastole;
using namespace diastole::cli;
using nlohmann::json;

struct Arguments {
  std::string server = "http://127.0.0.1:8433";
  std::string token_file;
  bool as_json = false;
  std::string file;
  std::string plan;
  std::string phase;
  std::string step;
  std::string text;  // a note or a reason
  std::string until = "completed";
  std::string timeout = "10m";
  std::string service;
  std::string instance;
  std::string version;
  std::vector<std::string> instances;  // as SERVICE/INSTANCE
  std::optional<int> rows_per_second;
  std::optional<int> batch_rows;
  std::optional<int> workers;
  bool pause_backfill = false;
  bool resume_backfill = false;
  bool reset = false;
};

int complain(std::string_view message, int status) {
  fmt::print(stderr, "{}{}", message, message.ends_with('\n') ? "" : "\n");
  return status;
}

Result<std::string> token(const Arguments& arguments) {
  if (arguments.token_file.empty()) {
    const char* value = std::getenv("DIASTOLE_TOKEN");
    return value ? std::string(value) : std::string();
  }
  std::ifstream in(arguments.token_file);
  std::string out;
  if (!std::getline(in, out))
    return fail(ErrorCode::invalid_argument, "cannot read a token from " + arguments.token_file);
  return out;
}

struct PlanFile {
  std::string text;
  json document;
};

Result<PlanFile> read_plan(const std::string& name) {
  PlanFile file;
  if (name == "-") {
    file.text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream in(name, std::ios::binary);
    if (!in) return fail(ErrorCode::invalid_argument, name + ": cannot be read");
    file.text.assign(std::istreambuf_iterator<char>(in), {});
  }
  auto document = name.ends_with(".json") ? codec::parse_json(file.text) : codec::parse_yaml(file.text);
  if (!document) return fail(ErrorCode::invalid_argument, name + ": " + document.error().message);
  file.document = std::move(*document);
  return file;
}

// Runs one command; what it throws at itself are statuses.
class Commands {
 public:
  Commands(const Arguments& arguments, const Client& client) : a_(arguments), client_(client) {}

  int submit() { return send_plan("/v1/plans"); }
  int check() { return send_plan("/v1/plans/check"); }

  int list() {
    return with(client_.call("GET", "/v1/plans"), [](const json& body) {
      std::string out;
      for (const auto& plan : body.at("plans")) {
        out += fmt::format("{:<40} {:<12} {}\n", plan.at("id").get<std::string>(), plan.at("state").get<std::string>(),
                           plan.at("submitted_at").get<std::string>());
      }
      return out.empty() ? std::string("no plans\n") : out;
    });
  }
  int show() { return with(client_.call("GET", plan_target()), show_plan); }
  int gate() { return with(client_.call("GET", plan_target() + "/gate"), show_gate); }

  int hold() {
    const json body{{"reason", a_.text}};
    return with(client_.call("POST", plan_target() + "/gate/hold", &body), said("held"));
  }
  int release() { return with(client_.call("DELETE", plan_target() + "/gate/hold"), said("released")); }
  int override_gate() {
    json instances = json::array();
    for (const auto& name : a_.instances) {
      const auto slash = name.find('/');
      if (slash == std::string::npos) return complain("'" + name + "' is not SERVICE/INSTANCE", kUsage);
      instances.push_back({{"service", name.substr(0, slash)}, {"instance", name.substr(slash + 1)}});
    }
    const json body{{"instances", std::move(instances)}, {"reason", a_.text}};
    return with(client_.call("POST", plan_target() + "/gate/overrides", &body), [](const json& plan) {
      const auto overrides = plan.value("gate", json::object()).value("overrides", json::array());
      const bool confirmed = !overrides.empty() && overrides.back().contains("confirmed_by");
      return std::string(confirmed ? "confirmed; it has effect now\n"
                                   : "noted; somebody else has to give the same command\n");
    });
  }
  int admission() {
    const json body{{"service", a_.service}, {"version", a_.version}};
    return with(client_.call("POST", "/v1/admission", &body),
                [&](const json&) { return fmt::format("{} {} may start\n", a_.service, a_.version); });
  }

  int preview() {
    const auto step = a_.step.empty() ? std::string() : "?step=" + encode(a_.step);
    return with(client_.call("GET", plan_target() + "/backfill/preview" + step), show_previews);
  }

  int approve() {
    const auto present = client_.call("GET", plan_target());
    if (!present || !present->ok()) return with(present, show_plan);
    const json body{{"phase", a_.phase}, {"note", a_.text}};
    return with(client_.call("POST", plan_target() + "/approvals", &body, present->etag),
                [&](const json&) { return fmt::format("{} approved\n", a_.phase); });
  }
  int change(const std::string& verb) {
    const json body = a_.text.empty() ? json::object() : json{{"reason", a_.text}};
    return with(client_.call("POST", plan_target() + "/" + verb, &body), [](const json& plan) {
      return fmt::format("{} is {}\n", plan.at("id").get<std::string>(), plan.at("state").get<std::string>());
    });
  }

  int pace() {
    auto body = json::object();
    if (a_.reset) {
      body = {{"rows_per_second", nullptr}, {"batch_rows", nullptr}, {"workers", nullptr}, {"paused", false}};
    }
    if (a_.rows_per_second) body["rows_per_second"] = *a_.rows_per_second;
    if (a_.batch_rows) body["batch_rows"] = *a_.batch_rows;
    if (a_.workers) body["workers"] = *a_.workers;
    if (a_.pause_backfill || a_.resume_backfill) body["paused"] = a_.pause_backfill;
    if (body.empty()) return complain("say what to change, or --reset; see diastole pace --help", kUsage);
    if (!a_.step.empty()) body["step"] = a_.step;
    return with(client_.call("PATCH", plan_target() + "/backfill", &body), show_pace);
  }

  int wait() {
    const auto time = parse_duration(a_.timeout);
    if (!time) return complain(time.error().message, kUsage);
    const auto end = std::chrono::steady_clock::now() + *time;
    while (true) {
      const auto left =
          std::max(Milliseconds{0}, std::chrono::floor<Milliseconds>(end - std::chrono::steady_clock::now()));
      const auto slice = std::min(left, Milliseconds{60'000});
      const auto target = fmt::format("{}?until={}&wait={}ms", plan_target(), encode(a_.until), slice.count());
      const auto answer = client_.call("GET", target, nullptr, {}, slice + std::chrono::seconds{30});
      if (!answer && left > Milliseconds{0}) {  // the daemon may be restarting
        std::this_thread::sleep_for(std::chrono::milliseconds{500});
        continue;
      }
      if (!answer || !answer->ok()) return with(answer, show_plan);
      if (const auto status = milestone(answer->body)) return *status;
      if (left == Milliseconds{0}) {
        print(answer->body, show_plan);
        return complain(fmt::format("not {} after {}", a_.until, a_.timeout), kTimeUp);
      }
    }
  }

  int watch() {
    std::int64_t seen = 0;
    bool over = false;
    bool aborted = false;
    const auto on_event = [&](const json& event) {
      seen = event.value("id", seen);
      if (a_.as_json) {
        fmt::print("{}\n", event.dump());
      } else if (const auto line = show_event(event); !line.empty()) {
        fmt::print("{}\n", line);
      }
      std::fflush(stdout);
      aborted = event.value("kind", "") == "plan_aborted";
      over = aborted || (event.value("kind", "") == "phase_finished" && event.value("phase", "") == "contract");
      return !over;
    };
    // The daemon may restart meanwhile: go on from the last event seen, for as long as it takes it.
    for (int failures = 0; failures < 30;) {
      const auto before = seen;
      const auto answer = client_.events(a_.plan, seen, on_event);
      if (over) return aborted ? kRefused : kOk;
      if (answer && !answer->ok()) return with(answer, show_plan);
      failures = seen > before ? 0 : failures + 1;
      if (failures > 0) std::this_thread::sleep_for(std::chrono::seconds{1});
    }
    return complain("the daemon does not answer any more", kUnreachable);
  }

  int services() {
    return with(client_.call("GET", "/v1/services"), [](const json& body) {
      std::string out;
      for (const auto& service : body.at("services")) {
        for (const auto& version : service.at("versions")) {
          out += fmt::format("{:<24} {:<16} {} live, {} silent\n", service.at("service").get<std::string>(),
                             version.at("version").get<std::string>(), version.at("live").dump(),
                             version.at("silent").dump());
        }
      }
      return out.empty() ? std::string("no instance has reported\n") : out;
    });
  }
  int instances() {
    return with(client_.call("GET", "/v1/services/" + encode(a_.service) + "/instances"), [](const json& body) {
      std::string out;
      for (const auto& instance : body.at("instances")) {
        out += fmt::format("{:<32} {:<16} {:<8} {}\n", instance.at("instance").get<std::string>(),
                           instance.at("version").get<std::string>(), instance.at("state").get<std::string>(),
                           instance.at("last_seen").get<std::string>());
      }
      return out;
    });
  }
  int decommission() {
    const auto target =
        fmt::format("/v1/services/{}/instances/{}?reason={}", encode(a_.service), encode(a_.instance), encode(a_.text));
    return with(client_.call("DELETE", target),
                [&](const json&) { return fmt::format("{} {} is gone\n", a_.service, a_.instance); });
  }

 private:
  static std::function<std::string(const json&)> said(std::string what) {
    return [what = std::move(what)](const json& plan) {
      return fmt::format("the gate of {} is {}\n", plan.at("id").get<std::string>(), what);
    };
  }
  [[nodiscard]] std::string plan_target() const { return "/v1/plans/" + encode(a_.plan); }

  template <typename Show>
  void print(const json& body, const Show& show) const {
    fmt::print("{}", a_.as_json ? (body.is_discarded() ? std::string() : body.dump(2) + '\n') : show(body));
    std::fflush(stdout);
  }

  template <typename Show>
  int with(const Result<Client::Answer>& answer, const Show& show) const {
    if (!answer) return complain(answer.error().message, kUnreachable);
    if (!answer->ok()) {
      return complain(a_.as_json ? answer->body.dump(2) : show_problem(answer->body), kRefused);
    }
    print(answer->body, show);
    return kOk;
  }

  int send_plan(const std::string& target) {
    const auto file = read_plan(a_.file);
    if (!file) return complain(file.error().message, kUsage);
    const auto answer = client_.call("POST", target, &file->document);
    if (answer && !answer->ok() && !a_.as_json)
      return complain(show_problem(answer->body, a_.file, file->text), kRefused);
    if (answer && answer->ok() && !a_.as_json && answer->body.value("state", "") == "aborted") {
      return complain(answer->body.at("id").get<std::string>() +
                          " was submitted before and is aborted; submit it under another name to run it again",
                      kRefused);
    }
    return with(answer, [&](const json& body) {
      const auto findings =
          body.contains("findings") ? show_findings(body["findings"], a_.file, file->text) : std::string();
      // A submitted plan has its steps in `show`.
      const auto steps = body.contains("state") ? std::string() : show_checked(body);
      return findings + body.at("id").get<std::string>() + '\n' + steps;
    });
  }

  // The status to end with, or nothing while the milestone is ahead.
  [[nodiscard]] std::optional<int> milestone(const json& plan) const {
    const auto stage = plan.at("stage").get<std::string>();
    const auto state = plan.at("state").get<std::string>();
    const auto wanted = core::stage_from(a_.until);
    const auto present = core::stage_from(stage);
    if (state == "failed" || present == core::Stage::aborted) {
      print(plan, show_plan);
      return present == core::Stage::aborted && wanted == core::Stage::aborted ? kOk : kRefused;
    }
    if (wanted && present && present != core::Stage::aborting && *present >= *wanted) {
      print(plan, [](const json& body) {
        return fmt::format("{} is {}\n", body.at("id").get<std::string>(), body.at("state").get<std::string>());
      });
      return kOk;
    }
    return std::nullopt;
  }

  const Arguments& a_;
  const Client& client_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli{
      "Talks to diastoled: submits plans, follows them, approves their phases.\n"
      "Exit status: 0 done, 1 refused or failed, 2 wrong usage or file, 3 no answer, 4 time is up."};
  Arguments a;
  cli.add_option("--server", a.server, "http://HOST:PORT of the daemon")
      ->envname("DIASTOLE_SERVER")
      ->capture_default_str();
  cli.add_option("--token-file", a.token_file, "a file with the token (default: the environment's DIASTOLE_TOKEN)");
  cli.add_flag("--json", a.as_json, "print what the daemon answers");
  cli.set_version_flag("--version", std::string("diastole ") + DIASTOLE_VERSION);
  cli.require_subcommand(1);
  cli.fallthrough();

  std::function<int(Commands&)> chosen;
  const auto add = [&](const char* name, const char* help, std::function<int(Commands&)> run) {
    auto* command = cli.add_subcommand(name, help);
    command->callback([&chosen, run = std::move(run)] { chosen = run; });
    return command;
  };
  const auto add_for_plan = [&](const char* name, const char* help, std::function<int(Commands&)> run) {
    auto* command = add(name, help, std::move(run));
    command->add_option("plan", a.plan, "the plan's id: TARGET.NAME")->required();
    return command;
  };
  const char* file_help = "the plan, YAML or (.json) JSON; - reads standard input";
  add("submit", "submit a plan", [](Commands& c) { return c.submit(); })
      ->add_option("file", a.file, file_help)
      ->required();
  add("check", "say what submitting a plan would", [](Commands& c) { return c.check(); })
      ->add_option("file", a.file, file_help)
      ->required();
  add("rules", "the analyser's rules, as a Markdown table",
      [](Commands&) { return fmt::print("{}", sql::rules_reference()), 0; });
  add("list", "all plans", [](Commands& c) { return c.list(); });
  add_for_plan("show", "a plan, its steps and why it waits", [](Commands& c) { return c.show(); });
  add_for_plan("gate", "the version gate and every reason", [](Commands& c) { return c.gate(); });
  add_for_plan("preview", "a dry run of its backfills: way, statements, EXPLAIN", [](Commands& c) {
    return c.preview();
  })->add_option("step", a.step, "only this backfill");
  add_for_plan("watch", "follow a plan's events until it is over", [](Commands& c) { return c.watch(); });
  auto* wait = add_for_plan("wait", "wait for a milestone", [](Commands& c) { return c.wait(); });
  wait->add_option("--until", a.until, "expanded, backfilled, completed, …")
      ->capture_default_str()
      ->check([](const std::string& text) {
        return core::stage_from(text) ? std::string() : "'" + text + "' is no stage of a plan";
      });
  wait->add_option("--timeout", a.timeout, "how long at the most")->capture_default_str();
  auto* approve = add_for_plan("approve", "approve a phase", [](Commands& c) { return c.approve(); });
  approve->add_option("phase", a.phase, "expand, backfill or contract")->required();
  approve->add_option("--note", a.text, "kept with the approval");
  for (const char* verb : {"pause", "resume", "retry"}) {
    add_for_plan(verb, (std::string(verb) + " a plan").c_str(), [verb](Commands& c) { return c.change(verb); });
  }
  auto* pace = add_for_plan("pace", "bound a backfill, also while it runs", [](Commands& c) { return c.pace(); });
  pace->add_option("--step", a.step, "which backfill, where the plan has several");
  pace->add_option("--rows-per-second", a.rows_per_second, "gone over at most");
  pace->add_option("--batch-rows", a.batch_rows, "in one transaction at most");
  pace->add_option("--workers", a.workers, "at work at once at most");
  auto* hold = pace->add_flag("--pause", a.pause_backfill, "hold it, without pausing the plan");
  pace->add_flag("--resume", a.resume_backfill, "let it go on")->excludes(hold);
  pace->add_flag("--reset", a.reset, "lift all that was set before");
  add_for_plan("abort", "abort a plan: undo what has run", [](Commands& c) {
    return c.change("abort");
  })->add_option("--reason", a.text, "kept with the abort");
  add_for_plan("hold", "keep the gate closed; brings back what is fenced or in quarantine",
               [](Commands& c) { return c.hold(); })
      ->add_option("--reason", a.text, "kept with the plan")
      ->required();
  add_for_plan("release", "end a hold", [](Commands& c) { return c.release(); });
  auto* aside = add_for_plan("override", "set instances aside that you know to be gone; two people have to",
                             [](Commands& c) { return c.override_gate(); });
  aside->add_option("instances", a.instances, "SERVICE/INSTANCE …")->required();
  aside->add_option("--reason", a.text, "how you know")->required();
  auto* admission = add("admission", "ask whether a version may start", [](Commands& c) { return c.admission(); });
  admission->add_option("service", a.service)->required();
  admission->add_option("version", a.version)->required();
  add("services", "which versions are running", [](Commands& c) { return c.services(); });
  add("instances", "the instances of a service", [](Commands& c) { return c.instances(); })
      ->add_option("service", a.service)
      ->required();
  auto* gone =
      add("decommission", "say that an instance is gone for good", [](Commands& c) { return c.decommission(); });
  gone->add_option("service", a.service)->required();
  gone->add_option("instance", a.instance)->required();
  gone->add_option("--reason", a.text, "why you know")->required();
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? kOk : kUsage;  // 0: --help, --version
  }

  const auto secret = token(a);
  if (!secret) return complain(secret.error().message, kUsage);
  const auto client = Client::make(a.server, *secret);
  if (!client) return complain(client.error().message, kUsage);
  try {
    Commands commands(a, *client);
    return chosen(commands);
  } catch (const std::exception& error) {
    return complain(std::string("the daemon's answer is not understood: ") + error.what(), kRefused);
  }
}
