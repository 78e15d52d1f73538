// A catalog snapshot by name, for reading many queries against it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "diastole/core/catalog.hpp"

namespace diastole::sql {

// Of a name in SQL, each as the catalog has it; at most two, none where it is no name.
[[nodiscard]] std::vector<std::string> name_parts(std::string_view text);

// Everything here refers to the snapshot, which must outlive it.
class UseIndex {
 public:
  explicit UseIndex(const core::CatalogSnapshot& catalog);

  // By the search_path where the schema is empty; null where the snapshot has none.
  [[nodiscard]] const core::CatalogRelation* relation(std::string_view schema, std::string_view name) const;
  // Whose row type format_type() calls so, or an array of it; null: none that is known.
  [[nodiscard]] const core::CatalogRelation* row_type(std::string_view type) const;

  // Something that hangs on a relation: on the columns named, or on all of it where there are none.
  struct Hold {
    const core::CatalogRelation* relation;
    const core::CatalogDependent* dependent;
  };
  using Holds = std::vector<Hold>;
  // What the view depends on.
  [[nodiscard]] const Holds& below(const core::CatalogRelation& view) const;
  // The columns that own sequences; the sequence's schema is empty where the search_path decides.
  [[nodiscard]] Holds owners(std::string_view schema, std::string_view sequence) const;
  [[nodiscard]] const Holds& sequences() const { return sequences_; }

  struct Function {
    enum class Kind { builtin, known, unknown } kind = Kind::unknown;
    Holds mentions;  // the tables that it hangs on, of a known one
  };
  [[nodiscard]] Function function(std::string_view schema, std::string_view name) const;

  // The same, or one is above the other by inheritance or partitioning.
  [[nodiscard]] bool related(const core::CatalogRelation& one, const core::CatalogRelation& other) const;

 private:
  template <typename T>
  using ByName = std::unordered_map<std::string_view, std::vector<T>>;

  [[nodiscard]] bool on_path(std::string_view schema) const;
  [[nodiscard]] bool is_above(const core::CatalogRelation& parent, const core::CatalogRelation& child) const;

  const core::CatalogSnapshot& catalog_;
  ByName<const core::CatalogRelation*> relations_;
  std::unordered_map<const core::CatalogRelation*, Holds> below_;
  std::unordered_map<const core::CatalogRelation*, std::vector<const core::CatalogRelation*>> parents_;
  ByName<const core::CatalogFunction*> functions_;
  ByName<Hold> mentions_;  // by functions
  ByName<Hold> owned_;     // by the sequence's name
  Holds sequences_;
};

}  // namespace diastole::sql
