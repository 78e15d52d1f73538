// How fast ways to fill a new column are, and what an application beside them notices: nothing, one UPDATE, the batches
// that scripts and other tools make, and ours. Each runs alone and under load, on a fresh copy of the same table, round
// by round, so that a slow moment of the machine hits all of them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backfill/database.hpp"
#include "backfill/interruption.hpp"
#include "backfill/load.hpp"
#include "backfill/strategy.hpp"

namespace {

using namespace diastole::bench;

constexpr double kWarmUpSeconds = 1;

struct Options {
  TableShape shape;
  int repeat = 3;
  std::vector<std::string> only;
  double load_seconds = 2;  // of the undisturbed load, before a backfill and again after it
};

struct Run {
  double rows_per_second = 0;
  double wal_bytes_per_row = 0;
  double heap_growth = 0;  // after over before
  double index_growth = 0;
  double hot = 0;  // share of the updates
  Latency idle;    // of the load beside it; 0 where there was none
  Latency during;
};

struct Results {
  std::vector<Run> alone;  // one entry a round
  std::vector<Run> loaded;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Value>
double median_of(const std::vector<Run>& runs, Value value) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const Run& run : runs) values.push_back(value(run));
  return median(std::move(values));
}

class Benchmark {
 public:
  Benchmark(const Options& options, Database& database, const Interruption& interruption)
      : options_(options), database_(database), interruption_(interruption) {}

  // Strategies that no option excludes; the order is turned round from one round to the next.
  void round(int number) {
    std::vector<const Strategy*> turn;
    for (const Strategy& strategy : strategies()) {
      const bool wanted = options_.only.empty() ? number == 0 || strategy.every_round : named(strategy);
      if (wanted) turn.push_back(&strategy);
    }
    if (number % 2 == 1) std::ranges::reverse(turn);
    for (const Strategy* strategy : turn) {
      Results& results = results_[strategy->name];
      if (strategy->name != "nothing") {
        results.alone.push_back(measure(*strategy, false));
        tell(number, *strategy, results.alone.back());
      }
      results.loaded.push_back(measure(*strategy, true));
      tell(number, *strategy, results.loaded.back());
    }
  }

  void print_table() const;
  void print_result() const;

 private:
  [[nodiscard]] bool named(const Strategy& strategy) const {
    return std::ranges::find(options_.only, strategy.name) != options_.only.end();
  }

  [[nodiscard]] Run measure(const Strategy& strategy, bool loaded);
  static void tell(int round, const Strategy& strategy, const Run& run);
  [[nodiscard]] Span undisturbed() const {
    const auto begin = Clock::now();
    interruption_.sleep(std::chrono::duration<double>(options_.load_seconds));
    return {begin, Clock::now()};
  }

  const Options& options_;
  Database& database_;
  const Interruption& interruption_;
  std::map<std::string_view, Results> results_;
};

Run Benchmark::measure(const Strategy& strategy, bool loaded) {
  database_.renew();
  const TableState before = database_.state();
  std::unique_ptr<Backfill> backfill = strategy.prepare(database_);
  std::optional<Load> load;
  std::vector<Span> idle;
  if (loaded) {
    load.emplace(database_.dsn(), options_.shape.rows);
    interruption_.sleep(std::chrono::duration<double>(kWarmUpSeconds));
    idle.push_back(undisturbed());
  }
  const std::int64_t wal_before = database_.wal_bytes();
  const Span took = backfill->run(interruption_.token());
  const std::int64_t wal = database_.wal_bytes() - wal_before;
  backfill.reset();

  Run run;
  std::int64_t updates = 0;
  if (load) {
    load->catch_up(interruption_.token());
    idle.push_back(undisturbed());
    load->finish();
    updates = load->updates();
    run.idle = load->latency(idle);
    run.during = load->latency({took});
    load.reset();
  }
  const auto rows = static_cast<double>(options_.shape.rows);
  const bool fills = strategy.name != "nothing";
  if (fills) updates += options_.shape.rows;
  if (const std::int64_t left = database_.rows_left(); fills && left != 0) {
    throw std::runtime_error(fmt::format("{} has left {} rows as they were", strategy.title, left));
  }
  const TableState after = database_.settled_state(updates);
  run.rows_per_second = fills ? rows / took.seconds() : 0;
  run.wal_bytes_per_row = fills ? static_cast<double>(wal) / rows : 0;
  run.heap_growth = static_cast<double>(after.heap) / static_cast<double>(before.heap);
  run.index_growth = static_cast<double>(after.indexes) / static_cast<double>(before.indexes);
  run.hot = static_cast<double>(after.hot) / static_cast<double>(std::max<std::int64_t>(after.updates, 1));
  return run;
}

// Three latencies, each as a time and as a multiple of the undisturbed load's.
std::string latencies(const std::vector<Run>& runs) {
  std::string text;
  for (double Latency::* const which : {&Latency::p50, &Latency::p99, &Latency::max}) {
    text += fmt::format(" {:>9.2f} x{:<8.2f}", median_of(runs, [&](const Run& r) { return r.during.*which; }),
                        median_of(runs, [&](const Run& r) { return r.during.*which / r.idle.*which; }));
  }
  return text;
}

std::string line(std::string_view title, const std::vector<Run>& runs) {
  const bool loaded = runs.front().idle.max > 0;
  return fmt::format("{:<24} {:<6} {:>8.0f} {:>8.0f} {:>6.2f} {:>6.2f} {:>5.2f}{}", title, loaded ? "load" : "alone",
                     median_of(runs, [](const Run& r) { return r.rows_per_second; }),
                     median_of(runs, [](const Run& r) { return r.wal_bytes_per_row; }),
                     median_of(runs, [](const Run& r) { return r.heap_growth; }),
                     median_of(runs, [](const Run& r) { return r.index_growth; }),
                     median_of(runs, [](const Run& r) { return r.hot; }), loaded ? latencies(runs) : "");
}

std::string heading() {
  return fmt::format("{:<24} {:<6} {:>8} {:>8} {:>6} {:>6} {:>5} {:>9} {:<9} {:>9} {:<9} {:>9} {:<9}", "strategy", "",
                     "rows/s", "WAL B/row", "heap x", "index x", "HOT", "p50 ms", "x idle", "p99 ms", "x idle",
                     "max ms", "x idle");
}

void Benchmark::tell(int round, const Strategy& strategy, const Run& run) {
  fmt::print("{:>5} {}\n", round + 1, line(strategy.title, {run}));
}

void Benchmark::print_table() const {
  fmt::print("\nmedians of the rounds\n{}\n", heading());
  for (const Strategy& strategy : strategies()) {
    const auto found = results_.find(strategy.name);
    if (found == results_.end()) continue;
    if (!found->second.alone.empty()) fmt::print("{}\n", line(strategy.title, found->second.alone));
    fmt::print("{}\n", line(strategy.title, found->second.loaded));
  }
}

// Round by round, since both ran within the same moment.
double speed_ratio(const std::vector<Run>& ours, const std::vector<Run>& update) {
  std::vector<double> ratios;
  ratios.reserve(ours.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ratios.push_back(ours[i].rows_per_second / update[i].rows_per_second);
  }
  return median(std::move(ratios));
}

void Benchmark::print_result() const {
  std::string result = "RESULT";
  const auto ours = results_.find("ours");
  const auto update = results_.find("update");
  if (ours != results_.end() && update != results_.end()) {
    result += fmt::format(" speed_vs_update={:.2f} speed_vs_update_loaded={:.2f}",
                          speed_ratio(ours->second.alone, update->second.alone),
                          speed_ratio(ours->second.loaded, update->second.loaded));
  }
  if (ours != results_.end()) {
    const auto& [alone, loaded] = ours->second;
    result += fmt::format(" p99_vs_idle={:.2f} max_vs_idle={:.2f} heap_growth={:.1f} index_growth={:.1f} hot={:.2f}",
                          median_of(loaded, [](const Run& r) { return r.during.p99 / r.idle.p99; }),
                          median_of(loaded, [](const Run& r) { return r.during.max / r.idle.max; }),
                          median_of(alone, [](const Run& r) { return 100 * (r.heap_growth - 1); }),
                          median_of(alone, [](const Run& r) { return 100 * (r.index_growth - 1); }),
                          median_of(alone, [](const Run& r) { return r.hot; }));
  }
  fmt::print("{}\n", result);
}

// Several times what an idle machine needs.
std::chrono::seconds limit(const Options& options) {
  return std::chrono::seconds{300 + options.shape.rows * options.repeat / 5'000};
}

int run(const Options& options) {
  const BlockedSignals signals(limit(options));
  Database database(options.shape);
  const Interruption interruption(signals, database.maintenance_dsn());
  try {
    fmt::print("PostgreSQL in {}; building {} rows at fillfactor {}\n", database.place(), options.shape.rows,
               options.shape.fillfactor);
    database.build();
    Benchmark benchmark(options, database, interruption);
    fmt::print("round {}\n", heading());
    for (int round = 0; round < options.repeat; ++round) benchmark.round(round);
    benchmark.print_table();
    benchmark.print_result();
    return 0;
  } catch (const std::exception& error) {
    const int signal = interruption.signal();
    if (signal == 0) throw;
    fmt::print(stderr, "bench_backfill: {}\n",
               signal == SIGALRM ? fmt::format("it took longer than {} s", limit(options).count()) : "interrupted");
    return 128 + signal;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // whoever follows a file sees each run as it ends
  Options options;
  std::vector<std::string> names;
  for (const Strategy& strategy : strategies()) names.emplace_back(strategy.name);
  CLI::App cli{"Compares ways to fill a new column of a live table."};
  cli.add_option("--rows", options.shape.rows, "of the table")
      ->check(CLI::Range(1'000, 100'000'000))
      ->capture_default_str();
  cli.add_option("--repeat", options.repeat, "rounds; the slow anchors, article and keyset, run in the first only")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  cli.add_option("--only", options.only, "these strategies, in every round")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  cli.add_option("--fillfactor", options.shape.fillfactor, "of the table")
      ->check(CLI::Range(10, 100))
      ->capture_default_str();
  cli.add_option("--duration-load", options.load_seconds,
                 "seconds of undisturbed load that are measured before a backfill under load, and again after it")
      ->check(CLI::Range(0.5, 600.0))
      ->capture_default_str();
  CLI11_PARSE(cli, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_backfill: {}\n", error.what());
    return 1;
  }
}
