// What a file in the format of Prometheus' file_sd lists:
//   [{"targets": ["app1:8080", "app2:8080"], "labels": {"any": "thing"}},
//    {"targets": ["app3:8080"], "labels": {"diastole_instance": "api-3"}}]
#pragma once

#include <filesystem>
#include <string>

#include "diastole/base/result.hpp"
#include "net.hpp"
#include "source.hpp"

namespace diastole::discovery {

// `json`, or YAML. An instance is called by the label diastole_instance of its group, which then has one target, else
// as its target. invalid_argument with the place where anything is wrong: a file counts as a whole.
[[nodiscard]] Result<Listing> listing_from(const std::string& text, bool json);

// Looks at the file every `check`, and reads it when it has changed and then been the same for one `check`: a file that
// is being written has fewer targets than it will have.
[[nodiscard]] Task<> follow_file(asio::io_context& io, std::filesystem::path path, Milliseconds check, Sink sink);

}  // namespace diastole::discovery
