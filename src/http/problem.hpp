// Errors as RFC 9457 application/problem+json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "diastole/base/result.hpp"
#include "diastole/http/message.hpp"

namespace diastole::http {

// `type` is urn:diastole:problem:<title in lower case, with dashes>. `extra`, an object, adds members; its
// retry_after_s becomes the Retry-After header too.
[[nodiscard]] Response problem(int status, std::string_view title, std::string_view detail);
[[nodiscard]] Response problem(int status, std::string_view title, std::string_view detail,
                               const nlohmann::json& extra);

// By the one table of codes; with the error's path, and retry_after_s where trying again can help.
[[nodiscard]] Response problem(const Error& error);

}  // namespace diastole::http
