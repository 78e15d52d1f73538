#include "quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "catalog_reader.hpp"
#include "connection.hpp"
#include "sql_error.hpp"

namespace diastole::postgres {
namespace {

using core::CatalogDependent;
using core::DependentKind;
using ports::TargetResult;

constexpr std::size_t kMaxName = 63;  // NAMEDATALEN - 1
constexpr std::size_t kMaxPlan = 22;  // of the plan's name, so that enough is left for the old one

std::string as_word(std::string_view text) {
  std::string word(text);
  std::ranges::replace_if(word, [](char c) { return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')); }, '_');
  return word;
}

// At most so many bytes, and only whole characters.
std::string_view cut(std::string_view utf8, std::size_t bytes) {
  if (utf8.size() <= bytes) return utf8;
  while (bytes > 0 && (static_cast<unsigned char>(utf8[bytes]) & 0xC0U) == 0x80U) --bytes;
  return utf8.substr(0, bytes);
}

// Where it is now: by its oid, or, where the database was restored from a dump, by its names. Nothing: nowhere.
std::optional<std::string> place_of(pqxx::transaction_base& work, const Quarantined& thing) {
  const std::string there =
      thing.column.empty()
          ? "c.relname = $4"
          : "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $4 AND NOT a.attisdropped)";
  const std::string known = thing.column.empty() ? "n.nspname = $2 AND $3 <> ''" : "n.nspname = $2 AND c.relname = $3";
  const auto found = query(work,
                           "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n "
                           "ON n.oid = c.relnamespace WHERE (c.oid = $1 OR " +
                               known + ") AND " + there + " ORDER BY c.oid = $1 DESC LIMIT 1",
                           thing.oid, thing.name.schema, thing.name.name, thing.new_name);
  if (found.empty()) return std::nullopt;
  return found[0][0].as<std::string>();
}

bool name_taken(pqxx::transaction_base& work, const Quarantined& thing, const std::string& place) {
  if (thing.column.empty()) {
    return !query(work,
                  "SELECT FROM pg_class WHERE relname = $1 AND relnamespace = (SELECT relnamespace FROM pg_class "
                  "WHERE oid = $2::regclass)",
                  thing.name.name, place)
                .empty();
  }
  return !query(work, "SELECT FROM pg_attribute WHERE attrelid = $2::regclass AND attname = $1 AND NOT attisdropped",
                thing.column, place)
              .empty();
}

std::string shown(const CatalogDependent& dependent) {
  const auto quoted = [](const core::RelationName& name) {
    return name.schema.empty() ? name.name : name.schema + "." + name.name;
  };
  if (dependent.kind == DependentKind::function) {
    return fmt::format("function {}({}){}", quoted(dependent.name), dependent.inputs,
                       dependent.certain ? "" : ", by its text");
  }
  if (dependent.table.empty()) return fmt::format("{} {}", to_string(dependent.kind), quoted(dependent.name));
  return fmt::format("{} {} of {}", to_string(dependent.kind), dependent.name.name,
                     quoted({dependent.name.schema, dependent.table}));
}

// Whether it is the relation's own and goes with it.
bool belongs_to(const CatalogDependent& dependent, const core::RelationName& relation) {
  return dependent.table == relation.name && dependent.name.schema == relation.schema;
}

bool follows(const CatalogDependent& dependent, const core::RelationName& relation, const std::string& column) {
  const bool uses = std::ranges::find(dependent.columns, column) != dependent.columns.end();
  switch (dependent.kind) {
    case DependentKind::view:
    case DependentKind::materialized_view:
    case DependentKind::function: return column.empty() || uses;
    case DependentKind::rule:
    case DependentKind::trigger:
    case DependentKind::policy:
    case DependentKind::generated_column: return column.empty() ? !belongs_to(dependent, relation) : uses;
    // Its subscribers look for the old name. One without a list of columns has them all.
    case DependentKind::publication: return column.empty() || uses || dependent.columns.empty();
    case DependentKind::column_default:
    case DependentKind::foreign_key:
    case DependentKind::sequence:
    case DependentKind::statistics:
    case DependentKind::partition_key:
    case DependentKind::table:
    case DependentKind::foreign_table:
    case DependentKind::column:
    case DependentKind::constraint:
    case DependentKind::index:
    case DependentKind::type:
    case DependentKind::attribute:
    case DependentKind::domain_constraint:
    case DependentKind::object: return false;
  }
  return false;
}

}  // namespace

std::string quarantine_name(std::string_view old_name, std::string_view day, const PlanId& plan, int attempt) {
  const std::string& id = plan.str();
  const auto dot = id.find('.');
  const auto own = as_word(dot == std::string::npos ? id : id.substr(dot + 1)).substr(0, kMaxPlan);
  const auto end = fmt::format("__dropped_{}_{}{}", day, own, attempt > 1 ? fmt::format("_{}", attempt) : "");
  return std::string(cut(old_name, kMaxName - end.size())) + end;
}

std::vector<Quarantined> quarantined(pqxx::transaction_base& work, const PlanId& plan) {
  std::vector<Quarantined> things;
  for (const auto& row : query(work,
                               "SELECT step, relation, column_name, relation_oid, schema_name, relation_name, new_name "
                               "FROM diastole.quarantine WHERE plan = $1 ORDER BY place DESC",
                               plan.str())) {
    things.push_back({.step = row[0].as<std::string>(),
                      .relation = row[1].as<std::string>(),
                      .column = row[2].as<std::string>(),
                      .oid = row[3].as<std::uint32_t>(),
                      .name = {row[4].as<std::string>(), row[5].as<std::string>()},
                      .new_name = row[6].as<std::string>()});
  }
  return things;
}

TargetResult<void> release(pqxx::work& work, const PlanId& plan, const Quarantined& thing, ports::Log& log,
                           const std::string& target) {
  const auto& old_name = thing.column.empty() ? thing.name.name : thing.column;
  if (const auto place = place_of(work, thing); !place) {
    log.warning("what was in quarantine is not there any more", {{"target", target},
                                                                 {"plan", plan.str()},
                                                                 {"relation", thing.relation},
                                                                 {"column", thing.column},
                                                                 {"name", thing.new_name}});
  } else if (name_taken(work, thing, *place)) {
    return target_fail(
        ErrorCode::conflict,
        fmt::format("{} cannot have its name {} back from quarantine: there is another of that name by "
                    "now; rename or drop one of the two",
                    thing.column.empty() ? *place : fmt::format("{} of {}", thing.new_name, *place), old_name));
  } else if (thing.column.empty()) {
    work.exec(fmt::format("ALTER TABLE {} RENAME TO {}", *place, work.quote_name(old_name)));
  } else {
    work.exec(fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", *place, work.quote_name(thing.new_name),
                          work.quote_name(old_name)));
  }
  query(work, "DELETE FROM diastole.quarantine WHERE plan = $1 AND step = $2 AND relation = $3 AND column_name = $4",
        plan.str(), thing.step, thing.relation, thing.column);
  return {};
}

ports::TargetError not_the_owner(ports::TargetError error) {
  if (error.failure.sqlstate != "42501") return error;
  error.code = ErrorCode::conflict;
  if (error.failure.hint.empty()) error.failure.hint = "GRANT the role that owns it to ours";
  return error;
}

std::vector<std::string> followers(const core::CatalogRelation& relation, const std::string& column) {
  std::vector<std::string> found;
  for (const auto& dependent : relation.dependents) {
    if (follows(dependent, relation.name, column)) found.push_back(shown(dependent));
  }
  return found;
}

std::vector<std::string> trigger_functions(pqxx::transaction_base& work,
                                           const std::vector<core::RelationName>& relations,
                                           const std::string& column) {
  std::vector<std::string> found;
  for (const auto& row :
       work.exec("SELECT DISTINCT format('function %s of trigger %s of %s', p.oid::regprocedure, g.tgname, "
                 "c.oid::regclass) FROM " +
                 name_rows(work, relations) +
                 " JOIN pg_namespace n ON n.nspname = q.schema JOIN pg_class c ON c.relnamespace = n.oid "
                 "AND c.relname = q.name JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal "
                 "JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_language l ON l.oid = p.prolang WHERE "
                 "concat(CASE WHEN l.lanname NOT IN ('c', 'internal') THEN p.prosrc END, ' ', "
                 "replace(encode(g.tgargs, 'escape'), '\\000', ' ')) ~* concat('(^|[^[:alnum:]_])', "
                 "regexp_replace(" +
                 work.quote(column) + ", '([^[:alnum:]_])', '\\\\\\1', 'g'), '($|[^[:alnum:]_])') ORDER BY 1"))
    found.push_back(row[0].as<std::string>());
  return found;
}

}  // namespace diastole::postgres
