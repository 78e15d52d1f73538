// A small catalog to analyse against: what a target might say of a shop's tables.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "diastole/core/catalog.hpp"

namespace diastole::test {

inline core::CatalogColumn catalog_column(std::string name, std::string type, bool not_null = false,
                                          bool has_default = false) {
  core::CatalogColumn column;
  column.name = std::move(name);
  column.type = column.base_type = std::move(type);
  column.not_null = not_null;
  column.has_default = has_default;
  return column;
}

inline core::CatalogIndex catalog_index(std::string name, std::vector<std::string> columns, bool unique = false) {
  core::CatalogIndex index;
  index.name = std::move(name);
  index.columns = std::move(columns);
  index.unique = unique;
  index.ordered = true;
  index.bytes = 1'000'000'000;
  return index;
}

inline core::CatalogConstraint catalog_check(std::string name, std::vector<std::string> columns, std::string expression,
                                             bool valid = true) {
  core::CatalogConstraint constraint;
  constraint.name = std::move(name);
  constraint.columns = std::move(columns);
  constraint.expression = std::move(expression);
  constraint.valid = valid;
  return constraint;
}

inline core::CatalogConstraint catalog_foreign_key(std::string name, std::string column, std::string references) {
  core::CatalogConstraint constraint;
  constraint.name = std::move(name);
  constraint.kind = core::ConstraintKind::foreign_key;
  constraint.columns = {std::move(column)};
  constraint.references = {"public", std::move(references)};
  constraint.referenced_columns = {"id"};
  return constraint;
}

inline core::CatalogConstraint catalog_primary_key(const std::string& table) {
  core::CatalogConstraint constraint;
  constraint.name = constraint.index = table + "_pkey";
  constraint.kind = core::ConstraintKind::primary_key;
  constraint.columns = {"id"};
  return constraint;
}

// Its key is a bigint `id`.
inline core::CatalogRelation catalog_table(std::string name, std::int64_t rows) {
  core::CatalogRelation table;
  table.name = {"public", std::move(name)};
  table.rows = rows;
  table.bytes = rows * 100;
  table.index_bytes = rows * 40;
  table.columns = {catalog_column("id", "bigint", true, true)};
  table.constraints = {catalog_primary_key(table.name.name)};
  auto key = catalog_index(table.name.name + "_pkey", {"id"}, true);
  key.primary = true;
  table.indexes = {key};
  return table;
}

inline core::CatalogDependent catalog_dependent(core::DependentKind kind, std::string name, std::string table,
                                                std::vector<std::string> columns) {
  return {.kind = kind,
          .name = {"public", std::move(name)},
          .table = std::move(table),
          .columns = std::move(columns),
          .certain = true};
}

// users: 400 million rows, in a view, a function's text, a publication, and referenced by orders (large) and by notes
// (no rows yet); lookup: 40 rows; events: partitioned, 2024 its one large partition and rest its default.
inline core::CatalogSnapshot shop_catalog() {
  core::CatalogSnapshot catalog;
  catalog.server_version = 150004;
  catalog.search_path = {"pg_catalog", "public"};
  catalog.time_zone = "UTC";

  auto users = catalog_table("users", 400'000'000);
  users.columns.insert(users.columns.end(),
                       {catalog_column("name", "character varying(20)"), catalog_column("email", "text", true),
                        catalog_column("age", "integer"), catalog_column("seen", "timestamp without time zone"),
                        catalog_column("state", "text", true, true)});
  users.constraints.push_back(catalog_check("users_age_check", {"age"}, "(age > 0)"));
  users.constraints.push_back(catalog_check("users_name_there", {"name"}, "(name IS NOT NULL)"));
  users.constraints.push_back(catalog_check("users_seen_there", {"seen"}, "(seen IS NOT NULL)", false));
  users.indexes.push_back(catalog_index("users_email", {"email"}, true));
  users.indexes.push_back(catalog_index("users_age", {"age"}));
  using core::DependentKind;
  users.dependents = {catalog_dependent(DependentKind::view, "adults", "", {"id", "age"}),
                      catalog_dependent(DependentKind::trigger, "touch", "users", {}),
                      catalog_dependent(DependentKind::publication, "feed", "users", {}),
                      catalog_dependent(DependentKind::foreign_key, "orders_user_fkey", "orders", {"id"}),
                      catalog_dependent(DependentKind::function, "greet", "", {"name"})};
  users.dependents.back().certain = false;
  users.column_grantees = {"reporting"};

  auto orders = catalog_table("orders", 900'000'000);
  orders.columns.push_back(catalog_column("user_id", "bigint", true));
  orders.columns.push_back(catalog_column("item_id", "bigint"));
  orders.columns.push_back(catalog_column("total", "numeric(10,2)"));
  orders.constraints.push_back(catalog_foreign_key("orders_user_fkey", "user_id", "users"));
  orders.constraints.push_back(catalog_foreign_key("orders_item_fkey", "item_id", "items"));
  orders.indexes.push_back(catalog_index("orders_user", {"user_id"}));
  orders.row_security = true;

  auto notes = catalog_table("notes", 0);
  notes.columns.push_back(catalog_column("user_id", "integer"));

  auto lookup = catalog_table("lookup", 40);
  lookup.columns.push_back(catalog_column("label", "character varying(20)"));
  lookup.columns.push_back(catalog_column("feeling", "mood"));

  auto foreign = catalog_table("theirs", 5'000'000);
  foreign.owned = false;

  auto events = catalog_table("events", 0);
  events.kind = core::RelationKind::partitioned_table;
  events.partition_key = "RANGE (at)";
  events.children = {{"public", "events_2024"}, {"public", "events_rest"}};
  events.default_partition = core::RelationName{"public", "events_rest"};
  auto partition = catalog_table("events_2024", 70'000'000);
  partition.parents = {{"public", "events"}};
  partition.partition_bound = "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')";
  auto rest = catalog_table("events_rest", 0);
  rest.parents = {{"public", "events"}};
  rest.partition_bound = "DEFAULT";
  auto loose = catalog_table("events_2023", 60'000'000);
  auto checked = catalog_table("events_2022", 60'000'000);
  checked.constraints.push_back(catalog_check("in_2022", {"at"}, "(at >= '2022-01-01')"));

  auto log = catalog_table("log", 80'000'000);  // published, and without a key
  log.constraints.clear();
  log.indexes.clear();
  log.replica_identity = 'f';
  log.dependents = {catalog_dependent(DependentKind::publication, "feed", "log", {})};
  auto trail = catalog_table("trail", 20'000'000);
  trail.constraints.clear();
  trail.indexes = {catalog_index("trail_once", {"id"}, true), catalog_index("trail_again", {"id"}, true)};

  auto adults = catalog_table("adults", 0);
  adults.kind = core::RelationKind::view;
  adults.reads = {{"public", "users"}};
  auto totals = catalog_table("totals", 30'000'000);
  totals.kind = core::RelationKind::materialized_view;
  auto few = catalog_table("few", 30);
  few.kind = core::RelationKind::materialized_view;

  catalog.relations = {users, orders,  notes,  lookup, foreign, events, partition, rest,
                       loose, checked, adults, totals, few,     log,    trail,     catalog_table("items", 10'000'000)};
  catalog.functions = {{.name = {"public", "steady"}, .volatility = 's'}, {.name = {"public", "dice"}}};
  catalog.types = {{.name = {"public", "mood"}, .kind = core::CatalogType::Kind::enumeration, .labels = {"ok"}},
                   {.name = {"public", "positive"},
                    .kind = core::CatalogType::Kind::domain,
                    .base = "integer",
                    .constrained = true,
                    .used_by = {{"public", "users"}}},
                   {.name = {"public", "tiny"},
                    .kind = core::CatalogType::Kind::domain,
                    .base = "integer",
                    .used_by = {{"public", "lookup"}}}};
  return catalog;
}

}  // namespace diastole::test
