// Statements taken apart, for the rules to look at.
#pragma once

#include <string>
#include <vector>

#include "column_def.hpp"
#include "diastole/core/plan.hpp"
#include "known.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct Analysed {
  ParsedStatement parsed;
  std::string table;                  // the relation that it is about, as it is written; empty where there is none
  std::vector<ColumnTraits> columns;  // that a CREATE TABLE or ALTER TABLE defines, in their order
  core::Statement statement;          // without phase: the rules decide that
  std::string obscure;                // what of it nobody can tell the effects of; empty: there is nothing
  bool surely_creates = true;         // false: IF NOT EXISTS, what it creates may be an old table with rows
};

// Refers to the statement's tree. `known` is what is known before it.
[[nodiscard]] Analysed analyse(const ParsedStatement& statement, const Known& known);

}  // namespace diastole::sql
