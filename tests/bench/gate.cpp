// What a verdict costs, and an instance in memory: the registry's view and the gate over it, at a hundred instances, at
// ten thousand and at a million.
#include "diastole/core/gate.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "diastole/engine/fleet.hpp"

namespace {

using namespace diastole;

constexpr std::array kSizes{100, 10'000, 1'000'000};
constexpr int kRounds = 21;
constexpr int kVerdictsARound = 200;

// Time stands still while it is measured, so that nothing but the verdict is.
class StillClock final : public ports::Clock {
 public:
  [[nodiscard]] Now now() const override {
    return {WallTime{Milliseconds{1'700'000'000'000}}, MonoTime{Milliseconds{1'000'000}}};
  }
};

class NoStore final : public ports::FleetStore {
 public:
  Result<void> flush(std::span<const ports::InstanceRecord>, bool) override { return {}; }
  Result<ports::FleetRecord> load() override { return ports::FleetRecord{}; }
};

std::size_t allocated() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Fleet {
  explicit Fleet(int instances) : size(instances) {
    const auto before = allocated();
    registry = std::make_unique<engine::FleetRegistry>(store, clock, engine::FleetSettings{.max_instances = 2'000'000});
    for (int i = 0; i < instances; ++i) {
      // Names of at most 15 characters have no memory of their own. Some run the old version, so that there are
      // reasons.
      const auto reply =
          registry->report({ServiceName(i % 3 == 0 ? "worker" : "checkout"), InstanceId(fmt::format("i-{:07}", i)),
                            i % 2 == 0 ? "1.9.0" : "2.0.0", fmt::format("p{:07}", i), i});
      if (!reply) throw std::runtime_error(reply.error().message);
    }
    if (!registry->flush()) throw std::runtime_error("the flush failed");
    bytes = static_cast<double>(allocated() - before) / instances;
  }

  std::size_t verdict(const core::GateSpec& spec) const {
    core::GateEvidence evidence;
    evidence.fleet = registry->view();
    evidence.backfill_complete = true;
    return core::evaluate_gate(spec, evidence, {}, clock.now()).reasons.size();
  }

  StillClock clock;
  NoStore store;
  std::unique_ptr<engine::FleetRegistry> registry;
  int size;
  double bytes = 0;
  std::vector<double> us = {};  // a verdict, an entry a round
};

// Of this thread alone, so that other programs on the same cores do not count.
std::chrono::duration<double, std::micro> processor_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run() {
  core::GateSpec spec;
  for (const auto* service : {"checkout", "worker"})
    spec.fleet.push_back({ServiceName(service), *core::VersionRequirement::range(">=2.0.0"), 1, {}});
  std::vector<std::unique_ptr<Fleet>> fleets;
  for (const int size : kSizes) fleets.push_back(std::make_unique<Fleet>(size));
  std::size_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& fleet : fleets) {
      const auto begin = processor_time();
      for (int i = 0; i < kVerdictsARound; ++i) sum += fleet->verdict(spec);
      const std::chrono::duration<double, std::micro> took = processor_time() - begin;
      fleet->us.push_back(took.count() / kVerdictsARound);
    }
  }
  for (const auto& fleet : fleets) {
    fmt::print("{:>9} instances {:>8.2f} us a verdict {:>8.1f} bytes an instance without its names\n", fleet->size,
               median(fleet->us), fleet->bytes);
  }
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    const auto at = static_cast<std::size_t>(round);
    ratios.push_back(fleets.back()->us[at] / fleets.front()->us[at]);
  }
  fmt::print("{} rounds of {} verdicts (checksum {})\n", kRounds, kVerdictsARound, sum);
  fmt::print("RESULT flat={:.2f} bytes_per_instance={:.0f} verdict_us={:.1f}\n", median(std::move(ratios)),
             fleets.back()->bytes, median(fleets.back()->us));
  return 0;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "gate: {}\n", error.what());
    return 1;
  }
}
