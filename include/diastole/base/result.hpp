// Errors as values. What can be expected returns Result<T>; exceptions are for bugs and start-up and stop at an
// adapter's edge.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace diastole {

// A new code only where a caller would act differently. http maps each to one status.
enum class ErrorCode {
  invalid_argument,  // the input is wrong: nothing happened, sending it again will not help
  not_found,
  conflict,         // the input is fine but does not fit the present state
  fenced,           // we act under a stale epoch: stop
  unavailable,      // a database cannot be reached or cannot write: nothing happened, try later
  lock_timeout,     // a lock was not granted in time: rolled back, try again
  outcome_unknown,  // the connection was lost where a commit may have happened: read the ledger
  interrupted,      // we cancelled it ourselves (pause, stop): rolled back
  internal,
};

[[nodiscard]] std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string
      path;  // JSON pointer into the input that is wrong, e.g. /backfill/0/table; empty where it concerns the whole
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string path = {}) {
  return std::unexpected(Error{.code = code, .message = std::move(message), .path = std::move(path)});
}

}  // namespace diastole
