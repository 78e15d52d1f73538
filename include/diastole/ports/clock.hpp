// The only source of time.
#pragma once

#include "diastole/base/time.hpp"

namespace diastole::ports {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

}  // namespace diastole::ports
