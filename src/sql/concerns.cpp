// What a plan names, so that the catalog can be asked for it.
#include <set>

#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"
#include "known.hpp"
#include "object_name.hpp"
#include "parse.hpp"
#include "type_name.hpp"
#include "window.hpp"

namespace diastole::sql {
namespace {

class Concerns {
 public:
  void add_text(std::string_view sql) {
    if (sql.empty()) return;
    const auto tree = parse(sql);
    if (!tree) return;  // complete() tells
    for (const ParsedStatement& statement : tree->statements) add_statement(statement);
  }
  void add_table(std::string_view identifier) { add(relations_, name_of_identifier(identifier)); }
  // An expression over a table's rows.
  void add_expression(std::string_view sql) {
    const auto tree = parse(sql, "SELECT ");
    if (!tree) return;
    for (const ParsedStatement& statement : tree->statements) add_statement(statement);
  }

  [[nodiscard]] core::CatalogRequest take() { return std::move(request_); }

 private:
  // Each once; a text may name tens of thousands.
  struct Names {
    std::vector<core::RelationName>& list;
    std::set<core::RelationName> seen = {};
  };
  static void add(Names& names, core::RelationName name) {
    if (!name.name.empty() && names.seen.insert(name).second) names.list.push_back(std::move(name));
  }

  void add_statement(const ParsedStatement& statement) {
    const Node body = statement.body;
    visit_objects(body, [&](std::string_view key, Node node) {
      if (is_relation(node)) {
        add(relations_, name_of(node));
      } else if (key == "FuncCall") {
        add(functions_, name_of_list(node["funcname"]));
      } else if (key == "typeName" || key == "TypeName") {
        if (!is_builtin_type(type_name(node))) add(types_, name_of_list(node["names"]));
      } else if (const std::string_view index = node.text("indexname"); !index.empty()) {
        const Node table = body["relation"];
        add(relations_, {.schema = std::string(table.text("schemaname")), .name = std::string(index)});
      }
    });
    const bool function = statement.tag == "CreateFunctionStmt" || statement.tag == "DefineStmt";
    if (function) add(functions_, name_of_list(body[body["funcname"] ? "funcname" : "defnames"]));
    if (statement.tag == "DropStmt" || statement.tag == "CommentStmt") add_objects(body);
    // A composite type stands where a relation could.
    if (body.text("objtype") == "OBJECT_TYPE" || body.text("renameType") == "OBJECT_ATTRIBUTE")
      add(types_, name_of(body["relation"]));
    if (body["typeName"].is_array()) add(types_, name_of_list(body["typeName"]));
  }

  // DROP and COMMENT name objects by lists of names.
  void add_objects(Node body) {
    const ObjectKind* kind = find_object_kind(body.text(body["removeType"] ? "removeType" : "objtype"));
    if (kind == nullptr) return;
    const bool member = kind->naming == Naming::member;
    const auto add_object = [&](Node object) {
      const Node items = object.body()["items"];
      if (object.tag() == "ObjectWithArgs") add(functions_, name_of_list(object.body()["objname"]));
      if (kind->naming != Naming::other) add(relations_, name_of_list(items, member ? 1 : 0));
    };
    for (const Node object : body["objects"]) {
      add_object(object);
      add_dropped(body.text("removeType"), object);
    }
    if (body["object"]) add_object(body["object"]);
  }

  void add_dropped(std::string_view type, Node object) {
    const auto name = written_object(type, object);
    if (!name || !name->member.empty()) return;
    core::CatalogRequest::Object dropped{.kind = catalog_kind(name->type), .name = name->name};
    if (objects_.insert(dropped).second) request_.objects.push_back(std::move(dropped));
  }

  core::CatalogRequest request_;
  Names relations_{request_.relations};
  Names functions_{request_.functions};
  Names types_{request_.types};
  std::set<core::CatalogRequest::Object> objects_;
};

}  // namespace

core::CatalogRequest concerns(const core::Plan& plan) {
  Concerns concerns;
  for (const core::Step& step : plan.steps) {
    concerns.add_text(step.sql);
    concerns.add_text(step.undo_sql);
    if (step.backfill) {
      if (const auto table = split_identifier(step.backfill->table, 2))
        concerns.add_table(table->size() == 1 ? table->front() : table->front() + "." + table->back());
      for (const auto& [column, expression] : step.backfill->set) concerns.add_expression(expression);
      concerns.add_expression(step.backfill->where);
      if (const auto pieces = cut_window(step.backfill->sql)) concerns.add_text(plain_window(*pieces));
    }
    if (const auto parts = split_identifier(step.set_not_null, 3); parts && parts->size() > 1) {
      const std::string& table = (*parts)[parts->size() - 2];
      concerns.add_table(parts->size() == 2 ? table : parts->front() + "." + table);
    }
  }
  return concerns.take();
}

}  // namespace diastole::sql
