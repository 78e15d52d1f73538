// What a column definition asks of the rows that are there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "known.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct ColumnTraits {
  std::string name;                             // unquoted
  std::string type;                             // as format_type() writes it
  bool not_null = false;                        // PRIMARY KEY too
  bool has_default = false;                     // other than NULL
  core::Answer per_row = core::Answer::no;      // the default is computed for each row
  core::Answer constrained = core::Answer::no;  // the type is a domain that each row must be checked against
  bool filled = false;                          // rows get a value: foreign keys are checked
  bool primary = false;                         // PRIMARY KEY, on the column itself
  bool serial = false;
  bool identity = false;
  bool generated = false;
  Node default_expression;    // null where there is none
  Node generated_expression;  // likewise

  // Whether adding it writes every row anew, and whether it reads them.
  [[nodiscard]] core::Answer rewrites() const;
  [[nodiscard]] core::Answer scans() const;
  bool checked = false;  // UNIQUE or CHECK, or REFERENCES where it is filled: the rows are read for it
};

// The foreign keys that CREATE TABLE or ALTER TABLE defines: visitor(the Constraint).
template <typename Visitor>
void each_foreign_key(Node body, Visitor&& visitor) {
  const auto look = [&](Node element) {
    const auto is_key = [](Node constraint) { return constraint.text("contype") == "CONSTR_FOREIGN"; };
    if (element.tag() == "Constraint" && is_key(element.body())) visitor(element.body());
    if (element.tag() != "ColumnDef") return;
    for (const Node constraint : element.body()["constraints"]) {
      if (is_key(constraint.body())) visitor(constraint.body());
    }
  };
  for (const Node element : body["tableElts"]) look(element);
  for (const Node command : body["cmds"]) look(command.body()["def"]);
}

// Of a ColumnDef.
[[nodiscard]] ColumnTraits column_traits(Node column, const Known& known);
// Of each ColumnDef of a CREATE TABLE or ALTER TABLE.
[[nodiscard]] std::vector<ColumnTraits> columns_of(Node body, const Known& known);

}  // namespace diastole::sql
