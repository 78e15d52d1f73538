// ports::Target over libpqxx.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "diastole/base/ids.hpp"
#include "diastole/ports/log.hpp"
#include "diastole/ports/target.hpp"

namespace diastole::postgres {

// `owner` is the uuid of the state database: a target obeys the daemons of one state database only. Connects at the
// first call, not here. `disk`: a place on the filesystem that the database grows on, where that is this machine's; its
// free space is then a signal of the throttle's. `replicas`: the DSNs of its read replicas, whose sessions count as
// well; they are "replica 1" and so on, in this order. `log` must outlive the target; neither it nor any error ever
// holds a DSN.
[[nodiscard]] std::unique_ptr<ports::Target> make_target(const TargetName& name, std::string dsn, std::string owner,
                                                         ports::Log& log, std::filesystem::path disk = {},
                                                         const std::vector<std::string>& replicas = {});

}  // namespace diastole::postgres
