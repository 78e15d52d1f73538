// What the analyser says of each kind of statement, proved against PostgreSQL: effects/*.sql hold statements, and each
// of them is run on the tables of effects/base.sql, its locks, new files and scans are observed, and compared with what
// was observed when it was written down and with what the analyser says with the catalog and without it.
//
// With the catalog it must say exactly what happens: no relation more, none less. Without it, the same of what the
// statement names, and never less than what happens. An entry may excuse it ("-- may: …"):
//   maybe       whether a table is read as a whole is the planner's choice, or needs a proof
//   new file    TRUNCATE gives an empty table a new file: nothing is copied
//   routed      which partitions it writes to depends on the values; all of them are listed
//   unlisted    it concerns tables that nobody lists, and the lock is the worst that it may take
//   idle        it does nothing, or less than usual, which without the catalog nobody can know
//   cautious    nor does the analyser look in the catalog for it
//   hidden      without the catalog the tables that it reads are not known, only how they are locked
//   blind       without the catalog nobody can tell that it may not run in a transaction
//   unasked     a plan does not ask the catalog for what decides it
//
// DIASTOLE_RECORD=1 in the environment writes down what is observed anew.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "diastole/sql/analysis.hpp"
#include "support/observed_statement.hpp"
#include "support/postgres.hpp"
#include "support/statement_file.hpp"
#include "support/target.hpp"

namespace diastole::test {
namespace {

using core::Answer;
using core::LockMode;

const std::string kEffects = std::string(DIASTOLE_SOURCE_DIR) + "/tests/integration/effects/";

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string describe(const Observation& observation) {
  std::vector<std::string> parts;
  for (const auto& [oid, seen] : observation.relations) {
    if (!observation.is_worth_telling(seen)) continue;
    parts.push_back(fmt::format("{} {}{}{}", seen.name, to_string(seen.lock), seen.scanned ? ", scanned" : "",
                                seen.rewritten ? ", rewritten" : ""));
  }
  std::ranges::sort(parts);
  if (parts.empty()) parts.emplace_back("nothing");
  return fmt::format("{}{}", fmt::join(parts, "; "), observation.transactional ? "" : " (not in a transaction)");
}

std::string describe(const core::Statement& statement) {
  std::string text = fmt::format("{}: {}, {}", statement.kind, to_string(statement.lock),
                                 statement.transactional ? "transactional" : "not in a transaction");
  for (const auto& touch : statement.touches) {
    text += fmt::format("\n    {} {} {}{}: scans {}, rewrites {}", touch.relation, to_string(touch.kind),
                        to_string(touch.lock), touch.named ? "" : " (by the catalog)", to_string(touch.scans),
                        to_string(touch.rewrites));
  }
  return text;
}

// The analyser's word for one statement against what happened.
class Comparison {
 public:
  using Oids = std::map<std::string, std::string>;  // by identifier; empty where there is no such relation

  Comparison(const FiledStatement& entry, const Observation& seen, const Oids& oids)
      : entry_(entry), seen_(seen), oids_(oids) {}

  void with_catalog(const core::Statement& said) {
    common(said);
    std::set<std::string> listed;
    for (const core::Touch& touch : said.touches) {
      const std::string& oid = oids_.at(touch.relation);
      listed.insert(oid);
      const Seen* seen = find(oid);
      if (seen == nullptr) {
        wrong("{} is listed, and is not there", touch.relation);
        continue;
      }
      if (may("routed") && !touch.named && seen->lock == LockMode::none) continue;
      if (!may("cautious") || touch.lock < seen->lock) same_lock(touch, *seen);
      same_answers(touch, *seen);
    }
    for (const auto& [oid, seen] : seen_.relations) {
      if (!listed.contains(oid) && seen_.is_worth_telling(seen) && !may("unlisted"))
        wrong("{} is not listed", seen.name);
    }
    const bool over = said.lock > seen_.strongest() && (may("unlisted") || may("cautious"));
    if (said.lock != seen_.strongest() && !over) wrong("its lock is {}", to_string(seen_.strongest()));
    const bool shy = seen_.transactional && may("cautious");
    if (said.transactional != seen_.transactional && !shy) wrong("transactional is {}", seen_.transactional);
  }

  void without_catalog(const core::Statement& said, const core::Statement& informed) {
    common(said);
    LockMode named = LockMode::none;
    for (const core::Touch& touch : said.touches) {
      const Seen* seen = find(oids_.at(touch.relation));
      if (seen == nullptr) continue;  // IF EXISTS: nobody can know
      named = std::max(named, seen->lock);
      if (!may_be_more() || touch.lock < seen->lock) same_lock(touch, *seen);
    }
    for (const core::Touch& touch : informed.touches) {
      // CREATE OR REPLACE may create it.
      const bool listed =
          std::ranges::find(said.touches, touch.relation, &core::Touch::relation) != said.touches.end() ||
          std::ranges::find(said.creates, touch.relation) != said.creates.end();
      if (touch.named && !listed) wrong("{} is not listed, though named", touch.relation);
    }
    if (said.lock < named) wrong("its lock is {} at least", to_string(named));
    if (said.lock > seen_.strongest() && !may_be_more()) wrong("its lock is {}", to_string(seen_.strongest()));
    const auto any = [&](auto what) {
      return std::ranges::any_of(seen_.relations, [&](const auto& one) { return what(one.second); });
    };
    const bool indexes = std::ranges::any_of(
        said.touches, [](const core::Touch& touch) { return touch.kind == core::Touch::Kind::index; });
    const bool copied =
        any([&](const Seen& one) { return one.rewritten && (one.is_table() || indexes); }) && !may("new file");
    const bool read = copied || any([](const Seen& one) { return one.scanned; });
    never_less(said.rewrites(), copied, "rewritten");
    never_less(said.scans(), read, "scanned");
    if (said.transactional != seen_.transactional && !may("blind") && !may("cautious"))
      wrong("transactional is {}", seen_.transactional);
  }

  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  [[nodiscard]] bool was_excused() const { return excused_; }

 private:
  template <typename... Args>
  void wrong(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  [[nodiscard]] bool may(const std::string& word) const { return entry_.may.contains(word); }
  [[nodiscard]] bool may_be_more() const { return may("idle") || may("cautious") || may("unlisted"); }
  [[nodiscard]] const Seen* find(const std::string& oid) const {
    const auto found = seen_.relations.find(oid);
    return found == seen_.relations.end() ? nullptr : &found->second;
  }

  // PostgreSQL tags what fills a new relation as the query that it is.
  void common(const core::Statement& said) {
    const bool fills =
        said.kind == "SELECT INTO" || said.kind == "CREATE TABLE AS" || said.kind == "CREATE MATERIALIZED VIEW";
    if (said.kind != seen_.tag && !(fills && seen_.tag == "SELECT")) wrong("PostgreSQL calls it {}", seen_.tag);
  }

  void same_lock(const core::Touch& touch, const Seen& seen) {
    if (touch.lock != seen.lock) wrong("{} is locked {}", touch.relation, to_string(seen.lock));
    const auto kind = seen.is_table()    ? core::Touch::Kind::table
                      : seen.kind == 'S' ? core::Touch::Kind::sequence
                                         : core::Touch::Kind::index;
    if (touch.kind != kind) wrong("{} is a {}", touch.relation, to_string(kind));
  }

  void same_answers(const core::Touch& touch, const Seen& seen) {
    const bool copied = seen.rewritten && !may("new file");
    if (touch.rewrites == Answer::maybe && may("maybe")) {
      excused_ = true;
    } else if (touch.rewrites != (copied ? Answer::yes : Answer::no)) {
      wrong("{} rewritten: {}", touch.relation, copied);
    }
    if (!seen.is_table() || (seen.empty && !copied)) return;
    if (touch.scans == Answer::maybe && may("maybe")) {
      excused_ = true;
      return;
    }
    const bool read = copied || seen.scanned;
    if (touch.scans != (read ? Answer::yes : Answer::no)) wrong("{} scanned: {}", touch.relation, read);
  }

  // What is named stands for its partitions and heirs as well, so that the statement as a whole counts.
  void never_less(Answer said, bool happened, std::string_view what) {
    const bool less = happened && said == Answer::no && !may("hidden") && !may("unlisted");
    const bool more = !happened && said == Answer::yes && !may_be_more() && !all_empty();
    if (less || more) wrong("{}: {}", what, happened);
  }
  [[nodiscard]] bool all_empty() const {
    return std::ranges::none_of(seen_.relations, [](const auto& one) {
      return one.second.is_table() && one.second.lock != LockMode::none && !one.second.empty;
    });
  }

  const FiledStatement& entry_;
  const Observation& seen_;
  const Oids& oids_;
  std::vector<std::string> problems_;
  bool excused_ = false;
};

// The tables, made once; entries that change something for good get a copy of their own.
class Databases {
 public:
  static Databases& get() {
    static Databases databases;
    return databases;
  }

  // Its name.
  std::string copy() {
    const std::string name = fmt::format("copy_{}", ++copies_);
    SqlSession(cluster().dsn()).run(fmt::format("CREATE DATABASE {} TEMPLATE base STRATEGY file_copy", name));
    return name;
  }
  // Only to save room: one with a subscription stays.
  static void drop(const std::string& name) {
    SqlSession(cluster().dsn()).attempt(fmt::format("DROP DATABASE {} WITH (FORCE)", name));
  }

 private:
  Databases() {
    SqlSession admin(cluster().dsn());
    admin.run("ALTER SYSTEM SET autovacuum = off");
    admin.run("ALTER SYSTEM SET timezone = 'UTC'");
    admin.run("ALTER SYSTEM SET wal_level = 'logical'");
    if (!cluster().restart()) throw std::runtime_error("the server does not start again");
    SqlSession(cluster().dsn()).run("CREATE DATABASE base");
    SqlSession base(cluster().dsn("base"));
    base.run(content_of(kEffects + "base.sql"));
    base.run("VACUUM (ANALYZE)");
  }

  int copies_ = 0;
};

// A database, and what is read of its catalogs.
class Place {
 public:
  explicit Place(const std::string& setup = {})
      : observer(cluster().dsn(database_.name), setup),
        target_(postgres::make_target(TargetName{"main"}, cluster().dsn(database_.name),
                                      "6a8c7f0e-0d43-4c38-9b5e-1f2f4a9f6d11", log_)) {}

 private:
  struct Copy {
    Copy() : name(Databases::get().copy()) {}
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    ~Copy() { Databases::drop(name); }
    const std::string name;
  };
  const Copy database_;  // goes last

 public:
  Observer observer;

  // What a plan of this statement asks for.
  [[nodiscard]] const core::CatalogSnapshot& concerning(const std::string& statement) {
    core::Plan plan;
    plan.steps.emplace_back().sql = statement;
    return read(sql::concerns(plan));
  }
  [[nodiscard]] const core::CatalogSnapshot& everything() {
    return read({.everything = true, .relations = {}, .functions = {}, .types = {}});
  }

 private:
  // Nothing changes in it but sizes: what was asked before need not be again.
  const core::CatalogSnapshot& read(const core::CatalogRequest& request) {
    std::string key = request.everything ? "*" : "";
    for (const auto* names : {&request.relations, &request.functions, &request.types}) {
      for (const auto& name : *names) key += name.schema + "." + name.name + " ";
      key += ";";
    }
    for (const auto& object : request.objects)
      key += object.kind + " " + object.name.schema + "." + object.name.name + " ";
    if (const auto found = snapshots_.find(key); found != snapshots_.end()) return found->second;
    auto snapshot = target_->catalog(request);
    if (!snapshot) throw std::runtime_error(snapshot.error().failure.message);
    // The target's sessions are always in UTC; ours here are in what the database says.
    snapshot->time_zone = observer.time_zone();
    return snapshots_.emplace(key, std::move(*snapshot)).first->second;
  }

  SilentLog log_;
  std::unique_ptr<ports::Target> target_;
  std::map<std::string, core::CatalogSnapshot> snapshots_;
};

struct Count {
  int entries = 0;
  int excused = 0;  // scans are `maybe`
};

class Proof {
 public:
  void prove(FiledStatement& entry, const std::string& where) {
    try {
      ++count_.entries;
      prove(entry);
      if (!problems_.empty()) ADD_FAILURE_AT(where.c_str(), entry.line) << entry.statement << "\n" << report_;
    } catch (const std::exception& e) {
      ADD_FAILURE_AT(where.c_str(), entry.line) << entry.statement << "\n" << e.what();
    }
  }
  [[nodiscard]] const Count& count() const { return count_; }

 private:
  void prove(FiledStatement& entry) {
    problems_.clear();
    if (entry.setup.empty() && entry.holds.empty()) {
      if (!shared_) shared_ = std::make_unique<Place>();
      return compare(entry, *shared_);
    }
    Place place(entry.setup);
    compare(entry, place);
  }

  void compare(FiledStatement& entry, Place& place) {
    const auto& catalog = entry.may.contains("unasked") ? place.everything() : place.concerning(entry.statement);
    const auto informed = sql::classify(entry.statement, &catalog).value().at(0);
    const auto blind = sql::classify(entry.statement).value().at(0);
    Comparison::Oids oids;  // before names change
    for (const auto* said : {&informed, &blind}) {
      for (const auto& touch : said->touches) oids[touch.relation] = place.observer.oid_of(touch.relation);
    }
    const Observation seen = place.observer.observe(entry.statement, entry.holds);
    Comparison exact(entry, seen, oids);
    exact.with_catalog(informed);
    Comparison careful(entry, seen, oids);
    careful.without_catalog(blind, informed);
    if (exact.was_excused()) ++count_.excused;
    if (entry.may.contains("maybe") && !exact.was_excused()) problems_.emplace_back("it needs no excuse");
    const std::string observed = describe(seen);
    for (const auto& problem : exact.problems()) problems_.push_back("with the catalog: " + problem);
    for (const auto& problem : careful.problems()) problems_.push_back("without: " + problem);
    if (std::getenv("DIASTOLE_RECORD") != nullptr) entry.observed = observed;
    if (observed != entry.observed) problems_.push_back("written down is: " + entry.observed);
    report_ = fmt::format("  observed: {}\n  {}\n  with the catalog: {}\n  without: {}", observed,
                          fmt::join(problems_, "\n  "), describe(informed), describe(blind));
    if (!seen.transactional && entry.holds.empty()) shared_.reset();
  }

  std::unique_ptr<Place> shared_;
  std::vector<std::string> problems_;
  std::string report_;
  Count count_;
};

Count prove_file(const std::string& path) {
  auto entries = read_statements(path);
  Proof proof;
  for (auto& entry : entries) {
    if (!entry.statement.empty()) proof.prove(entry, path);
  }
  if (std::getenv("DIASTOLE_RECORD") != nullptr) write_statements(path, entries);
  return proof.count();
}

const char* const kFiles[] = {"tables",     "columns", "types", "constraints", "indexes",
                              "partitions", "objects", "drops", "rows",        "alone"};

TEST(EffectsFilesTest, HoldManyStatementsAndLeaveFewOpen) {
  constexpr int kLeast = 700;
  Count count;
  for (const char* name : kFiles) {
    for (const auto& entry : read_statements(kEffects + name + ".sql")) {
      if (!entry.statement.empty()) ++count.entries;
      if (entry.may.contains("maybe")) ++count.excused;
    }
  }
  EXPECT_GE(count.entries, kLeast);
  EXPECT_LE(count.excused * 10, count.entries);
}

class ObservedEffectsTest : public testing::TestWithParam<const char*> {};

TEST_P(ObservedEffectsTest, AreWhatTheAnalyserSays) {
  const Count count = prove_file(kEffects + GetParam() + ".sql");
  EXPECT_GT(count.entries, 0);
  RecordProperty("statements", count.entries);
  RecordProperty("maybe", count.excused);
  fmt::print("{}: {} statements, of which {} are left open\n", GetParam(), count.entries, count.excused);
}

INSTANTIATE_TEST_SUITE_P(Files, ObservedEffectsTest, testing::ValuesIn(kFiles),
                         [](const auto& file) { return std::string(file.param); });

}  // namespace
}  // namespace diastole::test

// In memory where there is some: two hundred databases are copied, file by file.
int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  constexpr std::uintmax_t kEnough = 1'000'000'000;
  const fs::path memory = "/dev/shm";
  const fs::path ours = memory / fmt::format("diastole-test-{}", getpid());
  std::error_code ignored;
  const auto space = fs::space(memory, ignored);
  if (!ignored && space.available > kEnough) diastole::test::postgres_environment().keep_in(ours);
  const int result = diastole::test::run_with_postgres(argc, argv);
  fs::remove_all(ours, ignored);
  return result;
}
