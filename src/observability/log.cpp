#include "diastole/observability/log.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <iterator>
#include <string>
#include <utility>

#include "escape.hpp"

namespace diastole::observability {
namespace {

spdlog::level::level_enum spdlog_level(ports::LogLevel level) {
  switch (level) {
    case ports::LogLevel::debug: return spdlog::level::debug;
    case ports::LogLevel::info: return spdlog::level::info;
    case ports::LogLevel::warning: return spdlog::level::warn;
    case ports::LogLevel::error: return spdlog::level::err;
  }
  std::unreachable();
}

// spdlog puts the time and the level before what body() makes.
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";

std::string json_body(std::string_view message, std::initializer_list<ports::LogField> fields) {
  std::string body = fmt::format("\"message\":\"{}\"", escaped(message));
  for (const ports::LogField& field : fields) {
    fmt::format_to(std::back_inserter(body), ",\"{}\":\"{}\"", escaped(field.key), escaped(field.value));
  }
  return body;
}

// Quoted only where it could be misread.
std::string text_value(const std::string& value) {
  std::string text = escaped(value);
  if (!text.empty() && text == value && text.find_first_of(" =") == std::string::npos) return text;
  return "\"" + text + "\"";
}

std::string text_body(std::string_view message, std::initializer_list<ports::LogField> fields) {
  std::string body = escaped(message);
  for (const ports::LogField& field : fields) {
    fmt::format_to(std::back_inserter(body), " {}={}", escaped(field.key), text_value(field.value));
  }
  return body;
}

class SpdLog final : public ports::Log {
 public:
  SpdLog(LogFormat format, ports::LogLevel least, spdlog::sink_ptr sink)
      : format_(format), logger_("diastole", std::move(sink)) {
    logger_.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        format == LogFormat::json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
    logger_.set_level(spdlog_level(least));
    logger_.flush_on(spdlog::level::trace);
    // A line that cannot be written is lost; there is no other place to say so.
    logger_.set_error_handler([](const std::string&) {});
  }

  [[nodiscard]] bool keeps(ports::LogLevel level) const override { return logger_.should_log(spdlog_level(level)); }

  void write(ports::LogLevel level, std::string_view message, std::initializer_list<ports::LogField> fields) override {
    const spdlog::level::level_enum at = spdlog_level(level);
    if (!logger_.should_log(at)) return;
    logger_.log(at, format_ == LogFormat::json ? json_body(message, fields) : text_body(message, fields));
  }

 private:
  LogFormat format_;
  spdlog::logger logger_;
};

}  // namespace

std::optional<LogFormat> log_format_from(std::string_view text) {
  if (text == "json") return LogFormat::json;
  if (text == "text") return LogFormat::text;
  return std::nullopt;
}

std::optional<ports::LogLevel> log_level_from(std::string_view text) {
  if (text == "debug") return ports::LogLevel::debug;
  if (text == "info") return ports::LogLevel::info;
  if (text == "warning") return ports::LogLevel::warning;
  if (text == "error") return ports::LogLevel::error;
  return std::nullopt;
}

std::unique_ptr<ports::Log> open_log(LogFormat format, ports::LogLevel least) {
  return std::make_unique<SpdLog>(format, least, std::make_shared<spdlog::sinks::stderr_sink_mt>());
}

std::unique_ptr<ports::Log> open_log(LogFormat format, ports::LogLevel least, std::ostream& stream) {
  return std::make_unique<SpdLog>(format, least, std::make_shared<spdlog::sinks::ostream_sink_mt>(stream));
}

}  // namespace diastole::observability
