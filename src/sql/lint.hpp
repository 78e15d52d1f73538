// Finds where the rules are broken: one function a kind of statement, spread over lint_*.cpp by subject.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analyse.hpp"
#include "column_def.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/sql/analysis.hpp"
#include "reporter.hpp"

namespace diastole::sql {

// What the rules remember from one statement to the next, of a whole plan.
struct PlanMemory {
  explicit PlanMemory(const core::CatalogSnapshot* catalog) : known(catalog) {}

  // A foreign key whose index may come later.
  struct ForeignKey {
    std::string table;
    std::vector<std::string> columns;
    std::string references;
    Place place;
    std::string path = {};  // of the text, where the plan says it
  };
  struct DroppedIndex {
    std::string name;
    std::string table;
    std::vector<std::string> columns;
    std::string statement;
  };

  // A foreign key that the plan adds to a table which may be a partition.
  struct PartitionKey {
    std::string table;  // by table_key()
    std::string name;
    std::string definition;
    bool valid = false;
  };

  Known known;
  std::vector<ForeignKey> foreign_keys;
  std::vector<PartitionKey> partition_keys;
  std::vector<DroppedIndex> dropped_indexes;
  std::set<std::string, std::less<>> identified;  // table_key() of those that got a replica identity
};

struct LintedText {
  std::vector<core::Statement> statements;  // with their phases; none where the text does not parse
  std::vector<core::Finding> findings;      // without path
};

// Analyses one text with the rules of `phase`, and takes in what it changes. A text that does not parse, or holds no
// statement, is a finding.
[[nodiscard]] LintedText lint_text(std::string_view sql, core::Phase phase, const AnalysisOptions& options,
                                   PlanMemory& memory);
// Only the structural rules, which hold for an undo as well. It changes nothing that a later step could meet.
[[nodiscard]] LintedText lint_undo(std::string_view sql, const core::CatalogSnapshot* catalog);
// Of a backfill at that path, whose table's name is quoted already.
[[nodiscard]] std::vector<core::Finding> lint_backfill(const core::Backfill& backfill, const std::string& path,
                                                       const Known& known);
// Puts the way that the engine will most likely choose into the backfill, where the catalog is known; finds that there
// is none.
[[nodiscard]] std::vector<core::Finding> choose_way(core::Backfill& backfill, const std::string& path,
                                                    const Known& known);
// The foreign keys that no index came for.
[[nodiscard]] std::vector<core::Finding> open_foreign_keys(const PlanMemory& memory);

// What a statement's rules have at hand.
struct Lint {
  const Analysed& statement;
  Reporter& reporter;
  PlanMemory& memory;

  [[nodiscard]] Node body() const { return statement.parsed.body; }
  [[nodiscard]] const std::string& table() const { return statement.table; }
  [[nodiscard]] std::string_view text() const { return statement.parsed.text; }
  [[nodiscard]] const Known& known() const { return memory.known; }
  // A lock on it, however long, hurts nobody.
  [[nodiscard]] bool idle(std::string_view table) const {
    return memory.known.is_empty(table) || memory.known.is_small(table);
  }
};

void lint_alter_table(const Lint& lint);
// Of a column that gets another type.
struct TypeOf {
  bool not_null;  // the same statement says SET NOT NULL
  bool old;       // old code knows it
};
// ALTER COLUMN … TYPE.
void lint_column_type(const Lint& lint, const std::string& table, std::string_view column, Node definition, TypeOf of);
// An attribute of a composite type is dropped; where `fresh` is a type, for a new one of it.
[[nodiscard]] std::vector<core::SafeStep> attribute_form(const Lint& lint, std::string_view attribute,
                                                         std::string_view fresh);
// ATTACH PARTITION and DETACH PARTITION, by the subcommand's PartitionCmd.
void lint_attach(const Lint& lint, Node command);
void lint_detach(const Lint& lint, Node command);
// ALTER TABLE, or ALTER INDEX, of what is known to be an index.
[[nodiscard]] bool of_index(const Lint& lint);
void lint_create_table(const Lint& lint);
// A column's type, in CREATE TABLE and ADD COLUMN. `key`: the table's primary key has it.
void lint_column(const Lint& lint, const std::string& table, Node column, const ColumnTraits& traits, bool key);
// A foreign key, as a table's constraint or a column's (whose names are then given).
void lint_foreign_key(const Lint& lint, const std::string& table, Node constraint,
                      const std::vector<std::string>& columns);
void lint_index(const Lint& lint);
void lint_drop_index(const Lint& lint);
void lint_reindex(const Lint& lint);
void lint_drop(const Lint& lint);
void lint_rename(const Lint& lint);
void lint_set_schema(const Lint& lint);
void lint_truncate(const Lint& lint);
void lint_grant(const Lint& lint);
void lint_grant_role(const Lint& lint);
void lint_default_rights(const Lint& lint);
void lint_role(const Lint& lint);
void lint_foreign_setting(const Lint& lint);
void lint_policy(const Lint& lint);
void lint_owner_of_object(const Lint& lint);
void lint_new_owner(const Lint& lint);  // a subcommand of ALTER TABLE
void lint_reassign(const Lint& lint);
void lint_publication(const Lint& lint);
// REPLICA IDENTITY, a subcommand of ALTER TABLE.
void lint_replica_identity(const Lint& lint, Node definition);
void lint_sequence(const Lint& lint);
// Of ALTER SEQUENCE, and of an identity column's.
void lint_sequence_options(const Lint& lint, const std::string& sequence, Node options);
void lint_setval(const Lint& lint);
// CREATE OR REPLACE.
void lint_replace_object(const Lint& lint);
void lint_replace_view(const Lint& lint);
void lint_enum(const Lint& lint);
void lint_create_enum(const Lint& lint);
void lint_domain(const Lint& lint);
void lint_create_domain(const Lint& lint);
void lint_refresh(const Lint& lint);
void lint_vacuum(const Lint& lint);
void lint_drop_owned(const Lint& lint);
void lint_query(const Lint& lint);
// A UNIQUE or PRIMARY KEY, an IndexStmt or a Constraint over these columns ("" for an expression), that old code's rows
// may not meet. Whether it may.
bool lint_unique_key(const Lint& lint, Node key, const std::vector<std::string>& columns, const NewColumns& new_columns,
                     const Blanks& blanks);
// What the statements of one text have done before the next, in the transaction that they share.
struct Before {
  const Analysed* last = nullptr;
  std::map<std::string, core::LockMode, std::less<>> locks;     // by table_key()
  std::set<std::pair<std::string, std::string>> updated;        // table_key() and column
  std::set<std::string, std::less<>> referenced;                // by foreign keys, unless the table is idle
  std::string exclusive;                                        // the first table under the strongest lock
  std::set<std::string, std::less<>> enums;                     // created, whose values may be used at once
  std::multimap<std::string, std::string, std::less<>> values;  // added to other enums: to which

  // Once it has been looked at. It must outlive this.
  void take_in(const Lint& lint);
};
// Rules on several statements of one step.
void lint_together(const Lint& lint, const Before& before);

// What a kind of object, by libpg_query's name, breaks when it goes or gets another name.
struct ObjectRule {
  std::string_view type;
  const Rule* rule;
};
// The type's own rule; the usual one where what goes would be missed.
[[nodiscard]] const Rule* rule_for(std::span<const ObjectRule> rules, std::string_view type, bool destructive,
                                   const Rule& usual);

// Of a list of String nodes: unquoted, and as SQL.
[[nodiscard]] std::vector<std::string> names_in(Node strings);
[[nodiscard]] std::string join_names(const std::vector<std::string>& names);
// A statement that says CASCADE without it, where it stands at the end.
[[nodiscard]] std::string without_cascade(std::string_view statement);
// `name` as SQL, or `otherwise` where it is empty.
[[nodiscard]] std::string name_or(std::string_view name, std::string_view otherwise);

}  // namespace diastole::sql
