// What PostgreSQL says of a failure, taken apart. libpqxx hands on only the text that libpq makes of it.
#pragma once

#include <exception>
#include <string_view>

#include "diastole/core/event.hpp"
#include "diastole/ports/target.hpp"

namespace diastole::postgres {

class Connection;

// Reads libpq's text ("ERROR:  …", "LINE n: …" with a caret below, "DETAIL:  …", "HINT:  …"). `statement` is the text
// that was sent: libpq shows an excerpt of its line only, so the column is found by looking the excerpt up. Line and
// column stay 0 where the text has none, or means a query inside a function. Sets neither sqlstate nor statement
// number.
[[nodiscard]] core::Failure parse_server_message(std::string_view text, std::string_view statement);

// An exception outside of a commit, as a target's error. `number` is the step's statement that ran, 1-based; 0 for one
// of ours. A cancelled statement (57014) is invalid_argument here: whether we cancelled it ourselves only the caller
// knows.
[[nodiscard]] ports::TargetError target_error(const Connection& connection, const std::exception_ptr& exception,
                                              std::string_view statement = {}, int number = 0);

[[nodiscard]] ports::TargetError target_error(Error error);
[[nodiscard]] std::unexpected<ports::TargetError> target_fail(ErrorCode code, std::string message,
                                                              std::string sqlstate = {});

}  // namespace diastole::postgres
