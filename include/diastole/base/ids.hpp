// Strong identifiers: a plan's id cannot be passed where a step's is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace diastole {

template <typename Tag>
class StringId {
 public:
  StringId() = default;
  explicit StringId(std::string value) : value_(std::move(value)) {}
  [[nodiscard]] const std::string& str() const { return value_; }
  [[nodiscard]] bool empty() const { return value_.empty(); }
  friend auto operator<=>(const StringId&, const StringId&) = default;

 private:
  std::string value_;
};

using PlanId = StringId<struct PlanIdTag>;          // "<target>.<plan name>", e.g. main.users-display-name
using StepId = StringId<struct StepIdTag>;          // unique in its plan; generated ones carry a dot: not-null.validate
using TargetName = StringId<struct TargetNameTag>;  // a key under targets: in the configuration
using ServiceName = StringId<struct ServiceNameTag>;
using InstanceId = StringId<struct InstanceIdTag>;

// The lease's epoch: grows at every takeover, never falls. 0 is no lease.
struct Epoch {
  std::int64_t value = 0;
  friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

}  // namespace diastole

template <typename Tag>
struct std::hash<diastole::StringId<Tag>> {
  std::size_t operator()(const diastole::StringId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
