// What is touched along with a relation, by the catalog: what its foreign keys point to, what points to it, the views
// over it. Nothing, where the catalog does not know it.
#pragma once

#include <string_view>

#include "effects.hpp"

namespace diastole::sql {

// The table that something hangs on, or the view that it is.
[[nodiscard]] core::RelationName table_of(const core::CatalogDependent& dependent);
// Whether it uses the column; where the catalog does not say which ones it uses, it does.
[[nodiscard]] bool uses_column(const core::CatalogDependent& dependent, std::string_view column);
// The relation that has such a dependent, of that name; null for none.
[[nodiscard]] const core::CatalogRelation* owner_of(core::DependentKind kind, std::string_view name,
                                                    const Known& known);
[[nodiscard]] bool has_trigger(const core::CatalogRelation& table, std::string_view name);
// The constraint of another table that is a foreign key to this one.
[[nodiscard]] const core::CatalogConstraint* key_of(const core::CatalogDependent& dependent, const Known& known);

// The same foreign key on another table: a partition's, by its parent's.
[[nodiscard]] const core::CatalogConstraint* same_key(const core::CatalogRelation& table,
                                                      const core::CatalogConstraint& key);
// A foreign key that the table has only because a parent has it.
[[nodiscard]] bool is_inherited(const core::CatalogRelation& table, const core::CatalogConstraint& key,
                                const Known& known);

// The tables that the table's foreign keys point to.
void touch_referenced(const core::CatalogRelation& table, core::LockMode lock, core::Answer scans, Effects& effects);
// A new partition: what is in the default partition must not belong to it.
void touch_default_partition(const core::CatalogRelation& parent, const Known& known, Effects& effects);
// The views over it and over those, which go where it goes, or where `column` goes.
void touch_views_over(const core::CatalogRelation& relation, std::string_view column, const Known& known,
                      Effects& effects);
// The tables whose foreign keys point to it, or to `column`.
void touch_referencing(const core::CatalogRelation& relation, std::string_view column, core::LockMode lock,
                       Effects& effects);
// The tables made OF a composite type, which change with it.
[[nodiscard]] std::vector<const core::CatalogRelation*> tables_made_of(const core::CatalogType& type,
                                                                       const Known& known);
[[nodiscard]] const core::CatalogType* find_type(const core::RelationName& name, const Known& known);

}  // namespace diastole::sql
