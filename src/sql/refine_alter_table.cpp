// ALTER TABLE, subcommand by subcommand.
#include <algorithm>
#include <array>

#include "around.hpp"
#include "column_def.hpp"
#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "effects.hpp"
#include "kinds.hpp"
#include "refine.hpp"
#include "type_change.hpp"

namespace diastole::sql::refine {
namespace {

using core::Answer;
using core::CatalogConstraint;
using core::CatalogIndex;
using core::CatalogRelation;
using core::ConstraintKind;
using core::LockMode;
using core::Touch;

Answer opposite(Answer answer) {
  switch (answer) {
    case Answer::yes: return Answer::no;
    case Answer::no: return Answer::yes;
    case Answer::maybe: return Answer::maybe;
  }
  return Answer::maybe;
}

// Storage parameters that planners rely on need the strongest lock; the rest only keep other DDL out.
LockMode option_lock(Node options, LockMode usual) {
  constexpr auto kStrong = std::to_array<std::string_view>(
      {"user_catalog_table", "security_barrier", "security_invoker", "check_option", "buffering", "fastupdate"});
  for (const Node option : options.body()["items"]) {
    if (contains(kStrong, option.body().text("defname"))) return LockMode::access_exclusive;
  }
  return usual;
}

LockMode subcommand_lock(Node command, const AlterKind& kind) {
  const Node definition = command["def"];
  const Node inner = definition.body();
  if (kind.subtype == "AT_AddConstraint" && inner.text("contype") == "CONSTR_FOREIGN")
    return LockMode::share_row_exclusive;
  if (kind.subtype == "AT_DetachPartition" && inner.flag("concurrent")) return LockMode::share_update_exclusive;
  if (kind.subtype.ends_with("RelOptions")) return option_lock(definition, kind.lock);
  return kind.lock;
}

// An index of the parent that the partition has none of its own for, so that one is built.
bool lacks_index(const CatalogRelation& partition, const CatalogRelation& parent) {
  return !std::ranges::all_of(parent.indexes, [&](const CatalogIndex& wanted) {
    return std::ranges::any_of(partition.indexes, [&](const CatalogIndex& own) {
      return own.columns == wanted.columns && own.uses == wanted.uses && own.unique == wanted.unique &&
             own.partial == wanted.partial;
    });
  });
}

class AlterTable {
 public:
  AlterTable(Node body, const Known& known, Effects& effects)
      : body_(body),
        relation_(body["relation"]),
        present_(known.relation(relation_)),
        known_(known),
        effects_(effects),
        table_(effects.table) {}

  void add(Node command, const AlterKind& kind) {
    lock_ = subcommand_lock(command, kind);
    strongest_ = std::max(strongest_, lock_);
    effects_.statement.destructive |= kind.destructive;
    command_ = command;
    definition_ = command["def"].body();
    const auto found = std::ranges::find(kSubcommands, kind.subtype, &Subcommand::subtype);
    if (found == kSubcommands.end()) return family(Answer::no, Answer::no, kind.reach);
    (this->*found->act)();
  }

  // Every subcommand runs under the strongest lock of them all.
  [[nodiscard]] LockMode lock() const { return strongest_; }

 private:
  struct Subcommand {
    std::string_view subtype;
    void (AlterTable::*act)();
  };

  void family(Answer scans, Answer rewrites, Reach reach = Reach::family) {
    effects_.touch_each(table_, relation_, present_, lock_, reach, [&](Touch& touched, const CatalogRelation* one) {
      Effects::mark(touched, one, scans, rewrites);
    });
  }
  // The table alone.
  void itself(Answer scans = Answer::no, Answer rewrites = Answer::no) { family(scans, rewrites, Reach::itself); }

  // An index is in its table's schema, which the statement need not write.
  [[nodiscard]] core::RelationName beside(std::string_view name) const {
    core::RelationName full{.schema = std::string(relation_.text("schemaname")), .name = std::string(name)};
    if (full.schema.empty() && present_ != nullptr) full.schema = present_->name.schema;
    return full;
  }
  void touch_index(std::string_view name, LockMode lock) {
    effects_.touch(known_.written(beside(name)), lock).kind = Touch::Kind::index;
  }

  void add_column() {
    const ColumnTraits& traits = effects_.columns[added_++];
    if (body_.text("objtype") == "OBJECT_TYPE") return;
    const bool there = present_ != nullptr && command_.flag("missing_ok") && present_->column(traits.name) != nullptr;
    if (there) return itself();
    family(traits.scans(), traits.rewrites());
    for (const Node node : definition_["constraints"]) {
      if (node.body().text("contype") == "CONSTR_FOREIGN") touch_pointed_to(node.body(), traits.filled);
    }
  }

  // The check of a foreign key joins both tables; how is the planner's choice.
  void touch_pointed_to(Node constraint, bool checked) {
    effects_.touch_family(constraint["pktable"], LockMode::share_row_exclusive, checked ? Answer::maybe : Answer::no,
                          Answer::no, Reach::partitions);
  }

  void set_not_null() { become_not_null(command_.text("name")); }

  void become_not_null(std::string_view column) {
    const CatalogRelation* table = present_;
    const core::CatalogColumn* found = table == nullptr ? nullptr : table->column(column);
    if (found != nullptr && found->not_null) {  // and so are the children, of which only heirs are looked at
      const bool partitioned = table->kind == core::RelationKind::partitioned_table;
      return family(Answer::no, Answer::no, partitioned ? Reach::itself : Reach::family);
    }
    const Answer own = known_.proven_not_null(table_, column);
    effects_.touch_each(relation_, lock_, Reach::family, [&](Touch& touched, const CatalogRelation* one) {
      Effects::mark(touched, one, opposite(std::max(own, known_.proven_not_null(touched.relation, column))));
    });
  }

  void alter_type() {
    const std::string_view column = command_.text("name");
    const TypeChange change = type_change(known_, table_, column, definition_);
    effects_.touch_each(relation_, lock_, Reach::family, [&](Touch& touched, const CatalogRelation* one) {
      const bool mine = one == nullptr || one == present_;
      const TypeChange here = mine ? change : type_change(known_, touched.relation, column, definition_);
      const bool unclear = !mine && here.from.empty();
      Effects::mark(touched, one, unclear ? change.scans : here.scans, unclear ? change.rewrites : here.rewrites);
    });
    if (present_ == nullptr) return;
    remake_keys(*present_, column, change);
  }

  // Foreign keys over the column are dropped and made again, on both tables and under the same lock; where the
  // comparison changes, or the values may have, they are checked again as well.
  void remake_keys(const CatalogRelation& table, std::string_view column, const TypeChange& change) {
    for (const CatalogConstraint& key : table.constraints) {
      if (key.kind != ConstraintKind::foreign_key || !contains(key.columns, column)) continue;
      const Answer checks = key.valid ? change.checks_keys : Answer::no;
      effects_.touch_family_too(key.references, lock_, std::min(checks, Answer::maybe), Reach::partitions);
      family(checks, Answer::no, Reach::partitions);
    }
    for (const core::CatalogDependent& dependent : table.dependents) {
      if (dependent.kind != core::DependentKind::foreign_key || !uses_column(dependent, column)) continue;
      const CatalogConstraint* key = key_of(dependent, known_);
      const bool valid = key == nullptr || key->valid;
      effects_.touch_family_too(table_of(dependent), lock_, valid ? change.checks_keys : Answer::no, Reach::partitions);
      if (valid) family(std::min(change.checks_keys, Answer::maybe), Answer::no, Reach::partitions);
    }
  }

  void add_constraint() {
    const std::string_view kind = definition_.text("contype");
    const std::string_view index = definition_.text("indexname");
    const Answer scans = definition_.flag("skip_validation") ? Answer::no : Answer::yes;
    if (!index.empty()) return take_index(index);
    if (kind == "CONSTR_CHECK")
      return family(scans, Answer::no, definition_.flag("is_no_inherit") ? Reach::itself : Reach::family);
    if (kind == "CONSTR_FOREIGN") {
      family(scans, Answer::no, Reach::partitions);
      return touch_pointed_to(definition_, scans == Answer::yes);
    }
    // Its index is built on each partition as CREATE INDEX would.
    itself(scans);
    if (present_ == nullptr) return;
    for (const auto* child : effects_.below(*present_, Reach::partitions))
      Effects::mark(effects_.touch_too(child->name, LockMode::share), child, scans);
    if (kind != "CONSTR_PRIMARY") return;
    for (const Node key : definition_["keys"]) become_not_null(key.body().text("sval"));
  }

  // The index gets the constraint's name.
  void take_index(std::string_view index) {
    const std::string_view name = definition_.text("conname");
    itself(definition_.text("contype") == "CONSTR_PRIMARY" ? primary_key_scans(index) : Answer::no);
    const bool renamed = !name.empty() && name != index;
    touch_index(index, renamed ? LockMode::share_update_exclusive : LockMode::access_share);
  }

  [[nodiscard]] Answer primary_key_scans(std::string_view index) const {
    const auto columns =
        known_.index_columns({.schema = std::string(relation_.text("schemaname")), .name = std::string(index)});
    if (columns.empty()) return Answer::maybe;
    Answer worst = Answer::no;
    for (const std::string& column : columns) worst = std::max(worst, opposite(known_.proven_not_null(table_, column)));
    return worst;
  }

  void validate() {
    const std::string_view name = command_.text("name");
    if (known_.is_valid(table_, name) == Answer::yes) return itself();
    const CatalogConstraint* constraint = present_ == nullptr ? nullptr : present_->constraint(name);
    if (constraint != nullptr && constraint->kind == ConstraintKind::foreign_key) {
      itself(Answer::yes);
      return effects_.touch_family_too(constraint->references, LockMode::row_share, Answer::maybe, Reach::partitions);
    }
    effects_.touch_each(relation_, lock_, Reach::family, [&](Touch& touched, const CatalogRelation* one) {
      const bool done = one != present_ && known_.is_valid(touched.relation, name) == Answer::yes;
      Effects::mark(touched, one, done ? Answer::no : Answer::yes);
    });
  }

  void drop_constraint() {
    const CatalogConstraint* constraint = present_ == nullptr ? nullptr : present_->constraint(command_.text("name"));
    const bool gone = constraint == nullptr && present_ != nullptr && command_.flag("missing_ok");
    if (gone && known_.is_valid(table_, command_.text("name")) == Answer::maybe) return itself();
    const bool heirs = constraint == nullptr || constraint->kind == ConstraintKind::check;
    family(Answer::no, Answer::no, heirs ? Reach::family : Reach::partitions);
    if (constraint == nullptr) return;
    if (constraint->kind == ConstraintKind::foreign_key)
      effects_.touch_family_too(constraint->references, lock_, Answer::no, Reach::partitions);
    if (command_.text("behavior") != "DROP_CASCADE") return;
    for (const core::CatalogDependent& dependent : present_->dependents) {
      const CatalogConstraint* key = key_of(dependent, known_);
      if (key != nullptr && key->index == constraint->index) effects_.touch_family_too(table_of(dependent), lock_);
    }
  }

  // Its children are told that they have it on their own, even where the statement says ONLY.
  void drop_column() {
    const std::string_view column = command_.text("name");
    const bool gone = command_.flag("missing_ok") && present_ != nullptr && present_->column(column) == nullptr &&
                      !known_.is_new_column(table_, column);
    itself();
    if (gone || present_ == nullptr) return;
    for (const auto* child : effects_.below(*present_, Reach::family)) effects_.touch_too(child->name, lock_);
    for (const CatalogConstraint& constraint : present_->constraints) {
      if (constraint.kind == ConstraintKind::foreign_key && contains(constraint.columns, column))
        effects_.touch_family_too(constraint.references, lock_, Answer::no, Reach::partitions);
    }
    if (command_.text("behavior") != "DROP_CASCADE") return;
    touch_views_over(*present_, column, known_, effects_);
    touch_referencing(*present_, column, lock_, effects_);
  }

  void attach() {
    const Node partition = definition_["name"];
    if (body_.text("objtype") == "OBJECT_INDEX") return attach_index(partition);
    itself();
    const CatalogRelation* coming = known_.relation(partition);
    effects_.touch_family(partition, LockMode::access_exclusive, partition_scans(partition, coming));
    if (present_ == nullptr) return;
    touch_default_partition(*present_, known_, effects_);
    for (const CatalogConstraint& key : present_->constraints) {
      if (key.kind != ConstraintKind::foreign_key) continue;
      // A key that it has already becomes a part of the parent's, whose own triggers then do for both.
      const bool has = coming != nullptr && same_key(*coming, key) != nullptr;
      effects_.touch_family_too(key.references, has ? LockMode::access_exclusive : LockMode::share_row_exclusive,
                                has ? Answer::no : Answer::maybe, Reach::partitions);
    }
  }

  void attach_index(Node partition) {
    itself();
    effects_.touch(partition, LockMode::access_exclusive).kind = Touch::Kind::index;
    for (const auto& index : {name_of(relation_), name_of(partition)}) {
      const auto place = known_.index(index);
      if (place.table != nullptr) effects_.touch_too(place.table->name, LockMode::access_share);
    }
  }

  // A valid CHECK over the partition key's columns may imply the bounds; whether it does is for PostgreSQL to prove.
  [[nodiscard]] Answer partition_scans(Node partition, const CatalogRelation* coming) const {
    const std::string name = relation_name(partition);
    if (known_.is_empty(name)) return Answer::no;
    if (coming == nullptr || present_ == nullptr) return Answer::maybe;
    const bool lacks_key = std::ranges::any_of(present_->constraints, [&](const CatalogConstraint& key) {
      return key.kind == ConstraintKind::foreign_key && same_key(*coming, key) == nullptr;
    });
    if (lacks_key || lacks_index(*coming, *present_)) return Answer::yes;
    return known_.has_valid_check(name) ? Answer::maybe : Answer::yes;
  }

  // Detaching concurrently ends with the strongest lock on the partition, too.
  void detach() {
    const Node partition = definition_["name"];
    const bool concurrent = definition_.flag("concurrent");
    const bool finalize = command_.text("subtype") == "AT_DetachPartitionFinalize";
    if (concurrent) effects_.statement.transactional = false;
    itself();
    effects_.touch_family(partition, LockMode::access_exclusive, Answer::no, Answer::no,
                          concurrent ? Reach::itself : Reach::family);
    if (present_ == nullptr || finalize) return;
    if (present_->default_partition && !concurrent)
      effects_.touch_family_too(*present_->default_partition, LockMode::access_exclusive);
    // Its foreign keys become its own.
    touch_referenced(*present_, LockMode::share_row_exclusive, Answer::no, effects_);
  }

  void inherit() {
    itself();
    effects_.touch(definition_, LockMode::share_update_exclusive);
  }
  void disinherit() {
    itself();
    effects_.touch(definition_, LockMode::access_share);
  }

  void cluster_on() {
    itself();
    touch_index(command_.text("name"), LockMode::share_update_exclusive);
  }

  // Of a row trigger on a partitioned table each partition has one of its own. ALL and USER have no name.
  void switch_trigger() {
    const std::string_view name = command_.text("name");
    itself();
    if (present_ == nullptr || !relation_.flag("inh")) return;
    // Those of foreign keys are the system's own.
    const bool all = command_.text("subtype").ends_with("All");
    for (const auto* child : effects_.below(*present_, Reach::partitions)) {
      const bool has = name.empty() ? child->triggers || (all && has_keys(*child)) : has_trigger(*child, name);
      if (has) effects_.touch_too(child->name, lock_);
    }
  }

  static bool has_keys(const CatalogRelation& table) {
    const auto points_here = [](const core::CatalogDependent& dependent) {
      return dependent.kind == core::DependentKind::foreign_key;
    };
    const auto points = [](const CatalogConstraint& one) { return one.kind == ConstraintKind::foreign_key; };
    return std::ranges::any_of(table.constraints, points) || std::ranges::any_of(table.dependents, points_here);
  }

  // Nothing happens where it is so already.
  void set_logged() {
    const bool logged = command_.text("subtype") == "AT_SetLogged";
    Answer rewrites = Answer::maybe;
    if (present_ != nullptr) rewrites = present_->unlogged == logged ? Answer::yes : Answer::no;
    itself(rewrites, rewrites);
  }
  void move() { itself(Answer::maybe, Answer::maybe); }

  static constexpr auto kSubcommands = std::to_array<Subcommand>({
      {"AT_AddColumn", &AlterTable::add_column},
      {"AT_SetNotNull", &AlterTable::set_not_null},
      {"AT_AlterColumnType", &AlterTable::alter_type},
      {"AT_AddConstraint", &AlterTable::add_constraint},
      {"AT_ValidateConstraint", &AlterTable::validate},
      {"AT_DropConstraint", &AlterTable::drop_constraint},
      {"AT_DropColumn", &AlterTable::drop_column},
      {"AT_AttachPartition", &AlterTable::attach},
      {"AT_DetachPartition", &AlterTable::detach},
      {"AT_DetachPartitionFinalize", &AlterTable::detach},
      {"AT_AddInherit", &AlterTable::inherit},
      {"AT_DropInherit", &AlterTable::disinherit},
      {"AT_ClusterOn", &AlterTable::cluster_on},
      {"AT_EnableTrig", &AlterTable::switch_trigger},
      {"AT_EnableAlwaysTrig", &AlterTable::switch_trigger},
      {"AT_EnableReplicaTrig", &AlterTable::switch_trigger},
      {"AT_DisableTrig", &AlterTable::switch_trigger},
      {"AT_EnableTrigAll", &AlterTable::switch_trigger},
      {"AT_DisableTrigAll", &AlterTable::switch_trigger},
      {"AT_EnableTrigUser", &AlterTable::switch_trigger},
      {"AT_DisableTrigUser", &AlterTable::switch_trigger},
      {"AT_SetLogged", &AlterTable::set_logged},
      {"AT_SetUnLogged", &AlterTable::set_logged},
      {"AT_SetTableSpace", &AlterTable::move},
      {"AT_SetAccessMethod", &AlterTable::move},
  });

  Node body_;
  Node relation_;
  const CatalogRelation* present_;
  const Known& known_;
  Effects& effects_;
  const std::string& table_;
  std::size_t added_ = 0;  // columns so far
  Node command_;
  Node definition_;
  LockMode lock_ = LockMode::none;
  LockMode strongest_ = LockMode::none;
};

// ALTER TYPE of a composite type: the tables made of it change, the type itself is no relation that anybody locks.
void alter_composite(Node body, Effects& effects, const Known& known) {
  const core::CatalogType* type = find_type(name_of(body["relation"]), known);
  effects.unlist(relation_name(body["relation"]));
  for (const Node node : body["cmds"]) {
    const Node command = node.body();
    const AlterKind* kind = find_alter_kind(command.text("subtype"));
    if (kind == nullptr) return effects.unknown();
    effects.statement.destructive |= kind->destructive;
    if (type == nullptr) {
      effects.lock_at_least(kind->lock);
      continue;
    }
    for (const CatalogRelation* table : tables_made_of(*type, known)) {
      Touch& touched = effects.touch_too(table->name, kind->lock);
      if (kind->subtype != "AT_AlterColumnType") continue;
      const TypeChange change = type_change(known, touched.relation, command.text("name"), command["def"].body());
      Effects::mark(touched, table, change.scans, change.rewrites);
    }
  }
}

}  // namespace

void alter_table(Node body, const Known& known, Effects& effects) {
  const ObjectKind* object = find_object_kind(body.text("objtype"));
  if (object == nullptr) return effects.unknown();
  effects.statement.kind = std::string("ALTER ").append(object->noun);
  if (object->naming == Naming::other) return alter_composite(body, effects, known);
  const Node relation = body["relation"];
  AlterTable alter(body, known, effects);
  for (const Node node : body["cmds"]) {
    const AlterKind* kind = find_alter_kind(node.body().text("subtype"));
    if (kind == nullptr) return effects.unknown();
    alter.add(node.body(), *kind);
  }
  Touch& touched = effects.touch(relation, alter.lock());
  if (object->naming == Naming::index) touched.kind = Touch::Kind::index;
  if (object->naming == Naming::sequence) touched.kind = Touch::Kind::sequence;
}

}  // namespace diastole::sql::refine
