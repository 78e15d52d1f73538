// What one statement does, while it is being found out.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contains.hpp"
#include "diastole/core/plan.hpp"

namespace diastole::sql {

class Effects {
 public:
  core::Statement statement;  // tables, creates and lock are filled at the end, from what was touched
  bool known = true;          // false: nobody can tell what it does

  void touch(std::string relation, core::LockMode lock) {
    const auto found = std::ranges::find(touched_, relation, &Touch::first);
    if (found == touched_.end()) {
      touched_.emplace_back(std::move(relation), lock);
    } else {
      found->second = std::max(found->second, lock);
    }
  }
  void create(std::string relation) {
    if (!contains(created_, relation)) created_.push_back(std::move(relation));
  }
  // The name stands where a relation could, but is no table.
  void unlist(std::string name) { unlisted_.push_back(std::move(name)); }
  // A lock on something that is not listed.
  void lock_at_least(core::LockMode lock) { unlisted_lock_ = std::max(unlisted_lock_, lock); }
  // Nobody can tell what it does: assume the worst.
  void unknown() {
    known = false;
    statement.destructive = true;
    lock_at_least(core::LockMode::access_exclusive);
  }

  // `created_before` are tables that the same SQL has created earlier.
  void finish(const std::vector<std::string>& created_before) {
    statement.creates = created_;
    statement.lock = unlisted_lock_;
    for (const auto& [relation, lock] : touched_) {
      const bool existing =
          !contains(created_, relation) && !contains(created_before, relation) && !contains(unlisted_, relation);
      if (!existing) continue;
      statement.tables.push_back(relation);
      statement.lock = std::max(statement.lock, lock);
    }
  }

 private:
  using Touch = std::pair<std::string, core::LockMode>;
  std::vector<Touch> touched_;
  std::vector<std::string> created_;
  std::vector<std::string> unlisted_;
  core::LockMode unlisted_lock_ = core::LockMode::none;
};

}  // namespace diastole::sql
