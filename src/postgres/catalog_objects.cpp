// What hangs on the functions, types, schemas, … that a plan drops: the way of PostgreSQL's own findDependentObjects().
#include <fmt/format.h>

#include <array>

#include "catalog_reader.hpp"

namespace diastole::postgres {
namespace {

using core::CatalogDependent;
using core::CatalogObject;
using core::DependentKind;

// Whatever a plan drops, no more than this is gone through, and kept of one object.
constexpr int kMaxReached = 20'000;
constexpr std::size_t kMaxDependents = 1'000;

// Where the catalogs have the objects of a kind.
struct ObjectCatalog {
  std::string_view kind;
  std::string_view catalog;
  std::string_view prefix;         // of its columns
  std::string_view inputs = "''";  // of row `o`; empty for a function's
  std::string_view schema = "NULL::oid";
};
constexpr auto kCatalogs = std::to_array<ObjectCatalog>({
    {"function", "pg_proc", "pro", {}, "o.pronamespace"},
    {"type", "pg_type", "typ", "''", "o.typnamespace"},
    {"schema", "pg_namespace", "nsp"},
    {"operator", "pg_operator", "opr",
     "concat_ws(', ', CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END, CASE WHEN o.oprright "
     "= 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END)",
     "o.oprnamespace"},
    {"operator class", "pg_opclass", "opc", "(SELECT amname FROM pg_am WHERE pg_am.oid = o.opcmethod)",
     "o.opcnamespace"},
    {"operator family", "pg_opfamily", "opf", "(SELECT amname FROM pg_am WHERE pg_am.oid = o.opfmethod)",
     "o.opfnamespace"},
    {"collation", "pg_collation", "coll", "''", "o.collnamespace"},
    {"text search configuration", "pg_ts_config", "cfg", "''", "o.cfgnamespace"},
    {"text search dictionary", "pg_ts_dict", "dict", "''", "o.dictnamespace"},
    {"text search parser", "pg_ts_parser", "prs", "''", "o.prsnamespace"},
    {"text search template", "pg_ts_template", "tmpl", "''", "o.tmplnamespace"},
    {"language", "pg_language", "lan"},
    {"extension", "pg_extension", "ext"},
    {"foreign data wrapper", "pg_foreign_data_wrapper", "fdw"},
    {"server", "pg_foreign_server", "srv"},
});

// Those that the names in {1} mean; more than one, where the search_path has several.
constexpr std::string_view kFound =
    "SELECT DISTINCT '{0}'::regclass::oid, o.oid, coalesce(n.nspname, '')::text, o.{2}name::text, {3}::text FROM {1} "
    "JOIN {0} o ON o.{2}name = q.name LEFT JOIN pg_namespace n ON n.oid = {4} WHERE n.oid IS NULL OR "
    "CASE WHEN q.schema = '' THEN n.nspname = ANY (current_schemas(true)) ELSE n.nspname = q.schema END "
    "ORDER BY 3, 4, 5";

// From the roots in {0} to all that goes: what depends on it, and what it is a part of. Left out is then what belongs
// to something that goes: a column's index, a view's rule and row type, a column of a table.
constexpr std::string_view kReach =
    "WITH RECURSIVE roots(root, classid, objid) AS (VALUES {0}), reach(root, classid, objid, objsubid) AS ("
    "SELECT root, classid, objid, 0 FROM roots UNION SELECT r.root, s.classid, s.objid, s.objsubid FROM reach r "
    "CROSS JOIN LATERAL (SELECT d.classid, d.objid, d.objsubid FROM pg_depend d WHERE d.refclassid = r.classid "
    "AND d.refobjid = r.objid AND (r.objsubid = 0 OR d.refobjsubid = r.objsubid) AND d.deptype <> 'p' "
    "UNION ALL SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d WHERE d.classid = r.classid "
    "AND d.objid = r.objid AND d.objsubid = r.objsubid AND d.deptype IN ('i', 'P', 'e')) AS s), "
    "gone AS MATERIALIZED (SELECT f.*, row_number() OVER () AS place FROM (SELECT * FROM reach LIMIT {1}) AS f), "
    "parts AS (SELECT g.root, g.place, e.* FROM gone g CROSS JOIN LATERAL (SELECT d.refclassid, d.refobjid, "
    "d.refobjsubid FROM pg_depend d WHERE d.classid = g.classid AND d.objid = g.objid AND d.objsubid = g.objsubid "
    "AND d.deptype NOT IN ('n', 'p') OFFSET 0) AS e), "
    "felt AS MATERIALIZED (SELECT * FROM gone g WHERE (root, classid, objid) NOT IN (SELECT root, classid, objid "
    "FROM roots) AND (root, classid, objid) NOT IN (SELECT r.root, 'pg_class'::regclass::oid, t.typrelid FROM roots r "
    "JOIN pg_type t ON t.oid = r.objid WHERE r.classid = 'pg_type'::regclass) AND (objsubid = 0 OR "
    "(root, classid, objid, 0) NOT IN (SELECT root, classid, objid, objsubid FROM gone)) AND place NOT IN ("
    "SELECT place FROM parts WHERE (root, refclassid, refobjid, 0) IN (SELECT root, classid, objid, objsubid FROM "
    "gone) "
    "OR (root, refclassid, refobjid, refobjsubid) IN (SELECT root, classid, objid, objsubid FROM gone))) ";

// Their names, as pg_identify_object_as_address() takes them apart: {schema, table, member} of what belongs to a table.
// What a partition has from its parent goes with the parent's.
constexpr std::string_view kDescribed =
    ", described AS MATERIALIZED (SELECT g.root, CASE i.type WHEN 'default value' THEN 'default' "
    "WHEN 'statistics object' THEN 'statistics' WHEN 'procedure' THEN 'function' WHEN 'aggregate' THEN 'function' "
    "WHEN 'composite type column' THEN 'attribute' WHEN 'foreign table column' THEN 'column' "
    "WHEN 'table constraint' THEN CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END "
    "WHEN 'table column' THEN CASE WHEN a.attgenerated <> '' THEN 'generated column' ELSE 'column' END "
    "ELSE i.type END AS kind, "
    "coalesce(o.nspname, i.schema, CASE WHEN cardinality(w.object_names) > 1 THEN w.object_names[1] END, '') AS "
    "schema, coalesce(k.conname, t.typname, CASE WHEN i.type LIKE 'operator %' THEN w.object_names[3] "
    "WHEN i.type = 'cast' THEN 'cast' ELSE w.object_names[cardinality(w.object_names)] END) AS name, "
    "coalesce(d.typname, m.relname, CASE WHEN cardinality(w.object_names) > 2 AND i.type NOT LIKE 'operator %' THEN "
    "w.object_names[2] END, '') AS held, CASE WHEN p.oid IS NOT NULL THEN {2} WHEN i.type = 'cast' THEN "
    "concat(w.object_names[1], ', ', w.object_args[1]) "
    "WHEN i.type LIKE 'operator %' THEN w.object_names[1] ELSE array_to_string(w.object_args, ', ') END AS inputs, "
    "concat(i.type, ' ', i.identity) AS identity, coalesce(m.oid, c.oid, r.ev_class, u.tgrelid, l.polrelid, "
    "e.adrelid, nullif(k.conrelid, 0), 0) AS relation, g.place FROM felt g "
    "CROSS JOIN LATERAL pg_identify_object(g.classid, g.objid, g.objsubid) AS i "
    "CROSS JOIN LATERAL pg_identify_object_as_address(g.classid, g.objid, g.objsubid) AS w "
    "LEFT JOIN pg_class c ON g.classid = 'pg_class'::regclass AND c.oid = g.objid "
    "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = g.objsubid AND g.objsubid > 0 "
    "LEFT JOIN pg_proc p ON g.classid = 'pg_proc'::regclass AND p.oid = g.objid "
    "LEFT JOIN pg_type t ON g.classid = 'pg_type'::regclass AND t.oid = g.objid "
    "LEFT JOIN pg_constraint k ON g.classid = 'pg_constraint'::regclass AND k.oid = g.objid "
    "LEFT JOIN pg_type d ON d.oid = k.contypid LEFT JOIN pg_namespace o ON o.oid = d.typnamespace "
    "LEFT JOIN pg_rewrite r ON g.classid = 'pg_rewrite'::regclass AND r.oid = g.objid "
    "LEFT JOIN pg_trigger u ON g.classid = 'pg_trigger'::regclass AND u.oid = g.objid "
    "LEFT JOIN pg_policy l ON g.classid = 'pg_policy'::regclass AND l.oid = g.objid "
    "LEFT JOIN pg_attrdef e ON g.classid = 'pg_attrdef'::regclass AND e.oid = g.objid "
    "LEFT JOIN pg_statistic_ext s ON g.classid = 'pg_statistic_ext'::regclass AND s.oid = g.objid "
    "LEFT JOIN pg_index x ON x.indexrelid = c.oid LEFT JOIN pg_class m ON m.oid = coalesce(x.indrelid, s.stxrelid) "
    "WHERE i.type IS NOT NULL UNION ALL SELECT DISTINCT g.root, 'publication', '', p.pubname, '', '', '', 0::oid, "
    "0 FROM gone g JOIN ({1}) AS r(classid, oid, publication) ON r.classid = g.classid AND r.oid = g.objid "
    "JOIN pg_publication p ON p.oid = r.publication) "
    "SELECT d.root, d.kind, d.schema, d.name, d.held, d.inputs, d.identity, d.relation, "
    "(SELECT count(*) >= {0} FROM gone) FROM described d WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN described up "
    "ON up.relation = i.inhparent WHERE i.inhrelid = d.relation AND d.held <> '' AND up.root = d.root "
    "AND up.kind = d.kind AND up.name = d.name) ORDER BY d.root, d.place";

// What makes a relation, or all of a schema's, part of a publication.
std::string published(bool schemas) {
  std::string sql = "SELECT 'pg_publication_rel'::regclass, oid, prpubid FROM pg_publication_rel";
  if (schemas)
    sql += " UNION ALL SELECT 'pg_publication_namespace'::regclass, oid, pnpubid FROM pg_publication_namespace";
  return sql;
}

std::string without_catalog(std::string text) {
  constexpr std::string_view kPrefix = "pg_catalog.";
  for (auto at = text.find(kPrefix); at != std::string::npos; at = text.find(kPrefix, at))
    text.erase(at, kPrefix.size());
  return text;
}

CatalogDependent dependent_of(const pqxx::row& row) {
  CatalogDependent dependent;
  const auto kind = row[1].as<std::string>();
  dependent.kind = dependent_kind(kind);
  dependent.name = {row[2].as<std::string>(), row[3].as<std::string>()};
  dependent.table = row[4].as<std::string>();
  dependent.inputs = without_catalog(row[5].as<std::string>(""));
  if (dependent.kind == DependentKind::object) dependent.identity = without_catalog(row[6].as<std::string>());
  return dependent;
}

}  // namespace

std::string CatalogReader::find_objects(const std::vector<core::CatalogRequest::Object>& wanted) {
  std::string roots;
  for (const ObjectCatalog& where : kCatalogs) {
    std::vector<core::RelationName> names;
    for (const auto& object : wanted) {
      if (object.kind == where.kind) names.push_back(object.name);
    }
    if (names.empty()) continue;
    for (const auto& row :
         work_.exec(fmt::format(kFound, where.catalog, name_rows(work_, names), where.prefix,
                                where.inputs.empty() ? inputs_of("o") : std::string(where.inputs), where.schema))) {
      const auto oid = row[1].as<Oid>();
      roots += fmt::format("{}({}, {}::oid, {}::oid)", roots.empty() ? "" : ", ", snapshot_.objects.size(),
                           row[0].as<Oid>(), oid);
      snapshot_.objects.push_back({.kind = std::string(where.kind),
                                   .name = {row[2].as<std::string>(), row[3].as<std::string>()},
                                   .inputs = row[4].as<std::string>("")});
      object_oids_.push_back(oid);
    }
  }
  return roots;
}

// The relations that hang on them, but not a schema's own.
CatalogReader::Oids CatalogReader::objects(const std::vector<core::CatalogRequest::Object>& wanted) {
  Oids relations;
  const auto roots = find_objects(wanted);
  if (roots.empty()) return relations;
  for (const auto& row :
       work_.exec(fmt::format(kReach, roots, kMaxReached) +
                  fmt::format(kDescribed, kMaxReached, published(version_ >= 150000), inputs_of("p")))) {
    CatalogObject& object = snapshot_.objects[row[0].as<std::size_t>()];
    object.cut = row[8].as<bool>() || object.dependents.size() == kMaxDependents;
    if (object.dependents.size() == kMaxDependents) continue;
    object.dependents.push_back(dependent_of(row));
    const bool inside = object.kind == "schema" && object.dependents.back().name.schema == object.name.name;
    if (const auto relation = row[7].as<Oid>(); relation != 0 && !inside) relations.push_back(relation);
  }
  return relations;
}

}  // namespace diastole::postgres
