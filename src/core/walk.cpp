#include "diastole/core/walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <optional>
#include <utility>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"
#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<WalkBy, 2> kWalkBy{{{WalkBy::blocks, "blocks"}, {WalkBy::key, "key"}}};

constexpr int kTidRangeScans = 140000;  // the first version that reads a range of ctid without a scan of the table
constexpr int kRecordHash = 140000;     // the first version that hashes keys of any type: what strides by key need
constexpr int kStrides = 16;            // measured: with fewer an index in the walk's order splits its pages
constexpr int kRoomForAll = 45;         // a fillfactor at which each page has room for a second version of its rows

bool sets(const Backfill& backfill, const std::string& column) {
  return std::ranges::any_of(backfill.set, [&](const auto& entry) { return entry.first == column; });
}

bool sets_any(const Backfill& backfill, const std::vector<std::string>& columns) {
  return std::ranges::any_of(columns, [&](const auto& column) { return sets(backfill, column); });
}

// The table and what inherits from it, at all levels.
void add_tree(const CatalogSnapshot& catalog, const CatalogRelation& table,
              std::vector<const CatalogRelation*>& found) {
  if (std::ranges::find(found, &table) == found.end()) found.push_back(&table);
  for (const auto& name : table.children) {
    if (const auto* child = catalog.relation(name); child != nullptr) add_tree(catalog, *child, found);
  }
}

// The partitioned table of the tree whose partition key the backfill sets, and the column.
std::optional<std::string> moved_by(const CatalogSnapshot& catalog, const CatalogRelation& table,
                                    const Backfill& backfill) {
  std::vector<const CatalogRelation*> tree;
  add_tree(catalog, table, tree);
  for (const auto* relation : tree) {
    for (const auto& dependent : relation->dependents) {
      if (dependent.kind != DependentKind::partition_key || !sets_any(backfill, dependent.columns)) continue;
      return fmt::format("{} belongs to the partition key of {}", dependent.columns.front(), relation->name.name);
    }
  }
  return std::nullopt;
}

bool not_null(const CatalogRelation& table, const std::string& name) {
  const auto* column = table.column(name);
  return column != nullptr && column->not_null;
}

// Whether each row has a place of its own in this index, and keeps it.
bool leads(const CatalogRelation& table, const CatalogIndex& index, const Backfill& backfill) {
  return index.unique && index.valid && !index.partial && index.ordered && !sets_any(backfill, index.columns) &&
         std::ranges::all_of(index.columns, [&](const auto& name) { return not_null(table, name); });
}

// The primary key, else the narrowest. Null where there is none.
const CatalogIndex* path_of(const CatalogRelation& table, const Backfill& backfill) {
  const CatalogIndex* best = nullptr;
  for (const auto& index : table.indexes) {
    if (!leads(table, index, backfill)) continue;
    const auto rank = [](const CatalogIndex& i) { return std::pair(!i.primary, i.columns.size()); };
    if (best == nullptr || rank(index) < rank(*best)) best = &index;
  }
  return best;
}

// Rows keep the order of such a key roughly as they were inserted, so that neighbours by key share pages.
bool in_order_of_insertion(const CatalogRelation& table, const std::string& column) {
  const auto& type = table.column(column)->base_type;
  return is_integer_type(type) || type == "date" || type.starts_with("timestamp");
}

std::unexpected<Error> no_way(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

// The index that makes every update of a row write to all indexes; null where updates can be HOT.
const CatalogIndex* against_hot(const std::vector<const CatalogRelation*>& relations, const Backfill& backfill) {
  for (const auto* relation : relations) {
    for (const auto& index : relation->indexes) {
      if (sets_any(backfill, index.columns) || sets_any(backfill, index.uses)) return &index;
    }
  }
  return nullptr;
}

struct Strides {
  int count = 1;
  std::string because;
};

// So many that a stride's new versions, a fifth larger than the old ones, fit into the room that was left in a page;
// where none was left, kStrides.
std::int64_t strides_at(int fillfactor) {
  if (fillfactor >= 100) return kStrides;
  const int room = 100 - fillfactor;
  const auto fitting = std::bit_ceil(static_cast<std::uint64_t>((120 + room - 1) / room));
  return std::min<std::int64_t>(static_cast<std::int64_t>(fitting), kStrides);
}

Strides strides_for(const std::vector<const CatalogRelation*>& relations, const Backfill& backfill) {
  if (const auto* index = against_hot(relations, backfill)) {
    return {.count = 1,
            .because = fmt::format("one pass over each window: index {} holds a column that is set, so no update can "
                                   "be HOT; an index created after the backfill would not be in its way{}",
                                   index->name,
                                   backfill.vacuum_every ? ""
                                                         : ", and vacuum_every lets later windows use the room of "
                                                           "old versions again")};
  }
  const auto widest = std::ranges::max_element(relations, {}, [](const auto* r) { return r->fillfactor; });
  if (widest == relations.end()) return {.count = 1, .because = "one pass: no relation holds rows"};
  if ((*widest)->fillfactor <= kRoomForAll) {
    return {
        .count = 1,
        .because = fmt::format("one pass over each window: at fillfactor {} a page has room for new versions of all "
                               "its rows",
                               (*widest)->fillfactor)};
  }
  std::int64_t rows = 0;
  std::int64_t pages = 0;
  for (const auto* relation : relations) {
    rows += std::max<std::int64_t>(relation->rows, 0);
    pages += relation->pages;
  }
  const std::int64_t in_a_page = pages == 0 || rows == 0 ? kStrides : std::max<std::int64_t>(rows / pages, 1);
  const auto wanted = std::min<std::int64_t>(in_a_page, strides_at((*widest)->fillfactor));
  const int count = static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(wanted)));
  if (count == 1) return {.count = 1, .because = "one pass over each window: a page holds hardly more than a row"};
  return {
      .count = count,
      .because = fmt::format("{} strides over each window, so that each finds room in the pages that the one before "
                             "has left (HOT updates: no index is written, the table hardly grows)",
                             count)};
}

void add_wishes(Walk& walk, const Backfill& backfill) {
  walk.workers = backfill.workers;
  if (walk.workers > 1) walk.because.push_back(fmt::format("{} workers, as the plan wishes", walk.workers));
  if (backfill.vacuum_every)
    walk.because.push_back(
        fmt::format("a vacuum after each {} rows changed, as the plan wishes", *backfill.vacuum_every));
}

// Its windows are of the values of one column, over the whole table at once.
Result<Walk> walk_of_own_sql(const CatalogRelation& table, const std::vector<const CatalogRelation*>& relations,
                             const Backfill& backfill) {
  if (table.kind == RelationKind::table && relations.size() > 1) {
    return no_way(
        fmt::format("other tables inherit from {}: windows of `sql` need a key that is unique over all of "
                    "them; give each a step of its own",
                    table.name.name));
  }
  const CatalogIndex* path = nullptr;
  for (const auto& index : table.indexes) {
    if (index.columns.size() != 1 || !leads(table, index, backfill)) continue;
    if (path == nullptr || index.primary) path = &index;
  }
  if (path == nullptr) {
    return no_way(fmt::format(
        "windows of `sql` run from key to key: {} needs a primary key of one column, or a unique index over one NOT "
        "NULL column",
        table.name.name));
  }
  Walk walk;
  walk.key = path->columns;
  walk.because = {fmt::format("by {} {}, along which the windows of `sql` are cut",
                              path->primary ? "primary key" : "unique key", path->name)};
  add_wishes(walk, backfill);
  return walk;
}

}  // namespace

std::string_view to_string(WalkBy by) {
  return name_of(kWalkBy, by);
}

std::optional<WalkBy> walk_by_from(std::string_view text) {
  return value_of(kWalkBy, text);
}

bool is_integer_type(std::string_view type) {
  return type == "smallint" || type == "integer" || type == "bigint";
}

std::vector<const CatalogRelation*> relations_with_rows(const CatalogSnapshot& catalog, const CatalogRelation& table) {
  std::vector<const CatalogRelation*> found;
  add_tree(catalog, table, found);
  std::erase_if(found, [](const auto* relation) { return relation->kind == RelationKind::partitioned_table; });
  return found;
}

Result<Walk> choose_walk(const CatalogSnapshot& catalog, const CatalogRelation& table, const Backfill& backfill) {
  const auto relations = relations_with_rows(catalog, table);
  for (const auto* relation : relations) {
    if (relation->kind == RelationKind::table) continue;
    return no_way(fmt::format("{} is a {}: a backfill walks along tables of this database only", relation->name.name,
                              to_string(relation->kind)));
  }
  if (!backfill.sql.empty()) return walk_of_own_sql(table, relations, backfill);
  if (const auto key = moved_by(catalog, table, backfill)) {
    return no_way(fmt::format(
        "{}: a backfill that moves rows to other partitions would meet some twice; copy them in a step of statements",
        *key));
  }
  const auto* path = path_of(table, backfill);
  // Only where `where` must be false of every row at the end is a row that was changed never changed again.
  const bool once = backfill.verify == "zero_rows";
  const bool ranges = catalog.server_version >= kTidRangeScans;

  Walk walk;
  if (backfill.walk_by == WalkBy::blocks && !once)
    return no_way("walk: blocks needs `where` and verify: zero_rows: a row that moves meanwhile may be met twice");
  if (backfill.walk_by == WalkBy::blocks && !ranges)
    return no_way("walk: blocks needs PostgreSQL 14: older servers cannot read a range of blocks");
  if (backfill.walk_by == WalkBy::key && path == nullptr)
    return no_way(fmt::format("walk: key needs a unique index over NOT NULL columns of {} none of which is set",
                              table.name.name));
  walk.by = backfill.walk_by.value_or(once && ranges ? WalkBy::blocks : WalkBy::key);
  if (walk.by == WalkBy::blocks) {
    walk.because.push_back(backfill.walk_by ? "by blocks, as the plan wishes"
                                            : "by blocks of the table: the quickest order, and `where` with verify: "
                                              "zero_rows sees to it that each row is changed once");
  } else if (path == nullptr) {
    return no_way(fmt::format(
        "table {} has no way along which each row is met once: give it a primary key (CREATE UNIQUE INDEX "
        "CONCURRENTLY, "
        "then ALTER TABLE ... ADD PRIMARY KEY USING INDEX){}, or update it in a step of statements",
        table.name.name,
        ranges ? ", or the backfill a `where` that is false once a row is done, and verify: zero_rows" : ""));
  } else {
    walk.key = path->columns;
    walk.because.push_back(
        fmt::format("by {} {}{}", path->primary ? "primary key" : "unique key", path->name,
                    backfill.walk_by ? ", as the plan wishes"
                    : once           ? ": this server cannot read a range of blocks"
                                     : ": without verify: zero_rows only a key shows that each row is changed once"));
  }

  auto strides = strides_for(relations, backfill);
  const bool hashed = walk.by == WalkBy::blocks || is_integer_type(table.column(walk.key.back())->type) ||
                      catalog.server_version >= kRecordHash;
  if (backfill.strides.value_or(1) > 1 && !hashed)
    return no_way(
        fmt::format("strides along {} need PostgreSQL 14: older servers cannot hash such a key", walk.key.back()));
  if (!hashed && strides.count > 1) {
    strides = {.count = 1, .because = "one pass over each window: this server cannot hash such a key"};
  } else if (backfill.strides) {
    strides = {.count = *backfill.strides, .because = "strides as the plan wishes"};
  } else if (walk.by == WalkBy::key && strides.count > 1 && !in_order_of_insertion(table, walk.key.front())) {
    strides = {.count = 1,
               .because = "one pass over each window: neighbours by this key lie in pages far apart already"};
  }
  walk.strides = strides.count;
  walk.because.push_back(std::move(strides.because));
  add_wishes(walk, backfill);
  return walk;
}

PartCursor opened(PartCursor cursor, Place window_to, bool last) {
  assert(!cursor.window_to && !cursor.done);
  cursor.window_to = std::move(window_to);
  cursor.last_window = last;
  return cursor;
}

PartCursor ended(PartCursor cursor) {
  assert(!cursor.window_to);
  cursor.done = true;
  return cursor;
}

PartCursor moved(PartCursor cursor, const Place& to, int strides) {
  assert(cursor.window_to && !cursor.done);
  if (to != *cursor.window_to) {
    cursor.stride_to = to;
    return cursor;
  }
  cursor.stride_to.reset();
  if (++cursor.stride < strides) return cursor;
  cursor.stride = 0;
  cursor.done_to = std::exchange(cursor.window_to, std::nullopt);
  cursor.done = cursor.last_window;
  return cursor;
}

}  // namespace diastole::core
