// PostgreSQL itself says which queries miss a column: those that can no longer be prepared once it is gone.
#include "diastole/sql/column_use.hpp"

#include <fmt/format.h>

#include <set>

#include "column_use_queries.hpp"
#include "support/postgres.hpp"

namespace diastole {
namespace {

using core::Answer;

// A query that needs no answer may be told maybe, but seldom.
constexpr double kMaxMaybeShare = 0.05;

core::CatalogRelation& relation(core::CatalogSnapshot& catalog, const std::string& schema, const std::string& name) {
  for (auto& each : catalog.relations) {
    if (each.name == core::RelationName{schema, name}) return each;
  }
  throw std::out_of_range(schema + "." + name);
}

void read_columns(pqxx::work& work, core::CatalogSnapshot& catalog) {
  const auto rows = work.exec(
      "SELECT nspname, relname, relkind, attname, format_type(atttypid, atttypmod) FROM pg_class c JOIN pg_namespace n "
      "ON n.oid = relnamespace JOIN pg_attribute a ON attrelid = c.oid WHERE nspname IN ('app', 'public') AND relkind "
      "IN "
      "('r', 'p', 'v') AND attnum > 0 ORDER BY nspname, relname, attnum");
  for (const auto& row : rows) {
    const core::RelationName name{row[0].c_str(), row[1].c_str()};
    if (catalog.relations.empty() || catalog.relations.back().name != name) {
      auto& added = catalog.relations.emplace_back();
      added.name = name;
      const std::string_view kind = row[2].c_str();
      if (kind == "v") added.kind = core::RelationKind::view;
      if (kind == "p") added.kind = core::RelationKind::partitioned_table;
    }
    auto& column = catalog.relations.back().columns.emplace_back();
    column.name = row[3].c_str();
    column.type = row[4].c_str();
  }
}

void read_dependents(pqxx::work& work, core::CatalogSnapshot& catalog) {
  // Views by the rules that they are, functions, and the sequences that columns own.
  const auto rows = work.exec(
      "SELECT n.nspname, c.relname, attname, CASE WHEN v.oid IS NOT NULL THEN 'view' WHEN p.oid IS NOT NULL THEN "
      "'function' ELSE 'sequence' END, coalesce(v.relname, p.proname, s.relname) FROM pg_depend d JOIN pg_class c ON "
      "c.oid = refobjid AND refclassid = 'pg_class'::regclass JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "
      "pg_attribute ON attrelid = c.oid AND attnum = refobjsubid LEFT JOIN pg_rewrite r ON r.oid = objid AND classid = "
      "'pg_rewrite'::regclass LEFT JOIN pg_class v ON v.oid = ev_class AND v.oid <> c.oid LEFT JOIN pg_proc p ON p.oid "
      "= "
      "objid AND classid = 'pg_proc'::regclass LEFT JOIN pg_class s ON s.oid = objid AND classid = "
      "'pg_class'::regclass AND s.relkind = 'S' WHERE refobjsubid > 0 AND n.nspname IN ('app', 'public') AND "
      "coalesce(v.oid, p.oid, s.oid) IS NOT NULL");
  for (const auto& row : rows) {
    auto& dependent = relation(catalog, row[0].c_str(), row[1].c_str()).dependents.emplace_back();
    const std::string_view kind = row[3].c_str();
    dependent.kind = kind == "view"       ? core::DependentKind::view
                     : kind == "function" ? core::DependentKind::function
                                          : core::DependentKind::sequence;
    dependent.columns = {row[2].c_str()};
    dependent.name = {"app", row[4].c_str()};
  }
}

core::CatalogSnapshot read_catalog(pqxx::connection& connection) {
  pqxx::work work(connection);
  core::CatalogSnapshot catalog;
  catalog.search_path = {"app", "public"};
  read_columns(work, catalog);
  read_dependents(work, catalog);
  for (const auto& row :
       work.exec("SELECT conname, attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid "
                 "AND attnum = ANY (conkey) WHERE conname = 'users_email_key'")) {
    auto& constraint = relation(catalog, "app", "users").constraints.emplace_back();
    constraint.name = row[0].c_str();
    constraint.columns = {row[1].c_str()};
  }
  auto& index = relation(catalog, "public", "audit").indexes.emplace_back();
  index.name = "audit_what";
  index.columns = {"what"};
  index.uses = {"at"};
  index.unique = true;
  for (const auto& row :
       work.exec("SELECT c.relname, p.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN "
                 "pg_class p ON p.oid = inhparent")) {
    if (std::string_view(row[0].c_str()).ends_with("key")) continue;
    relation(catalog, "app", row[0].c_str()).parents.push_back({"app", row[1].c_str()});
    relation(catalog, "app", row[1].c_str()).children.push_back({"app", row[0].c_str()});
  }
  for (const auto& row : work.exec("SELECT proname FROM pg_proc WHERE pronamespace = 'app'::regnamespace")) {
    catalog.functions.push_back({.name = {"app", row[0].c_str()}});
  }
  return catalog;
}

class ColumnUseOracle : public ::testing::Test {
 protected:
  void SetUp() override {
    connection_ = std::make_unique<pqxx::connection>(test::fresh_database());
    pqxx::nontransaction(*connection_).exec("SET search_path = app, public; SET client_min_messages = error");
    pqxx::nontransaction(*connection_).exec(test::kColumnUseSchema);
    catalog_ = read_catalog(*connection_);
    const std::string database = connection_->dbname();
    for (std::string query : test::kColumnUseQueries) {
      const bool goes_on = query.starts_with('~');
      if (goes_on) query.erase(0, 1);
      if (const auto at = query.find("postgres."); at != std::string::npos) query.replace(at, 8, database);
      queries_.push_back({query, goes_on});
    }
  }

  // The error of PostgreSQL; empty: none.
  static std::string error_of(pqxx::work& work, const std::string& sql) {
    try {
      pqxx::subtransaction attempt(work);
      attempt.exec(sql);
      attempt.commit();
      return {};
    } catch (const pqxx::sql_error& error) {
      return error.what();
    }
  }
  // In the transaction's present state: does the query prepare, and which columns does it return?
  static std::string prepared(pqxx::work& work, const std::string& query) {
    std::string error = error_of(work, "PREPARE oracle AS " + query);
    if (error.empty()) work.exec("DEALLOCATE oracle");
    return error;
  }
  static std::set<std::string> result_columns(pqxx::work& work, const std::string& query) {
    std::set<std::string> names;
    pqxx::subtransaction attempt(work);
    const auto rows = attempt.exec("SELECT * FROM (" + query + ") AS q LIMIT 0");
    for (pqxx::row_size_type i = 0; i < rows.columns(); ++i) names.insert(rows.column_name(i));
    return names;
  }

  struct Asked {
    std::string sql;
    bool goes_on;
  };
  std::unique_ptr<pqxx::connection> connection_;
  core::CatalogSnapshot catalog_;
  std::vector<Asked> queries_;
};

TEST_F(ColumnUseOracle, EveryQueryIsOneThatPostgresqlTakes) {
  ASSERT_GE(queries_.size(), 150U);
  const sql::UseFinder finder(catalog_);
  pqxx::work work(*connection_);
  for (const Asked& query : queries_) {
    EXPECT_EQ(prepared(work, query.sql), "") << query.sql;
    const auto use = finder.find(query.sql);
    ASSERT_TRUE(use.has_value()) << query.sql << ": " << use.error().message;
    EXPECT_FALSE(use->any_column) << query.sql << ": " << use->unsure[0];
  }
}

TEST_F(ColumnUseOracle, AQueryMissesTheColumnsItUsesAndNoOthers) {
  const sql::UseFinder finder(catalog_);
  int asked = 0;
  int missed = 0;
  int maybes = 0;
  for (const auto& table : catalog_.relations) {
    if (table.kind == core::RelationKind::view) continue;
    for (const auto& column : table.columns) {
      pqxx::work work(*connection_);
      const std::string drop =
          fmt::format("ALTER TABLE {}.{} DROP COLUMN {} CASCADE", work.quote_name(table.name.schema),
                      work.quote_name(table.name.name), work.quote_name(column.name));
      if (!error_of(work, drop).empty()) continue;  // a parent's, or a key that rows are divided by
      for (const Asked& query : queries_) {
        const Answer answer = finder.uses(finder.find(query.sql).value(), table.name, column.name);
        const std::string error = prepared(work, query.sql);
        const std::string what = fmt::format("{}.{} in {}: {}", table.name.name, column.name, query.sql, error);
        ++asked;
        if (!error.empty()) {
          ++missed;
          EXPECT_NE(answer, Answer::no) << what;
        } else if (!query.goes_on) {
          EXPECT_NE(answer, Answer::yes) << what;
          if (answer == Answer::maybe) ++maybes;
        }
      }
    }
  }
  EXPECT_GT(missed, 300);
  EXPECT_LT(maybes, asked * kMaxMaybeShare);
  RecordProperty("asked", asked);
  RecordProperty("missed", missed);
  RecordProperty("maybes", maybes);
}

TEST_F(ColumnUseOracle, StarsReadTheColumnsThatTheirResultLoses) {
  const sql::UseFinder finder(catalog_);
  const std::vector<std::string> stars = {"SELECT * FROM teams",
                                          "SELECT t.*, a.what FROM teams t, audit a",
                                          "SELECT * FROM teams JOIN audit USING (id)",
                                          "SELECT * FROM (SELECT * FROM teams) s",
                                          "SELECT (o.customer).* FROM orders o",
                                          "SELECT * FROM events_1",
                                          "SELECT * FROM heir",
                                          "SELECT * FROM base",
                                          "WITH c AS (SELECT * FROM audit) SELECT c.* FROM c",
                                          "SELECT j.* FROM (teams t JOIN orders o ON t.id = o.id) AS j",
                                          "SELECT u.* FROM public.users u, app.users"};
  int lost = 0;
  for (const std::string& query : stars) {
    const auto use = finder.find(query);
    ASSERT_TRUE(use.has_value());
    for (const auto& table : catalog_.relations) {
      if (table.kind == core::RelationKind::view) continue;
      for (const auto& column : table.columns) {
        pqxx::work work(*connection_);
        const auto before = result_columns(work, query);
        if (!error_of(work, fmt::format("ALTER TABLE {}.\"{}\" DROP COLUMN \"{}\" CASCADE", table.name.schema,
                                        table.name.name, column.name))
                 .empty()) {
          continue;
        }
        const bool changed = !prepared(work, query).empty() || result_columns(work, query) != before;
        lost += changed ? 1 : 0;
        const Answer answer = finder.uses(*use, table.name, column.name);
        EXPECT_EQ(answer, changed ? Answer::yes : Answer::no)
            << table.name.name << "." << column.name << " in " << query;
      }
    }
  }
  EXPECT_GT(lost, 25);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
