#include "diastole/base/result.hpp"

namespace diastole {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::fenced: return "fenced";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::lock_timeout: return "lock_timeout";
    case ErrorCode::outcome_unknown: return "outcome_unknown";
    case ErrorCode::interrupted: return "interrupted";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

}  // namespace diastole
