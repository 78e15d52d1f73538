#include "wire.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <string>

namespace diastole::http {
namespace {

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  static constexpr Phrase kPhrases[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {304, "Not Modified"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };
  const auto* const found = std::ranges::find(kPhrases, status, &Phrase::status);
  return found == std::end(kPhrases) ? std::string_view{} : found->text;
}

void add_value(std::string& head, std::string_view value) {
  const auto begin = static_cast<std::ptrdiff_t>(head.size());
  head += value;
  std::replace_if(
      head.begin() + begin, head.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
}

// Put into words once a second.
const std::string& http_date(std::chrono::system_clock::time_point now) {
  thread_local std::time_t second = -1;
  thread_local std::string text;
  if (const auto at = std::chrono::system_clock::to_time_t(now); at != second) {
    text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(at));
    second = at;
  }
  return text;
}

}  // namespace

std::string response_head(const Response& response, bool keep_alive, std::chrono::system_clock::time_point now) {
  std::string head;
  head.reserve(256);
  const auto add = [&head](const auto&... parts) { (head.append(parts), ...); };
  add("HTTP/1.1 ", std::to_string(response.status), " ", reason_phrase(response.status), "\r\nDate: ");
  head += http_date(now);
  if (!response.body.empty()) {
    add("\r\nContent-Type: ");
    add_value(head, response.content_type);
  }
  if (response.status != 204 && response.status != 304) {  // RFC 9110, 8.6
    add("\r\nContent-Length: ", std::to_string(response.body.size()));
  }
  for (const auto& [name, value] : response.headers) {
    add("\r\n", std::string_view(name), ": ");
    add_value(head, value);
  }
  head += "\r\n";
  head += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

std::string event_stream_head(std::chrono::system_clock::time_point now) {
  // X-Accel-Buffering is how nginx is told to pass events on as they come.
  return fmt::format(
      "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
      http_date(now));
}

std::string chunk_of(std::string_view text) {
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}

std::string lower_case(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

}  // namespace diastole::http
