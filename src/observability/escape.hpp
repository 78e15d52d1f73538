// Any bytes as one line of valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace diastole::observability {

// As in a JSON string, without the quotes (RFC 8259, section 7); each byte that is not part of well-formed UTF-8
// becomes U+FFFD.
[[nodiscard]] std::string escaped(std::string_view text);

}  // namespace diastole::observability
