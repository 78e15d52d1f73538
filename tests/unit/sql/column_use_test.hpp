// A schema to ask about, and a short way to write down what a query uses of it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "diastole/sql/column_use.hpp"

namespace diastole::sql::column_use_test {

inline core::CatalogRelation table(std::string schema, std::string name, const std::vector<std::string>& columns) {
  core::CatalogRelation relation;
  relation.name = {std::move(schema), std::move(name)};
  for (const std::string& column : columns) {
    core::CatalogColumn added;
    const auto space = column.find(' ');
    added.name = column.substr(0, space);
    added.type = space == std::string::npos ? "text" : column.substr(space + 1);
    added.base_type = added.type;
    relation.columns.push_back(added);
  }
  return relation;
}

inline core::CatalogDependent dependent(core::DependentKind kind, std::string name, std::vector<std::string> columns) {
  core::CatalogDependent result;
  result.kind = kind;
  result.name = {"app", std::move(name)};
  result.columns = std::move(columns);
  return result;
}

// app.users: with a view above it, a function that names it, a sequence, a constraint and indexes.
inline core::CatalogRelation users_table() {
  auto users = table("app", "users", {"id", "name", "email", "tags text[]", "addr address"});
  users.dependents = {dependent(core::DependentKind::view, "active", {"id", "name"}),
                      dependent(core::DependentKind::function, "mail", {"email"}),
                      dependent(core::DependentKind::sequence, "users_id_seq", {"id"})};
  core::CatalogConstraint unique;
  unique.name = "users_email_key";
  unique.kind = core::ConstraintKind::unique;
  unique.columns = {"email"};
  unique.index = "users_email_key";
  users.constraints = {unique};
  core::CatalogIndex wide;
  wide.name = "users_name_idx";
  wide.unique = true;
  wide.columns = {"name"};
  wide.uses = {"tags"};
  core::CatalogIndex email;
  email.name = "users_email_key";
  email.columns = {"email"};
  email.uses = {"addr"};
  users.indexes = {wide, email};
  return users;
}

inline core::CatalogSnapshot schema() {
  using core::DependentKind;
  core::CatalogSnapshot catalog;
  catalog.search_path = {"app", "public"};
  auto active = table("app", "active", {"id", "name"});
  active.kind = core::RelationKind::view;
  active.reads = {{"app", "users"}};
  active.dependents = {dependent(DependentKind::view, "top", {"name"})};
  auto top = table("app", "top", {"name"});
  top.kind = core::RelationKind::view;
  top.reads = {{"app", "active"}};
  auto opaque = table("app", "opaque", {"id"});
  opaque.kind = core::RelationKind::view;
  auto teams = table("app", "teams", {"id", "title", "boss"});
  teams.dependents = {dependent(DependentKind::function, "whole", {})};
  auto shadowed = table("public", "users", {"id", "legacy"});
  shadowed.dependents = {dependent(DependentKind::sequence, "users_id_seq", {"legacy"})};
  shadowed.dependents[0].name.schema = "public";
  auto hidden = table("other", "hidden", {"id", "secret"});
  hidden.dependents = {dependent(DependentKind::sequence, "hidden_seq", {"id"})};
  hidden.dependents[0].name.schema = "other";
  auto blind = table("app", "blind", {"id"});
  blind.kind = core::RelationKind::view;
  blind.reads = {{"app", "teams"}};
  auto events = table("app", "events", {"id", "kind"});
  events.kind = core::RelationKind::partitioned_table;
  events.children = {{"app", "events_1"}};
  auto events_1 = table("app", "events_1", {"id", "kind"});
  events_1.parents = {{"app", "events"}};
  catalog.relations = {users_table(),
                       active,
                       top,
                       blind,
                       opaque,
                       teams,
                       events,
                       events_1,
                       table("app", "orders", {"id", "user_id", "total", "customer users", "others users[]"}),
                       table("app", "Order", {"Id", "select", "id"}),
                       shadowed,
                       hidden,
                       table("public", "audit", {"id", "what"})};
  catalog.functions = {{{"app", "mail"}, 'v'}, {{"app", "pure"}, 'i'}};
  return catalog;
}

// "users.id teams.title!": columns of app without their schema, in order. `!` follows what is written, `=` what is
// written and read, `?` what is maybe so; `*` is every column of an unknown table, `??` anything at all.
inline std::string columns(std::string_view sql) {
  static const core::CatalogSnapshot catalog = schema();
  static const UseFinder finder(catalog);
  const auto use = finder.find(sql);
  if (!use) return use.error().message;
  std::string text;
  for (const ColumnUse& each : use->columns) {
    if (!text.empty()) text += ' ';
    if (!each.table.schema.empty() && each.table.schema != "app") text += each.table.schema + ".";
    text += fmt::format("{}.{}", each.table.name, each.column.empty() ? "*" : each.column);
    const bool reads = each.reads != core::Answer::no;
    if (each.writes != core::Answer::no) text += reads ? "=" : "!";
    if (std::max(each.reads, each.writes) == core::Answer::maybe) text += "?";
  }
  if (use->any_column) text += text.empty() ? "??" : " ??";
  return text;
}

struct Case {
  std::string_view sql;
  std::string_view columns;
};
inline void expect_columns(const std::vector<Case>& cases) {
  for (const Case& each : cases) EXPECT_EQ(columns(each.sql), each.columns) << each.sql;
}

}  // namespace diastole::sql::column_use_test
