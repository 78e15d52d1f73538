// Relations with what is their own: columns, constraints, indexes, kin, rights.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "catalog_reader.hpp"

namespace diastole::postgres {
namespace {

using core::ConstraintKind;
using core::RelationKind;

// Relations that another session holds, or waits for, in a way that makes us wait too.
constexpr std::string_view kLocked =
    "WITH locked(oid) AS MATERIALIZED (SELECT relation FROM pg_locks WHERE locktype = 'relation' "
    "AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) ";

// The size of pg_class row `c`: of its file, or, where looking at that would have to wait, by the last VACUUM or
// ANALYZE.
std::string bytes_of(std::string_view c) {
  return fmt::format(
      "coalesce(CASE WHEN {0}.relkind NOT IN ('r', 'm', 't', 'i', 'S') THEN 0 "
      "WHEN {0}.oid IN (SELECT oid FROM locked) THEN {0}.relpages::bigint * current_setting('block_size')::bigint "
      "ELSE pg_relation_size({0}.oid) END, 0)",
      c);
}

// Whether ORDER BY the key's columns reads index `i`: a btree, ascending, in each column's own collation and its type's
// default operators. indoption and indclass count from 0, information_schema's and unnest's ordinality from 1.
constexpr std::string_view kOrdered =
    "(c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND NOT EXISTS (SELECT FROM generate_series(0, "
    "i.indnkeyatts - 1) k LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] "
    "JOIN pg_opclass o ON o.oid = i.indclass[k] WHERE i.indoption[k] <> 0 OR NOT o.opcdefault "
    "OR a.attcollation IS DISTINCT FROM i.indcollation[k]))";

RelationKind relation_kind(std::string_view relkind) {
  if (relkind == "p") return RelationKind::partitioned_table;
  if (relkind == "v") return RelationKind::view;
  if (relkind == "m") return RelationKind::materialized_view;
  if (relkind == "f") return RelationKind::foreign_table;
  return relkind == "S" ? RelationKind::sequence : RelationKind::table;
}

ConstraintKind constraint_kind(std::string_view contype) {
  if (contype == "f") return ConstraintKind::foreign_key;
  if (contype == "p") return ConstraintKind::primary_key;
  if (contype == "u") return ConstraintKind::unique;
  return contype == "x" ? ConstraintKind::exclusion : ConstraintKind::check;
}

// What an expression over the whole row uses.
std::vector<std::string> every_column(const core::CatalogRelation& table) {
  std::vector<std::string> names;
  names.reserve(table.columns.size());
  for (const auto& column : table.columns) names.push_back(column.name);
  return names;
}

core::RelationName name_at(const pqxx::row& row, int at) {
  return {row[at].as<std::string>(""), row[at + 1].as<std::string>("")};
}

}  // namespace

void CatalogReader::relations() {
  // Before version 14 a table that was never analysed has 0 rows in 0 pages.
  const std::string rows = version_ >= 140000
                               ? "c.reltuples::bigint"
                               : "CASE WHEN c.reltuples = 0 AND c.relpages = 0 THEN -1 ELSE c.reltuples::bigint END";
  // A partition's bound has no columns in it: printed without its relation it needs no lock.
  const auto found = work_.exec(
      std::string(kLocked) + "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 't', " + rows + ", " +
      bytes_of("c") + " + CASE WHEN t.oid IS NULL THEN 0 ELSE " + bytes_of("t") +
      " END, pg_has_role(current_user, c.relowner, 'USAGE'), EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f "
      "ON f.oid = g.tgfoid WHERE g.tgrelid = c.oid AND (NOT g.tgisinternal OR f.pronamespace <> "
      "'pg_catalog'::regnamespace)), "
      "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, pg_get_expr(c.relpartbound, 0), "
      "dn.nspname, d.relname, c.relpersistence = 'u', c.relrowsecurity, c.relreplident, " +
      bytes_of("c") +
      " / current_setting('block_size')::bigint, (SELECT option_value FROM pg_options_to_table(c.reloptions) "
      "WHERE option_name = 'fillfactor') FROM " +
      concerned_ +
      " JOIN pg_class c ON c.oid = w.oid JOIN pg_namespace n ON n.oid = c.relnamespace "
      "LEFT JOIN pg_class t ON t.oid = c.reltoastrelid "
      "LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid LEFT JOIN pg_class d ON d.oid = p.partdefid "
      "LEFT JOIN pg_namespace dn ON dn.oid = d.relnamespace ORDER BY n.nspname, c.relname");
  for (const auto& row : found) {
    core::CatalogRelation relation;
    relation.name = name_at(row, 1);
    relation.kind = relation_kind(row[3].as<std::string>());
    relation.temporary = row[4].as<bool>();
    relation.rows = row[5].as<std::int64_t>();
    relation.bytes = row[6].as<std::int64_t>();
    relation.owned = row[7].as<bool>();
    relation.triggers = row[8].as<bool>();
    relation.partition_key = row[9].as<std::string>("");
    relation.partition_bound = row[10].as<std::string>("");
    relation.unlogged = row[13].as<bool>();
    relation.row_security = row[14].as<bool>();
    relation.replica_identity = row[15].as<std::string>().at(0);
    relation.pages = row[16].as<std::int64_t>();
    relation.fillfactor = row[17].as<int>(relation.fillfactor);
    if (!row[12].is_null()) relation.default_partition = name_at(row, 11);
    places_[row[0].as<Oid>()] = snapshot_.relations.size();
    snapshot_.relations.push_back(std::move(relation));
  }
}

void CatalogReader::columns() {
  const auto found = work_.exec(
      "WITH RECURSIVE chain(root, type, typmod) AS (SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = "
      "'d' UNION ALL SELECT c.root, d.typbasetype, d.typtypmod FROM chain c JOIN pg_type d ON d.oid = c.type "
      "WHERE d.typtype = 'd'), base AS (SELECT c.root, c.type, c.typmod FROM chain c JOIN pg_type t ON t.oid = c.type "
      "WHERE t.typtype <> 'd'), these(oid) AS (SELECT oid FROM " +
      concerned_ + " UNION SELECT k.confrelid FROM " + concerned_ +
      " JOIN pg_constraint k ON k.conrelid = w.oid WHERE k.contype = 'f') "
      "SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), "
      "coalesce(format_type(b.type, b.typmod), format_type(a.atttypid, a.atttypmod)), a.attnotnull, "
      "a.atthasdef OR a.attidentity <> '', a.attgenerated = 's', a.attidentity <> '' "
      "FROM these JOIN pg_attribute a ON a.attrelid = these.oid LEFT JOIN base b ON b.root = a.atttypid "
      "WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum");
  for (const auto& row : found) {
    const auto oid = row[0].as<Oid>();
    const auto name = row[2].as<std::string>();
    columns_[oid][row[1].as<int>()] = name;
    auto* table = relation(oid);
    if (table == nullptr) continue;
    table->columns.push_back({.name = name,
                              .type = row[3].as<std::string>(),
                              .base_type = row[4].as<std::string>(),
                              .not_null = row[5].as<bool>(),
                              .has_default = row[6].as<bool>(),
                              .generated = row[7].as<bool>(),
                              .identity = row[8].as<bool>()});
  }
}

void CatalogReader::constraints() {
  // A foreign key to a partitioned table has a row for each partition too; those are its parts, not constraints.
  const auto found = work_.exec(
      "SELECT k.conrelid, k.conname, k.contype, k.convalidated, array_to_string(k.conkey, ' '), "
      "CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END, n.nspname, f.relname, k.confrelid, "
      "array_to_string(k.confkey, ' '), k.confdeltype IN ('c', 'n', 'd'), k.confupdtype IN ('c', 'n', 'd'), "
      "i.relname FROM " +
      concerned_ +
      " JOIN pg_constraint k ON k.conrelid = w.oid LEFT JOIN pg_class f ON f.oid = k.confrelid "
      "LEFT JOIN pg_namespace n ON n.oid = f.relnamespace LEFT JOIN pg_class i ON i.oid = k.conindid "
      "WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND NOT EXISTS (SELECT FROM pg_constraint whole "
      "WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid) ORDER BY k.conrelid, k.conname");
  for (const auto& row : found) {
    const auto oid = row[0].as<Oid>();
    relation(oid)->constraints.push_back(
        {.name = row[1].as<std::string>(),
         .kind = constraint_kind(row[2].as<std::string>()),
         .valid = row[3].as<bool>(),
         .columns = column_names(oid, row[4].as<std::string>("")),
         .expression = row[5].as<std::string>(""),
         .references = name_at(row, 6),
         .referenced_columns = column_names(row[8].as<Oid>(), row[9].as<std::string>("")),
         .changes_on_delete = row[10].as<bool>(),
         .changes_on_update = row[11].as<bool>(),
         .index = row[12].as<std::string>("")});
  }
}

void CatalogReader::indexes() {
  const auto found = work_.exec(
      std::string(kLocked) +
      "SELECT i.indrelid, c.relname, i.indkey::text, i.indnkeyatts, i.indisunique, i.indisprimary, i.indisvalid, "
      "i.indpred IS NOT NULL, i.indisexclusion, i.indisclustered, " +
      bytes_of("c") + ", " + columns_in("concat(i.indexprs::text, ' ', i.indpred::text)") + ", " +
      std::string(kOrdered) + " FROM " + concerned_ +
      " JOIN pg_index i ON i.indrelid = w.oid JOIN pg_class c ON c.oid = i.indexrelid ORDER BY i.indrelid, c.relname");
  for (const auto& row : found) {
    const auto oid = row[0].as<Oid>();
    core::CatalogIndex index;
    index.name = row[1].as<std::string>();
    index.columns = column_names(oid, row[2].as<std::string>());
    index.uses = column_names(oid, row[11].as<std::string>());
    const auto included = std::next(index.columns.begin(), row[3].as<std::ptrdiff_t>());
    for (auto column = included; column != index.columns.end(); ++column) {
      if (std::ranges::find(index.uses, *column) == index.uses.end()) index.uses.push_back(*column);
    }
    index.columns.erase(included, index.columns.end());
    if (std::ranges::find(index.uses, std::string()) != index.uses.end()) index.uses = every_column(*relation(oid));
    index.unique = row[4].as<bool>();
    index.primary = row[5].as<bool>();
    index.valid = row[6].as<bool>();
    index.partial = row[7].as<bool>();
    index.exclusion = row[8].as<bool>();
    index.clustered = row[9].as<bool>();
    index.bytes = row[10].as<std::int64_t>();
    index.ordered = row[12].as<bool>();
    auto* table = relation(oid);
    table->index_bytes += index.bytes;
    table->indexes.push_back(std::move(index));
  }
}

void CatalogReader::inheritance() {
  const std::string from =
      " JOIN pg_inherits i ON {} = w.oid JOIN pg_class c ON c.oid = {} JOIN pg_namespace n ON n.oid = c.relnamespace ";
  for (const auto& row : work_.exec("SELECT w.oid, n.nspname, c.relname FROM " + concerned_ +
                                    fmt::format(fmt::runtime(from), "i.inhparent", "i.inhrelid") +
                                    "ORDER BY w.oid, n.nspname, c.relname")) {
    relation(row[0].as<Oid>())->children.push_back(name_at(row, 1));
  }
  for (const auto& row :
       work_.exec("SELECT w.oid, n.nspname, c.relname FROM " + concerned_ +
                  fmt::format(fmt::runtime(from), "i.inhrelid", "i.inhparent") + "ORDER BY w.oid, i.inhseqno")) {
    relation(row[0].as<Oid>())->parents.push_back(name_at(row, 1));
  }
}

void CatalogReader::reads() {
  const auto found = work_.exec(
      "SELECT DISTINCT w.oid, n.nspname, c.relname FROM " + concerned_ +
      " JOIN pg_rewrite r ON r.ev_class = w.oid AND r.rulename = '_RETURN' JOIN pg_depend d "
      "ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass "
      "AND d.refobjid <> w.oid JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace "
      "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY w.oid, n.nspname, c.relname");
  for (const auto& row : found) relation(row[0].as<Oid>())->reads.push_back(name_at(row, 1));
}

void CatalogReader::grantees() {
  const auto found = work_.exec(
      "SELECT DISTINCT w.oid, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END FROM " +
      concerned_ +
      " JOIN pg_class c ON c.oid = w.oid CROSS JOIN aclexplode(c.relacl) AS g "
      "WHERE g.grantee <> c.relowner AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') "
      "ORDER BY 1, 2");
  for (const auto& row : found) relation(row[0].as<Oid>())->column_grantees.push_back(row[1].as<std::string>());
}

}  // namespace diastole::postgres
