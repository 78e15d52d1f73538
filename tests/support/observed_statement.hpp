// What a statement did to the relations that were there before it, as PostgreSQL itself tells: locks from pg_locks, new
// files from pg_class, scans from the statistics.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "diastole/core/plan.hpp"
#include "support/sql_session.hpp"
#include "support/target.hpp"

namespace diastole::test {

struct Seen {
  std::string name;    // as an SQL identifier, without a schema that the search_path finds
  char kind = 'r';     // pg_class.relkind
  std::string table;   // the oid of the table that an index or sequence belongs to
  bool empty = false;  // without a row, so that nobody could see it being read
  core::LockMode lock = core::LockMode::none;
  bool scanned = false;
  bool rewritten = false;

  [[nodiscard]] bool is_table() const { return kind != 'i' && kind != 'I' && kind != 'S'; }
};

struct Observation {
  std::map<std::string, Seen> relations;  // by oid
  bool transactional = true;
  std::string tag;

  [[nodiscard]] core::LockMode strongest() const {
    core::LockMode lock = core::LockMode::none;
    for (const auto& [oid, seen] : relations) {
      if (is_worth_telling(seen)) lock = std::max(lock, seen.lock);
    }
    return lock;
  }

  // Of an index or a sequence, only what the lock on its table does not say already. Calling nextval() hinders nobody.
  [[nodiscard]] bool is_worth_telling(const Seen& seen) const {
    if (seen.is_table()) return seen.lock != core::LockMode::none || seen.scanned || seen.rewritten;
    const auto table = relations.find(seen.table);
    const auto covered = table == relations.end() ? core::LockMode::none : table->second.lock;
    return seen.lock > std::max(covered, core::LockMode::row_exclusive);
  }
};

class Observer {
 public:
  // `setup` is run, and stays.
  Observer(const std::string& dsn, const std::string& setup) : dsn_(dsn), watcher_(dsn), actor_(prepared(dsn, setup)) {
    watcher_.run("SET stats_fetch_consistency = none");
  }

  // Runs it in a transaction and takes it back. What must run on its own is let run to its end, with each of `holds` a
  // statement that another session has run in an open transaction meanwhile: locks are read each time that it waits,
  // and then one of them is let go.
  [[nodiscard]] Observation observe(const std::string& sql, const std::vector<std::string>& holds) {
    Observation seen{.relations = relations(), .transactional = true, .tag = {}};
    actor_.run("BEGIN");
    const auto before = scans(actor_, "_xact");
    Outcome outcome = actor_.attempt(sql);
    if (outcome.sqlstate == "25001") {
      actor_.run("ROLLBACK");
      return observe_alone(sql, holds, std::move(seen));
    }
    // Constraint triggers that would run at the commit.
    if (outcome.sqlstate.empty()) outcome.tag = finish_checks(outcome);
    if (outcome.sqlstate.empty()) {
      add_locks(seen);
      add_files(seen, actor_);
      add_scans(seen, before, scans(actor_, "_xact"));
    }
    actor_.run("ROLLBACK");
    if (!outcome.sqlstate.empty()) throw std::runtime_error(outcome.message);
    seen.tag = outcome.tag;
    return seen;
  }

  [[nodiscard]] std::string time_zone() { return actor_.run("SHOW TimeZone").at(0).at(0); }
  // The oid of the relation that the identifier means; empty for none.
  [[nodiscard]] std::string oid_of(const std::string& identifier) {
    return watcher_.run(fmt::format("SELECT to_regclass($i${}$i$)::oid", identifier)).at(0).at(0);
  }

 private:
  using Counts = std::map<std::string, long>;

  // The session that acts begins after the setup, which may be about sessions to come.
  const std::string& prepared(const std::string& dsn, const std::string& setup) {
    if (!setup.empty()) watcher_.run(setup);
    return dsn;
  }

  std::string finish_checks(Outcome& outcome) {
    std::string tag = outcome.tag;
    outcome = actor_.attempt("SET CONSTRAINTS ALL IMMEDIATE");
    return tag;
  }

  Observation observe_alone(const std::string& sql, const std::vector<std::string>& holds, Observation seen) {
    seen.transactional = false;
    std::vector<std::unique_ptr<OpenTransaction>> held;
    for (const auto& hold : holds) held.push_back(std::make_unique<OpenTransaction>(dsn_, hold));
    const auto before = scans(watcher_, "");
    actor_.send(sql);
    for (auto& hold : held) {
      if (!eventually([&] { return waits(); })) throw std::runtime_error("it does not wait behind what is held");
      add_locks(seen);
      hold.reset();
    }
    const Outcome outcome = actor_.finish();
    if (!outcome.sqlstate.empty()) throw std::runtime_error(outcome.message);
    actor_.run("SELECT pg_stat_force_next_flush()");
    add_files(seen, watcher_);
    add_scans(seen, before, scans(watcher_, ""));
    seen.tag = outcome.tag;
    return seen;
  }

  // Behind the others that are held still: a lock that is let go shows in pg_locks as granted at once.
  bool waits() {
    return !watcher_.run(fmt::format("SELECT 1 FROM pg_locks WHERE pid = {} AND NOT granted", actor_.pid())).empty();
  }

  std::map<std::string, Seen> relations() {
    std::map<std::string, Seen> found;
    files_.clear();
    for (const auto& row : watcher_.run(
             "SELECT c.oid, c.oid::regclass, c.relkind, coalesce(i.indrelid, d.refobjid)::text, "
             "coalesce(pg_relation_filenode(c.oid), 0), c.relkind IN ('r', 'm') AND pg_relation_size(c.oid) = 0 "
             "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass "
             "AND d.objid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') AND c.relkind = 'S' "
             "WHERE c.relkind IN ('r','p','v','m','f','i','I','S') "
             "AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'diastole')")) {
      found[row[0]] = Seen{.name = row[1], .kind = row[2].at(0), .table = row[3], .empty = row[5] == "t"};
      files_[row[0]] = std::stol(row[4]);
    }
    return found;
  }

  void add_locks(Observation& seen) {
    for (const auto& row :
         watcher_.run(fmt::format("SELECT relation, upper(regexp_replace(replace(mode, 'Lock', ''), '([a-z])([A-Z])', "
                                  "'\\1 \\2', 'g')) FROM pg_locks WHERE locktype = 'relation' AND pid = {}",
                                  actor_.pid()))) {
      const auto found = seen.relations.find(row[0]);
      if (found == seen.relations.end()) continue;
      found->second.lock = std::max(found->second.lock, core::lock_mode_from(row[1]).value());
    }
  }

  void add_files(Observation& seen, SqlSession& session) {
    std::map<std::string, long> by_oid;
    std::map<std::string, long> by_name;  // REINDEX CONCURRENTLY puts another in its place
    for (const auto& row :
         session.run("SELECT oid, oid::regclass, pg_relation_filenode(oid) FROM pg_class WHERE relfilenode <> 0")) {
      by_oid[row[0]] = by_name[row[1]] = std::stol(row[2]);
    }
    for (auto& [oid, one] : seen.relations) {
      const auto place = by_oid.contains(oid) ? by_oid.find(oid) : by_name.find(one.name);
      const bool gone = place == by_oid.end() || place == by_name.end();
      one.rewritten = one.kind != 'S' && !gone && place->second != files_.at(oid);
    }
  }

  Counts scans(SqlSession& session, const std::string& when) {
    Counts rows;
    std::string list;
    for (const auto& [oid, file] : files_) {
      if (file != 0) list += (list.empty() ? "" : ",") + oid;
    }
    for (const auto& row : session.run(fmt::format(
             "SELECT oid, pg_stat_get{}_tuples_returned(oid) FROM unnest('{{{}}}'::oid[]) AS r(oid)", when, list))) {
      rows[row[0]] = std::stol(row[1]);
    }
    return rows;
  }

  static void add_scans(Observation& seen, const Counts& before, const Counts& after) {
    for (auto& [oid, one] : seen.relations) {
      const auto found = after.find(oid);
      if (found != after.end() && one.is_table()) one.scanned = found->second > before.at(oid);
    }
  }

  const std::string dsn_;
  SqlSession watcher_;
  SqlSession actor_;
  Counts files_;
};

}  // namespace diastole::test
