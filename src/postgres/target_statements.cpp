// The queries that a target's servers count, by pg_stat_statements.
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <set>
#include <utility>

#include "pg_target.hpp"
#include "watchdog.hpp"

namespace diastole::postgres {
namespace {

using core::ServerStatements;
using ports::TargetResult;

constexpr Milliseconds kReadPatience{2'000};
constexpr Milliseconds kReadTime{1'500};
constexpr std::size_t kMostStatements = 5'000;
constexpr std::size_t kLongestText = 65'536;

constexpr const char* kAbout =
    "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint, "
    "pg_has_role('pg_read_all_stats', 'USAGE'), session_user, e.nspname, has_schema_privilege(e.oid, 'USAGE') AND "
    "(SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c WHERE c.relname = 'pg_stat_statements' "
    "AND c.relnamespace = e.oid) FROM (SELECT) AS one LEFT JOIN (SELECT n.nspname, n.oid FROM pg_extension x "
    "JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'pg_stat_statements') AS e ON true";

// Rows are read or written by these; a COPY with constants in it is left out, since those are not replaced by $1. Of a
// query that functions run as well there are two rows. Names are compared as DoomedFinder writes them: in lower case of
// ASCII.
constexpr std::string_view kStatements =
    "SELECT s.queryid, coalesce(r.rolname::text, s.userid::text) AS role, left(min(s.query), {}), sum(s.calls)::bigint "
    "FROM {}.pg_stat_statements s LEFT JOIN pg_roles r ON r.oid = s.userid "
    "WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND r.rolname IS DISTINCT FROM session_user AND s.queryid IS NOT NULL AND s.query IS NOT NULL "
    "AND EXISTS (SELECT FROM unnest({}) AS w(word) WHERE position(w.word IN lower(s.query COLLATE \"C\")) > 0) "
    "AND s.query ~* '^(\\s|\\(|--[^\\n]*\\n|/\\*.*?\\*/)*"
    "((select|insert|update|delete|merge|with|table|values)\\y|copy\\s+[^(\\s][^'']*\\y(stdin|stdout)\\y)' "
    "GROUP BY 1, 2 ORDER BY 4 DESC, 1 LIMIT {}";

// As PostgreSQL takes a role's search_path when it logs in: its own for the database, its own, the database's, that of
// all, the built-in one; what the server's configuration sets is not shown to everybody. Schemas that do not exist, or
// that the role may not use, are passed over.
constexpr std::string_view kPaths =
    "WITH path(oid, role, setting) AS (SELECT r.oid, r.rolname::text, coalesce((SELECT substr(c.entry, 13) "
    "FROM pg_db_role_setting d, unnest(d.setconfig) AS c(entry) WHERE d.setrole IN (r.oid, 0) AND d.setdatabase IN "
    "(0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND c.entry LIKE 'search\\_path=%' "
    "ORDER BY d.setrole = 0, d.setdatabase = 0 LIMIT 1), (SELECT boot_val FROM pg_settings WHERE name = "
    "'search_path')) "
    "FROM pg_roles r WHERE r.rolname = ANY ({})), "
    "part(oid, role, schema, place) AS (SELECT oid, role, coalesce(replace(m.found[1], '\"\"', '\"'), "
    "lower(m.found[2])), m.place FROM path, regexp_matches(setting, '\"((?:[^\"]|\"\")*)\"|([^\",\\s]+)', 'g') "
    "WITH ORDINALITY AS m(found, place)) "
    "SELECT p.role, n.nspname::text FROM part p JOIN pg_namespace n "
    "ON n.nspname = CASE WHEN p.schema = '$user' THEN p.role ELSE p.schema END "
    "WHERE has_schema_privilege(p.oid, n.oid, 'USAGE') ORDER BY p.role, p.place";

void read_paths(pqxx::transaction_base& session, ServerStatements& out) {
  std::set<std::string> roles;
  for (const auto& statement : out.statements) roles.insert(statement.role);
  if (roles.empty()) return;
  for (const auto& row : session.exec(fmt::format(kPaths, text_array(session, {roles.begin(), roles.end()})))) {
    auto role = row[0].as<std::string>();
    if (out.paths.empty() || out.paths.back().role != role) out.paths.push_back({std::move(role), {}});
    out.paths.back().schemas.push_back(row[1].as<std::string>());
  }
}

void read(Connection& connection, const std::vector<std::string>& words, ServerStatements& out) {
  pqxx::nontransaction session(connection.raw());
  session.exec(fmt::format("SET statement_timeout = {0}; SET lock_timeout = {0}", kReadTime.count()));
  const auto about = session.exec(kAbout)[0];
  out.started_us = about[0].as<std::int64_t>();
  if (about[3].is_null()) {
    out.missing = "pg_stat_statements is not installed in this database";
    return;
  }
  const auto ours = session.quote_name(about[2].as<std::string>());
  const auto schema = session.quote_name(about[3].as<std::string>());
  if (!about[1].as<bool>()) {
    out.missing = fmt::format("our role does not see other roles' queries; GRANT pg_read_all_stats TO {}", ours);
    return;
  }
  if (!about[4].as<bool>(false)) {
    out.missing = fmt::format(
        "our role may not read pg_stat_statements; GRANT USAGE ON SCHEMA {0} TO {1}; GRANT SELECT ON "
        "{0}.pg_stat_statements TO {1}",
        schema, ours);
    return;
  }
  const auto rows =
      session.exec(fmt::format(kStatements, kLongestText, schema, text_array(session, words), kMostStatements + 1));
  for (const auto& row : rows) {
    if (out.statements.size() == kMostStatements) {
      out.cut = true;
      break;
    }
    out.statements.push_back({.query_id = row[0].as<std::int64_t>(),
                              .role = row[1].as<std::string>(),
                              .query = row[2].as<std::string>(),
                              .calls = row[3].as<std::int64_t>()});
  }
  read_paths(session, out);
}

// What keeps it from telling is told instead: nothing hangs on it.
ServerStatements ask(const SessionScanner& server, const std::vector<std::string>& words) {
  ServerStatements out;
  out.server = server.server();
  auto opened = Connection::open(server.options());
  if (!opened) {
    out.missing = opened.error().message;
    return out;
  }
  auto& connection = **opened;
  try {
    const Watchdog watchdog(connection.raw().sock(), kReadPatience);
    read(connection, words, out);
  } catch (...) {
    connection.spoil();
    const auto exception = std::current_exception();
    out = {.server = server.server(), .missing = {}, .started_us = 0, .cut = false, .statements = {}, .paths = {}};
    constexpr const char* kNotLoaded = "55000";  // object_not_in_prerequisite_state
    out.missing = sqlstate_of(exception) == kNotLoaded
                      ? "pg_stat_statements is installed, but not in shared_preload_libraries"
                      : connection.error_of(exception).message;
  }
  return out;
}

}  // namespace

TargetResult<std::vector<ServerStatements>> PgTarget::statements(const std::vector<std::string>& words) {
  std::vector<std::future<ServerStatements>> asked;
  asked.reserve(scanners_.size());
  for (const auto& scanner : scanners_) {
    asked.push_back(std::async(std::launch::async, [&server = *scanner, &words] { return ask(server, words); }));
  }
  std::vector<ServerStatements> all;
  all.reserve(asked.size());
  for (auto& each : asked) all.push_back(each.get());
  return all;
}

}  // namespace diastole::postgres
