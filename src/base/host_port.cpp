#include "diastole/base/host_port.hpp"

#include <fmt/format.h>

#include <charconv>

namespace diastole {
namespace {

constexpr std::size_t kLongestName = 253;
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
constexpr std::string_view kAddressCharacters = "0123456789abcdefABCDEF:.";

bool is_host(std::string_view host, bool bracketed) {
  return !host.empty() && host.size() <= kLongestName &&
         host.find_first_not_of(bracketed ? kAddressCharacters : kNameCharacters) == host.npos;
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const auto refused = [&] {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is not HOST:PORT, write one such as app1:8080, 10.0.0.7:8080 or [fd00::7]:8080", text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return refused();
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  HostPort at{.host = std::string(host), .port = 0};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, at.port);
  if (error != std::errc{} || stop != end || at.port == 0 || !is_host(host, bracketed)) return refused();
  return at;
}

std::string to_string(const HostPort& at) {
  const bool v6 = at.host.contains(':');
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", at.host, v6 ? "]" : "", at.port);
}

}  // namespace diastole
