// Structured log lines. Never carries a DSN, a token or a row's contents.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace diastole::ports {

enum class LogLevel { debug, info, warning, error };

struct LogField {
  std::string_view key;  // plan, step, target, error, …
  std::string value;
};

// Thread-safe. Does not fail: a line that cannot be written is lost.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) = 0;

  // Whether a line of that level would be kept: for what is not worth putting into words otherwise.
  [[nodiscard]] virtual bool keeps(LogLevel) const { return true; }

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::info, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::warning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::error, message, fields);
  }
};

}  // namespace diastole::ports
