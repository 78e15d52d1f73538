// What one statement does, while it is being found out.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "column_def.hpp"
#include "known.hpp"

namespace diastole::sql {

// How far down a statement on a relation reaches, where its partitions and heirs are known.
enum class Reach {
  itself,
  partitions,  // a partitioned table's; heirs of a plain table are left alone
  family,
};

// Where in a list, which only grows, the item of a name stands. A few are looked through, which is faster than hashing.
class Places {
 public:
  // The list's size where there is none.
  template <typename Item, typename Projection>
  std::size_t find(const std::vector<Item>& list, Projection name, const std::string& wanted) {
    constexpr std::size_t kFew = 16;
    if (list.size() <= kFew) return static_cast<std::size_t>(std::ranges::find(list, wanted, name) - list.begin());
    for (std::size_t i = places_.size(); i < list.size(); ++i) places_.emplace(std::invoke(name, list[i]), i);
    const auto found = places_.find(wanted);
    return found == places_.end() ? list.size() : found->second;
  }

 private:
  std::unordered_map<std::string, std::size_t> places_;
};

class Effects {
 public:
  explicit Effects(const Known& known) : known_(known) {
    constexpr std::size_t kUsual = 4;
    touched_.reserve(kUsual);
  }

  core::Statement statement;       // touches, creates and lock are filled at the end, from what was touched
  std::string obscure;             // see Analysed
  bool may_miss = false;           // IF EXISTS: what is not there is no error
  std::optional<bool> reversible;  // where it is not simply the opposite of destructive
  std::string table;               // see Analysed
  std::vector<ColumnTraits> columns;

  // A relation that is there, by its name in the statement. Touched more than once, the strongest holds.
  core::Touch& touch(std::string relation, core::LockMode lock);
  core::Touch& touch(Node relation, core::LockMode lock) { return touch(relation_name(relation), lock); }
  // One that the statement does not name, but the catalog says is touched along with what it names.
  core::Touch& touch_too(const core::RelationName& relation, core::LockMode lock);

  // What it does to the rows of one of them: nothing, where the catalog says that it has none of its own.
  static void mark(core::Touch& touched, const core::CatalogRelation* present, core::Answer scans,
                   core::Answer rewrites = core::Answer::no);
  // The relation, unless it says ONLY with its kin; visitor(touch, the relation in the catalog or null).
  template <typename Visitor>
  void touch_each(Node relation, core::LockMode lock, Reach reach, Visitor&& visitor) {
    touch_each(relation_name(relation), relation, known_.relation(relation), lock, reach, visitor);
  }
  // The same of one whose name, and what the catalog has of it, are known already.
  template <typename Visitor>
  void touch_each(std::string name, Node relation, const core::CatalogRelation* present, core::LockMode lock,
                  Reach reach, Visitor&& visitor) {
    visitor(touch(std::move(name), lock), present);
    if (present == nullptr || !relation.flag("inh")) return;
    for (const auto* child : below(*present, reach)) visitor(touch_too(child->name, lock), child);
  }
  void touch_family(Node relation, core::LockMode lock, core::Answer scans = core::Answer::no,
                    core::Answer rewrites = core::Answer::no, Reach reach = Reach::family) {
    touch_each(relation, lock, reach, [&](core::Touch& touched, const core::CatalogRelation* present) {
      mark(touched, present, scans, rewrites);
    });
  }
  // One that is not named, with its kin.
  void touch_family_too(const core::RelationName& relation, core::LockMode lock, core::Answer scans = core::Answer::no,
                        Reach reach = Reach::family);
  // By the catalog, without itself.
  [[nodiscard]] std::vector<const core::CatalogRelation*> below(const core::CatalogRelation& relation,
                                                                Reach reach) const;

  void create(std::string relation);
  // The name stands where a relation could, but is none.
  void unlist(std::string name) { unlisted_.insert(std::move(name)); }
  // A lock on something that is not listed.
  void lock_at_least(core::LockMode lock) { unlisted_lock_ = std::max(unlisted_lock_, lock); }
  // Nobody can tell what it does, or what that in it does: assume the worst.
  void unknown(std::string what = {});

  // What the statements before have created is nothing that existed.
  void finish();

 private:
  const Known& known_;
  std::vector<core::Touch> touched_;
  Places touched_places_;
  std::vector<std::string> created_;
  Places created_places_;
  std::set<std::string> unlisted_;
  core::LockMode unlisted_lock_ = core::LockMode::none;
};

}  // namespace diastole::sql
