// The body of POST /v1/heartbeats.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/engine/fleet.hpp"

namespace diastole::http {

struct Heartbeats {
  std::vector<engine::Heartbeat> items;
  bool batch = false;  // an array, even of one
};

// invalid_argument, with the path, where one of them is not as it should be: then none of them is taken.
[[nodiscard]] Result<Heartbeats> read_heartbeats(const nlohmann::json& body);
// The same from the text, ten times as fast; nothing where anything is out of the ordinary, which the strict way, over
// codec::parse_json, has to judge and to explain. What this reads, that reads alike.
[[nodiscard]] std::optional<Heartbeats> read_plain_heartbeats(std::string_view body);

}  // namespace diastole::http
