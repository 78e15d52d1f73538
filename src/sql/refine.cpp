#include "refine.hpp"

#include <fmt/format.h>

#include <array>

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"

namespace diastole::sql::refine {
namespace {

using core::LockMode;

void name_command(Effects& effects, std::string_view verb, std::string_view object_type) {
  const ObjectKind* kind = find_object_kind(object_type);
  if (kind == nullptr) return unknown({}, effects);
  effects.statement.kind = fmt::format("{} {}", verb, kind->noun);
}

// A foreign key locks the table it points to as much as its own.
void touch_referenced(const Json& body, Effects& effects) {
  visit_objects(body, [&](std::string_view key, const Json& node) {
    if (key == "pktable") effects.touch(relation_name(node), LockMode::share_row_exclusive);
  });
}

// The relation or sequence a statement of the ALTER family names, under the lock.
void touch_subject(const Json& relation, Naming naming, LockMode lock, Effects& effects) {
  if (naming == Naming::other || naming == Naming::unlisted) {
    if (is_relation(relation)) effects.unlist(relation_name(relation));
    effects.lock_at_least(lock);
  } else if (is_relation(relation)) {
    effects.touch(relation_name(relation), lock);
  }
}

// Which relation an entry of DROP or COMMENT names, if one.
void touch_object(const Json& object, const ObjectKind& kind, LockMode lock, Effects& effects) {
  const Json& items = field(open_node(object).second, "items");
  if (kind.naming == Naming::relation) effects.touch(dotted_name(items), lock);
  if (kind.naming == Naming::member) effects.touch(dotted_name(items, 1), lock);
  if (kind.naming == Naming::unlisted || kind.naming == Naming::other) effects.lock_at_least(lock);
}

// Storage parameters that planners rely on need the strongest lock; the rest only keep other DDL out.
LockMode option_lock(const Json& options, LockMode usual) {
  constexpr auto kStrong = std::to_array<std::string_view>(
      {"user_catalog_table", "security_barrier", "security_invoker", "check_option", "buffering", "fastupdate"});
  for (const Json& option : field(open_node(options).second, "items")) {
    if (contains(kStrong, text_field(open_node(option).second, "defname"))) return LockMode::access_exclusive;
  }
  return usual;
}

LockMode subcommand_lock(const Json& command, const AlterKind& kind) {
  const Json& definition = field(command, "def");
  const auto [tag, inner] = open_node(definition);
  if (kind.subtype == "AT_AddConstraint" && text_field(inner, "contype") == "CONSTR_FOREIGN") {
    return LockMode::share_row_exclusive;
  }
  if (kind.subtype == "AT_DetachPartition" && flag_field(inner, "concurrent")) return LockMode::share_update_exclusive;
  if (kind.subtype.ends_with("RelOptions")) return option_lock(definition, kind.lock);
  return kind.lock;
}

// The other table of ATTACH, DETACH and INHERIT. Detaching concurrently ends with the strongest lock on the partition,
// too.
void touch_partner(const Json& command, std::string_view subtype, bool listed, Effects& effects) {
  const auto [tag, inner] = open_node(field(command, "def"));
  const Json& partner = tag == "RangeVar" ? inner : field(inner, "name");
  if (!is_relation(partner)) return;
  const LockMode lock = subtype == "AT_AddInherit"    ? LockMode::share_update_exclusive
                        : subtype == "AT_DropInherit" ? LockMode::access_share
                                                      : LockMode::access_exclusive;
  if (listed) {
    effects.touch(relation_name(partner), lock);
  } else {
    effects.unlist(relation_name(partner));
    effects.lock_at_least(lock);
  }
}

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

void unknown(const Json& /*body*/, Effects& effects) {
  effects.unknown();
}

void create_table(const Json& body, Effects& effects) {
  touch_referenced(body, effects);
  const bool partition = body.contains("partbound");
  for (const Json& parent : field(body, "inhRelations")) {
    effects.touch(relation_name(open_node(parent).second),
                  partition ? LockMode::access_exclusive : LockMode::share_update_exclusive);
  }
}

void create_foreign_table(const Json& body, Effects& effects) {
  const Json& base = field(body, "base");
  effects.create(relation_name(field(base, "relation")));
  create_table(base, effects);
}

void create_table_as(const Json& body, Effects& effects) {
  const bool view = text_field(body, "objtype") == "OBJECT_MATVIEW";
  effects.statement.kind = view ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
  effects.create(relation_name(field(field(body, "into"), "rel")));
}

void create_view(const Json& body, Effects& effects) {
  if (flag_field(body, "replace")) effects.lock_at_least(LockMode::access_exclusive);
}

void create_schema(const Json& body, Effects& effects) {
  for (const Json& element : field(body, "schemaElts")) {
    const auto [tag, inner] = open_node(element);
    if (tag == "CreateStmt") {
      effects.create(relation_name(field(inner, "relation")));
      create_table(inner, effects);
    } else if (tag == "ViewStmt") {
      effects.create(relation_name(field(inner, "view")));
    } else if (tag == "CreateSeqStmt") {
      effects.unlist(relation_name(field(inner, "sequence")));
    } else if (tag == "IndexStmt") {
      effects.touch(relation_name(field(inner, "relation")), LockMode::share);
    } else if (tag == "CreateTrigStmt") {
      effects.touch(relation_name(field(inner, "relation")), LockMode::share_row_exclusive);
    }
  }
}

void create_index(const Json& body, Effects& effects) {
  const bool concurrent = flag_field(body, "concurrent");
  effects.touch(relation_name(field(body, "relation")),
                concurrent ? LockMode::share_update_exclusive : LockMode::share);
  if (!concurrent) return;
  effects.statement.transactional = false;
  const std::string_view name = text_field(body, "idxname");
  if (name.empty()) return;
  const std::string_view schema = text_field(field(body, "relation"), "schemaname");  // an index lives beside its table
  effects.statement.index =
      schema.empty() ? quote_identifier(name) : quote_identifier(schema) + "." + quote_identifier(name);
}

void reindex(const Json& body, Effects& effects) {
  const bool concurrent = option_set(field(body, "params"), "concurrently");
  const LockMode lock = concurrent ? LockMode::share_update_exclusive : LockMode::share;
  const std::string_view kind = text_field(body, "kind");
  if (concurrent || !(kind == "REINDEX_OBJECT_INDEX" || kind == "REINDEX_OBJECT_TABLE"))
    effects.statement.transactional = false;
  touch_subject(field(body, "relation"), kind == "REINDEX_OBJECT_TABLE" ? Naming::relation : Naming::unlisted, lock,
                effects);
}

void alter_table(const Json& body, Effects& effects) {
  const std::string_view type = text_field(body, "objtype");
  name_command(effects, "ALTER", type);
  const ObjectKind* object = find_object_kind(type);
  if (object == nullptr) return;
  const bool listed = object->naming == Naming::relation;
  LockMode lock = LockMode::none;
  for (const Json& node : field(body, "cmds")) {
    const Json& command = open_node(node).second;
    const AlterKind* kind = find_alter_kind(text_field(command, "subtype"));
    if (kind == nullptr) return effects.unknown();
    lock = std::max(lock, subcommand_lock(command, *kind));
    effects.statement.destructive |= kind->destructive;
    if (flag_field(open_node(field(command, "def")).second, "concurrent")) effects.statement.transactional = false;
    touch_partner(command, kind->subtype, listed, effects);
  }
  touch_subject(field(body, "relation"), object->naming, lock, effects);
  touch_referenced(body, effects);
}

void drop(const Json& body, Effects& effects) {
  const ObjectKind* kind = find_object_kind(text_field(body, "removeType"));
  if (kind == nullptr) return effects.unknown();
  effects.statement.kind = fmt::format("DROP {}", kind->noun);
  effects.statement.destructive = kind->destructive;
  const Json& objects = field(body, "objects");
  LockMode lock = kind->drop_lock;
  if (flag_field(body, "concurrent")) {
    effects.statement.transactional = false;
    effects.statement.index = dotted_name(field(open_node(objects.front()).second, "items"));
    lock = LockMode::share_update_exclusive;
  }
  for (const Json& object : objects) touch_object(object, *kind, lock, effects);
  // What hangs on the object goes with it, tables and columns too.
  if (text_field(body, "behavior") == "DROP_CASCADE") {
    effects.statement.destructive = true;
    effects.lock_at_least(LockMode::access_exclusive);
  }
}

void rename(const Json& body, Effects& effects) {
  const std::string_view type = text_field(body, "renameType");
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr) return effects.unknown();
  const ObjectKind* owner = type == "OBJECT_COLUMN" ? find_object_kind(text_field(body, "relationType")) : kind;
  effects.statement.kind = fmt::format("ALTER {}", owner == nullptr ? kind->noun : owner->noun);
  effects.statement.destructive = kind->destructive;
  touch_subject(field(body, "relation"), kind->naming, kind->rename_lock, effects);
}

void alter_object_schema(const Json& body, Effects& effects) {
  const std::string_view type = text_field(body, "objectType");
  name_command(effects, "ALTER", type);
  const ObjectKind* kind = find_object_kind(type);
  if (kind == nullptr) return;
  effects.statement.destructive = kind->destructive;
  touch_subject(field(body, "relation"), kind->naming, kind->rename_lock, effects);
}

void alter_owner(const Json& body, Effects& effects) {
  name_command(effects, "ALTER", text_field(body, "objectType"));
}

void comment(const Json& body, Effects& effects) {
  const ObjectKind* kind = find_object_kind(text_field(body, "objtype"));
  if (kind == nullptr || kind->naming == Naming::other) return;
  const bool lightly = kind->naming == Naming::member && text_field(body, "objtype") != "OBJECT_COLUMN";
  touch_object(field(body, "object"), *kind, lightly ? LockMode::access_share : LockMode::share_update_exclusive,
               effects);
}

void grant(const Json& body, Effects& effects) {
  effects.statement.kind = flag_field(body, "is_grant") ? "GRANT" : "REVOKE";
  for (const Json& object : field(body, "objects")) {
    const Json& relation = open_node(object).second;
    if (!is_relation(relation)) continue;
    if (text_field(body, "objtype") != "OBJECT_TABLE") {
      effects.unlist(relation_name(relation));
    } else {
      effects.touch(relation_name(relation), LockMode::none);
    }
  }
}

void grant_role(const Json& body, Effects& effects) {
  effects.statement.kind = flag_field(body, "is_grant") ? "GRANT ROLE" : "REVOKE ROLE";
}

void define(const Json& body, Effects& effects) {
  name_command(effects, "CREATE", text_field(body, "kind"));
}

void alter_type_value(const Json& body, Effects& effects) {
  effects.statement.destructive = !text_field(body, "oldVal").empty();  // RENAME VALUE
}

void alter_domain(const Json& body, Effects& effects) {
  // T default, N drop not null, O set not null, C add constraint, X drop constraint, V validate (parsenodes.h).
  // Checking the domain's values locks the tables that use it.
  const std::string_view action = text_field(body, "subtype");
  const bool checks = action == "O" || action == "V" ||
                      (action == "C" && !flag_field(open_node(field(body, "def")).second, "skip_validation"));
  if (checks) effects.lock_at_least(LockMode::share);
}

void alter_sequence(const Json& body, Effects& effects) {
  for (const Json& option : field(body, "options")) {
    const Json& element = open_node(option).second;
    if (text_field(element, "defname") != "owned_by") continue;
    const std::string table = dotted_name(field(open_node(field(element, "arg")).second, "items"), 1);
    if (!table.empty()) effects.touch(table, LockMode::access_share);  // empty: OWNED BY NONE
  }
}

void change_publication(const Json& body, Effects& effects) {
  for (const Json& object : field(body, "pubobjects")) {
    const Json& relation = field(field(open_node(object).second, "pubtable"), "relation");
    if (is_relation(relation)) effects.touch(relation_name(relation), LockMode::share_update_exclusive);
  }
}

void refresh(const Json& body, Effects& effects) {
  effects.touch(relation_name(field(body, "relation")),
                flag_field(body, "concurrent") ? LockMode::exclusive : LockMode::access_exclusive);
}

void lock_table(const Json& body, Effects& effects) {
  // LOCKMODE numbers (lockdefs.h) are core::LockMode's, access share being 1.
  const Json& mode = field(body, "mode");
  const auto lock = mode.is_number() ? static_cast<LockMode>(mode.get<int>()) : LockMode::access_exclusive;
  for (const Json& relation : field(body, "relations")) effects.touch(relation_name(open_node(relation).second), lock);
}

void cluster(const Json& body, Effects& effects) {
  if (body.contains("relation")) return;
  effects.statement.transactional = false;  // every table that was clustered before
  effects.lock_at_least(LockMode::access_exclusive);
}

void vacuum(const Json& body, Effects& effects) {
  const bool is_vacuum = flag_field(body, "is_vacuumcmd");
  const bool full = option_set(field(body, "options"), "full");
  const LockMode lock = full ? LockMode::access_exclusive : LockMode::share_update_exclusive;
  effects.statement.kind = is_vacuum ? "VACUUM" : "ANALYZE";
  effects.statement.transactional = !is_vacuum;
  for (const Json& entry : field(body, "rels")) {
    effects.touch(relation_name(field(open_node(entry).second, "relation")), lock);
  }
  if (!body.contains("rels")) effects.lock_at_least(lock);
}

// Rows are locked as soon as any part of the query says FOR UPDATE or its like.
void select(const Json& body, Effects& effects) {
  bool locks_rows = false;
  visit_objects(body, [&](std::string_view key, const Json& node) {
    if (key == "intoClause") {
      effects.statement.kind = "SELECT INTO";
      effects.create(relation_name(field(node, "rel")));
    }
    if (key == "LockingClause") locks_rows = true;
    if (key == "UpdateStmt" || key == "DeleteStmt" || key == "MergeStmt") effects.statement.destructive = true;
  });
  if (locks_rows) effects.lock_at_least(LockMode::row_share);
}

void insert(const Json& body, Effects& effects) {
  effects.statement.destructive = text_field(field(body, "onConflictClause"), "action") == "ONCONFLICT_UPDATE";
}

void merge(const Json& body, Effects& effects) {
  for (const Json& clause : field(body, "mergeWhenClauses")) {
    const std::string_view command = text_field(open_node(clause).second, "commandType");
    if (command == "CMD_UPDATE" || command == "CMD_DELETE") effects.statement.destructive = true;
  }
}

void set(const Json& body, Effects& effects) {
  effects.statement.kind = text_field(body, "kind").starts_with("VAR_RESET") ? "RESET" : "SET";
}

void transaction(const Json& body, Effects& effects) {
  const auto* found = std::ranges::find(kTransactionCommands, text_field(body, "kind"),
                                        &std::pair<std::string_view, std::string_view>::first);
  effects.statement.kind = found == kTransactionCommands.end() ? "TRANSACTION" : std::string(found->second);
}

}  // namespace diastole::sql::refine
