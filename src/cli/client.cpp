#include "client.hpp"

#include <fmt/format.h>

#include <charconv>

namespace diastole::cli {

using nlohmann::json;

Result<Client> Client::make(const std::string& url, std::string token) {
  constexpr std::string_view kScheme = "http://";
  const auto bad = [&] {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is no address of a daemon; write http://HOST:PORT (TLS ends at a proxy beside the daemon)",
                    url));
  };
  if (!url.starts_with(kScheme)) return bad();
  auto rest = url.substr(kScheme.size());
  while (rest.ends_with('/')) rest.pop_back();
  const auto colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad();
  Client client;
  const auto* end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data() + colon + 1, end, client.port_);
  if (error != std::errc{} || stop != end) return bad();
  client.host_ = rest.substr(0, colon);
  if (client.host_.starts_with('[') && client.host_.ends_with(']'))
    client.host_ = client.host_.substr(1, client.host_.size() - 2);
  client.token_ = std::move(token);
  return client;
}

http::ClientRequest Client::request(const std::string& method, const std::string& target) const {
  http::ClientRequest out;
  out.method = method;
  out.target = target;
  if (!token_.empty()) out.headers.emplace_back("Authorization", "Bearer " + token_);
  return out;
}

Result<Client::Answer> Client::call(const std::string& method, const std::string& target, const json* body,
                                    const std::string& if_match, std::chrono::milliseconds timeout) const {
  auto out = request(method, target);
  out.timeout = timeout;
  if (body) {
    out.headers.emplace_back("Content-Type", "application/json");
    out.body = body->dump();
  }
  if (!if_match.empty()) out.headers.emplace_back("If-Match", if_match);
  auto response = http::send(host_, port_, out);
  if (!response) return std::unexpected(response.error());
  Answer answer{response->status, json::parse(response->body, nullptr, false), {}};
  if (const auto etag = response->headers.find("etag"); etag != response->headers.end()) answer.etag = etag->second;
  return answer;
}

Result<Client::Answer> Client::events(const std::string& plan, std::int64_t after,
                                      const std::function<bool(const json&)>& on_event) const {
  auto out = request("GET", fmt::format("/v1/plans/{}/events", encode(plan)));
  out.headers.emplace_back("Accept", "text/event-stream");
  if (after > 0) out.headers.emplace_back("Last-Event-ID", fmt::to_string(after));
  std::string pending;
  const auto on_data = [&](std::string_view piece) {
    pending += piece;
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      constexpr std::string_view kData = "data: ";
      const std::string line = pending.substr(0, end);
      pending.erase(0, end + 1);
      if (line.starts_with(kData) && !on_event(json::parse(line.substr(kData.size()), nullptr, false))) return false;
    }
    return true;
  };
  auto response = http::stream(host_, port_, out, on_data);
  if (!response) return std::unexpected(response.error());
  return Answer{response->status, json::parse(response->body, nullptr, false), {}};
}

std::string encode(const std::string& segment) {
  std::string out;
  for (const char c : segment) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace diastole::cli
