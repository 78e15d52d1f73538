// Plan documents for tests, and the little SQL that looks at what became of them.
#pragma once

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <string>

namespace diastole::test {

using nlohmann::json;

// The first field of the first row, "" where there is none or it is NULL.
inline std::string sql(const std::string& dsn, const std::string& text) {
  pqxx::connection connection(dsn);
  const auto rows = pqxx::nontransaction(connection).exec(text);
  return rows.empty() || rows[0].empty() || rows[0][0].is_null() ? "" : rows[0][0].c_str();
}

inline json step(const std::string& id, const std::string& text, const json& undo) {
  return {{"id", id}, {"sql", text}, {"undo", undo}};
}
inline json no_undo() {
  return {{"none", "a test"}};
}

// A fleet that passes without any instance, so that a plan contracts by itself.
inline json empty_fleet() {
  return json::array(
      {{{"service", "api"}, {"version", ">=2.0.0"}, {"min_instances", 0}, {"reason", "a test without instances"}}});
}

inline json plan_of(const std::string& name, const json& phases) {
  json plan{{"plan", name}, {"target", "main"}, {"fleet", empty_fleet()}, {"approvals", {{"contract", 0}}}};
  plan.update(phases);
  return plan;
}

// One column more; the smallest plan there is.
inline json add_column(const std::string& name, const std::string& table, const std::string& column = "extra") {
  return plan_of(name,
                 {{"expand", json::array({step("column", "ALTER TABLE " + table + " ADD COLUMN " + column + " text",
                                               "ALTER TABLE " + table + " DROP COLUMN IF EXISTS " + column)})}});
}

// A whole rename of a table's column `name` to `display_name`: concurrent index, backfill, NOT NULL, drop.
inline json rename(const std::string& name, const std::string& table) {
  return plan_of(
      name, {{"expand",
              json::array(
                  {step("column", "ALTER TABLE " + table + " ADD COLUMN display_name text",
                        "ALTER TABLE " + table + " DROP COLUMN IF EXISTS display_name"),
                   step("index", "CREATE INDEX CONCURRENTLY " + table + "_display_name ON " + table + " (display_name)",
                        "DROP INDEX CONCURRENTLY IF EXISTS " + table + "_display_name")})},
             {"backfill", json::array({{{"id", "copy"},
                                        {"table", table},
                                        {"set", {{"display_name", "name"}}},
                                        {"where", "display_name IS NULL"},
                                        {"verify", "zero_rows"}}})},
             {"contract", json::array({{{"id", "not-null"}, {"set_not_null", table + ".display_name"}},
                                       step("drop", "ALTER TABLE " + table + " DROP COLUMN name", no_undo())})}});
}

// `rows` people with a name; every update of a row counts in its column touched.
inline void make_people(const std::string& dsn, const std::string& table, int rows) {
  sql(dsn, "CREATE TABLE " + table + " (id bigint PRIMARY KEY, name text NOT NULL, touched int NOT NULL DEFAULT 0);" +
               "INSERT INTO " + table + " SELECT i, 'name ' || i FROM generate_series(1, " + std::to_string(rows) +
               ") i;" + "CREATE OR REPLACE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql AS " +
               "$$ BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END $$;" +
               "CREATE TRIGGER count_update BEFORE UPDATE ON " + table +
               " FOR EACH ROW EXECUTE FUNCTION count_update()");
}

// What a schema is, as text: columns, constraints and indexes, with whether they are valid.
inline std::string schema_of(const std::string& dsn) {
  return sql(dsn, R"(
    SELECT string_agg(line, E'\n' ORDER BY line) FROM (
      SELECT format('column %s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    pg_get_expr(d.adbin, d.adrelid))
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      UNION ALL
      SELECT format('constraint %s %s %s', conrelid::regclass, pg_get_constraintdef(oid), convalidated)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
      UNION ALL
      SELECT format('index %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
    ) AS lines(line))");
}

}  // namespace diastole::test
