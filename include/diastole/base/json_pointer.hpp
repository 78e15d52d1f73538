// Paths into a document, as JSON pointers (RFC 6901).
#pragma once

#include <string>
#include <string_view>

namespace diastole {

// A member's name as it stands in a pointer: "a/b~c" is a~1b~0c.
[[nodiscard]] std::string pointer_token(std::string_view member);

}  // namespace diastole
