// Safe forms that a rule's own templates cannot say: they depend on the whole definition, or on the table's partitions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "column_def.hpp"
#include "diastole/core/plan.hpp"
#include "known.hpp"
#include "old_writers.hpp"
#include "parse.hpp"

namespace diastole::sql {

using SafeSteps = std::vector<core::SafeStep>;

// A scalar of YAML 1.1, quoted unless it can be read as nothing but this text.
[[nodiscard]] std::string yaml_scalar(std::string_view text);
// The text of a step's `backfill`. The column comes unquoted, as `set` wants it; the rest is SQL.
[[nodiscard]] std::string backfill_text(std::string_view table, std::string_view column, std::string_view expression,
                                        std::string_view where);

[[nodiscard]] std::string sql_literal(std::string_view text);
// What PostgreSQL calls an index, a constraint or a sequence that has no name (makeObjectName), unquoted.
[[nodiscard]] std::string made_name(std::string_view table, const std::vector<std::string>& columns,
                                    std::string_view label);
// `name` in the schema that the table is written with.
[[nodiscard]] std::string beside(std::string_view table, std::string_view name);

// Parts of a UNIQUE or PRIMARY KEY constraint.
struct KeyDefinition {
  std::string name;                  // unquoted
  std::vector<std::string> columns;  // unquoted
  std::string text;                  // UNIQUE (a) INCLUDE (b), as definition_text.hpp reads it
  bool primary = false;
  bool not_null = false;  // its columns are, or steps before see to it
  bool deferrable = false;
  bool deferred = false;
};

// Writes steps behind one another.
class StepWriter {
 public:
  // The table as SQL.
  StepWriter(const Known& known, std::string table) : known_(known), table_(std::move(table)) {}

  // Steps from here on are this phase's; the statement's own where it is empty.
  void in_phase(std::optional<core::Phase> phase) { phase_ = phase; }
  void sql(std::string text, std::string_view note = {});
  void backfill(std::string_view column, std::string_view expression, std::string_view where,
                std::string_view note = {});
  void set_not_null(std::string_view column);

  // CREATE INDEX without blocking writers; `indexed` is what stands behind the table.
  void index(std::string_view name, std::string_view indexed, bool unique);
  // Builds the key's index, and makes it a constraint.
  void key(const KeyDefinition& key);
  // `definition`: FOREIGN KEY … REFERENCES …; `alter`: ALTER TABLE and the table.
  void foreign_key(std::string_view alter, std::string_view name, std::string_view definition);
  void check(std::string_view alter, std::string_view name, std::string_view definition);

  void append(SafeSteps steps);

  [[nodiscard]] bool is_partitioned() const;
  [[nodiscard]] SafeSteps take() { return std::move(steps_); }

 private:
  // "<partition>" where they are many, in levels, or not known.
  [[nodiscard]] std::vector<std::string> partitions() const;
  void declare_not_null(const KeyDefinition& key);
  void partition_key(const KeyDefinition& key, std::string_view indexed);
  void index_on(std::string_view name, std::string_view table, std::string_view indexed, bool unique);
  void validate(std::string_view table, std::string_view name);

  const Known& known_;
  std::string table_;
  std::optional<core::Phase> phase_;
  SafeSteps steps_;
};

// What ADD COLUMN asks for, so that no step holds a strong lock for long; `command` is its AlterTableCmd.
[[nodiscard]] SafeSteps add_column_form(const ParsedStatement& statement, const Known& known, Node command,
                                        const ColumnTraits& traits, const NewColumns& columns);

}  // namespace diastole::sql
