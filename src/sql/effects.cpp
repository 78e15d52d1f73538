#include "effects.hpp"

namespace diastole::sql {

using core::Answer;
using core::CatalogRelation;
using core::LockMode;
using core::RelationKind;
using core::Touch;

Touch& Effects::touch(std::string relation, LockMode lock) {
  const std::size_t place = touched_places_.find(touched_, &Touch::relation, relation);
  if (place == touched_.size()) touched_.push_back({.relation = std::move(relation)});
  touched_[place].lock = std::max(touched_[place].lock, lock);
  return touched_[place];
}

Touch& Effects::touch_too(const core::RelationName& relation, LockMode lock) {
  const std::size_t before = touched_.size();
  Touch& touched = touch(known_.written(relation), lock);
  if (touched_.size() > before) touched.named = false;
  return touched;
}

void Effects::mark(Touch& touched, const CatalogRelation* present, Answer scans, Answer rewrites) {
  const bool has_rows =
      present == nullptr || present->kind == RelationKind::table || present->kind == RelationKind::materialized_view;
  if (!has_rows) return;
  touched.scans = std::max({touched.scans, scans, rewrites});
  touched.rewrites = std::max(touched.rewrites, rewrites);
}

std::vector<const CatalogRelation*> Effects::below(const CatalogRelation& relation, Reach reach) const {
  const bool reaches =
      reach == Reach::family || (reach == Reach::partitions && relation.kind == RelationKind::partitioned_table);
  return reaches ? known_.descendants(relation) : std::vector<const CatalogRelation*>{};
}

void Effects::touch_family_too(const core::RelationName& relation, LockMode lock, Answer scans, Reach reach) {
  const CatalogRelation* present = known_.relation(relation);
  mark(touch_too(relation, lock), present, scans);
  if (present == nullptr) return;
  for (const auto* child : below(*present, reach)) mark(touch_too(child->name, lock), child, scans);
}

void Effects::create(std::string relation) {
  if (created_places_.find(created_, std::identity{}, relation) == created_.size())
    created_.push_back(std::move(relation));
}

void Effects::unknown(std::string what) {
  obscure = what.empty() ? statement.kind : std::move(what);
  statement.destructive = true;
  lock_at_least(LockMode::access_exclusive);
}

void Effects::finish() {
  statement.lock = unlisted_lock_;
  statement.reversible = reversible.value_or(!statement.destructive);
  std::erase_if(touched_, [&](const Touch& touched) {
    const std::string& relation = touched.relation;
    const bool created = created_places_.find(created_, std::identity{}, relation) < created_.size();
    return created || known_.is_empty(relation) || unlisted_.contains(relation) ||
           (may_miss && known_.is_absent(name_of_identifier(relation)));
  });
  for (Touch& touched : touched_) {
    if (!obscure.empty()) touched.scans = touched.rewrites = Answer::maybe;
    statement.lock = std::max(statement.lock, touched.lock);
  }
  statement.touches = std::move(touched_);
  statement.creates = std::move(created_);
}

}  // namespace diastole::sql
