// CREATE TABLE and its like.
#include "around.hpp"
#include "column_def.hpp"
#include "effects.hpp"
#include "refine.hpp"

namespace diastole::sql::refine {
namespace {

using core::Answer;
using core::CatalogRelation;
using core::LockMode;

// What names no schema goes into the new one.
void create_in_schema(Node element, std::string_view tag, const std::string& schema, const Known& known,
                      Effects& effects) {
  const auto create = [&](Node relation) {
    core::RelationName name = name_of(relation);
    if (!name.schema.empty()) return effects.create(to_sql(name));
    effects.unlist(relation_name(relation));
    name.schema = schema;
    effects.create(to_sql(name));
  };
  if (tag == "CreateStmt") {
    create(element["relation"]);
    create_table(element, known, effects);
  } else if (tag == "ViewStmt") {
    create(element["view"]);
  } else if (tag == "CreateSeqStmt") {
    effects.unlist(relation_name(element["sequence"]));
  } else if (tag == "IndexStmt") {
    effects.touch(element["relation"], LockMode::share);
  } else if (tag == "CreateTrigStmt") {
    effects.touch(element["relation"], LockMode::share_row_exclusive);
  }
}

}  // namespace

// A foreign key locks the table it points to as much as its own, and there are no rows to check yet.
void create_table(Node body, const Known& known, Effects& effects) {
  each_foreign_key(body, [&](Node key) {
    effects.touch_family(key["pktable"], LockMode::share_row_exclusive, {}, {}, Reach::partitions);
  });
  const bool partition = static_cast<bool>(body["partbound"]);
  for (const Node parent : body["inhRelations"]) {
    core::Touch& touched =
        effects.touch(parent.body(), partition ? LockMode::access_exclusive : LockMode::share_update_exclusive);
    if (!partition) continue;
    const CatalogRelation* present = known.relation(parent.body());
    // Where nobody knows, it may have a default partition to look through.
    if (!body["partbound"].flag("is_default")) Effects::mark(touched, present, Answer::maybe);
    if (present == nullptr) continue;
    touch_default_partition(*present, known, effects);
    touch_referenced(*present, LockMode::share_row_exclusive, Answer::no, effects);
  }
}

void create_foreign_table(Node body, const Known& known, Effects& effects) {
  const Node base = body["base"];
  effects.create(relation_name(base["relation"]));
  create_table(base, known, effects);
}

void create_schema(Node body, const Known& known, Effects& effects) {
  const std::string_view role = body["authrole"].text("rolename");  // whose name it has where none is given
  const std::string schema(body["schemaname"] ? body.text("schemaname") : role);
  for (const Node element : body["schemaElts"]) create_in_schema(element.body(), element.tag(), schema, known, effects);
}

}  // namespace diastole::sql::refine
