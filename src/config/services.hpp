// The services whose instances are asked for their version: from texts to values.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "keys.hpp"
#include "problems.hpp"

namespace diastole::config {

// Fills config.services and config.kubernetes. `line` is where a key stands; relative paths are meant from `directory`.
void read_services(Draft& draft, const std::function<int(const std::string&)>& line,
                   const std::filesystem::path& directory, Problems& problems);

}  // namespace diastole::config
