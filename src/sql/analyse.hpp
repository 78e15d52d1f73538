// Statements taken apart, for the rules to look at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/core/plan.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct Analysed {
  ParsedStatement parsed;
  core::Statement statement;
  bool known = true;           // false: nobody can tell what it does
  bool surely_creates = true;  // false: IF NOT EXISTS, what it creates may be an old table with rows
};

// `sql` must outlive the result. invalid_argument as classify() says.
[[nodiscard]] Result<std::vector<Analysed>> analyse(std::string_view sql);

// Tables are the same when their names are, "public." being what an unqualified name most often means.
[[nodiscard]] std::string_view table_key(std::string_view table);

}  // namespace diastole::sql
