// Turns bytes into a request or a refusal; no I/O. The only part of the server that knows Beast, whose parser it uses.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "diastole/http/message.hpp"
#include "diastole/http/server.hpp"

namespace diastole::http {

// For one request. Stops at its end, so that what follows in the input is the next one's.
class RequestReader {
 public:
  explicit RequestReader(const ServerLimits& limits);
  ~RequestReader();

  // Takes what it can from the front of `input`. A refusal ends the connection: where this request ends is not known.
  [[nodiscard]] std::optional<Response> take(std::string& input);

  [[nodiscard]] bool head_done() const;
  [[nodiscard]] bool done() const;

  // Once the head is done.
  [[nodiscard]] std::string method() const;
  [[nodiscard]] std::string target() const;
  [[nodiscard]] bool keep_alive() const;
  // The client waits for 100 Continue: it asked for it, and nothing of the body has come.
  [[nodiscard]] bool expects_continue() const;

  // Once done. The path and query are left to parse_target.
  [[nodiscard]] Request release();

 private:
  struct Parsing;
  std::unique_ptr<Parsing> parsing_;
};

}  // namespace diastole::http
