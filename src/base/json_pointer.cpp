#include "diastole/base/json_pointer.hpp"

namespace diastole {

std::string pointer_token(std::string_view member) {
  std::string token;
  token.reserve(member.size());
  for (const char c : member) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

}  // namespace diastole
