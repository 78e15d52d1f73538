// What must hold of the gate whatever the evidence: thousands of fleets, each named by its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "diastole/core/gate.hpp"
#include "support/sample_plan.hpp"

namespace diastole::core {
namespace {

using test::requirement;

constexpr Milliseconds kSuspect{40'000};
constexpr Now kNow{WallTime{Milliseconds{100'000'000}}, MonoTime{Milliseconds{100'000'000}}};
constexpr MonoTime kLongAgo{Milliseconds{1'000}};
constexpr int kCases = 4'000;

class Dice {
 public:
  explicit Dice(int seed) : random_(static_cast<std::uint64_t>(seed)) {}
  int upto(int most) { return std::uniform_int_distribution<int>(0, most)(random_); }
  bool one_in(int times) { return upto(times - 1) == 0; }

 private:
  std::mt19937_64 random_;
};

struct Case {
  GateSpec spec;
  GateEvidence evidence;
  GateMemory memory;
};

const std::vector<std::string> kVersions = {"2.0.0", "2.1.0", "1.9.0", "latest", ""};

VersionTally& tally_of(ServiceTally& service, const std::string& version) {
  const auto found = std::ranges::find(service.versions, version, &VersionTally::version);
  if (found != service.versions.end()) return *found;
  service.versions.push_back({.version = version, .last_report = {}});
  return service.versions.back();
}

Session session(const std::string& role, const std::string& application_name) {
  return {"primary", 100, 1, role, application_name, "main", {}, ""};
}

// Mostly good, or no gate would ever be open.
Case any_case(int seed) {
  Dice dice(seed);
  Case out;
  const bool by_role = dice.one_in(2);
  out.spec.fleet = {requirement("api", ">=2.0.0", dice.upto(2))};
  if (by_role) {
    using Tells = RoleMapping::Tells;
    out.spec.fleet[0].roles = {{"api_1", Tells::version, "1.9.0"}, {"api_2", Tells::version, "2.0.0"}};
  }
  out.spec.soak = Milliseconds{dice.upto(2) * 30'000};
  ServiceTally service{.service = ServiceName("api"), .versions = {}, .membership = 7};
  for (const auto& version : kVersions) {
    const bool good = version.starts_with("2");
    if (!good && !dice.one_in(8)) continue;
    VersionTally tally{.version = version, .live = dice.upto(good ? 9 : 2), .last_report = {}};
    if (dice.one_in(3)) tally.silent = dice.upto(3);
    tally.long_silent = dice.upto(static_cast<int>(tally.silent));
    service.fell_silent += dice.upto(static_cast<int>(tally.silent - tally.long_silent));
    service.members += tally.live + tally.silent;
    service.versions.push_back(tally);
  }
  service.conflicts = dice.one_in(10);
  out.evidence.fleet = {{service}, kLongAgo, kSuspect};
  out.evidence.backfill_complete = true;
  SessionScan scan{kNow.mono, {{"primary", "", {{"api_1", dice.one_in(2)}, {"api_2", true}}}}, {}, {}};
  for (int i = dice.upto(2); i > 0; --i)
    scan.sessions.push_back(by_role ? session("api_2", "") : session("app", "api@2.0.0/i" + std::to_string(i)));
  if (dice.one_in(10)) scan.sessions.push_back(session("joe", "psql"));
  out.evidence.sessions = scan;
  if (dice.one_in(12)) out.evidence.hold = GateHold{"ann", "lunch", {}};
  out.memory = {kLongAgo, 7, kLongAgo};
  return out;
}

GateVerdict judged(const Case& about) {
  return evaluate_gate(about.spec, about.evidence, about.memory, kNow);
}

struct Worse {
  const char* name;
  std::function<void(Case&, Dice&)> apply;
};

void add_live(Case& about, const std::string& version) {
  auto& service = about.evidence.fleet.services[0];
  ++tally_of(service, version).live;
  ++service.members;
}

void add_session(Case& about, const Session& one) {
  if (about.evidence.sessions) about.evidence.sessions->sessions.push_back(one);
}

// More old or unknown evidence, or less new.
const std::vector<Worse> kWorse = {
    {"an old instance", [](Case& about, Dice&) { add_live(about, "1.9.0"); }},
    {"one whose version nobody can read", [](Case& about, Dice&) { add_live(about, "latest"); }},
    {"one that has never said its version", [](Case& about, Dice&) { add_live(about, ""); }},
    {"a silent one",
     [](Case& about, Dice& dice) {
       auto& service = about.evidence.fleet.services[0];
       ++tally_of(service, kVersions[static_cast<std::size_t>(dice.upto(4))]).silent;
       ++service.members;
     }},
    {"a new one falls silent",
     [](Case& about, Dice&) {
       auto& service = about.evidence.fleet.services[0];
       auto& tally = tally_of(service, "2.0.0");
       if (tally.live == 0) return;
       --tally.live;
       ++tally.silent;
       ++service.fell_silent;
     }},
    {"a new one is forgotten",
     [](Case& about, Dice&) {
       auto& service = about.evidence.fleet.services[0];
       auto& tally = tally_of(service, "2.0.0");
       if (tally.live == 0) return;
       --tally.live;
       --service.members;
     }},
    {"two sources disagree", [](Case& about, Dice&) { ++about.evidence.fleet.services[0].conflicts; }},
    {"an old one was seen since",
     [](Case& about, Dice&) { tally_of(about.evidence.fleet.services[0], "1.9.0").last_report = kNow.mono; }},
    {"one was silent since", [](Case& about, Dice&) { about.evidence.fleet.services[0].last_silence = kNow.mono; }},
    {"an old session", [](Case& about, Dice&) { add_session(about, session("api_1", "api@1.9.0")); }},
    {"a session without a version", [](Case& about, Dice&) { add_session(about, session("app", "api@latest")); }},
    {"a session of nobody", [](Case& about, Dice&) { add_session(about, session("joe", "pg_dump")); }},
    {"a new session", [](Case& about, Dice&) { add_session(about, session("api_2", "api@2.0.0")); }},
    {"a prepared transaction",
     [](Case& about, Dice&) {
       auto one = session("joe", "");
       one.prepared = "left behind";
       add_session(about, one);
     }},
    {"a replica that cannot be asked",
     [](Case& about, Dice&) {
       if (about.evidence.sessions) about.evidence.sessions->servers.push_back({"replica 1", "no answer", {}});
     }},
    {"no look at all", [](Case& about, Dice&) { about.evidence.sessions.reset(); }},
    {"a role has its login",
     [](Case& about, Dice&) {
       if (about.evidence.sessions) about.evidence.sessions->servers[0].logins = {{"api_1", true}, {"api_2", true}};
     }},
    {"a hold", [](Case& about, Dice&) { about.evidence.hold = GateHold{"bob", "a feeling", {}}; }},
};

// S5
TEST(GateProperties, WorseEvidenceNeverOpensAGate) {
  int open = 0;
  int closed = 0;
  for (int seed = 0; seed < kCases; ++seed) {
    const auto before = any_case(seed);
    Dice dice(seed + 1'000'000);
    auto after = before;
    std::string trace = "seed " + std::to_string(seed);
    for (int i = dice.upto(2); i >= 0; --i) {
      const auto& worse = kWorse[static_cast<std::size_t>(dice.upto(static_cast<int>(kWorse.size()) - 1))];
      trace += std::string(", ") + worse.name;
      worse.apply(after, dice);
    }
    const auto was = judged(before);
    const auto is = judged(after);
    ++(was.open() ? open : closed);
    ASSERT_TRUE(was.open() || !is.open()) << trace;
    // A look that is missing says nothing, for or against.
    if (!after.evidence.sessions) continue;
    // But for mass silence, which is a share: one more that has been silent for long makes it smaller.
    const bool stood = std::ranges::any_of(
        was.contradictions, [](const Reason& reason) { return reason.kind != ReasonKind::mass_silence; });
    ASSERT_TRUE(!stood || !is.contradictions.empty()) << trace;
  }
  // Else it would have shown nothing.
  EXPECT_GT(open, kCases / 20);
  EXPECT_GT(closed, kCases / 4);
}

// S7. After a restart nothing is remembered, and the watching begins; what the registry carried over counts as seen.
TEST(GateProperties, ARestartNeverOpensAGate) {
  int reopened = 0;
  for (int seed = 0; seed < kCases; ++seed) {
    const auto before = any_case(seed);
    for (const bool resumed : {false, true}) {
      for (const std::int64_t soak : {0, 10'000, 40'000, 60'000}) {
        auto after = before;
        after.spec.soak = Milliseconds{soak};
        const auto trace = "seed " + std::to_string(seed) + ", soak " + std::to_string(soak);
        after.evidence.fleet.resumed = resumed;
        after.evidence.fleet.watching_since = kNow.mono;
        after.memory = {};
        auto verdict = judged(after);
        ASSERT_FALSE(verdict.open()) << trace;
        // As time goes by without news it opens where it would have been open without the restart, and not before its
        // soak and one suspect time.
        auto kept = after;
        kept.evidence.fleet.watching_since = kLongAgo;
        kept.memory = before.memory;
        for (int tenth = 1; tenth <= 12; ++tenth) {
          const auto passed = Milliseconds{tenth * 10'000};
          const Now now{kNow.wall + passed, kNow.mono + passed};
          for (auto* about : {&after, &kept}) about->evidence.sessions->at = now.mono;
          verdict = evaluate_gate(after.spec, after.evidence, verdict.memory, now);
          if (!verdict.open()) continue;
          ++reopened;
          ASSERT_GE(passed, std::max(after.spec.soak, kSuspect)) << trace;
          ASSERT_TRUE(evaluate_gate(kept.spec, kept.evidence, kept.memory, now).open()) << trace;
        }
      }
    }
  }
  EXPECT_GT(reopened, kCases);
}

}  // namespace
}  // namespace diastole::core
