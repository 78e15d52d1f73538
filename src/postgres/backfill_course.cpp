#include "backfill_course.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "catalog_reader.hpp"
#include "connection.hpp"
#include "diastole/codec/plan_codec.hpp"
#include "sql_error.hpp"

namespace diastole::postgres {
namespace {

using core::Place;
using core::WalkBy;
using ports::TargetResult;

constexpr std::int64_t kRowsInAPage = 50;       // until a table was analysed
constexpr std::int64_t kSampledRows = 100'000;  // for the bounds of workers' ranges

// "a, b", each between prefix and suffix.
std::string joined(const std::vector<KeyColumn>& key, std::string_view prefix = "", std::string_view suffix = "") {
  std::string list;
  for (const auto& column : key) list += fmt::format("{}{}{}{}", list.empty() ? "" : ", ", prefix, column.name, suffix);
  return list;
}

std::int64_t block(const std::optional<Place>& place) {
  return place ? std::stoll(place->front()) : 0;
}

Place at_block(std::int64_t number) {
  return {std::to_string(number)};
}

// `count` fields from `first` on.
Place texts(const pqxx::row& row, pqxx::row::size_type first, std::size_t count) {
  Place fields;
  while (fields.size() < count) fields.push_back(row.at(first++).as<std::string>());
  return fields;
}

nlohmann::json explain(pqxx::transaction_base& work, const std::string& statement) {
  auto plan = codec::parse_json(work.exec("EXPLAIN (FORMAT JSON) " + statement)[0][0].as<std::string>());
  return plan ? plan->at(0).at("Plan") : nlohmann::json::object();
}

// The planner's idea of the rows; costs nothing, and is right to a few percent after an ANALYZE.
std::int64_t estimated_rows(pqxx::transaction_base& work, const std::string& source) {
  return explain(work, "SELECT 1 FROM " + source).value("Plan Rows", std::int64_t{0});
}

bool scans(const nlohmann::json& plan, const std::vector<std::string>& bare_names) {
  const auto node = plan.value("Node Type", "");
  if (node == "Seq Scan" && std::ranges::find(bare_names, plan.value("Relation Name", "")) != bare_names.end())
    return true;
  const auto below = plan.find("Plans");
  return below != plan.end() && std::ranges::any_of(*below, [&](const auto& p) { return scans(p, bare_names); });
}

constexpr int kRowsOfAWindow = 1'000;  // that EXPLAIN is asked about

// Of a density of `rows` over `blocks` blocks.
std::int64_t blocks_for(std::int64_t wanted, std::int64_t rows, std::int64_t blocks) {
  const auto density = blocks > 0 && rows > 0 ? std::max<std::int64_t>(rows / blocks, 1) : kRowsInAPage;
  return std::max<std::int64_t>(wanted / density, 1);
}

}  // namespace

double passed(const Part& part, const core::Walk& walk) {
  const auto& cursor = part.cursor;
  if (cursor.done) return 1;
  const double strides = walk.strides;
  if (walk.by == WalkBy::key) {
    if (part.rows_total <= 0) return 0;
    const double rows =
        static_cast<double>(part.rows) + static_cast<double>(part.window_rows) * cursor.stride / strides;
    return std::min(rows / static_cast<double>(part.rows_total), 1.0);
  }
  const auto blocks = [](std::int64_t from, std::int64_t to) { return static_cast<double>(to - from); };
  const auto begin = block(part.lower);
  const auto window = block(cursor.done_to ? cursor.done_to : part.lower);
  if (block(part.upper) <= begin) return 0;
  double behind = blocks(begin, window);
  if (cursor.window_to) {
    const double in_stride = blocks(window, block(part.from()));
    behind += (blocks(window, block(cursor.window_to)) * cursor.stride + in_stride) / strides;
  }
  return behind / blocks(begin, block(part.upper));
}

std::string family_of(int parameter) {
  return fmt::format(
      "WITH RECURSIVE family(oid) AS (SELECT to_regclass(${})::oid UNION SELECT i.inhrelid FROM family f "
      "JOIN pg_inherits i ON i.inhparent = f.oid)",
      parameter);
}

TargetResult<core::Walk> walk_for(pqxx::transaction_base& work, int server_version, const core::Backfill& backfill) {
  const auto named = query(work,
                           "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                           "WHERE c.oid = to_regclass($1)",
                           backfill.table);
  if (named.empty()) {
    return target_fail(ErrorCode::invalid_argument, fmt::format("there is no table {}", backfill.table), "42P01");
  }
  const auto hidden =
      query(work, family_of(1) + " SELECT oid::regclass::text FROM family WHERE row_security_active(oid) LIMIT 1",
            backfill.table);
  if (!hidden.empty()) {
    return target_fail(ErrorCode::invalid_argument,
                       fmt::format("row level security hides rows of {} from the daemon's role: a backfill would pass "
                                   "over them, and its verification too; give the role BYPASSRLS, or let it own the "
                                   "table without FORCE ROW LEVEL SECURITY",
                                   hidden[0][0].as<std::string>()),
                       "42501");
  }
  const core::RelationName name{named[0][0].as<std::string>(), named[0][1].as<std::string>()};
  core::CatalogRequest request;
  request.relations = {name};
  const auto catalog = CatalogReader(work, server_version).read(request);
  auto walk = core::choose_walk(catalog, *catalog.relation(name), backfill);
  if (!walk) return std::unexpected(target_error(walk.error()));
  return *std::move(walk);
}

std::optional<std::vector<std::string>> texts_of(const pqxx::row::reference& field) {
  if (field.is_null()) return std::nullopt;
  std::vector<std::string> texts;
  auto parser = field.as_array();
  for (auto next = parser.get_next(); next.first != pqxx::array_parser::juncture::done; next = parser.get_next()) {
    if (next.first == pqxx::array_parser::juncture::string_value) texts.push_back(next.second);
  }
  return texts;
}

std::vector<std::string> row_names(pqxx::transaction_base& work, const std::vector<std::string>& walk_key,
                                   const std::string& table) {
  if (!walk_key.empty()) return walk_key;
  std::vector<std::string> names;
  for (const auto& row : query(work,
                               "SELECT quote_ident(a.attname) FROM pg_index i CROSS JOIN LATERAL "
                               "unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) JOIN pg_attribute a ON "
                               "a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = to_regclass($1) AND "
                               "i.indisprimary AND k.n <= i.indnkeyatts ORDER BY k.n",
                               table)) {
    names.push_back(row[0].as<std::string>());
  }
  if (names.empty()) names = {"ctid", "xmin"};
  return names;
}

Course course_of(pqxx::transaction_base& work, const core::Backfill& backfill, core::Walk walk) {
  Course course{.walk = std::move(walk), .key = {}, .pass = 1, .table = {}};
  course.table =
      query(work, "SELECT quote_ident(relname) FROM pg_class WHERE oid = to_regclass($1)", backfill.table)[0][0]
          .as<std::string>();
  for (const auto& name : course.walk.key) {
    const auto row = query(work,
                           "SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute "
                           "WHERE attrelid = to_regclass($1) AND attname = $2",
                           backfill.table, name)[0];
    course.key.push_back({.name = row[0].as<std::string>(), .type = row[1].as<std::string>()});
  }
  return course;
}

std::vector<std::string> Course::names() const {
  std::vector<std::string> names;
  names.reserve(key.size());
  for (const auto& column : key) names.push_back(column.name);
  return names;
}

std::string CourseSql::source(const std::string& relation) const {
  return by_own_sql() ? relation : "ONLY " + relation;
}

std::vector<Part> CourseSql::parts() {
  const auto found =
      query(work_,
            family_of(1) +
                " SELECT format('%I.%I', n.nspname, c.relname) FROM family f JOIN pg_class c ON c.oid = f.oid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " +
                (by_own_sql() ? "c.oid = to_regclass($1)" : "c.relkind <> 'p'") + " ORDER BY n.nspname, c.relname",
            backfill_.table);
  const int relations = static_cast<int>(found.size());
  const int ranges = relations == 0 ? 1 : std::max(1, course_.walk.workers / relations);
  std::vector<Part> parts;
  for (const auto& row : found) {
    const auto relation = row[0].as<std::string>();
    for (auto& part : cut(relation, estimated_rows(work_, source(relation)), ranges)) {
      part.number = static_cast<int>(parts.size()) + 1;
      parts.push_back(std::move(part));
    }
  }
  return parts;
}

std::vector<Part> CourseSql::cut(const std::string& relation, std::int64_t rows, int ranges) {
  const bool blocks = course_.walk.by == WalkBy::blocks;
  std::vector<std::optional<Place>> bounds{std::nullopt};
  for (auto& bound : blocks ? block_bounds(relation, ranges) : key_bounds(relation, rows, ranges))
    bounds.emplace_back(bound);
  if (!blocks) bounds.emplace_back(std::nullopt);
  std::vector<Part> parts;
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    Part part;
    part.relation = relation;
    part.lower = bounds[i - 1];
    part.upper = bounds[i];
    part.rows_total = rows / static_cast<std::int64_t>(bounds.size() - 1);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<Place> CourseSql::block_bounds(const std::string& relation, int ranges) {
  const auto blocks =
      query(work_, "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", relation)[0][0]
          .as<std::int64_t>();
  std::vector<Place> bounds;
  for (int i = 1; i <= ranges; ++i) bounds.push_back(at_block(blocks * i / ranges));
  return bounds;
}

std::vector<Place> CourseSql::key_bounds(const std::string& relation, std::int64_t rows, int ranges) {
  if (ranges == 1) return {};
  const double percent =
      std::min(100.0, 100.0 * static_cast<double>(kSampledRows) / static_cast<double>(std::max<std::int64_t>(rows, 1)));
  const auto found = work_.exec(fmt::format(
      "WITH sample AS (SELECT {0}, row_number() OVER (ORDER BY {0}) AS n, count(*) OVER () AS of FROM {1} TABLESAMPLE "
      "SYSTEM ({2:.6f})) SELECT {3} FROM sample WHERE n IN (SELECT of * i / {4} FROM generate_series(1, {4} - 1) i) "
      "ORDER BY n",
      joined(course_.key), relation, percent, joined(course_.key, "", "::text"), ranges));
  std::vector<Place> bounds;
  for (const auto& row : found) bounds.push_back(texts(row, 0, course_.key.size()));
  return bounds;
}

// "(a, b) > ('1'::integer, 'x'::text)": what an index on the key answers directly.
std::string CourseSql::compare(std::string_view op, const Place& place) const {
  std::string right;
  for (std::size_t i = 0; i < course_.key.size(); ++i) {
    right += fmt::format("{}{}::{}", i == 0 ? "" : ", ", work_.quote(place[i]), course_.key[i].type);
  }
  return fmt::format("({}) {} ({})", joined(course_.key), op, right);
}

std::string CourseSql::range(const std::optional<Place>& from, const std::optional<Place>& to) const {
  if (course_.walk.by == WalkBy::blocks) {
    return fmt::format("ctid >= '({},0)' AND ctid < '({},0)'", block(from), block(to));
  }
  std::string text;
  if (from) text = compare(">", *from);
  if (to) text += (text.empty() ? "" : " AND ") + compare("<=", *to);
  return text.empty() ? "true" : text;
}

std::string CourseSql::stride_filter(const Part& part) const {
  const int strides = course_.walk.strides;
  if (strides == 1) return {};
  std::string number;
  if (course_.walk.by == WalkBy::blocks) {
    number = "hashtid(ctid)";
  } else if (core::is_integer_type(course_.key.back().type)) {
    number = fmt::format("hashint8({}::bigint)", course_.key.back().name);
  } else {
    number = fmt::format("hash_record_extended(ROW({}), 0)", joined(course_.key));
  }
  return fmt::format(" AND ({} & {}) = {}", number, strides - 1, part.cursor.stride);
}

// Whether or not `where` selects them, so that the cost is bounded by the number of rows alone.
std::string CourseSql::keys_sql(const std::string& relation, const std::string& range, int limit) const {
  // Without its "w.", ORDER BY would mean the output column, and order by the text.
  return fmt::format(
      "WITH w AS (SELECT {0} FROM {1} WHERE {2} ORDER BY {0} LIMIT {3}) SELECT count(*) OVER (), {4} "
      "FROM w ORDER BY {5} LIMIT 1",
      joined(course_.key), source(relation), range, limit, joined(course_.key, "w.", "::text"),
      joined(course_.key, "w.", " DESC"));
}

std::string CourseSql::window_sql(const Part& part, int rows) const {
  if (course_.walk.by == WalkBy::blocks) return {};
  return keys_sql(part.relation, range(part.from(), part.upper), rows * course_.walk.strides);
}

CourseSql::Found CourseSql::next_keys(const std::string& relation, const std::string& range, int limit) {
  const auto found = work_.exec(keys_sql(relation, range, limit));
  if (found.empty()) return {};
  return {.rows = found[0][0].as<std::int64_t>(), .last = texts(found[0], 1, course_.key.size())};
}

void CourseSql::open_window(Part& part, int rows) {
  const int window = rows * course_.walk.strides;
  const auto& from = part.from();
  if (course_.walk.by == WalkBy::key) {
    auto found = next_keys(part.relation, range(from, part.upper), window);
    part.window_rows = found.rows;
    // A window that is not full has reached the end. Going on until one is empty would chase an application that
    // inserts at the end; rows that come later are the next pass's, if the verification finds any.
    part.cursor = found.rows == 0 ? core::ended(std::move(part.cursor))
                                  : core::opened(std::move(part.cursor), std::move(found.last), found.rows < window);
    return;
  }
  const auto begin = block(part.lower);
  const auto end = block(part.upper);
  const auto first = block(from);
  if (first >= end) {
    part.cursor = core::ended(std::move(part.cursor));
    return;
  }
  const auto last = std::min(first + blocks_for(window, part.rows_total, end - begin), end);
  const auto rows_before = [&](std::int64_t b) { return part.rows_total * (b - begin) / (end - begin); };
  part.window_rows = rows_before(last) - rows_before(first);
  part.cursor = core::opened(std::move(part.cursor), at_block(last), last == end);
}

CourseSql::Reach CourseSql::batch_to(const Part& part, int rows) {
  const auto& window_to = *part.cursor.window_to;
  const std::int64_t strides = course_.walk.strides;
  if (course_.walk.by == WalkBy::blocks) {
    const auto blocks = blocks_for(rows * strides, part.rows_total, block(part.upper) - block(part.lower));
    auto to = at_block(std::min(block(part.from()) + blocks, block(window_to)));
    auto there = part;
    there.cursor = core::moved(std::move(there.cursor), to, course_.walk.strides);
    // So the batches of a part add up to its rows.
    const auto rows_behind = [&](const Part& p) {
      return std::llround(passed(p, course_.walk) * static_cast<double>(p.rows_total));
    };
    return {.to = std::move(to), .rows = rows_behind(there) - rows_behind(part)};
  }
  if (!part.cursor.stride_to && part.window_rows <= rows * strides) {
    const auto rows_before = [&](int stride) { return part.window_rows * stride / strides; };
    return {.to = window_to, .rows = rows_before(part.cursor.stride + 1) - rows_before(part.cursor.stride)};
  }
  auto found = next_keys(part.relation, range(part.from(), window_to) + stride_filter(part), rows);
  if (found.rows < rows) found.last = window_to;
  return {.to = std::move(found.last), .rows = found.rows};
}

std::string CourseSql::update(const Part& part, const std::string& of) const {
  std::string assignments;
  for (const auto& [column, expression] : backfill_.set) {
    // The line break ends a comment in the expression.
    assignments += fmt::format("{}{} = ({}\n)", assignments.empty() ? "" : ", ", work_.quote_name(column), expression);
  }
  const auto where = backfill_.where.empty() ? "" : fmt::format(" AND ({}\n)", backfill_.where);
  const bool partition = !part.relation.ends_with('.' + course_.table);
  return fmt::format("UPDATE {}{} SET {} WHERE {}{}", source(part.relation), partition ? " AS " + course_.table : "",
                     assignments, of, where);
}

std::string CourseSql::own_sql(const std::string& from, const std::string& to) const {
  const auto value = [&](const std::string& text) {
    return fmt::format("({}::{})", work_.quote(text), course_.key.front().type);
  };
  std::string statement;
  for (const auto& piece : backfill_.sql_pieces)
    statement += piece == core::kWindowFrom ? value(from) : piece == core::kWindowTo ? value(to) : piece;
  return statement;
}

std::string CourseSql::change(const Part& part, const Place& to) {
  if (!by_own_sql()) return update(part, range(part.from(), to) + stride_filter(part));
  const auto first = next_keys(part.relation, range(part.from(), to), 1);
  return first.rows == 0 ? "" : own_sql(first.last.front(), to.front());
}

std::vector<RowAt> CourseSql::rows(const Part& part, const Place& to) {
  const auto names = row_names(work_, course_.names(), backfill_.table);
  std::string columns = "ctid::text";
  for (const auto& name : names) columns += fmt::format(", {}::text", name);
  std::vector<RowAt> rows;
  for (const auto& row :
       work_.exec(fmt::format("SELECT {} FROM {} WHERE {}{}{}", columns, source(part.relation), range(part.from(), to),
                              stride_filter(part), by_own_sql() ? "" : " FOR NO KEY UPDATE"))) {
    rows.push_back({.ctid = row[0].as<std::string>(), .key = texts(row, 1, names.size())});
  }
  return rows;
}

std::string CourseSql::change(const Part& part, const RowAt& row) const {
  return by_own_sql() ? own_sql(row.key.front(), row.key.front())
                      : update(part, fmt::format("ctid = {}", work_.quote(row.ctid)));
}

TargetResult<void> CourseSql::refuse_scans(Part part) {
  open_window(part, kRowsOfAWindow);
  if (part.cursor.done) return {};
  std::vector<std::string> bare;
  for (const auto& row :
       query(work_,
             family_of(1) + " SELECT c.relname FROM family f JOIN pg_class c ON c.oid = f.oid WHERE $2 OR "
                            "c.oid = to_regclass($1)",
             part.relation, by_own_sql())) {
    bare.push_back(row[0].as<std::string>());
  }
  work_.exec("SET LOCAL enable_seqscan = off");
  const auto plan = explain(work_, change(part, *part.cursor.window_to));
  work_.exec("RESET enable_seqscan");
  if (!scans(plan, bare)) return {};
  return target_fail(
      ErrorCode::invalid_argument,
      by_own_sql()
          ? fmt::format("PostgreSQL would scan all of {} for each window (EXPLAIN shows a Seq Scan of it): let `sql` "
                        "say WHERE {} BETWEEN :from AND :to",
                        part.relation, course_.key.front().name)
          : fmt::format(
                "PostgreSQL would scan all of {} for each batch (EXPLAIN shows a Seq Scan of it): {}is it named "
                "in a subquery of `set` or `where` without an index that leads to the row?",
                part.relation,
                course_.key.empty() ? "" : fmt::format("has it an index on ({})? Or ", joined(course_.key))));
}

}  // namespace diastole::postgres
