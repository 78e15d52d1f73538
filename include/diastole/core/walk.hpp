// The way of a backfill through its table, and how far it has come.
//
// A part (a relation, or a worker's range of one) is cut into windows of neighbouring rows. A window is visited in
// strides: each stride is over every strides-th row of it, in transactions of its own, so that the versions which one
// stride left behind are pruned by the next, and their room is used again (HOT). With one stride a window is a batch.
//
//   done_to            stride_to          window_to
//   ────┤ all strides    ├ this stride ───▶ ┤ not yet visited ───▶
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::core {

struct Backfill;
struct CatalogRelation;
struct CatalogSnapshot;

enum class WalkBy {
  blocks,  // of the heap, by ctid: the quickest, but a row that the application moves may be met twice or not at all
  key,     // a unique key without NULLs: each row is met once
};
[[nodiscard]] std::string_view to_string(WalkBy by);
[[nodiscard]] std::optional<WalkBy> walk_by_from(std::string_view text);

inline constexpr int kMostWorkers = 16;

// smallint, integer, bigint: strides along such a key need no hash of records.
[[nodiscard]] bool is_integer_type(std::string_view type);

struct Walk {
  WalkBy by = WalkBy::key;
  std::vector<std::string> key;  // its columns, in the index's order; empty by blocks
  int strides = 1;               // a power of two
  int workers = 1;
  std::vector<std::string> because;  // a sentence for each choice

  friend bool operator==(const Walk&, const Walk&) = default;
};

// The relations that hold the rows of `table`: itself and all its descendants, in the catalog's order of names.
[[nodiscard]] std::vector<const CatalogRelation*> relations_with_rows(const CatalogSnapshot& catalog,
                                                                      const CatalogRelation& table);

// The way for this backfill on this server, with its reasons; the plan's own wishes (walk, strides, workers) go first.
// invalid_argument, with what to do, where there is none by which each row is changed once.
[[nodiscard]] Result<Walk> choose_walk(const CatalogSnapshot& catalog, const CatalogRelation& table,
                                       const Backfill& backfill);

// A place in a part's order, opaque to core: key values as text, or a block number (blocks before it are passed).
using Place = std::vector<std::string>;

struct PartCursor {
  std::optional<Place> done_to;    // every row up to here was visited by every stride; none: nothing yet
  std::optional<Place> window_to;  // end of the open window; none: no window is open
  int stride = 0;                  // that is under way in the window
  std::optional<Place> stride_to;  // how far it has come; none: it begins at done_to
  bool last_window = false;        // the part ends with the open window
  bool done = false;               // all of the part was visited

  // From where the next batch goes on; none is the part's beginning.
  [[nodiscard]] const std::optional<Place>& from() const { return stride_to ? stride_to : done_to; }
  friend bool operator==(const PartCursor&, const PartCursor&) = default;
};

// A window from done_to on. Only where none is open.
[[nodiscard]] PartCursor opened(PartCursor cursor, Place window_to, bool last);
// No row is left behind done_to. Only where no window is open.
[[nodiscard]] PartCursor ended(PartCursor cursor);
// The stride under way has visited its rows up to `to`, within the window.
[[nodiscard]] PartCursor moved(PartCursor cursor, const Place& to, int strides);

}  // namespace diastole::core
