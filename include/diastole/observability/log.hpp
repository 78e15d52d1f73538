// The log on stderr or another stream, one line an entry: JSON for machines, text for people.
//
//   {"time":"2026-11-22T13:19:39.250Z","level":"info","message":"step done","plan":"main.rename","step":"index"}
//   2026-11-22T13:19:39.250Z info step done plan=main.rename step=index
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string_view>

#include "diastole/ports/log.hpp"

namespace diastole::observability {

enum class LogFormat { json, text };
[[nodiscard]] std::optional<LogFormat> log_format_from(std::string_view text);
[[nodiscard]] std::optional<ports::LogLevel> log_level_from(std::string_view text);

// Entries below `least` are dropped. A line is always one line, and valid UTF-8, whatever is logged. Written when write
// returns.
[[nodiscard]] std::unique_ptr<ports::Log> open_log(LogFormat format, ports::LogLevel least);
// `stream` must outlive the log.
[[nodiscard]] std::unique_ptr<ports::Log> open_log(LogFormat format, ports::LogLevel least, std::ostream& stream);

}  // namespace diastole::observability
