#include "catalog_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "connection.hpp"
#include "pg_target.hpp"

namespace diastole::postgres {
namespace {

using core::CatalogRequest;
using core::CatalogSnapshot;
using core::CatalogType;
using core::RelationName;

// The catalog rows of the names in q(schema, name, place): one a name, the first in the search_path where no schema is
// given. By the catalogs and not by to_regclass(), which fails where our role may not use the schema.
constexpr std::string_view kResolve =
    "SELECT DISTINCT ON (q.place) {0}.oid FROM {1} JOIN {2} {0} ON {0}.{3} = q.name "
    "JOIN pg_namespace n ON n.oid = {0}.{4} "
    "LEFT JOIN unnest(current_schemas(true)) WITH ORDINALITY AS p(schema, place) ON p.schema = n.nspname "
    "WHERE CASE WHEN q.schema = '' THEN p.place IS NOT NULL ELSE n.nspname = q.schema END ORDER BY q.place, p.place";

// From the relations to begin with to all that hang together with them: what views stand for, the kin of those, the
// tables whose foreign keys point there, whose point to them and so on (TRUNCATE and DELETE may go all the way), what
// all of these point to, the views above, and what those read.
constexpr std::string_view kClosure =
    "WITH RECURSIVE given(oid) AS (SELECT coalesce(i.indrelid, g.oid) FROM {} AS g(oid) "
    "LEFT JOIN pg_index i ON i.indexrelid = g.oid), "
    "reading(view, oid) AS (SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r JOIN pg_depend d "
    "ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass "
    "WHERE r.rulename = '_RETURN' AND d.refobjid <> r.ev_class), "
    "base(oid) AS (SELECT oid FROM given UNION SELECT r.oid FROM reading r JOIN base b ON r.view = b.oid), "
    "below(oid) AS (SELECT oid FROM base UNION SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = "
    "b.oid), "
    "above(oid) AS (SELECT oid FROM base UNION SELECT i.inhparent FROM pg_inherits i JOIN above a ON i.inhrelid = "
    "a.oid), "
    "family(oid) AS (SELECT oid FROM below UNION SELECT oid FROM above), "
    "pointing(oid) AS (SELECT oid FROM family UNION SELECT k.conrelid FROM pg_constraint k JOIN pointing p "
    "ON k.confrelid = p.oid WHERE k.contype = 'f'), "
    "keys(oid) AS (SELECT oid FROM pointing UNION SELECT k.confrelid FROM pg_constraint k JOIN pointing p "
    "ON k.conrelid = p.oid WHERE k.contype = 'f'), "
    "views(oid) AS (SELECT oid FROM family UNION SELECT r.view FROM reading r JOIN views v ON r.oid = v.oid), "
    "read(oid) AS ((SELECT oid FROM views EXCEPT SELECT oid FROM family) UNION SELECT d.oid FROM ("
    "SELECT view, oid FROM reading UNION ALL SELECT inhparent, inhrelid FROM pg_inherits) AS d(up, oid) "
    "JOIN read v ON d.up = v.oid) "
    "SELECT c.oid FROM pg_class c JOIN (SELECT oid FROM read UNION SELECT oid FROM keys) AS u(oid) ON u.oid = c.oid "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')";

constexpr std::string_view kEverything =
    "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT LIKE 'pg\\_%' "
    "AND n.nspname NOT IN ('information_schema', 'diastole')";

// uses(root, type): the types that hold a value of `root`: arrays, domains, composites and ranges of it.
constexpr std::string_view kUses =
    "WITH RECURSIVE uses(root, type) AS (SELECT t.oid, t.oid FROM {} AS g(oid) JOIN pg_type t ON t.oid = g.oid "
    "WHERE t.typnamespace <> 'pg_catalog'::regnamespace UNION SELECT u.root, s.type FROM uses u JOIN ("
    "SELECT oid, typarray FROM pg_type WHERE typarray <> 0 "
    "UNION ALL SELECT typbasetype, oid FROM pg_type WHERE typtype = 'd' "
    "UNION ALL SELECT a.atttypid, c.reltype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "WHERE c.relkind = 'c' AND a.attnum > 0 AND NOT a.attisdropped "
    "UNION ALL SELECT rngsubtype, rngtypid FROM pg_range) AS s(part, type) ON s.part = u.type) "
    "SELECT DISTINCT u.root, c.oid, n.nspname, c.relname FROM uses u JOIN ("
    "SELECT atttypid, attrelid FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
    "UNION ALL SELECT reloftype, oid FROM pg_class WHERE reloftype <> 0) AS a(type, relation) ON a.type = u.type "
    "JOIN pg_class c ON c.oid = a.relation JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'm', 'f') ORDER BY u.root, n.nspname, c.relname";

// Domains and enums of the relations' columns, of the elements of their arrays, and what the domains are over.
constexpr std::string_view kColumnTypes =
    "WITH RECURSIVE found(oid) AS (SELECT CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid "
    "END "
    "FROM {} JOIN pg_attribute a ON a.attrelid = w.oid JOIN pg_type t ON t.oid = a.atttypid "
    "WHERE a.attnum > 0 AND NOT a.attisdropped UNION SELECT d.typbasetype FROM found f JOIN pg_type d ON d.oid = f.oid "
    "WHERE d.typtype = 'd') SELECT t.oid FROM found f JOIN pg_type t ON t.oid = f.oid WHERE t.typtype IN ('d', 'e')";

constexpr std::string_view kTypes =
    "SELECT t.oid, n.nspname, t.typname, t.typtype, "
    "CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END, "
    "EXISTS (WITH RECURSIVE chain(oid) AS (SELECT t.oid UNION ALL SELECT b.typbasetype FROM chain JOIN pg_type b "
    "ON b.oid = chain.oid WHERE b.typtype = 'd') SELECT FROM chain JOIN pg_type d ON d.oid = chain.oid "
    "WHERE d.typtype = 'd' AND (d.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = d.oid))) "
    "FROM {} AS g(oid) JOIN pg_type t ON t.oid = g.oid JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY 2, 3";

CatalogType::Kind type_kind(std::string_view typtype) {
  if (typtype == "e") return CatalogType::Kind::enumeration;
  if (typtype == "d") return CatalogType::Kind::domain;
  return typtype == "c" ? CatalogType::Kind::composite : CatalogType::Kind::other;
}

std::vector<std::uint32_t> first_column(const pqxx::result& rows) {
  std::vector<std::uint32_t> oids;
  for (const auto& row : rows) oids.push_back(row[0].as<std::uint32_t>());
  return oids;
}

}  // namespace

std::string name_rows(const pqxx::transaction_base& work, const std::vector<RelationName>& names) {
  std::vector<std::string> schemas;
  std::vector<std::string> own;
  for (const auto& name : names) {
    schemas.push_back(name.schema);
    own.push_back(name.name);
  }
  return fmt::format("unnest({}, {}) WITH ORDINALITY AS q(schema, name, place)", text_array(work, schemas),
                     text_array(work, own));
}

std::string inputs_of(std::string_view p) {
  return fmt::format(
      "(SELECT coalesce(string_agg(format_type(x.type, NULL), ', ' ORDER BY x.place), '') FROM unnest({}.proargtypes) "
      "WITH ORDINALITY AS x(type, place))",
      p);
}

std::string oid_rows(const std::vector<std::uint32_t>& oids) {
  return fmt::format("unnest('{{{}}}'::oid[])", fmt::join(oids, ","));
}

std::string columns_in(std::string_view expression) {
  return fmt::format(
      "(SELECT coalesce(string_agg(DISTINCT m[1], ' '), '') FROM regexp_matches({}, ':varattno (\\d+)', 'g') AS m)",
      expression);
}

CatalogSnapshot CatalogReader::read(const CatalogRequest& request) {
  session();
  const auto requested_types = named(request.types, "type");
  concern(request, requested_types, objects(request.objects));
  relations();
  columns();
  constraints();
  indexes();
  inheritance();
  reads();
  grantees();
  dependents();
  publications();
  functions_by_text();
  functions(request);
  types(requested_types);
  return std::move(snapshot_);
}

void CatalogReader::session() {
  snapshot_.server_version = version_;
  snapshot_.time_zone = work_.exec("SELECT current_setting('TimeZone')")[0][0].as<std::string>();
  for (const auto& row : work_.exec(
           "SELECT schema FROM unnest(current_schemas(true)) WITH ORDINALITY AS p(schema, place) ORDER BY place"))
    snapshot_.search_path.push_back(row[0].as<std::string>());
}

CatalogReader::Oids CatalogReader::named(const std::vector<RelationName>& names, std::string_view what) const {
  if (names.empty()) return {};
  const auto rows = name_rows(work_, names);
  return first_column(work_.exec(what == "type"
                                     ? fmt::format(kResolve, "t", rows, "pg_type", "typname", "typnamespace")
                                     : fmt::format(kResolve, "c", rows, "pg_class", "relname", "relnamespace")));
}

void CatalogReader::concern(const CatalogRequest& request, const Oids& types, const Oids& hanging) {
  auto begin = named(request.relations, "relation");
  std::ranges::copy(hanging, std::back_inserter(begin));
  std::ranges::copy(tables_using(types), std::back_inserter(begin));
  if (request.everything)
    std::ranges::copy(first_column(work_.exec(std::string(kEverything))), std::back_inserter(begin));
  const auto all = begin.empty() ? Oids() : first_column(work_.exec(fmt::format(kClosure, oid_rows(begin))));
  concerned_ = oid_rows(all) + " AS w(oid)";
}

CatalogReader::Oids CatalogReader::tables_using(const Oids& types) const {
  Oids tables;
  if (types.empty()) return tables;
  for (const auto& row : work_.exec(fmt::format(kUses, oid_rows(types)))) tables.push_back(row[1].as<Oid>());
  return tables;
}

void CatalogReader::functions(const CatalogRequest& request) {
  if (request.functions.empty() && !request.all_functions) return;
  const auto wanted =
      request.all_functions
          ? std::string(
                "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'diastole') ")
          : name_rows(work_, request.functions) +
                " JOIN pg_proc p ON p.proname = q.name JOIN pg_namespace n ON n.oid = p.pronamespace WHERE CASE WHEN "
                "q.schema = '' THEN n.nspname = ANY (current_schemas(true)) ELSE n.nspname = q.schema END ";
  // i, s and v happen to be in order.
  const auto found = work_.exec("SELECT n.nspname, p.proname, max(p.provolatile::text) FROM " + wanted +
                                "GROUP BY 1, 2 ORDER BY 1, 2");
  for (const auto& row : found) {
    snapshot_.functions.push_back(
        {.name = {row[0].as<std::string>(), row[1].as<std::string>()}, .volatility = row[2].as<std::string>().at(0)});
  }
}

void CatalogReader::types(const Oids& requested) {
  Oids all = requested;
  std::ranges::copy(first_column(work_.exec(fmt::format(kColumnTypes, concerned_))), std::back_inserter(all));
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  if (all.empty()) return;
  const auto found = work_.exec(fmt::format(kTypes, oid_rows(all)));
  snapshot_.types.reserve(static_cast<std::size_t>(found.size()));
  std::map<Oid, CatalogType*> by_oid;
  for (const auto& row : found) {
    snapshot_.types.push_back({.name = {row[1].as<std::string>(), row[2].as<std::string>()},
                               .kind = type_kind(row[3].as<std::string>()),
                               .base = row[4].as<std::string>(),
                               .constrained = row[5].as<bool>(),
                               .labels = {},
                               .used_by = {}});
    by_oid[row[0].as<Oid>()] = &snapshot_.types.back();
  }
  used_types(all, by_oid);
}

void CatalogReader::used_types(const Oids& all, std::map<Oid, CatalogType*>& by_oid) const {
  for (const auto& row : work_.exec("SELECT e.enumtypid, e.enumlabel FROM " + oid_rows(all) +
                                    " AS g(oid) JOIN pg_enum e ON e.enumtypid = g.oid ORDER BY 1, e.enumsortorder")) {
    by_oid.at(row[0].as<Oid>())->labels.push_back(row[1].as<std::string>());
  }
  for (const auto& row : work_.exec(fmt::format(kUses, oid_rows(all)))) {
    by_oid.at(row[0].as<Oid>())->used_by.push_back({row[2].as<std::string>(), row[3].as<std::string>()});
  }
}

core::CatalogRelation* CatalogReader::relation(Oid oid) {
  const auto found = places_.find(oid);
  return found == places_.end() ? nullptr : &snapshot_.relations[found->second];
}

std::string CatalogReader::column_name(Oid relation, int number) const {
  const auto table = columns_.find(relation);
  if (table == columns_.end()) return {};
  const auto column = table->second.find(number);
  return column == table->second.end() ? std::string() : column->second;
}

std::vector<std::string> CatalogReader::column_names(Oid relation, std::string_view numbers) const {
  std::vector<std::string> names;
  while (!numbers.empty()) {
    int number = 0;
    std::from_chars(numbers.data(), numbers.data() + numbers.size(), number);
    names.push_back(column_name(relation, number));
    const auto space = numbers.find(' ');
    numbers.remove_prefix(space == std::string_view::npos ? numbers.size() : space + 1);
  }
  return names;
}

}  // namespace diastole::postgres
