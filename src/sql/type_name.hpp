// Types by name, as format_type() writes them, and what it costs to turn one into another.
#pragma once

#include <string>
#include <string_view>

#include "diastole/core/plan.hpp"
#include "parse.hpp"

namespace diastole::sql {

// Of a TypeName node: "character varying(20)", "timestamp(3) with time zone", "app.mood[]". "serial" and its like stay.
[[nodiscard]] std::string type_name(Node type);
// Without precision or length: "character varying", "timestamp with time zone", "app.mood[]".
[[nodiscard]] std::string type_without_length(std::string_view type);
// One of PostgreSQL's own that is no pseudo-type; such a one is no domain, so that a column of it has no hidden checks.
[[nodiscard]] bool is_builtin_type(std::string_view type);

// Whether ALTER COLUMN … TYPE must write every row anew, without a USING expression. PostgreSQL 12 to 17 agree
// (ATColumnChangeRequiresRewrite); `utc` says that sessions' TimeZone is UTC, where timestamp and timestamptz are the
// same bits. maybe: an extension's or user's type, which may be the same bits.
[[nodiscard]] core::Answer change_rewrites(std::string_view from, std::string_view to, bool utc);
// Whether every value of `from` is one of `to`, so that what old code writes and reads is as before.
[[nodiscard]] bool widens(std::string_view from, std::string_view to);
// Whether an index on the column stays as it is where the table does.
[[nodiscard]] bool keeps_indexes(std::string_view from, std::string_view to);

}  // namespace diastole::sql
