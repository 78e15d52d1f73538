// An instance as a source of discovery lists it.
#pragma once

#include <string>
#include <vector>

#include "diastole/base/host_port.hpp"
#include "diastole/base/ids.hpp"

namespace diastole::discovery {

struct Endpoint {
  InstanceId instance;
  HostPort at;  // where it is asked for its version; port 0: nobody knows, and it stays unknown
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// All that a source lists, at one moment.
using Listing = std::vector<Endpoint>;

// Named by where it is.
[[nodiscard]] inline Endpoint endpoint_at(HostPort at) {
  InstanceId instance(to_string(at));
  return {.instance = std::move(instance), .at = std::move(at)};
}

}  // namespace diastole::discovery
