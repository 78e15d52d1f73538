// What a row of the statement table cannot say: one function a kind of statement, named for PostgreSQL's command.
#pragma once

#include "effects.hpp"
#include "parse.hpp"

namespace diastole::sql::refine {

void alter_object_schema(const Json& body, Effects& effects);
void alter_owner(const Json& body, Effects& effects);
void alter_sequence(const Json& body, Effects& effects);
void alter_table(const Json& body, Effects& effects);
void alter_type_value(const Json& body, Effects& effects);
void alter_domain(const Json& body, Effects& effects);
void change_publication(const Json& body, Effects& effects);
void cluster(const Json& body, Effects& effects);
void comment(const Json& body, Effects& effects);
void create_foreign_table(const Json& body, Effects& effects);
void create_index(const Json& body, Effects& effects);
void create_schema(const Json& body, Effects& effects);
void create_table(const Json& body, Effects& effects);
void create_table_as(const Json& body, Effects& effects);
void create_view(const Json& body, Effects& effects);
void define(const Json& body, Effects& effects);
void drop(const Json& body, Effects& effects);
void grant(const Json& body, Effects& effects);
void grant_role(const Json& body, Effects& effects);
void insert(const Json& body, Effects& effects);
void lock_table(const Json& body, Effects& effects);
void merge(const Json& body, Effects& effects);
void refresh(const Json& body, Effects& effects);
void reindex(const Json& body, Effects& effects);
void rename(const Json& body, Effects& effects);
void select(const Json& body, Effects& effects);
void set(const Json& body, Effects& effects);
void transaction(const Json& body, Effects& effects);
void unknown(const Json& body, Effects& effects);
void vacuum(const Json& body, Effects& effects);

}  // namespace diastole::sql::refine
