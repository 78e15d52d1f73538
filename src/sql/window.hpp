// A backfill's own statement: where its parameters :from and :to stand.
#pragma once

#include <string>
#include <vector>

namespace diastole::sql {

// The pieces of cut_window() as a statement without parameters, each character where it was.
[[nodiscard]] std::string plain_window(const std::vector<std::string>& pieces);

}  // namespace diastole::sql
