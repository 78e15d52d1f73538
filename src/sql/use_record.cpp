#include "use_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace diastole::sql {

using core::Answer;
using core::CatalogRelation;
using core::RelationKind;

namespace {

// A text may name thousands of things that nobody knows; the first few tell enough.
constexpr std::size_t kMaxUnsure = 20;

std::string written_name(const core::RelationName& name) {
  return name.schema.empty() ? name.name : fmt::format("{}.{}", name.schema, name.name);
}

}  // namespace

TableId UseRecord::table(const CatalogRelation& relation, Answer named) {
  const auto [found, added] = known_.try_emplace(&relation, states_.size());
  const TableId id = found->second;
  if (added) {
    states_.push_back({.relation = &relation, .name = relation.name});
    states_[id].columns.resize(relation.columns.size());
  }
  if (named <= states_[id].named) return id;
  states_[id].named = named;
  if (relation.kind == RelationKind::view || relation.kind == RelationKind::materialized_view) {
    below(relation, Access::read, named);
  } else if (relation.kind == RelationKind::sequence) {
    for (const auto& hold : index_.owners(relation.name.schema, relation.name.name)) {
      columns_of(hold, Access::read, named);
    }
  }
  return id;
}

TableId UseRecord::unknown_table(std::string_view schema, std::string_view name, Answer named) {
  const auto [found, added] =
      unknown_.try_emplace({.schema = std::string(schema), .name = std::string(name)}, states_.size());
  if (added) states_.push_back({.name = found->first});
  const TableId id = found->second;
  if (named > states_[id].named) {
    states_[id].named = named;
    for (const auto& hold : index_.owners(schema, name)) columns_of(hold, Access::read, named);
  }
  return id;
}

void UseRecord::rows(TableId table, Access access, Answer answer) {
  states_[table].rows.raise(access, answer);
  const CatalogRelation* relation = states_[table].relation;
  if (access == Access::write && relation != nullptr && !states_[table].below_written) {
    states_[table].below_written = true;
    // What a view's rule or INSTEAD OF trigger makes of it is not known.
    if (relation->kind == RelationKind::view) below(*relation, Access::write, Answer::maybe);
  }
}

void UseRecord::column(TableId table, std::size_t column, Access access, Answer answer) {
  if (column == kSomeColumn) return every_column(table, access, answer);
  states_[table].columns[column].raise(access, answer);
}

void UseRecord::column(TableId table, std::string_view column, Access access, Answer answer) {
  states_[table].other[std::string(column)].raise(access, answer);
}

void UseRecord::every_column(TableId table, Access access, Answer answer) {
  if (states_[table].relation == nullptr) states_[table].every.raise(access, answer);
  for (Marks& marks : states_[table].columns) marks.raise(access, answer);
}

void UseRecord::columns_of(const UseIndex::Hold& hold, Access access, Answer answer) {
  const TableId id = table(*hold.relation, answer);
  rows(id, access, answer);
  if (hold.dependent->columns.empty()) every_column(id, access, Answer::maybe);
  for (const std::string& name : hold.dependent->columns) {
    if (const auto* known = hold.relation->column(name)) {
      column(id, static_cast<std::size_t>(known - hold.relation->columns.data()), access, answer);
    } else {
      column(id, name, access, answer);
    }
  }
}

void UseRecord::below(const CatalogRelation& view, Access access, Answer answer) {
  const UseIndex::Holds& holds = index_.below(view);
  for (const UseIndex::Hold& hold : holds) {
    if (access == Access::read && hold.dependent->columns.empty()) {
      unsure(fmt::format("which columns of {} the view {} reads is not known", written_name(hold.relation->name),
                         written_name(view.name)));
    }
    columns_of(hold, access, answer);
  }
  for (const core::RelationName& name : view.reads) {
    const CatalogRelation* relation = index_.relation(name.schema, name.name);
    const bool told = relation != nullptr &&
                      std::ranges::any_of(holds, [&](const UseIndex::Hold& hold) { return hold.relation == relation; });
    if (told) continue;
    const TableId id = relation != nullptr ? table(*relation, answer) : unknown_table(name.schema, name.name, answer);
    rows(id, access, answer);
    every_column(id, access, Answer::maybe);
    unsure(
        fmt::format("which columns of {} the view {} reads is not known", written_name(name), written_name(view.name)));
  }
  if (holds.empty() && view.reads.empty() && access == Access::read) {
    any_column(fmt::format("what the view {} reads is not known", written_name(view.name)));
  }
}

void UseRecord::maybe(const UseIndex::Hold& hold) {
  columns_of(hold, Access::read, Answer::maybe);
}

void UseRecord::sequence(std::string_view schema, std::string_view name) {
  if (const CatalogRelation* relation = index_.relation(schema, name)) {
    table(*relation);
  } else {
    unknown_table(schema, name);
  }
}

void UseRecord::unsure(std::string why) {
  if (unsure_.size() < kMaxUnsure && std::ranges::find(unsure_, why) == unsure_.end()) {
    unsure_.push_back(std::move(why));
  }
}

void UseRecord::any_column(std::string why) {
  any_column_ = true;
  any_table(std::move(why));
}

void UseRecord::any_table(std::string why) {
  any_table_ = true;
  unsure(std::move(why));
}

QueryUse UseRecord::take() {
  QueryUse use{.unsure = std::move(unsure_), .any_column = any_column_, .any_table = any_table_};
  const auto add = [&](const core::RelationName& table, std::string_view column, const Marks& marks) {
    if (marks.any()) use.columns.push_back({table, std::string(column), marks.reads, marks.writes});
  };
  for (const auto& [name, marks] : somewhere_) add({}, name, marks);
  for (const State& state : states_) {
    use.tables.push_back({state.name, state.named, state.rows.reads, state.rows.writes});
    add(state.name, "", state.every);
    for (std::size_t i = 0; i < state.columns.size(); ++i) {
      add(state.name, state.relation->columns[i].name, state.columns[i]);
    }
    for (const auto& [name, marks] : state.other) add(state.name, name, marks);
  }
  std::ranges::sort(use.tables, {}, &TableUse::table);
  std::ranges::sort(use.columns, [](const ColumnUse& one, const ColumnUse& other) {
    return std::tie(one.table, one.column) < std::tie(other.table, other.column);
  });
  return use;
}

}  // namespace diastole::sql
