// The domain's values as JSON and back, for the three files that need them. to_ never fails; from_ throws json's
// exceptions or BadValue, which the public functions turn into one Error.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "diastole/core/event.hpp"
#include "diastole/core/machine.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::codec {

using nlohmann::json;

struct BadValue : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename T>
T required(std::optional<T> value, const json& from) {
  if (!value) throw BadValue("unknown value " + from.dump());
  return *std::move(value);
}

// Writes what is not empty, so that a reader sees only what applies.
template <typename T>
void put(json& out, const char* key, const T& value) {
  if (value != T{}) out[key] = value;
}
inline void put(json& out, const char* key, Milliseconds value) {
  if (value != Milliseconds{}) out[key] = value.count();
}
template <typename T>
T take(const json& in, const char* key) {
  const auto found = in.find(key);
  return found == in.end() ? T{} : found->get<T>();
}
[[nodiscard]] inline Milliseconds take_ms(const json& in, const char* key) {
  return Milliseconds{take<std::int64_t>(in, key)};
}

[[nodiscard]] std::optional<WallTime> take_time(const json& in, const char* key);

[[nodiscard]] core::Phase phase_of(const json& in);
[[nodiscard]] core::Reason reason_from(const json& in);
[[nodiscard]] json failure_to(const core::Failure& failure);
[[nodiscard]] core::Failure failure_from(const json& in);
[[nodiscard]] json blockers_to(const std::vector<core::Blocker>& blockers);
[[nodiscard]] std::vector<core::Blocker> blockers_from(const json& in);
[[nodiscard]] json progress_to(const core::Progress& progress);
[[nodiscard]] core::Progress progress_from(const json& in);
[[nodiscard]] core::Pace pace_from(const json& in);
[[nodiscard]] core::Walk walk_from(const json& in);
[[nodiscard]] core::Plan plan_from(const json& in);
[[nodiscard]] core::GateProgress gate_progress_from(const json& in);
// The body of one of the gate's events.
[[nodiscard]] json gate_event_to(const core::Event& event);
// Nothing where the kind is not one of the gate's.
[[nodiscard]] std::optional<core::Event> gate_event_from(std::string_view kind, const json& in);

template <typename T, typename From>
std::vector<T> list_from(const json& in, const char* key, From from) {
  std::vector<T> out;
  if (const auto found = in.find(key); found != in.end()) {
    for (const auto& item : *found) out.push_back(from(item));
  }
  return out;
}
template <typename T, typename To>
json list_to(const std::vector<T>& values, To to) {
  json out = json::array();
  for (const auto& value : values) out.push_back(to(value));
  return out;
}

// Runs a from_ and turns what it throws into an Error.
template <typename Read>
auto reading(std::string_view what, Read read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, "cannot read a stored " + std::string(what) + ": " + error.what());
  }
}

}  // namespace diastole::codec
