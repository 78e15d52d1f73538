// The least that instances of each service must run, by the plans whose fence is up or whose contract is done.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/machine.hpp"
#include "diastole/ports/plan_store.hpp"

namespace diastole::engine {

// Thread-safe; a look takes no lock that a change holds for long.
class Floors {
 public:
  // What the store holds, finished plans among it.
  [[nodiscard]] Result<void> load(ports::PlanStore& store);
  // After each change of a plan; takes effect before it returns.
  void update(const core::PlanState& state);

  // The first floor that this version does not reach; a version that nobody can read reaches none.
  [[nodiscard]] std::optional<core::Floor> above(const ServiceName& service, std::string_view version) const;
  [[nodiscard]] std::vector<core::Floor> of(const ServiceName& service) const;
  // All of a service's in words, e.g. ">=2.3.0"; empty where there is none.
  [[nodiscard]] std::string text(const ServiceName& service) const;

 private:
  using List = std::vector<core::Floor>;
  [[nodiscard]] std::shared_ptr<const List> list() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_ = std::make_shared<const List>();
};

}  // namespace diastole::engine
