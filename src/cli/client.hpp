// The daemon as the command line sees it: calls that answer with JSON or with an error to print.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "diastole/base/result.hpp"
#include "diastole/http/client.hpp"

namespace diastole::cli {

// Exit statuses: what a pipeline branches on.
inline constexpr int kOk = 0;
inline constexpr int kRefused = 1;      // the daemon said no, or the plan failed
inline constexpr int kUsage = 2;        // the command line or a file is wrong
inline constexpr int kUnreachable = 3;  // no answer from the daemon
inline constexpr int kTimeUp = 4;       // wait: the milestone was not reached in time

class Client {
 public:
  // `url` is http://HOST:PORT; invalid_argument otherwise. `token` may be empty.
  [[nodiscard]] static Result<Client> make(const std::string& url, std::string token);

  struct Answer {
    int status = 0;
    nlohmann::json body;
    std::string etag;
    [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
  };
  // unavailable where there is no answer.
  [[nodiscard]] Result<Answer> call(const std::string& method, const std::string& target,
                                    const nlohmann::json* body = nullptr, const std::string& if_match = {},
                                    std::chrono::milliseconds timeout = std::chrono::seconds{30}) const;
  // Events of a plan after `after`, each as JSON, until `on_event` returns false or the stream ends.
  [[nodiscard]] Result<Answer> events(const std::string& plan, std::int64_t after,
                                      const std::function<bool(const nlohmann::json&)>& on_event) const;

 private:
  [[nodiscard]] http::ClientRequest request(const std::string& method, const std::string& target) const;

  std::string host_;
  std::uint16_t port_ = 0;
  std::string token_;
};

// One path segment, percent-encoded.
[[nodiscard]] std::string encode(const std::string& segment);

}  // namespace diastole::cli
