// The right to act, as an epoch that only grows.
#pragma once

#include "diastole/base/ids.hpp"

namespace diastole::ports {

// Thread-safe.
class Lease {
 public:
  virtual ~Lease() = default;
  // The epoch under which this daemon may act now; 0 while it holds no lease.
  [[nodiscard]] virtual Epoch epoch() const = 0;
};

}  // namespace diastole::ports
