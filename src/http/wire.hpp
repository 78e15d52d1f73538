// HTTP/1.1 as text: what the server writes to a connection.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "diastole/http/message.hpp"

namespace diastole::http {

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// Status line and headers, the empty line included. Control characters in a header's value become spaces, so that no
// value can add a header of its own.
[[nodiscard]] std::string response_head(const Response& response, bool keep_alive,
                                        std::chrono::system_clock::time_point now);
// The same for a text/event-stream in chunked transfer coding, after which the connection closes.
[[nodiscard]] std::string event_stream_head(std::chrono::system_clock::time_point now);
// `text` must not be empty: that would end the stream.
[[nodiscard]] std::string chunk_of(std::string_view text);

// A header's name as Request and ClientResponse keep it; ASCII only.
[[nodiscard]] std::string lower_case(std::string_view name);

}  // namespace diastole::http
