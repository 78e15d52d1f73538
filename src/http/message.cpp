#include "diastole/http/message.hpp"

namespace diastole::http {

std::optional<std::string> Request::header(const std::string& lower_name) const {
  const auto found = headers.find(lower_name);
  return found == headers.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace diastole::http
