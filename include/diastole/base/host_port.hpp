// Where something listens: "db.internal:8080", "10.0.0.7:8080", "[fd00::7]:8080".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "diastole/base/result.hpp"

namespace diastole {

struct HostPort {
  std::string host;        // a name or an address; an IPv6 one without its brackets
  std::uint16_t port = 0;  // 1 to 65535
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// invalid_argument, which says what would be right.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);
// With brackets around an IPv6 address.
[[nodiscard]] std::string to_string(const HostPort& at);

}  // namespace diastole
