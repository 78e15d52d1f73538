// How many rows a query may yield.
#pragma once

#include <string>
#include <vector>

#include "lint.hpp"

namespace diastole::sql {

// What a query reads that has many rows, each as SQL.
struct LargeSources {
  std::vector<std::string> names;
  bool sure = true;  // false: nobody knows how many
};
// Of an INSERT's source.
[[nodiscard]] LargeSources large_sources(const Lint& lint, Node select);

}  // namespace diastole::sql
