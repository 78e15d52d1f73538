// What is known of the database while one statement after the other is looked at: the catalog, where there is one, and
// what the statements before have changed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"
#include "parse.hpp"

namespace diastole::sql {

struct Analysed;

// {schema, name} of a RangeVar, as it is written.
[[nodiscard]] core::RelationName name_of(Node relation);
// Of a list of String nodes: the last is the name, the one before the schema.
[[nodiscard]] core::RelationName name_of_list(Node strings, std::size_t drop = 0);
// Of what quote_identifier() has written, with or without a schema.
[[nodiscard]] core::RelationName name_of_identifier(std::string_view identifier);
// As an SQL identifier.
[[nodiscard]] std::string to_sql(const core::RelationName& name);

// One key for a table however it is written, "public." being what an unqualified name most often means.
[[nodiscard]] std::string_view table_key(std::string_view table);

class Known {
 public:
  explicit Known(const core::CatalogSnapshot* catalog) : catalog_(catalog) {}

  [[nodiscard]] const core::CatalogSnapshot* catalog() const { return catalog_; }
  // 0: not known.
  [[nodiscard]] int server_version() const { return catalog_ == nullptr ? 0 : catalog_->server_version; }

  // Null where there is no catalog, or it has no such relation, or the statements before have made it.
  [[nodiscard]] const core::CatalogRelation* relation(const core::RelationName& name) const;
  [[nodiscard]] const core::CatalogRelation* relation(Node range_var) const { return relation(name_of(range_var)); }
  [[nodiscard]] const core::CatalogRelation* table(std::string_view identifier) const;
  [[nodiscard]] core::CatalogSnapshot::IndexPlace index(const core::RelationName& name) const;
  // The relation's partitions and heirs, theirs, and so on; without itself.
  [[nodiscard]] std::vector<const core::CatalogRelation*> descendants(const core::CatalogRelation& relation) const;
  // The name by which a plan's statements know it: without a schema that the search_path finds by itself.
  [[nodiscard]] std::string written(const core::RelationName& name) const;

  // There is a catalog, and neither it nor the statements before have a relation or index of the name.
  [[nodiscard]] bool is_absent(const core::RelationName& name) const;

  // Created by the statements before: no rows and no users yet, so that what would block or break others is harmless.
  [[nodiscard]] bool is_new(std::string_view table) const;
  // So few rows, by the catalog, that reading or copying all of them takes no longer than any other statement.
  [[nodiscard]] bool is_small(std::string_view table) const;
  // Old code does not know the column: the plan's own expand has added it.
  [[nodiscard]] bool is_new_column(std::string_view table, std::string_view column) const;
  // Its type as the catalog or the statement that added it says; empty where nobody says.
  [[nodiscard]] std::string column_type(std::string_view table, std::string_view column) const;
  // yes: NOT NULL, or a valid CHECK says the same, so that SET NOT NULL need not look.
  [[nodiscard]] core::Answer proven_not_null(std::string_view table, std::string_view column) const;
  // yes: it is there and valid; no: it is there and NOT VALID; maybe: nobody says.
  [[nodiscard]] core::Answer is_valid(std::string_view table, std::string_view constraint) const;
  // Whether it has a CHECK, known to be valid.
  [[nodiscard]] bool has_valid_check(std::string_view table) const;
  // The table of an index, as a plan's statements know it; empty where nobody says.
  [[nodiscard]] std::string table_of(const core::RelationName& index) const;
  // The columns of an index that the catalog or a statement before names; empty where nobody says.
  [[nodiscard]] std::vector<std::string> index_columns(const core::RelationName& index) const;

  // The plan has made it.
  [[nodiscard]] bool is_new_index(const core::RelationName& index) const;
  // Another unique index, known to be there, whose key are these columns in any order.
  [[nodiscard]] bool has_unique_index(std::string_view table, const core::RelationName& except,
                                      const std::vector<std::string>& columns) const;
  // Whether an index, a unique or a primary key of the table begins with these columns in any order.
  [[nodiscard]] core::Answer has_index_on(std::string_view table, const std::vector<std::string>& columns) const;

  // Takes in what the statement changes.
  void learn(const Analysed& statement);
  // Once a phase is over, the tables it has created may hold rows and serve code.
  void phase_over();

 private:
  struct Check {
    std::string name;
    std::string not_null_column;  // where it says just that; else empty
    bool valid = false;
    bool dropped = false;
  };
  struct Learned {
    bool created = false;                                     // in this phase
    std::map<std::string, std::string, std::less<>> columns;  // added by the plan, with their types
    std::vector<Check> checks;
  };

  [[nodiscard]] const Learned* learned(std::string_view table) const;
  void learn_name(Node body);
  void learn_alter(std::string_view table, Node command);
  void learn_constraint(std::string_view table, Node constraint);
  void learn_column(std::string_view table, Node column);
  void learn_index(std::string_view table, const core::RelationName& name, Node columns, bool unique);

  const core::CatalogSnapshot* catalog_;
  std::map<std::string, Learned, std::less<>> learned_;
  struct Index {
    std::string key;  // of its name
    std::string table;
    std::vector<std::string> columns;
    bool unique = false;  // of every row
  };
  std::vector<Index> indexes_;  // created by the plan
};

}  // namespace diastole::sql
