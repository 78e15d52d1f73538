#include "diastole/http/message.hpp"

#include <algorithm>

namespace diastole::http {

std::optional<std::string_view> Request::header(std::string_view lower_name) const {
  const auto found = std::ranges::find(headers, lower_name, &Headers::value_type::first);
  return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

}  // namespace diastole::http
