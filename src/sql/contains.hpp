// std::ranges::contains, which libstdc++ 12 lacks.
#pragma once

#include <algorithm>

namespace diastole::sql {

template <typename Range, typename Value>
[[nodiscard]] constexpr bool contains(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

}  // namespace diastole::sql
