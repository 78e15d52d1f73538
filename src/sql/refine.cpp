#include "refine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "around.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"

namespace diastole::sql::refine {
namespace {

using core::Answer;
using core::CatalogDependent;
using core::CatalogRelation;
using core::DependentKind;
using core::LockMode;

void name_command(Effects& effects, std::string_view verb, std::string_view object_type) {
  const ObjectKind* kind = find_object_kind(object_type);
  if (kind == nullptr) return effects.unknown();
  effects.statement.kind = std::string(verb).append(" ").append(kind->noun);
}

core::Touch::Kind kind_of(Naming naming) {
  return naming == Naming::index      ? core::Touch::Kind::index
         : naming == Naming::sequence ? core::Touch::Kind::sequence
                                      : core::Touch::Kind::table;
}

// What a statement of the ALTER family names, under the lock.
void touch_subject(Node relation, Naming naming, LockMode lock, Effects& effects) {
  if (naming == Naming::other) {
    if (is_relation(relation)) effects.unlist(relation_name(relation));
    effects.lock_at_least(lock);
  } else if (is_relation(relation)) {
    effects.touch(relation, lock).kind = kind_of(naming);
  }
}

// Which relation an entry of DROP or COMMENT names, if one.
void touch_object(Node object, const ObjectKind& kind, LockMode lock, Effects& effects) {
  const Node items = object.body()["items"];
  switch (kind.naming) {
    case Naming::relation:
    case Naming::index:
    case Naming::sequence: effects.touch(dotted_name(items), lock).kind = kind_of(kind.naming); break;
    case Naming::member: effects.touch(dotted_name(items, 1), lock); break;
    case Naming::other: effects.lock_at_least(lock); break;
  }
}

struct Reindex {
  bool concurrent;
  const Known& known;
  Effects& effects;

  [[nodiscard]] LockMode table_lock() const { return concurrent ? LockMode::share_update_exclusive : LockMode::share; }
  [[nodiscard]] LockMode index_lock() const {
    return concurrent ? LockMode::share_update_exclusive : LockMode::access_exclusive;
  }
  // A partitioned index has nothing to build, and is looked at only.
  void index(Node relation) const {
    const auto place = known.index(name_of(relation));
    const bool partitioned = place.table != nullptr && place.table->kind == core::RelationKind::partitioned_table;
    if (partitioned) return partitioned_index(relation, *place.table, *place.index);
    core::Touch& touched = effects.touch(relation, index_lock());
    touched.kind = core::Touch::Kind::index;
    touched.rewrites = Answer::yes;
    if (place.table != nullptr) {
      effects.touch_too(place.table->name, table_lock()).scans = Answer::yes;
    } else {
      touched.scans = Answer::yes;  // of its table, which nobody knows
      effects.lock_at_least(table_lock());
    }
  }
  // Those of the partitions, one in a transaction.
  void partitioned_index(Node relation, const CatalogRelation& table, const core::CatalogIndex& parent) const {
    effects.statement.transactional = false;
    effects.touch(relation, index_lock()).kind = core::Touch::Kind::index;
    effects.touch_too(table.name, table_lock());
    for (const auto* child : effects.below(table, Reach::partitions)) {
      for (const auto& one : child->indexes) {
        if (one.columns == parent.columns && one.unique == parent.unique && one.uses == parent.uses) build(*child, one);
      }
    }
  }
  void table(const CatalogRelation& one) const {
    Effects::mark(effects.touch_too(one.name, table_lock()), &one, Answer::yes);
    for (const auto& index : one.indexes) build(one, index);
  }
  void build(const CatalogRelation& table, const core::CatalogIndex& index) const {
    if (table.kind == core::RelationKind::partitioned_table) return;
    Effects::mark(effects.touch_too(table.name, table_lock()), &table, Answer::yes);
    core::Touch& touched = effects.touch_too({table.name.schema, index.name}, index_lock());
    touched.kind = core::Touch::Kind::index;
    touched.rewrites = Answer::yes;
  }
};

constexpr auto kTransactionCommands = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"TRANS_STMT_BEGIN", "BEGIN"},
    {"TRANS_STMT_START", "START TRANSACTION"},
    {"TRANS_STMT_COMMIT", "COMMIT"},
    {"TRANS_STMT_ROLLBACK", "ROLLBACK"},
    {"TRANS_STMT_SAVEPOINT", "SAVEPOINT"},
    {"TRANS_STMT_RELEASE", "RELEASE"},
    {"TRANS_STMT_ROLLBACK_TO", "ROLLBACK"},
    {"TRANS_STMT_PREPARE", "PREPARE TRANSACTION"},
    {"TRANS_STMT_COMMIT_PREPARED", "COMMIT PREPARED"},
    {"TRANS_STMT_ROLLBACK_PREPARED", "ROLLBACK PREPARED"},
});

}  // namespace

void unknown(Node /*body*/, const Known& /*known*/, Effects& effects) {
  effects.unknown();
}

namespace {

// SQL's own functions are parsed when they are made, and the tables in them opened as they will be when they run.
void open_body(Node options, const Known& known, Effects& effects) {
  std::string_view language;
  std::string_view text;
  for (const Node option : options) {
    const Node element = option.body();
    if (element.text("defname") == "language") language = element["arg"].body().text("sval");
    if (element.text("defname") == "as") text = element["arg"].body()["items"].front().body().text("sval");
  }
  if (language != "sql" || text.empty()) return;
  const auto tree = parse(text);
  if (!tree) return;  // for the server to refuse
  for (const ParsedStatement& statement : tree->statements) {
    const Mentions mentions = mentions_in(statement.body);
    read_rows(mentions, false, known, effects);
    name_written(statement.tag, statement.body, known, effects);
    for (const auto& [key, node] : mentions.writes) name_written(key, node, known, effects);
  }
}

}  // namespace

void create_function(Node body, const Known& known, Effects& effects) {
  effects.statement.kind = body.flag("is_procedure") ? "CREATE PROCEDURE" : "CREATE FUNCTION";
  open_body(body["options"], known, effects);
}

// What makes a slot on the publisher cannot be rolled back there.
void create_subscription(Node body, const Known& /*known*/, Effects& effects) {
  const Node options = body["options"];
  for (const Node option : options) {
    const std::string_view name = option.body().text("defname");
    const bool decides = name == "connect" || name == "create_slot";
    if (decides && !option_set(options, name)) effects.statement.transactional = true;
  }
}

void alter_function(Node body, const Known& /*known*/, Effects& effects) {
  name_command(effects, "ALTER", body.text("objtype"));
}

void create_table_as(Node body, const Known& /*known*/, Effects& effects) {
  const bool view = body.text("objtype") == "OBJECT_MATVIEW";
  effects.statement.kind = view ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
  effects.create(relation_name(body["into"]["rel"]));
}

void create_view(Node body, const Known& known, Effects& effects) {
  const Node view = body["view"];
  if (body.flag("replace") && known.relation(view) != nullptr) {
    effects.touch(view, LockMode::access_exclusive);
    return;
  }
  effects.create(relation_name(view));
  if (body.flag("replace") && known.catalog() == nullptr) effects.lock_at_least(LockMode::access_exclusive);
}

void create_index(Node body, const Known& known, Effects& effects) {
  const bool concurrent = body.flag("concurrent");
  const Node relation = body["relation"];
  const std::string_view name = body.text("idxname");
  const std::string_view schema = relation.text("schemaname");  // an index lives beside its table
  const core::RelationName full{.schema = std::string(schema), .name = std::string(name)};
  const bool there = body.flag("if_not_exists") && known.index(full).table != nullptr;
  effects.touch_family(relation, concurrent ? LockMode::share_update_exclusive : LockMode::share,
                       there ? Answer::no : Answer::yes, Answer::no, there ? Reach::itself : Reach::partitions);
  if (!concurrent) return;
  effects.statement.transactional = false;
  if (!name.empty()) effects.statement.index = to_sql(full);
}

void reindex(Node body, const Known& known, Effects& effects) {
  const bool concurrent = option_set(body["params"], "concurrently");
  const std::string_view kind = body.text("kind");
  const bool index = kind == "REINDEX_OBJECT_INDEX";
  const bool table = kind == "REINDEX_OBJECT_TABLE";
  const Reindex reindex{.concurrent = concurrent, .known = known, .effects = effects};
  if (concurrent || !(index || table)) effects.statement.transactional = false;
  if (!index && !table) return effects.lock_at_least(reindex.table_lock());
  const Node relation = body["relation"];
  if (index) return reindex.index(relation);
  const CatalogRelation* present = known.relation(relation);
  effects.touch(relation, reindex.table_lock());
  if (present == nullptr) return Effects::mark(effects.touch(relation, LockMode::none), nullptr, Answer::yes);
  if (present->kind == core::RelationKind::partitioned_table) effects.statement.transactional = false;
  reindex.table(*present);
  for (const auto* child : effects.below(*present, Reach::partitions)) reindex.table(*child);
}

void rename(Node body, const Known& known, Effects& effects) {
  const std::string_view type = body.text("renameType");
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr) return effects.unknown();
  const ObjectKind* owner = type == "OBJECT_COLUMN" ? find_object_kind(body.text("relationType")) : kind;
  effects.statement.kind = fmt::format("ALTER {}", owner == nullptr ? kind->noun : owner->noun);
  effects.statement.destructive = kind->destructive;
  effects.reversible = true;
  const Node relation = body["relation"];
  const core::CatalogType* type_of = type == "OBJECT_ATTRIBUTE" ? find_type(name_of(relation), known) : nullptr;
  if (type_of != nullptr) {
    effects.unlist(relation_name(relation));
    for (const auto* table : tables_made_of(*type_of, known)) effects.touch_too(table->name, kind->rename_lock);
    return;
  }
  if (kind->naming == Naming::member && is_relation(relation) && type != "OBJECT_RULE" && type != "OBJECT_POLICY") {
    const Reach reach = type == "OBJECT_TRIGGER" ? Reach::partitions : Reach::family;
    return effects.touch_family(relation, kind->rename_lock, Answer::no, Answer::no, reach);
  }
  touch_subject(relation, kind->naming, kind->rename_lock, effects);
}

void alter_object_schema(Node body, const Known& /*known*/, Effects& effects) {
  const std::string_view type = body.text("objectType");
  name_command(effects, "ALTER", type);
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr) return;
  effects.statement.destructive = kind->destructive;
  effects.reversible = true;
  touch_subject(body["relation"], kind->naming, kind->rename_lock, effects);
}

void alter_owner(Node body, const Known& /*known*/, Effects& effects) {
  name_command(effects, "ALTER", body.text("objectType"));
}

void comment(Node body, const Known& /*known*/, Effects& effects) {
  const ObjectKind* kind = find_object_kind(body.text("objtype"));
  if (kind == nullptr || kind->naming == Naming::other) return;
  const bool lightly = kind->naming == Naming::member && body.text("objtype") != "OBJECT_COLUMN";
  touch_object(body["object"], *kind, lightly ? LockMode::access_share : LockMode::share_update_exclusive, effects);
}

void grant(Node body, const Known& /*known*/, Effects& effects) {
  effects.statement.kind = body.flag("is_grant") ? "GRANT" : "REVOKE";
  for (const Node object : body["objects"]) {
    const Node relation = object.body();
    if (!is_relation(relation)) continue;
    if (body.text("objtype") != "OBJECT_TABLE") {
      effects.unlist(relation_name(relation));
    } else {
      effects.touch(relation, LockMode::none);
    }
  }
}

void grant_role(Node body, const Known& /*known*/, Effects& effects) {
  effects.statement.kind = body.flag("is_grant") ? "GRANT ROLE" : "REVOKE ROLE";
}

void create_trigger(Node body, const Known& /*known*/, Effects& effects) {
  const Reach reach = body.flag("row") ? Reach::partitions : Reach::itself;
  effects.touch_family(body["relation"], LockMode::share_row_exclusive, Answer::no, Answer::no, reach);
  if (is_relation(body["constrrel"])) effects.touch(body["constrrel"], LockMode::access_share);
}

void define(Node body, const Known& /*known*/, Effects& effects) {
  name_command(effects, "CREATE", body.text("kind"));
}

void alter_type_value(Node body, const Known& /*known*/, Effects& effects) {
  const bool renames = !body.text("oldVal").empty();
  effects.statement.destructive = renames;
  effects.reversible = renames;  // a value that was added stays
}

void alter_domain(Node body, const Known& known, Effects& effects) {
  // T default, N drop not null, O set not null, C add constraint, X drop constraint, V validate (parsenodes.h).
  // Checking the domain's values locks the tables that use it.
  const std::string_view action = body.text("subtype");
  const bool checks = action == "O" || action == "V" || (action == "C" && !body["def"].body().flag("skip_validation"));
  if (!checks) return;
  const core::CatalogType* domain =
      known.catalog() == nullptr ? nullptr : known.catalog()->type(name_of_list(body["typeName"]));
  if (domain == nullptr) return effects.lock_at_least(LockMode::share);
  for (const auto& table : domain->used_by) effects.touch_too(table, LockMode::share).scans = Answer::yes;
}

void alter_sequence(Node body, const Known& /*known*/, Effects& effects) {
  for (const Node option : body["options"]) {
    Node element = option.body();
    if (element.text("defname") != "owned_by") continue;
    const std::string table = dotted_name(element["arg"].body()["items"], 1);
    if (!table.empty()) effects.touch(table, LockMode::access_share);  // empty: OWNED BY NONE
  }
}

// A table's heirs are published with it; partitions follow by themselves.
void change_publication(Node body, const Known& known, Effects& effects) {
  const auto add = [&](const core::RelationName& name) {
    const CatalogRelation* present = known.relation(name);
    const bool partitioned = present != nullptr && present->kind == core::RelationKind::partitioned_table;
    effects.touch_family_too(name, LockMode::share_update_exclusive, Answer::no,
                             partitioned ? Reach::itself : Reach::family);
  };
  for (const Node object : body["pubobjects"]) {
    const Node relation = object.body()["pubtable"]["relation"];
    if (!is_relation(relation)) continue;
    effects.touch(relation, LockMode::share_update_exclusive);
    if (relation.flag("inh")) add(name_of(relation));
  }
  if (body.text("action") != "AP_SetObjects" || known.catalog() == nullptr) return;
  for (const CatalogRelation& relation : known.catalog()->relations) {  // what is in it leaves it
    for (const CatalogDependent& dependent : relation.dependents) {
      if (dependent.kind == DependentKind::publication && dependent.name.name == body.text("pubname"))
        effects.touch_too(relation.name, LockMode::share_update_exclusive);
    }
  }
}

void refresh(Node body, const Known& known, Effects& effects) {
  const bool concurrent = body.flag("concurrent");
  core::Touch& view = effects.touch(body["relation"], concurrent ? LockMode::exclusive : LockMode::access_exclusive);
  view.rewrites = concurrent ? Answer::no : Answer::yes;
  view.scans = concurrent ? Answer::maybe : Answer::yes;  // the old rows are joined with the new
  const CatalogRelation* present = known.relation(body["relation"]);
  if (present == nullptr || body.flag("skipData")) return;
  read_below(*present, LockMode::access_share, Answer::maybe, known, effects);
}

void lock_table(Node body, const Known& known, Effects& effects) {
  // LOCKMODE numbers (lockdefs.h) are core::LockMode's, access share being 1.
  const auto lock = static_cast<LockMode>(body.number("mode"));
  for (const Node entry : body["relations"]) {
    effects.touch_family(entry.body(), lock);
    const CatalogRelation* present = known.relation(entry.body());
    const bool view = present != nullptr && present->kind == core::RelationKind::view;
    if (view) read_below(*present, lock, Answer::no, known, effects);
  }
}

void cluster(Node body, const Known& known, Effects& effects) {
  if (const Node relation = body["relation"]) {
    const CatalogRelation* present = known.relation(relation);
    const bool partitioned = present != nullptr && present->kind == core::RelationKind::partitioned_table;
    if (partitioned) effects.statement.transactional = false;
    effects.touch_family(relation, LockMode::access_exclusive, Answer::yes, Answer::yes, Reach::partitions);
    return;
  }
  effects.statement.transactional = false;  // every table that was clustered before
  effects.lock_at_least(LockMode::access_exclusive);
}

void vacuum(Node body, const Known& known, Effects& effects) {
  const bool is_vacuum = body.flag("is_vacuumcmd");
  const bool full = option_set(body["options"], "full");
  const LockMode lock = full ? LockMode::access_exclusive : LockMode::share_update_exclusive;
  effects.statement.kind = is_vacuum ? "VACUUM" : "ANALYZE";
  effects.statement.transactional = !is_vacuum;
  const Answer scans = full ? Answer::yes : is_vacuum ? Answer::maybe : Answer::no;
  for (const Node entry : body["rels"]) {
    const Node relation = entry.body()["relation"];
    effects.touch_family(relation, lock, scans, full ? Answer::yes : Answer::no, Reach::partitions);
    // Heirs are only sampled with it.
    const CatalogRelation* present = known.relation(relation);
    const bool samples = !is_vacuum || option_set(body["options"], "analyze");
    if (present == nullptr || !samples || full || present->kind != core::RelationKind::table) continue;
    for (const auto* heir : effects.below(*present, Reach::family))
      effects.touch_too(heir->name, LockMode::access_share);
  }
  if (!body["rels"]) effects.lock_at_least(lock);
}

void set(Node body, const Known& /*known*/, Effects& effects) {
  effects.statement.kind = body.text("kind").starts_with("VAR_RESET") ? "RESET" : "SET";
}

void transaction(Node body, const Known& /*known*/, Effects& effects) {
  const auto* found =
      std::ranges::find(kTransactionCommands, body.text("kind"), &std::pair<std::string_view, std::string_view>::first);
  effects.statement.kind = found == kTransactionCommands.end() ? "TRANSACTION" : std::string(found->second);
}

}  // namespace diastole::sql::refine
