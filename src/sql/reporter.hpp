// Gathers the findings of one SQL text, statement by statement.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "analyse.hpp"
#include "diastole/core/plan.hpp"
#include "rules.hpp"
#include "text.hpp"

namespace diastole::sql {

// What the blanks in a rule's texts stand for.
struct Blanks {
  std::string table = {};
  std::string column = {};
  std::string constraint = {};
  std::string object = {};
  std::string kind = {};
  std::string name = {};
  std::string statement = {};
};

// Tables that the same phase has created: they have no rows and no users yet, so that what would block or break others
// is harmless on them. Holds their keys.
using NewTables = std::set<std::string, std::less<>>;

class Reporter {
 public:
  Reporter(std::string_view sql, core::Phase phase, const NewTables& created)
      : sql_(sql), phase_(phase), created_(created) {}

  // Findings that follow are about this statement.
  void begin(const Analysed& statement) { place_ = place_at(sql_, statement.parsed.offset); }
  // Adds a finding where the rule holds in this phase.
  void report(const Rule& rule, const Blanks& blanks);
  [[nodiscard]] bool is_new(std::string_view table) const { return created_.contains(table_key(table)); }
  [[nodiscard]] std::vector<core::Finding> take() { return std::move(findings_); }

 private:
  std::string_view sql_;
  core::Phase phase_;
  const NewTables& created_;
  Place place_;
  std::vector<core::Finding> findings_;
};

// A finding without a place.
[[nodiscard]] core::Finding make_finding(const Rule& rule, core::Severity severity, const Blanks& blanks);

// `text` with `word` put behind the first `after`, a keyword: CREATE INDEX … into CREATE INDEX CONCURRENTLY ….
[[nodiscard]] std::string with_word(std::string_view text, std::string_view after, std::string_view word);

// The rules on ALTER TABLE's subcommands.
void lint_alter_table(const Analysed& statement, Reporter& reporter);

}  // namespace diastole::sql
