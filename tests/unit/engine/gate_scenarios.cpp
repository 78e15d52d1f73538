// Plays tests/scenarios/*.yaml: one file for each way in which a fleet has misled somebody, so that a new one needs no
// code. The real loop, registry and core, around a target and a store in memory.
//
//   plan: { soak: 60, min_instances: 2, terminate: false, quarantine: 0 }   times in seconds
//   steps:
//     - at: 0                              time passes until then; who runs reports every ten seconds
//       run: { api-1: 2.0.0 }              from now on, as this process or another one
//       stop: [api-2]                      falls silent, whether it lives or not
//       leave: [api-3]                     signs off
//       report: { instance: api-1, version: 1.0.0, incarnation: p1, sequence: 3 }    once
//       sessions: [api@2.0.0/api-1, { app: psql, role: joe, server: replica 1, prepared: id }]   all there are
//       hold: why                          by ann; release: true
//       override: { instances: [api-2], by: ann }
//       expect: { gate: collecting, because: [instance_old], not_because: [], stage: backfilled, drops: 0 }
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "diastole/codec/plan_codec.hpp"
#include "reconciler_fixture.hpp"

namespace diastole::engine {
namespace {

using nlohmann::json;

class Scenario : public ReconcilerTest, public testing::WithParamInterface<std::string> {
 protected:
  void play(const std::string& file) {
    file_ = file;
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    text_ = text.str();
    auto document = codec::parse_yaml(text_);
    if (!document) {
      ADD_FAILURE_AT(file_.c_str(), 1) << document.error().message;
      return;
    }
    try {
      only(*document, "", {"plan", "steps"});
      begin(document->at("plan"));
      const auto& steps = document->at("steps");
      for (std::size_t i = 0; i < steps.size(); ++i) {
        at_ = "/steps/" + std::to_string(i);
        step(steps.at(i));
        if (HasFatalFailure()) return;
      }
    } catch (const json::exception& error) {
      failed(at_) << error.what();
    }
  }

 private:
  // A message at the line of a place in the file.
  struct Failed {
    std::string file;
    int line = 0;
    std::stringstream message;
    ~Failed() { ADD_FAILURE_AT(file.c_str(), line) << message.str(); }
    template <typename T>
    Failed& operator<<(const T& more) {
      message << more;
      return *this;
    }
  };
  [[nodiscard]] Failed failed(const std::string& pointer) const { return {file_, codec::line_of(text_, pointer), {}}; }

  void only(const json& object, const std::string& pointer, const std::vector<std::string>& keys) const {
    for (const auto& [key, value] : object.items()) {
      if (std::ranges::find(keys, key) == keys.end()) failed(pointer + "/" + key) << "unknown key " << key;
    }
  }

  static Milliseconds seconds(const json& value) { return Milliseconds{value.get<std::int64_t>() * 1'000}; }

  void begin(const json& asked) {
    only(asked, "/plan", {"soak", "min_instances", "terminate", "quarantine"});
    auto plan = test::sample_plan();
    std::erase_if(plan.steps, [](const core::Step& step) { return step.id.str() != "drop"; });
    plan.approvals.clear();
    plan.gate.soak = seconds(asked.value("soak", json(60)));
    plan.gate.fleet.front().min_instances = asked.value("min_instances", 1);
    plan.gate.terminate = asked.value("terminate", false);
    plan.gate.quarantine = seconds(asked.value("quarantine", json(0)));
    if (plan.gate.quarantine.count() > 0) plan.doomed = {{StepId("drop"), "users", "a"}};
    start();
    submit(plan);
    // Seen before the time begins.
    await(core::Stage::backfilled);
    round();
  }

  void step(const json& now) {
    only(now, at_, {"at", "run", "stop", "leave", "report", "sessions", "hold", "release", "override", "expect"});
    for (const auto until = seconds(now.at("at")); time_ < until; time_ += 10 * kSecond) tick([this] { beat(); });
    for (const auto& name : now.value("stop", json::array())) running_.erase(name.get<std::string>());
    for (const auto& name : now.value("leave", json::array())) {
      running_.erase(name.get<std::string>());
      if (!fleet_.remove(ServiceName("api"), InstanceId(name), std::nullopt, "signed off"))
        failed(at_) << "leave: nobody " << name;
    }
    for (const auto& [name, version] : now.value("run", json::object()).items())
      running_[name] = {version.get<std::string>(), "p" + std::to_string(++processes_)};
    beat();
    if (now.contains("report")) report_once(now.at("report"));
    if (now.contains("sessions")) connect(now.at("sessions"));
    if (now.contains("hold")) ask(core::HoldGate{"ann", now.at("hold")});
    if (now.contains("release")) ask(core::ReleaseGate{"ann"});
    if (now.contains("override")) override_gate(now.at("override"));
    round();
    if (now.contains("expect")) expect(now.at("expect"));
  }

  void beat() {
    for (const auto& [name, process] : running_)
      ASSERT_TRUE(fleet_.report({ServiceName("api"), InstanceId(name), process.version, process.incarnation, {}}));
  }

  void report_once(const json& one) {
    only(one, at_ + "/report", {"instance", "version", "incarnation", "sequence"});
    std::optional<std::int64_t> sequence;
    if (one.contains("sequence")) sequence = one.at("sequence").get<std::int64_t>();
    ASSERT_TRUE(fleet_.report(
        {ServiceName("api"), InstanceId(one.at("instance")), one.at("version"), one.at("incarnation"), sequence}));
  }

  void connect(const json& all) {
    std::vector<core::Session> sessions;
    for (const auto& one : all) {
      core::Session session{"primary", 100 + std::ssize(sessions), 1, "app", "", "main", clock_.now().wall, ""};
      if (one.is_string()) {
        session.application_name = one;
      } else {
        only(one, at_ + "/sessions", {"app", "role", "server", "prepared"});
        session.application_name = one.value("app", "");
        session.role = one.value("role", "app");
        session.server = one.value("server", "primary");
        session.prepared = one.value("prepared", "");
      }
      sessions.push_back(std::move(session));
    }
    target_.set_sessions(std::move(sessions));
  }

  void override_gate(const json& asked) {
    only(asked, at_ + "/override", {"instances", "by"});
    std::vector<core::InstanceName> names;
    for (const auto& name : asked.at("instances")) names.push_back({ServiceName("api"), InstanceId(name)});
    ask(core::OverrideGate{names, "its host is gone", asked.at("by"), 3'600 * kSecond, clock_.now().wall});
  }

  void expect(const json& wanted) {
    const auto here = at_ + "/expect";
    only(wanted, here, {"gate", "because", "not_because", "stage", "drops"});
    if (wanted.contains("stage")) {
      const auto stage = core::stage_from(wanted.at("stage").get<std::string>());
      if (!stage) {
        failed(here + "/stage") << "no such stage";
        return;
      }
      const auto reached = [&](const core::PlanState& is) { return is.stage == *stage; };
      if (!store_.await(plan_, reached)) failed(here + "/stage") << "it is " << to_string(state().stage) << words();
    }
    const auto verdict = reconciler_->gates(state()).contract;
    if (wanted.contains("gate") && to_string(verdict.state) != wanted.at("gate").get<std::string>())
      failed(here + "/gate") << "it is " << to_string(verdict.state) << words();
    for (const auto& kind : wanted.value("because", json::array())) {
      if (!named(verdict, kind)) failed(here + "/because") << "it is not because of " << kind << words();
    }
    for (const auto& kind : wanted.value("not_because", json::array())) {
      if (named(verdict, kind)) failed(here + "/not_because") << "it is because of " << kind << words();
    }
    const auto drops = std::ranges::count(target_.done(), "do drop");
    if (wanted.contains("drops") && drops != wanted.at("drops").get<std::int64_t>())
      failed(here + "/drops") << "there were " << drops;
  }

  static bool named(const core::GateVerdict& verdict, const std::string& text) {
    const auto kind = core::reason_kind_from(text);
    return kind && names(verdict.reasons, *kind);
  }
  [[nodiscard]] std::string words() const {
    std::string out;
    for (const auto& reason : reconciler_->gates(state()).contract.reasons) out += "\n  " + reason.message;
    return out;
  }

  struct Process {
    std::string version;
    std::string incarnation;
  };
  std::string file_;
  std::string text_;
  std::string at_ = "/plan";
  Milliseconds time_{0};
  std::map<std::string, Process> running_;
  int processes_ = 0;
};

TEST_P(Scenario, Plays) {
  play(GetParam());
}

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(DIASTOLE_SOURCE_DIR "/tests/scenarios"))
    out.push_back(entry.path().string());
  std::ranges::sort(out);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, Scenario, testing::ValuesIn(files()),
                         [](const auto& file) { return std::filesystem::path(file.param).stem().string(); });

}  // namespace
}  // namespace diastole::engine
