#include "scope.hpp"

#include <algorithm>
#include <array>

namespace diastole::sql {

using core::Answer;

bool Range::hides(std::string_view column) const {
  return std::ranges::find(hidden, column) != hidden.end();
}

std::vector<Range::Base> Range::bases(std::size_t at) const {
  if (relation != nullptr) return {{table, at}};
  return columns[at].bases;
}

Range::Spot Range::look(std::string_view column) const {
  const std::size_t count = size();
  for (std::size_t at = 0; at < count; ++at) {
    if (column_name(at) == column) return {Answer::yes, at};
  }
  return {open && !is_system_column(column) ? Answer::maybe : Answer::no, kSomeColumn};
}

bool Level::has_column(std::string_view column) const {
  for (std::size_t i = first; i < ranges.size(); ++i) {
    const Range& range = ranges[i];
    if (range.unqualified && !range.hides(column) && range.look(column).has != Answer::no) return true;
  }
  return false;
}

bool is_system_column(std::string_view column) {
  static constexpr std::array<std::string_view, 6> kNames = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
  return std::ranges::find(kNames, column) != kNames.end();
}

void use_column(UseRecord& record, const Range& range, Range::Spot spot, std::string_view name, Access access,
                Answer answer) {
  if (spot.has == Answer::no) return;
  if (spot.has == Answer::yes) {
    if (range.relation != nullptr) return record.column(range.table, spot.at, access, answer);
    for (const Range::Base& base : range.columns[spot.at].bases) {
      record.column(base.table, base.column, access, base.column == kSomeColumn ? Answer::maybe : answer);
    }
    return;
  }
  const bool sole = range.open_tables.size() == 1 && !range.open_rows;
  for (const TableId table : range.open_tables) record.column(table, name, access, sole ? answer : Answer::maybe);
  if (range.open_rows) record.somewhere(name);
}

void use_row(UseRecord& record, const Range& range, Access access, Answer answer) {
  if (range.relation != nullptr) return record.every_column(range.table, access, answer);
  for (const Range::Column& column : range.columns) {
    for (const Range::Base& base : column.bases) record.column(base.table, base.column, access, answer);
  }
  for (const TableId table : range.open_tables) record.every_column(table, access, answer);
}

const core::CatalogRelation* row_type_of(const UseRecord& record, const Range& range, Range::Spot spot) {
  if (spot.has != Answer::yes) return nullptr;
  const std::vector<Range::Base> bases = range.bases(spot.at);
  if (bases.empty() || bases[0].column == kSomeColumn) return nullptr;
  const core::CatalogRelation* table = record.relation(bases[0].table);
  return table == nullptr ? nullptr : record.index().row_type(table->columns[bases[0].column].type);
}

const Range* find_range(const Level& level, std::string_view name) {
  for (const Level* at = &level; at != nullptr; at = at->outer) {
    for (std::size_t i = at->first; i < at->ranges.size(); ++i) {
      const Range& range = at->ranges[i];
      if (range.qualified && range.name == name && !name.empty()) return &range;
    }
  }
  return nullptr;
}

const Range* find_range(const Level& level, std::string_view schema, std::string_view name) {
  for (const Level* at = &level; at != nullptr; at = at->outer) {
    for (std::size_t i = at->first; i < at->ranges.size(); ++i) {
      const Range& range = at->ranges[i];
      const bool here = range.any_schema || (!range.schema.empty() && range.schema == schema);
      if (range.qualified && range.name == name && here) return &range;
    }
  }
  return nullptr;
}

Candidates candidates(const Level& level, std::string_view column) {
  Candidates result;
  for (const Level* at = &level; at != nullptr && result.found.empty(); at = at->outer) {
    for (std::size_t i = at->first; i < at->ranges.size(); ++i) {
      const Range& range = at->ranges[i];
      if (!range.unqualified || range.hides(column)) continue;
      const Range::Spot spot = range.look(column);
      if (spot.has == Answer::yes) result.found.push_back({&range, spot});
      if (spot.has == Answer::maybe) result.possible.push_back({&range, spot});
    }
  }
  return result;
}

}  // namespace diastole::sql
