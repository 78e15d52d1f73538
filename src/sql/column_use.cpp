#include "diastole/sql/column_use.hpp"

#include <algorithm>

#include "parse.hpp"
#include "query_walk.hpp"
#include "use_index.hpp"
#include "use_record.hpp"

namespace diastole::sql {

using core::Answer;

namespace {

// What a use of `used` says about `asked`, both as they are written.
Answer concerns_table(const UseIndex& index, const core::RelationName& used, const core::RelationName& asked) {
  if (used.name.empty()) return Answer::maybe;  // some table
  if (used == asked) return Answer::yes;
  const auto* known_used = index.relation(used.schema, used.name);
  const auto* known_asked = index.relation(asked.schema, asked.name);
  if (known_used != nullptr && known_asked != nullptr) {
    return index.related(*known_used, *known_asked) ? Answer::yes : Answer::no;
  }
  // An unknown one without its schema may be any of that name.
  const bool open = used.schema.empty() || asked.schema.empty();
  return open && used.name == asked.name ? Answer::maybe : Answer::no;
}

}  // namespace

UseFinder::UseFinder(const core::CatalogSnapshot& catalog) : index_(std::make_unique<const UseIndex>(catalog)) {}
UseFinder::~UseFinder() = default;
UseFinder::UseFinder(UseFinder&&) noexcept = default;
UseFinder& UseFinder::operator=(UseFinder&&) noexcept = default;

Result<QueryUse> UseFinder::find(std::string_view sql) const {
  const auto tree = parse(sql);
  if (!tree) return std::unexpected(tree.error().as_error());
  UseRecord record(*index_);
  QueryWalk walk(record);
  for (const ParsedStatement& statement : tree->statements) walk.statement(statement.tag, statement.body);
  return record.take();
}

Answer UseFinder::uses(const QueryUse& query, const core::RelationName& table, std::string_view column) const {
  Answer answer = query.any_column ? Answer::maybe : Answer::no;
  for (const ColumnUse& use : query.columns) {
    if (use.column != column && !use.column.empty()) continue;
    const Answer used = std::max(use.reads, use.writes);
    if (used > answer) answer = std::max(answer, std::min(used, concerns_table(*index_, use.table, table)));
  }
  const auto* known = index_->relation(table.schema, table.name);
  const bool stale = known != nullptr && known->column(column) == nullptr;
  return stale ? std::max(answer, std::min(Answer::maybe, uses(query, table))) : answer;
}

Answer UseFinder::uses(const QueryUse& query, const core::RelationName& table) const {
  Answer answer = query.any_table ? Answer::maybe : Answer::no;
  for (const TableUse& use : query.tables) {
    if (use.named > answer) answer = std::max(answer, std::min(use.named, concerns_table(*index_, use.table, table)));
  }
  return answer;
}

}  // namespace diastole::sql
