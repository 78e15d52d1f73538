// A request's target in origin form, taken apart.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::http {

struct Target {
  std::vector<std::string> path;
  std::map<std::string, std::string> query;
};

// Splits first and percent-decodes each part after, so that %2F stays inside its segment; "+" stands for itself. "/"
// has no segment, and a trailing slash leaves an empty last one. invalid_argument: does not start with "/", a fragment,
// broken percent encoding, NUL, text that is not UTF-8, a query key twice.
[[nodiscard]] Result<Target> parse_target(std::string_view target);

}  // namespace diastole::http
