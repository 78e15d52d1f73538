// DROP and TRUNCATE: what goes with what they name.
#include <fmt/format.h>

#include <algorithm>

#include "around.hpp"
#include "effects.hpp"
#include "kinds.hpp"
#include "refine.hpp"

namespace diastole::sql::refine {
namespace {

using core::Answer;
using core::CatalogDependent;
using core::CatalogRelation;
using core::ConstraintKind;
using core::DependentKind;
using core::LockMode;
using core::RelationKind;
using core::RelationName;

class Drop {
 public:
  Drop(Node body, const ObjectKind& kind, const Known& known, Effects& effects)
      : type_(body.text("removeType")),
        kind_(kind),
        cascade_(body.text("behavior") == "DROP_CASCADE"),
        lock_(body.flag("concurrent") ? LockMode::share_update_exclusive : kind.drop_lock),
        known_(known),
        effects_(effects) {}

  void add(Node object) {
    const Node items = object.body()["items"];
    switch (kind_.naming) {
      case Naming::relation:
        effects_.touch(dotted_name(items), lock_);
        if (const CatalogRelation* present = known_.relation(name_of_list(items))) relation(*present);
        break;
      case Naming::index:
        effects_.touch(dotted_name(items), lock_).kind = core::Touch::Kind::index;
        table_of_index(name_of_list(items));
        break;
      case Naming::sequence:
        effects_.touch(dotted_name(items), lock_).kind = core::Touch::Kind::sequence;
        sequence(name_of_list(items));
        break;
      case Naming::member:
        effects_.touch(dotted_name(items, 1), lock_);
        if (type_ == "OBJECT_TRIGGER") trigger(name_of_list(items, 1), name_of_list(items).name);
        break;
      case Naming::other: other(object, items); break;
    }
  }

 private:
  // A table's partitions go with it; its parent must know; what its foreign keys point to loses their triggers.
  void relation(const CatalogRelation& present) {
    const bool kin = cascade_ || present.kind == RelationKind::partitioned_table;
    one_relation(present);
    if (kin) {
      for (const auto* child : effects_.below(present, Reach::family)) one_relation(*child);
    }
    if (present.partition_bound.empty()) return;
    for (const RelationName& parent : present.parents) {
      effects_.touch_too(parent, LockMode::access_exclusive);
      const CatalogRelation* partitioned = known_.relation(parent);
      if (partitioned != nullptr && partitioned->default_partition)
        effects_.touch_too(*partitioned->default_partition, LockMode::access_exclusive);
    }
  }

  void one_relation(const CatalogRelation& one) {
    effects_.touch_too(one.name, LockMode::access_exclusive);
    for (const auto& constraint : one.constraints) {
      const bool own = constraint.kind == ConstraintKind::foreign_key && !is_inherited(one, constraint, known_);
      if (own)
        effects_.touch_family_too(constraint.references, LockMode::access_exclusive, Answer::no, Reach::partitions);
    }
    if (!cascade_) return;
    touch_views_over(one, {}, known_, effects_);
    touch_referencing(one, {}, LockMode::access_exclusive, effects_);
  }

  void table_of_index(const RelationName& index) {
    const auto place = known_.index(index);
    if (place.table != nullptr)
      return effects_.touch_family_too(place.table->name, lock_, Answer::no, Reach::partitions);
    if (!effects_.may_miss || !known_.is_absent(index)) effects_.lock_at_least(lock_);
  }

  // Defaults that call it go.
  void sequence(const RelationName& name) {
    const CatalogRelation* present = cascade_ ? known_.relation(name) : nullptr;
    if (present == nullptr) return;
    for (const CatalogDependent& dependent : present->dependents) {
      if (dependent.kind == DependentKind::column_default) effects_.touch_too(table_of(dependent), lock_);
    }
  }

  // A row trigger's partitions have it as well.
  void trigger(const RelationName& table, std::string_view name) {
    const CatalogRelation* present = known_.relation(table);
    if (present == nullptr) return;
    for (const auto* child : effects_.below(*present, Reach::partitions)) {
      if (has_trigger(*child, name)) effects_.touch_too(child->name, lock_);
    }
  }

  void other(Node object, Node items) {
    if (type_ == "OBJECT_STATISTIC_EXT") {
      const CatalogRelation* table = owner_of(DependentKind::statistics, name_of_list(items).name, known_);
      if (table != nullptr) {
        effects_.touch_too(table->name, lock_);
        return;
      }
    }
    effects_.lock_at_least(lock_);
    const auto written = cascade_ ? written_object(type_, object) : std::nullopt;
    if (!written) return;
    for (const core::CatalogObject* dropped : known_.objects(*written)) {
      for (const CatalogDependent& dependent : dropped->dependents) along(dependent);
    }
  }

  // The relation that goes, or loses something.
  void along(const CatalogDependent& dependent) {
    switch (dependent.kind) {
      case DependentKind::function:
      case DependentKind::publication:
      case DependentKind::type:
      case DependentKind::attribute:
      case DependentKind::domain_constraint:
      case DependentKind::object: return;
      default: break;
    }
    if (dependent.kind == DependentKind::sequence || dependent.kind == DependentKind::index) {
      const bool index = dependent.kind == DependentKind::index;
      effects_.touch_too(dependent.name, LockMode::access_exclusive).kind =
          index ? core::Touch::Kind::index : core::Touch::Kind::sequence;
      if (!index) return;
    }
    effects_.touch_family_too(table_of(dependent), LockMode::access_exclusive);
    const core::CatalogConstraint* key = key_of(dependent, known_);
    if (key != nullptr) effects_.touch_family_too(key->references, LockMode::access_exclusive);
  }

  std::string_view type_;
  const ObjectKind& kind_;
  bool cascade_;
  LockMode lock_;
  const Known& known_;
  Effects& effects_;
};

void truncate_too(const CatalogRelation& relation, const Known& known, Effects& effects, int depth = 0) {
  constexpr int kMaxTables = 50;
  if (depth > kMaxTables) return;
  for (const CatalogDependent& dependent : relation.dependents) {
    if (dependent.kind != DependentKind::foreign_key) continue;
    const CatalogRelation* other = known.relation(table_of(dependent));
    effects.touch_family_too(table_of(dependent), LockMode::access_exclusive, Answer::no, Reach::partitions);
    if (other != nullptr && other != &relation) truncate_too(*other, known, effects, depth + 1);
  }
}

}  // namespace

void drop(Node body, const Known& known, Effects& effects) {
  const ObjectKind* kind = find_object_kind(body.text("removeType"));
  if (kind == nullptr) return effects.unknown();
  effects.statement.kind = fmt::format("DROP {}", kind->noun);
  effects.statement.destructive = kind->destructive;
  const Node objects = body["objects"];
  if (body.flag("concurrent")) {
    effects.statement.transactional = false;
    effects.statement.index = dotted_name(objects.front().body()["items"]);
  }
  Drop drop(body, *kind, known, effects);
  for (const Node object : objects) drop.add(object);
  if (body.text("behavior") != "DROP_CASCADE") return;
  // What hangs on the object goes with it, tables and columns too.
  effects.statement.destructive = true;
  effects.lock_at_least(LockMode::access_exclusive);
}

void truncate(Node body, const Known& known, Effects& effects) {
  const bool cascade = body.text("behavior") == "DROP_CASCADE";
  for (const Node entry : body["relations"]) {
    const Node relation = entry.body();
    effects.touch_family(relation, LockMode::access_exclusive);
    const CatalogRelation* present = known.relation(relation);
    if (present == nullptr) continue;
    if (cascade) truncate_too(*present, known, effects);
    if (!body.flag("restart_seqs")) continue;
    for (const CatalogDependent& dependent : present->dependents) {
      if (dependent.kind != DependentKind::sequence) continue;
      effects.touch_too(dependent.name, LockMode::access_exclusive).kind = core::Touch::Kind::sequence;
    }
  }
}

}  // namespace diastole::sql::refine
