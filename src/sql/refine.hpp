// What a row of the statement table cannot say: one function a kind of statement, named for PostgreSQL's command. Those
// on tables are in refine_table.cpp and refine_alter_table.cpp, DROP and TRUNCATE in refine_drop.cpp, those on
// rows in refine_rows.cpp.
#pragma once

#include "effects.hpp"
#include "parse.hpp"

namespace diastole::sql::refine {

// What stands somewhere in a statement, in the order of the text; read off in one visit.
struct Mentions {
  struct Place {
    std::string_view key;  // under which it stands
    Node node;
  };
  std::vector<Place> relations;
  std::vector<Place> writes;  // INSERT, UPDATE, DELETE and MERGE, but for the statement itself
  std::vector<std::string_view> with_names;
};
[[nodiscard]] Mentions mentions_in(Node body);

void alter_function(Node body, const Known& known, Effects& effects);
void alter_object_schema(Node body, const Known& known, Effects& effects);
void alter_owner(Node body, const Known& known, Effects& effects);
void alter_sequence(Node body, const Known& known, Effects& effects);
void alter_table(Node body, const Known& known, Effects& effects);
void alter_type_value(Node body, const Known& known, Effects& effects);
void alter_domain(Node body, const Known& known, Effects& effects);
void change_publication(Node body, const Known& known, Effects& effects);
void cluster(Node body, const Known& known, Effects& effects);
void comment(Node body, const Known& known, Effects& effects);
void create_function(Node body, const Known& known, Effects& effects);
void create_foreign_table(Node body, const Known& known, Effects& effects);
void create_index(Node body, const Known& known, Effects& effects);
void create_schema(Node body, const Known& known, Effects& effects);
void create_subscription(Node body, const Known& known, Effects& effects);
void create_table(Node body, const Known& known, Effects& effects);
void create_table_as(Node body, const Known& known, Effects& effects);
void create_view(Node body, const Known& known, Effects& effects);
void define(Node body, const Known& known, Effects& effects);
void drop(Node body, const Known& known, Effects& effects);
void grant(Node body, const Known& known, Effects& effects);
void grant_role(Node body, const Known& known, Effects& effects);
void insert(Node body, const Known& known, Effects& effects);
void lock_table(Node body, const Known& known, Effects& effects);
void merge(Node body, const Known& known, Effects& effects);
void refresh(Node body, const Known& known, Effects& effects);
void reindex(Node body, const Known& known, Effects& effects);
void rename(Node body, const Known& known, Effects& effects);
void select(Node body, const Known& known, Effects& effects);
void set(Node body, const Known& known, Effects& effects);
void transaction(Node body, const Known& known, Effects& effects);
void truncate(Node body, const Known& known, Effects& effects);
void create_trigger(Node body, const Known& known, Effects& effects);
void unknown(Node body, const Known& known, Effects& effects);
void vacuum(Node body, const Known& known, Effects& effects);

// The relations that a statement names, wherever in it they stand, are opened at the least; where it `queries` them, it
// may read them as a whole (the planner decides), with their partitions, and what views stand for.
void read_rows(const Mentions& mentions, bool queries, const Known& known, Effects& effects);
// What a view's query reads, under that lock, and what the views below it read.
void read_below(const core::CatalogRelation& view, core::LockMode lock, core::Answer scans, const Known& known,
                Effects& effects);
// Of an INSERT, UPDATE, DELETE or MERGE that runs.
void write_rows(std::string_view tag, Node node, const Known& known, Effects& effects);
// Of one that is only stored, in a rule or a function.
void name_written(std::string_view tag, Node node, const Known& known, Effects& effects);

}  // namespace diastole::sql::refine
