// What is known of the database while one statement after the other is looked at: the catalog, where there is one, and
// what the statements before have changed.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"
#include "object_name.hpp"
#include "old_writers.hpp"
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

// The column of "column IS NOT NULL" and nothing else; "" otherwise.
[[nodiscard]] std::string not_null_test(Node expression);
// The same of a constraint that the catalog has.
[[nodiscard]] std::string not_null_test(const core::CatalogConstraint& constraint);

class Known {
 public:
  explicit Known(const core::CatalogSnapshot* catalog);

  [[nodiscard]] const core::CatalogSnapshot* catalog() const { return catalog_; }
  // 0: not known.
  [[nodiscard]] int server_version() const { return catalog_ == nullptr ? 0 : catalog_->server_version; }

  // Null where there is no catalog, or it has no such relation, or the statements before have made or removed it.
  [[nodiscard]] const core::CatalogRelation* relation(const core::RelationName& name) const;
  [[nodiscard]] const core::CatalogRelation* relation(Node range_var) const {
    return catalog_ == nullptr ? nullptr : relation(name_of(range_var));
  }
  [[nodiscard]] const core::CatalogRelation* table(std::string_view identifier) const;
  [[nodiscard]] core::CatalogSnapshot::IndexPlace index(const core::RelationName& name) const;
  // The relation's partitions and heirs, theirs, and so on; without itself.
  [[nodiscard]] std::vector<const core::CatalogRelation*> descendants(const core::CatalogRelation& relation) const;
  // The name by which a plan's statements know it: without a schema that the search_path finds by itself.
  [[nodiscard]] std::string written(const core::RelationName& name) const;

  // There is a catalog, and neither it nor the statements before have a relation or index of the name, or they have
  // dropped it or called it otherwise.
  [[nodiscard]] bool is_absent(const core::RelationName& name) const;
  [[nodiscard]] bool is_absent(const ObjectName& name) const;

  // Created by the statements before: nobody uses it yet.
  [[nodiscard]] bool is_empty(std::string_view table) const;
  // They have made it of a query (CREATE VIEW, CREATE TABLE AS), and it has the rows that that yields.
  [[nodiscard]] bool is_query(std::string_view table) const;
  [[nodiscard]] bool is_made_view(std::string_view table) const;
  // The same, and old code does not know the name: what would break others is harmless.
  [[nodiscard]] bool is_new(std::string_view table) const;
  [[nodiscard]] bool is_new(const ObjectName& object) const;
  // So few rows, by the catalog, that reading or copying all of them takes no longer than any other statement.
  [[nodiscard]] bool is_small(std::string_view table) const;
  // Old code does not know the column: the plan's own expand has added it. Null where it does, or may.
  [[nodiscard]] const NewColumn* new_column(std::string_view table, std::string_view column) const;
  [[nodiscard]] bool is_new_column(std::string_view table, std::string_view column) const {
    return new_column(table, column) != nullptr;
  }
  // Its type as the catalog or the statement that added it says; empty where nobody says.
  [[nodiscard]] std::string column_type(std::string_view table, std::string_view column) const;
  // yes: NOT NULL, or a valid CHECK says the same, so that SET NOT NULL need not look.
  [[nodiscard]] core::Answer proven_not_null(std::string_view table, std::string_view column) const;
  // yes: it is there and valid; no: it is there and NOT VALID; maybe: nobody says.
  [[nodiscard]] core::Answer is_valid(std::string_view table, std::string_view constraint) const;
  // Whether it has a CHECK, known to be valid.
  [[nodiscard]] bool has_valid_check(std::string_view table) const;
  // What a DROP names, by its arguments; more than one where they are not written. None where there is no catalog, or
  // the statements before have made it.
  [[nodiscard]] std::vector<const core::CatalogObject*> objects(const ObjectName& written) const;
  // The statements before have dropped it, what it belongs to or what it used, or put something else in its place.
  [[nodiscard]] bool is_gone(const core::CatalogDependent& dependent) const;
  [[nodiscard]] bool is_dropped_column(const core::RelationName& table, std::string_view column) const;
  // Whether the type's values are checked: it is a domain with constraints.
  [[nodiscard]] core::Answer is_checked_type(const core::RelationName& type) const;
  // What a domain is over, through all domains; empty where nobody says.
  [[nodiscard]] std::string base_type(const core::RelationName& domain) const;
  // The plan has made a CHECK or UNIQUE that asks something of the column.
  [[nodiscard]] bool is_constrained(std::string_view table, std::string_view column) const;
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

  // The columns of each unique index by which rows can be named; of a view over one table, that one's. Where nobody
  // says, `id` alone.
  [[nodiscard]] std::vector<std::vector<std::string>> unique_keys(std::string_view table) const;

  // The indexes that the statements before have made on the table.
  [[nodiscard]] std::vector<core::CatalogIndex> indexes_made(std::string_view table) const;

  // Takes in what the statement changes.
  void learn(const Analysed& statement);
  // Once a phase is over, the tables it has created may hold rows and serve code.
  void phase_over();

 private:
  struct Check {
    std::string name;             // none: the column is NOT NULL itself
    std::string not_null_column;  // where it says just that; else empty
    bool valid = false;
    bool dropped = false;
    std::vector<std::string> columns = {};  // of one of the plan's
  };
  struct Column {
    NewColumn what;
    bool added = false;  // by the plan, as far as its statements tell
  };
  struct Learned {
    bool made = false;   // by the plan: what the catalog says of the name is not about it
    bool empty = false;  // in this phase
    bool view = false;
    bool queries = false;                        // its rows are those of a query
    bool gone = false;                           // dropped, or called otherwise
    bool used_name = false;                      // of something that is gone: old code knows it
    const core::CatalogRelation* was = nullptr;  // under its name of before
    std::map<std::string, Column, std::less<>> columns = {};
    std::set<std::string, std::less<>> used_columns = {};  // names of columns that are gone and that old code knows
    std::map<std::string, bool, std::less<>> not_null = {};
    std::set<std::string, std::less<>> defaults = {};  // columns whose default was changed
    bool replaced = false;                             // a view, whose query is another one
    std::set<std::string, std::less<>> retyped = {};   // columns that have got another type
    std::vector<Check> checks = {};
  };
  struct Index {
    std::string key;  // of its name
    std::string table;
    std::vector<std::string> columns;
    bool unique = false;
    bool partial = false;
  };

  [[nodiscard]] bool is_small(const core::CatalogRelation& one, int depth) const;
  // Its schema may have been left out in them.
  [[nodiscard]] bool lists(const ObjectNames& names, ObjectName object) const;
  [[nodiscard]] bool is_gone(const ObjectName& object) const;  // dropped or changed
  [[nodiscard]] bool is_gone_member(const core::CatalogDependent& dependent, const Learned& holder) const;
  [[nodiscard]] const Learned* learned(std::string_view table) const;
  [[nodiscard]] const Learned* learned(const core::RelationName& full) const;
  [[nodiscard]] Learned& learned_of(std::string_view table) { return learned_[std::string(table_key(table))]; }
  void learn_created(const Analysed& statement);
  void learn_object(const Analysed& statement);
  void learn_changed(const ParsedStatement& statement);
  void learn_type(const ObjectName& type, Node domain);
  void learn_table(Node body, bool created);
  void learn_drop(Node body);
  void learn_gone(const std::string& table);
  void learn_renaming(const ParsedStatement& statement);
  void rename_table(const std::string& from, const std::string& to);
  void rename_column(std::string_view table, std::string_view from, std::string_view to);
  void rename_object(const Renaming& renaming);
  void rename_schema(const std::string& from, const std::string& to);
  void learn_alter(std::string_view table, Node command);
  void learn_added(std::string_view table, Node command);
  void learn_constraint(std::string_view table, Node constraint);
  void change_constraint(std::string_view table, Node command);
  void learn_column(std::string_view table, Node column, bool added);
  void change_column(std::string_view table, Node command);
  void drop_column(std::string_view table, std::string_view column);
  void learn_index(std::string_view table, const core::RelationName& name, Node index);

  const core::CatalogSnapshot* catalog_;
  std::multimap<std::string_view, const core::CatalogObject*> objects_by_name_;  // of the catalog
  std::map<std::string, Learned, std::less<>> learned_;
  std::vector<Index> indexes_;  // created by the plan
  std::set<std::string, std::less<>> dropped_indexes_;
  ObjectNames objects_;                           // created by the plan, in this phase
  ObjectNames dropped_;                           // by the plan, or called otherwise, and known to old code
  ObjectNames changed_;                           // it says something else: CREATE OR REPLACE, ALTER POLICY
  std::map<core::RelationName, MadeType> types_;  // made by the plan
};

}  // namespace diastole::sql
