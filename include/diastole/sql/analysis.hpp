// What SQL does, by PostgreSQL's own parser (libpg_query): no connection, no I/O.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::sql {

// A step's SQL may be this long.
inline constexpr std::size_t kMaxSqlBytes = 1024 * 1024;

// Everything below works without a catalog (null): what then depends on the live schema is `maybe`, and findings say
// what would decide them.

// What an organisation may ask for beyond what is right for everybody.
struct AnalysisOptions {
  bool require_table_schema = false;  // rule require-table-schema
};

// Splits and classifies. invalid_argument with message "line L, column C: …" for SQL that does not parse, is empty, or
// is too long.
[[nodiscard]] Result<std::vector<core::Statement>> classify(std::string_view sql,
                                                            const core::CatalogSnapshot* catalog = nullptr);

// What is wrong with these statements in this phase, with lines and columns in `sql`. Transaction control is an error
// in every phase.
[[nodiscard]] Result<std::vector<core::Finding>> lint(std::string_view sql, core::Phase phase,
                                                      const core::CatalogSnapshot* catalog = nullptr,
                                                      const AnalysisOptions& options = {});

// One SQL expression over a row (`set`, `where`); invalid_argument where it is something else, or more than one.
[[nodiscard]] Result<void> check_expression(std::string_view expression);
// One statement that writes rows, with the parameters :from and :to outside strings, comments and casts (`sql` of a
// backfill); cut so that each parameter is a piece of its own. Together the pieces are `sql`.
[[nodiscard]] Result<std::vector<std::string>> cut_window(std::string_view sql);
// One SELECT, as `verify` wants it.
[[nodiscard]] Result<void> check_query(std::string_view query);

// Parses "users", "app.users", "\"Order\"" into its parts and quotes them anew where they need it. `parts` is how many
// are wanted at the most; a qualified column such as app.users.name has three.
[[nodiscard]] Result<std::vector<std::string>> split_identifier(std::string_view text, std::size_t max_parts);
[[nodiscard]] std::string quote_identifier(std::string_view name);

// Completes a plan that codec has read: recipes become their plain steps, statements are classified, findings attached
// (with `allow` applied). Every problem of every step is in the result; the plan may run only if none of its findings
// is an error that is not allowed (see refusals). SQL that does not parse is a finding, syntax-error. invalid_argument,
// with its path, for a short form or a backfill that is none.
[[nodiscard]] Result<core::Plan> complete(core::Plan plan, const core::CatalogSnapshot* catalog = nullptr,
                                          const AnalysisOptions& options = {});

// What complete() would like to know of the target.
[[nodiscard]] core::CatalogRequest concerns(const core::Plan& plan);

// Every rule as a row of a Markdown table: name, what it does in expand and in contract, why, instead, servers.
[[nodiscard]] std::string rules_reference();

// The findings that refuse the plan.
[[nodiscard]] std::vector<core::Finding> refusals(const core::Plan& plan);

}  // namespace diastole::sql
