// What hangs on a relation from outside of it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_set>
#include <utility>

#include "catalog_reader.hpp"

namespace diastole::postgres {
namespace {

using core::CatalogDependent;
using core::DependentKind;

constexpr std::array kKinds{DependentKind::view,
                            DependentKind::materialized_view,
                            DependentKind::rule,
                            DependentKind::function,
                            DependentKind::trigger,
                            DependentKind::policy,
                            DependentKind::column_default,
                            DependentKind::generated_column,
                            DependentKind::foreign_key,
                            DependentKind::sequence,
                            DependentKind::statistics,
                            DependentKind::publication,
                            DependentKind::partition_key,
                            DependentKind::table,
                            DependentKind::foreign_table,
                            DependentKind::column,
                            DependentKind::constraint,
                            DependentKind::index,
                            DependentKind::type,
                            DependentKind::attribute,
                            DependentKind::domain_constraint};

}  // namespace

DependentKind dependent_kind(std::string_view text) {
  const auto found = std::ranges::find(kKinds, text, [](DependentKind kind) { return to_string(kind); });
  return found == kKinds.end() ? DependentKind::object : *found;
}

namespace {

// By pg_depend: dep(oid, classid, objid, columns), `columns` empty where it is the whole relation. A function that
// takes or returns rows of a table hangs on the row's type; what it takes stands where others have their table.
constexpr std::string_view kDepend =
    "WITH dep(oid, classid, objid, columns) AS (SELECT d.refobjid, d.classid, d.objid, "
    "coalesce(string_agg(DISTINCT nullif(d.refobjsubid, 0)::text, ' '), '') FROM {0} JOIN pg_depend d "
    "ON d.refclassid = 'pg_class'::regclass AND d.refobjid = w.oid WHERE d.classid IN ('pg_rewrite'::regclass, "
    "'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass, 'pg_statistic_ext'::regclass, "
    "'pg_attrdef'::regclass, 'pg_class'::regclass) GROUP BY 1, 2, 3 UNION ALL SELECT c.oid, d.classid, d.objid, '' "
    "FROM {0} JOIN pg_class c ON c.oid = w.oid JOIN pg_type t ON t.oid = c.reltype JOIN pg_depend d "
    "ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.classid = 'pg_proc'::regclass) "
    "SELECT dep.oid, CASE WHEN r.rulename <> '_RETURN' THEN 'rule' WHEN c.relkind = 'm' THEN 'materialized view' "
    "ELSE 'view' END, n.nspname::text, CASE WHEN r.rulename <> '_RETURN' THEN r.rulename ELSE c.relname END::text, "
    "CASE WHEN r.rulename <> '_RETURN' THEN c.relname ELSE '' END::text, dep.columns "
    "FROM dep JOIN pg_rewrite r ON r.oid = dep.objid JOIN pg_class c ON c.oid = r.ev_class "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE dep.classid = 'pg_rewrite'::regclass "
    "AND NOT (r.rulename = '_RETURN' AND r.ev_class = dep.oid) "
    "UNION ALL SELECT dep.oid, 'trigger', n.nspname, g.tgname, c.relname, dep.columns "
    "FROM dep JOIN pg_trigger g ON g.oid = dep.objid JOIN pg_proc f ON f.oid = g.tgfoid "
    "JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE dep.classid = 'pg_trigger'::regclass AND (NOT g.tgisinternal OR f.pronamespace <> "
    "'pg_catalog'::regnamespace) "
    "UNION ALL SELECT dep.oid, 'policy', n.nspname, p.polname, c.relname, dep.columns "
    "FROM dep JOIN pg_policy p ON p.oid = dep.objid JOIN pg_class c ON c.oid = p.polrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE dep.classid = 'pg_policy'::regclass "
    "UNION ALL SELECT dep.oid, 'function', n.nspname, p.proname, {1}, dep.columns FROM dep JOIN pg_proc p "
    "ON p.oid = dep.objid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE dep.classid = 'pg_proc'::regclass "
    "UNION ALL SELECT dep.oid, 'statistics', n.nspname, s.stxname, c.relname, dep.columns "
    "FROM dep JOIN pg_statistic_ext s ON s.oid = dep.objid JOIN pg_class c ON c.oid = s.stxrelid "
    "JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE dep.classid = 'pg_statistic_ext'::regclass "
    "UNION ALL SELECT dep.oid, 'default', n.nspname, a.attname, c.relname, '' FROM dep "
    "JOIN pg_class q ON q.oid = dep.oid AND q.relkind = 'S' JOIN pg_attrdef e ON e.oid = dep.objid "
    "JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum JOIN pg_class c ON c.oid = e.adrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE dep.classid = 'pg_attrdef'::regclass "
    "UNION ALL SELECT dep.oid, 'sequence', n.nspname, q.relname, c.relname, dep.columns FROM dep "
    "JOIN pg_class q ON q.oid = dep.objid AND q.relkind = 'S' JOIN pg_namespace n ON n.oid = q.relnamespace "
    "JOIN pg_class c ON c.oid = dep.oid WHERE dep.classid = 'pg_class'::regclass AND dep.columns <> ''";

// What pg_depend has elsewhere in each version, or not at all.
std::string other_dependents(const std::string& concerned) {
  return "SELECT w.oid, 'foreign key', n.nspname, k.conname, c.relname, array_to_string(k.confkey, ' ') FROM " +
         concerned +
         " JOIN pg_constraint k ON k.confrelid = w.oid AND k.contype = 'f' AND k.conrelid <> w.oid "
         "JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
         "UNION ALL SELECT * FROM (SELECT w.oid, 'generated column', n.nspname, a.attname, c.relname, " +
         columns_in("d.adbin::text") + " AS columns FROM " + concerned +
         " JOIN pg_attribute a ON a.attrelid = w.oid AND a.attgenerated <> '' AND NOT a.attisdropped JOIN pg_attrdef d "
         "ON d.adrelid = a.attrelid AND d.adnum = a.attnum JOIN pg_class c ON c.oid = w.oid "
         "JOIN pg_namespace n ON n.oid = c.relnamespace) AS g WHERE columns <> '' "
         "UNION ALL SELECT w.oid, 'partition key', n.nspname, c.relname, c.relname, concat(p.partattrs::text, ' ', " +
         columns_in("p.partexprs::text") + ") FROM " + concerned +
         " JOIN pg_partitioned_table p ON p.partrelid = w.oid JOIN pg_class c ON c.oid = w.oid "
         "JOIN pg_namespace n ON n.oid = c.relnamespace";
}

bool same_thing(const CatalogDependent& a, const CatalogDependent& b) {
  return a.kind == b.kind && a.name == b.name && a.table == b.table && a.inputs == b.inputs;
}

// A word is what PostgreSQL's \m and \M see the ends of.
bool in_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

// A function's body, to be asked which names stand in it as whole words; case does not count.
class CatalogReader::Body {
 public:
  explicit Body(std::string text) : text_(lower(std::move(text))) {
    for (std::size_t at = 0; at < text_.size();) {
      const auto begin = at;
      while (at < text_.size() && in_word(text_[at])) ++at;
      if (at > begin) words_.insert(text_.substr(begin, at - begin));
      while (at < text_.size() && !in_word(text_[at])) ++at;
    }
  }

  [[nodiscard]] bool mentions(const std::string& name) const {
    const auto wanted = lower(name);
    if (std::ranges::all_of(wanted, in_word)) return words_.contains(wanted);
    for (auto at = text_.find(wanted); at != std::string::npos; at = text_.find(wanted, at + 1)) {
      const auto end = at + wanted.size();
      const bool begins = at == 0 || !in_word(wanted.front()) || !in_word(text_[at - 1]);
      if (begins && (end == text_.size() || !in_word(wanted.back()) || !in_word(text_[end]))) return true;
    }
    return false;
  }

  // A routine of the name, with or without quotes, that its arguments follow.
  [[nodiscard]] bool calls(const std::string& name) const {
    if (!mentions(name)) return false;
    const auto wanted = lower(name);
    for (auto at = text_.find(wanted); at != std::string::npos; at = text_.find(wanted, at + 1)) {
      const auto end = at + wanted.size();
      const auto open = text_.find_first_not_of(" \t\r\n", end + (text_[end] == '"' ? 1 : 0));
      if ((at == 0 || !in_word(text_[at - 1])) && open != std::string::npos && text_[open] == '(') return true;
    }
    return false;
  }

  [[nodiscard]] bool names_schema(const std::string& name) const {
    return mentions(name + ".") || mentions(name + "\".");
  }

 private:
  std::string text_;
  std::unordered_set<std::string> words_;
};

void CatalogReader::add_dependents(const std::string& sql) {
  for (const auto& row : work_.exec(sql + " ORDER BY 1, 2, 3, 4, 5, 6")) {
    const auto oid = row[0].as<Oid>();
    std::vector<std::string> columns;
    for (auto& column : column_names(oid, row[5].as<std::string>(""))) {
      if (!column.empty() && std::ranges::find(columns, column) == columns.end()) columns.push_back(std::move(column));
    }
    CatalogDependent dependent{.kind = dependent_kind(row[1].as<std::string>()),
                               .name = {row[2].as<std::string>(), row[3].as<std::string>()},
                               .table = row[4].as<std::string>(),
                               .columns = std::move(columns),
                               .certain = true};
    if (dependent.kind == DependentKind::function) std::swap(dependent.table, dependent.inputs);
    add_dependent(oid, std::move(dependent));
  }
}

// One that is there already, by a second way, is joined: of the whole where either is.
void CatalogReader::add_dependent(Oid oid, CatalogDependent dependent) {
  auto& all = relation(oid)->dependents;
  const auto same =
      std::ranges::find_if(all, [&](const CatalogDependent& other) { return same_thing(other, dependent); });
  if (same == all.end()) {
    all.push_back(std::move(dependent));
  } else if (dependent.columns.empty() || same->columns.empty()) {
    same->columns.clear();
  } else {
    for (auto& column : dependent.columns) {
      if (std::ranges::find(same->columns, column) == same->columns.end()) same->columns.push_back(std::move(column));
    }
  }
}

void CatalogReader::dependents() {
  add_dependents(fmt::format(kDepend, concerned_, inputs_of("p")));
  add_dependents(other_dependents(concerned_));
}

void CatalogReader::publications() {
  const bool lists = version_ >= 150000;  // columns, rows and schemas
  const auto columns =
      "CASE WHEN r.prattrs IS NULL THEN '' ELSE concat(r.prattrs::text, ' ', " + columns_in("r.prqual::text") + ") END";
  auto sql = "SELECT w.oid, 'publication', '', p.pubname::text, '', " + (lists ? columns : "''") + " FROM " +
             concerned_ +
             " JOIN pg_publication_rel r ON r.prrelid = w.oid JOIN pg_publication p ON p.oid = r.prpubid "
             "UNION ALL SELECT w.oid, 'publication', '', p.pubname, '', '' FROM " +
             concerned_ +
             " JOIN pg_class c ON c.oid = w.oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' "
             "JOIN pg_publication p ON p.puballtables WHERE c.relnamespace NOT IN ('pg_catalog'::regnamespace, "
             "'information_schema'::regnamespace)";
  if (lists) {
    sql += " UNION ALL SELECT w.oid, 'publication', '', p.pubname, '', '' FROM " + concerned_ +
           " JOIN pg_class c ON c.oid = w.oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' "
           "JOIN pg_publication_namespace s ON s.pnnspid = c.relnamespace JOIN pg_publication p ON p.oid = s.pnpubid";
  }
  add_dependents(sql);
}

void CatalogReader::functions_by_text() {
  if (snapshot_.relations.empty() && snapshot_.objects.empty()) return;
  const auto found = work_.exec(
      "SELECT n.nspname, p.proname, p.prosrc, p.oid, " + inputs_of("p") +
      " FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
      "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE l.lanname IN ('sql', 'plpgsql') AND p.prosrc <> '' "
      "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (SELECT FROM pg_depend d "
      "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1, 2, 4");
  for (const auto& row : found) {
    const Body body(row[2].as<std::string>());
    const CatalogDependent function{.kind = DependentKind::function,
                                    .name = {row[0].as<std::string>(), row[1].as<std::string>()},
                                    .table = {},
                                    .columns = {},
                                    .certain = false,
                                    .inputs = row[4].as<std::string>()};
    for (const auto& [oid, place] : places_) {
      const auto& relation = snapshot_.relations[place];
      if (!body.mentions(relation.name.name)) continue;
      CatalogDependent dependent = function;
      for (const auto& column : relation.columns) {
        if (body.mentions(column.name)) dependent.columns.push_back(column.name);
      }
      add_dependent(oid, std::move(dependent));
    }
    objects_in(body, function, row[3].as<Oid>());
  }
}

// The objects whose names the function's body has.
void CatalogReader::objects_in(const Body& body, const CatalogDependent& function, Oid oid) {
  for (std::size_t at = 0; at < snapshot_.objects.size(); ++at) {
    core::CatalogObject& object = snapshot_.objects[at];
    const bool itself = object.kind == "function" && object_oids_[at] == oid;
    const bool inside = object.kind == "schema" && function.name.schema == object.name.name;
    if (itself || inside) continue;
    const bool named = (object.kind == "function" && body.calls(object.name.name)) ||
                       (object.kind == "type" && body.mentions(object.name.name)) ||
                       (object.kind == "schema" && body.names_schema(object.name.name));
    const auto same = [&](const CatalogDependent& other) { return same_thing(other, function); };
    if (named && std::ranges::none_of(object.dependents, same)) object.dependents.push_back(function);
  }
}

}  // namespace diastole::postgres
