#include "diastole/http/message.hpp"

namespace diastole::http {

std::optional<std::string_view> Request::header(std::string_view lower_name) const {
  const auto found = headers.find(lower_name);
  return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

}  // namespace diastole::http
