// What hangs on something that is dropped: how it is found, told of and dropped first.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lint.hpp"

namespace diastole::sql {

// What depends on a relation, or on one of its columns where it is given.
struct Dependents {
  std::vector<std::string> blocking;  // PostgreSQL refuses to drop it before them
  std::vector<std::string> along;     // goes with it, or breaks
};
[[nodiscard]] Dependents dependents_of(const core::CatalogRelation& relation, std::string_view column,
                                       const Known& known);
// Reports them for a drop in contract, or behind a CASCADE; `form` drops them first.
void lint_dependents(const Lint& lint, const core::CatalogRelation& relation, std::string_view column, bool cascade,
                     const std::vector<core::SafeStep>& form);
// Steps of contract that drop what stands in the way, and then do `statement`.
[[nodiscard]] std::vector<core::SafeStep> drop_form(const Lint& lint, std::span<const core::CatalogRelation> relations,
                                                    std::string_view column, std::string statement);
[[nodiscard]] std::vector<core::SafeStep> drop_column_form(const Lint& lint, const std::string& table,
                                                           std::string_view column);
// DROP of functions, types, schemas, …: `rule` where it breaks one, and what hangs on them.
void lint_dropped_objects(const Lint& lint, const Rule* rule, const Blanks& blanks, bool cascade);
// ALTER TABLE … DROP CONSTRAINT.
void lint_dropped_constraint(const Lint& lint, const std::string& table, std::string_view name, bool cascade);

}  // namespace diastole::sql
