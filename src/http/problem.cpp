#include "problem.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

namespace diastole::http {
namespace {

struct ProblemKind {
  int status;
  std::string_view title;
  int retry_after_s;  // 0: trying again as it is will not help, or only the client can know when
};

ProblemKind kind_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return {422, "Invalid argument", 0};
    case ErrorCode::not_found: return {404, "Not found", 0};
    case ErrorCode::conflict: return {409, "Conflict", 0};
    case ErrorCode::fenced: return {503, "Fenced", 5};
    case ErrorCode::unavailable: return {503, "Unavailable", 5};
    case ErrorCode::lock_timeout: return {409, "Lock timeout", 1};
    case ErrorCode::outcome_unknown: return {503, "Outcome unknown", 5};
    case ErrorCode::interrupted: return {503, "Interrupted", 5};
    case ErrorCode::internal: return {500, "Internal", 0};
  }
  return {500, "Internal", 0};
}

std::string urn_of(std::string_view title) {
  std::string urn = "urn:diastole:problem:";
  for (const char c : title) {
    if (c >= 'A' && c <= 'Z') {
      urn += static_cast<char>(c - 'A' + 'a');
    } else {
      urn += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    }
  }
  return urn;
}

}  // namespace

Response problem(int status, std::string_view title, std::string_view detail) {
  return problem(status, title, detail, nlohmann::json::object());
}

Response problem(int status, std::string_view title, std::string_view detail, const nlohmann::json& extra) {
  nlohmann::json body = extra.is_object() ? extra : nlohmann::json::object();
  body["type"] = urn_of(title);
  body["title"] = title;
  body["status"] = status;
  if (!detail.empty()) {
    body["detail"] = detail;
  }
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  if (const auto retry = body.find("retry_after_s"); retry != body.end() && retry->is_number_integer()) {
    response.headers.emplace_back("Retry-After", fmt::to_string(retry->get<std::int64_t>()));
  }
  // A detail may quote what the client sent, which need not be UTF-8.
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return response;
}

Response problem(const Error& error) {
  const ProblemKind kind = kind_of(error.code);
  nlohmann::json extra = nlohmann::json::object();
  if (!error.path.empty()) {
    extra["path"] = error.path;
  }
  if (kind.retry_after_s > 0) {
    extra["retry_after_s"] = kind.retry_after_s;
  }
  return problem(kind.status, kind.title, error.message, extra);
}

}  // namespace diastole::http
