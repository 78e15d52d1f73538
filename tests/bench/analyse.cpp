// What the analysis costs beside the parse that it stands on: the same statements through bare libpg_query and through
// the analyser (which parses them itself), interleaved, in one process.
#include <fmt/format.h>
#include <pg_query.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/sql/analysis.hpp"
#include "diastole/sql/column_use.hpp"
#include "support/catalog.hpp"

namespace {

using namespace diastole;

constexpr int kRounds = 21;        // each times every way once, so that a slow moment hits all of them
constexpr int kPassesARound = 60;  // over all statements

// What migrations are made of; most of it is fine, some breaks a rule.
constexpr auto kMigrations = std::to_array<std::string_view>({
    "ALTER TABLE users ADD COLUMN display_name text",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS locale text DEFAULT 'en'",
    "ALTER TABLE users ADD COLUMN deleted_at timestamptz",
    "ALTER TABLE users ADD COLUMN settings jsonb NOT NULL DEFAULT '{}'::jsonb",
    "ALTER TABLE orders ADD COLUMN note text, ADD COLUMN source text, ADD COLUMN priority smallint DEFAULT 0",
    "CREATE INDEX CONCURRENTLY idx_users_display_name ON users (display_name)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_open ON orders (user_id, item_id) WHERE note IS NULL",
    "CREATE UNIQUE INDEX CONCURRENTLY idx_users_email_lower ON users (lower(email))",
    "DROP INDEX CONCURRENTLY IF EXISTS users_age",
    "ALTER TABLE orders ADD CONSTRAINT fk_item FOREIGN KEY (item_id) REFERENCES items (id) NOT VALID",
    "ALTER TABLE orders VALIDATE CONSTRAINT fk_item",
    "ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID",
    "ALTER TABLE users ALTER COLUMN name TYPE varchar(40)",
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE users ALTER COLUMN state SET DEFAULT 'new'",
    "ALTER TABLE users DROP COLUMN name",
    "ALTER TABLE users RENAME COLUMN name TO title",
    "CREATE INDEX idx_users_age ON users (age)",
    "DROP TABLE IF EXISTS legacy_imports",
    "CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES "
    "users "
    "(id), name text NOT NULL, currency text NOT NULL DEFAULT 'EUR', balance numeric(12,2) NOT NULL DEFAULT 0, "
    "settings "
    "jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, closed_at "
    "timestamptz, UNIQUE (user_id, name))",
    "CREATE TABLE tags (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), label text NOT NULL UNIQUE)",
    "CREATE TYPE order_state AS ENUM ('new', 'paid', 'sent', 'done')",
    "ALTER TYPE order_state ADD VALUE 'returned' AFTER 'done'",
    "CREATE VIEW active_users AS SELECT id, email, seen FROM users WHERE state = 'active' AND seen > now() - interval "
    "'30 days'",
    "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen = now(); RETURN NEW; END "
    "$$",
    "CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
    "COMMENT ON COLUMN users.email IS 'the address that was confirmed'",
    "GRANT SELECT, INSERT, UPDATE ON users TO app",
    "INSERT INTO lookup (id, label) VALUES (41, 'mauve'), (42, 'teal') ON CONFLICT DO NOTHING",
    "UPDATE users SET state = 'active' WHERE id IN (1, 2, 3)",
    "ALTER TABLE events ATTACH PARTITION events_2022 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
    "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY",
    "ALTER TABLE users SET (autovacuum_vacuum_scale_factor = 0.01)",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY totals",
    "CREATE SEQUENCE invoice_numbers START 1000",
});

constexpr auto kQueries = std::to_array<std::string_view>({
    "SELECT * FROM users WHERE id = $1",
    "SELECT u.id, u.email, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.email = $1 ORDER BY o.id "
    "DESC "
    "LIMIT $2",
    "INSERT INTO orders (user_id, item_id, total) VALUES ($1, $2, $3) RETURNING id",
    "UPDATE users SET seen = now(), age = $2 WHERE id = $1 AND state <> $3",
    "DELETE FROM notes WHERE user_id = $1",
    "SELECT count(*), state FROM users WHERE seen > now() - interval $1 GROUP BY state HAVING count(*) > $2",
    "WITH recent AS (SELECT user_id, max(id) AS last FROM orders GROUP BY user_id) SELECT u.email, r.last FROM recent "
    "r "
    "JOIN users u ON u.id = r.user_id",
    "SELECT EXISTS (SELECT $1 FROM orders WHERE user_id = $2 AND total > $3)",
});

struct Way {
  std::string_view name;
  std::function<std::size_t()> run;  // all statements once; something that must not be optimised away
  std::vector<double> us = {};       // a statement, one entry a round

  [[nodiscard]] double median() const {
    auto sorted = us;
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2));
    return sorted[sorted.size() / 2];
  }
};

template <typename Statements>
std::size_t parse_bare(const Statements& statements) {
  std::size_t bytes = 0;
  for (const std::string_view sql : statements) {
    const auto result = pg_query_parse(sql.data());
    bytes += std::string_view(result.parse_tree).size();
    pg_query_free_parse_result(result);
  }
  return bytes;
}

std::size_t lint_all(const core::CatalogSnapshot* catalog) {
  std::size_t findings = 0;
  for (const std::string_view sql : kMigrations) findings += sql::lint(sql, core::Phase::expand, catalog)->size();
  return findings;
}

std::size_t use_all(const sql::UseFinder& finder) {
  std::size_t columns = 0;
  for (const std::string_view sql : kQueries) columns += finder.find(sql)->columns.size();
  return columns;
}

// Of this thread alone, so that other programs on the same cores do not count.
std::chrono::duration<double, std::micro> processor_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

// Each way in turn, and the order turned round from one round to the next.
std::size_t measure(std::vector<Way>& ways, std::size_t statements) {
  std::size_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      Way& way = ways[round % 2 == 0 ? i : ways.size() - 1 - i];
      const auto begin = processor_time();
      for (int pass = 0; pass < kPassesARound; ++pass) sum += way.run();
      way.us.push_back((processor_time() - begin).count() / (kPassesARound * static_cast<double>(statements)));
    }
  }
  return sum;
}

// Round by round, since both ran within the same moment.
struct Ratio {
  double median = 0;
  double low = 0;
  double high = 0;
};
Ratio ratio(const Way& ours, const Way& bare) {
  std::vector<double> all;
  for (std::size_t i = 0; i < ours.us.size(); ++i) all.push_back(ours.us[i] / bare.us[i]);
  std::ranges::sort(all);
  return {all[all.size() / 2], all.front(), all.back()};
}

void print(const Way& way, const Way& bare) {
  const Ratio r = ratio(way, bare);
  fmt::print("{:<34} {:>8.2f} us {:>10.0f} /s   x{:.2f} of bare (x{:.2f} to x{:.2f})\n", way.name, way.median(),
             1e6 / way.median(), r.median, r.low, r.high);
}

}  // namespace

int main() {
  const core::CatalogSnapshot catalog = test::shop_catalog();
  const sql::UseFinder finder(catalog);
  std::vector<Way> migrations = {
      {"migrations, bare pg_query_parse", [] { return parse_bare(kMigrations); }},
      {"migrations, analysed", [] { return lint_all(nullptr); }},
      {"migrations, with the catalog", [&] { return lint_all(&catalog); }},
  };
  std::vector<Way> queries = {
      {"queries, bare pg_query_parse", [] { return parse_bare(kQueries); }},
      {"queries, column use", [&] { return use_all(finder); }},
  };
  const std::size_t sum = measure(migrations, kMigrations.size()) + measure(queries, kQueries.size());
  for (const Way& way : migrations) print(way, migrations.front());
  for (const Way& way : queries) print(way, queries.front());
  fmt::print("{} rounds of {} passes; {} findings on {} statements (checksum {})\n", kRounds, kPassesARound,
             lint_all(nullptr), kMigrations.size(), sum);
  fmt::print(
      "RESULT ratio={:.2f} ratio_with_catalog={:.2f} statements_per_s={:.0f} bare_per_s={:.0f} "
      "column_use_ratio={:.2f}\n",
      ratio(migrations[1], migrations[0]).median, ratio(migrations[2], migrations[0]).median,
      1e6 / migrations[1].median(), 1e6 / migrations[0].median(), ratio(queries[1], queries[0]).median);
  return 0;
}
