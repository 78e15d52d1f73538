// The version in what an instance answers.
#pragma once

#include <string>
#include <string_view>

#include "diastole/base/result.hpp"

namespace diastole::discovery {

// `pointer` is a JSON pointer (RFC 6901) to a text of 1 to 128 bytes without spaces, or to a whole number. unavailable,
// with what is there instead; never with more than the kind of it, since it may be anything.
[[nodiscard]] Result<std::string> version_in(std::string_view body, const std::string& pointer);

}  // namespace diastole::discovery
