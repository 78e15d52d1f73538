// The text of the parts of a definition, for safe forms that say the same in another way.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "parse.hpp"

namespace diastole::sql {

// Of a ColumnDef that ADD COLUMN has.
struct ColumnText {
  struct Clause {
    Node constraint;
    std::string text;  // without CONSTRAINT and its name, and without DEFERRABLE and its like
    bool deferrable = false;
    bool deferred = false;
  };
  std::string type;  // as it is written, with COLLATE
  std::vector<Clause> clauses;
};
[[nodiscard]] ColumnText column_text(const ParsedStatement& statement, Node column);

// A table's constraint, without CONSTRAINT and its name, and without NOT VALID.
[[nodiscard]] std::string constraint_text(const ParsedStatement& statement, Node constraint);
// USING …, of ALTER COLUMN … TYPE; empty where there is none.
[[nodiscard]] std::string using_text(const ParsedStatement& statement, Node column);
// The whole statement with another type of that column.
[[nodiscard]] std::string with_type(const ParsedStatement& statement, Node column, std::string_view type);
// ALTER TABLE IF EXISTS ONLY app.t: up to the name, and with it.
[[nodiscard]] std::string alter_text(const ParsedStatement& statement, Node relation);
// What stands behind the table's name: of CREATE INDEX USING …, columns, WHERE …; of ALTER TABLE its subcommands.
[[nodiscard]] std::string text_behind_name(const ParsedStatement& statement, Node relation);

// What the bounds of ATTACH PARTITION say of one column, as the expression of a CHECK; empty where they are not so
// simple or the table's key is not known.
[[nodiscard]] std::string bounds_text(const ParsedStatement& statement, const core::CatalogRelation* table, Node bound);

// What stands behind the keyword, in capitals; empty where it is missing.
[[nodiscard]] std::string text_behind(std::string_view text, std::string_view keyword);
// The keyword and the parentheses behind it; empty where it is missing.
[[nodiscard]] std::string text_in_parentheses(std::string_view text, std::string_view keyword);

}  // namespace diastole::sql
