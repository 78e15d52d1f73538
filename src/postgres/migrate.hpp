// Brings one component's part of schema diastole up to date. State and targets have a component each, so that both can
// live in one database.
#pragma once

#include <span>
#include <string_view>

#include "diastole/base/result.hpp"

namespace diastole::postgres {

class Connection;

// One numbered file of src/postgres/migrations, embedded at build time: state_001_plans.sql is version 1 of component
// state.
struct Migration {
  int version;
  std::string_view name;
  std::string_view sql;
};

// In order, versions from 1 without gaps.
[[nodiscard]] std::span<const Migration> state_migrations();
[[nodiscard]] std::span<const Migration> target_migrations();

// Applies what is missing, each migration in one transaction with its row in diastole.schema_version. Several may start
// at once: one works, the others wait and then find nothing to do. The connection must not be in a transaction.
// conflict: the schema is newer than this binary (both versions are named). unavailable: the database is out of reach,
// read-only, or another migration did not end within 30 s. lock_timeout, interrupted: a migration waited more than 5 s
// for a lock or took more than 60 s.
[[nodiscard]] Result<void> migrate(Connection& connection, std::string_view component,
                                   std::span<const Migration> migrations);

}  // namespace diastole::postgres
