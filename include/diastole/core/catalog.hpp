// What a target's system catalogs say of the relations that a plan or a query concerns, at one moment: a value that
// `postgres` fills and `sql` reads. Names are as the catalogs have them, unquoted.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace diastole::core {

// An empty schema is one that is not written: the search_path decides.
struct RelationName {
  std::string schema;
  std::string name;
  friend auto operator<=>(const RelationName&, const RelationName&) = default;
};

struct CatalogColumn {
  std::string name;
  std::string type;       // format_type(): "character varying(20)", "bigint", "app.mood[]"
  std::string base_type;  // what a domain is over; else equal to type
  bool not_null = false;
  bool has_default = false;  // identity and generated ones too
  bool generated = false;    // STORED
  bool identity = false;
};

enum class ConstraintKind { check, foreign_key, primary_key, unique, exclusion };
struct CatalogConstraint {
  std::string name;
  ConstraintKind kind = ConstraintKind::check;
  bool valid = true;
  std::vector<std::string> columns;
  std::string expression;   // of a CHECK, as pg_get_expr() prints it: (price > 0)
  RelationName references;  // of a foreign key
  std::vector<std::string> referenced_columns;
  bool changes_on_delete = false;  // ON DELETE writes rows: CASCADE, SET NULL, SET DEFAULT
  bool changes_on_update = false;  // the same of ON UPDATE
  std::string index;               // in the table's schema, that enforces it (for a foreign key: the referenced one's)
};

struct CatalogIndex {
  std::string name;                  // in its table's schema
  std::vector<std::string> columns;  // its key in order; "" where it is an expression
  std::vector<std::string> uses;     // columns in its expressions, predicate and INCLUDE
  bool unique = false;
  bool primary = false;
  bool valid = true;
  bool partial = false;
  bool exclusion = false;
  bool clustered = false;  // CLUSTER without USING takes this one
  bool ordered = false;    // ORDER BY its columns reads it: a btree in their own collations, all ascending
  std::int64_t bytes = 0;
};

enum class DependentKind {
  view,
  materialized_view,
  rule,
  function,  // by pg_depend (SQL-standard bodies), or by the text of its body, and then not certain
  trigger,
  policy,
  column_default,
  generated_column,
  foreign_key,  // of another table, pointing here
  sequence,     // owned by a column
  statistics,
  publication,
  partition_key,
  // These hang only on what is no relation: a function, a type, a schema, ….
  table,
  foreign_table,
  column,
  constraint,  // a CHECK of a table
  index,
  type,
  attribute,  // of a composite type
  domain_constraint,
  object,  // anything else: an operator, a cast, an event trigger, …
};
[[nodiscard]] std::string_view to_string(DependentKind kind);

// Something that hangs on a relation and is not one of its own columns, constraints or indexes; or on another object.
struct CatalogDependent {
  DependentKind kind = DependentKind::view;
  RelationName name;  // for what belongs to a table (trigger, policy, …): that table's schema
  std::string table;  // the table, or type, it belongs to, in the same schema; empty for views, functions
  std::vector<std::string> columns;  // of the relation it hangs on; empty: the whole of it, or unknown
  bool certain = true;               // false: a function's text names it, which need not mean that it uses it
  std::string inputs = {};           // of a function, an operator or a cast: "integer, text"
  std::string identity = {};         // of an `object`, with what it is: "operator public.===(text,integer)"
};

enum class RelationKind { table, partitioned_table, view, materialized_view, foreign_table, sequence };
[[nodiscard]] std::string_view to_string(RelationKind kind);

struct CatalogRelation {
  RelationName name;
  RelationKind kind = RelationKind::table;
  bool temporary = false;
  bool unlogged = false;
  bool owned = true;                   // by a role that ours is a member of
  std::int64_t rows = -1;              // the planner's estimate; -1: never analysed
  std::int64_t bytes = 0;              // heap and TOAST
  std::int64_t pages = 0;              // of the heap
  int fillfactor = 100;                // of the heap
  std::int64_t index_bytes = 0;        // all indexes
  std::vector<CatalogColumn> columns;  // in order, without dropped ones
  std::vector<CatalogConstraint> constraints;
  std::vector<CatalogIndex> indexes;
  std::vector<CatalogDependent> dependents;
  std::vector<RelationName> children;  // direct ones: partitions, or tables that inherit
  std::vector<RelationName> parents;
  std::string partition_key;                      // of a partitioned table: RANGE (created_at)
  std::string partition_bound;                    // of a partition: FOR VALUES FROM (…) TO (…), DEFAULT
  std::optional<RelationName> default_partition;  // of a partitioned table
  std::vector<RelationName> reads;                // a view's: the relations that its query names
  std::vector<std::string> column_grantees;       // roles that have table-wide rights and so ignore REVOKE on columns
  bool triggers = false;                          // has triggers of the user's
  bool row_security = false;                      // policies decide which rows are seen
  char replica_identity = 'd';                    // pg_class.relreplident: d (the primary key), n, f or i

  [[nodiscard]] const CatalogColumn* column(std::string_view wanted) const;
  [[nodiscard]] const CatalogIndex* index(std::string_view wanted) const;
  [[nodiscard]] const CatalogConstraint* constraint(std::string_view wanted) const;
};

struct CatalogFunction {
  RelationName name;
  char volatility = 'v';  // pg_proc.provolatile: i, s or v; the most volatile of its overloads
};

struct CatalogType {
  RelationName name;
  enum class Kind { enumeration, domain, composite, other } kind = Kind::other;
  std::string base = {};     // of a domain: format_type() of what it is over
  bool constrained = false;  // of a domain: NOT NULL or CHECK
  std::vector<std::string> labels = {};
  // Tables with a column of it, or made of it; not said of pg_catalog's types.
  std::vector<RelationName> used_by = {};
};

// What a plan drops and is no relation, with all that PostgreSQL would drop along: also what hangs on its dependents,
// but not what belongs to them and goes unseen (a column's indexes).
struct CatalogObject {
  std::string kind;  // "function" (procedures and aggregates too), "type" (domains too), "schema", "operator", …
  RelationName name;
  std::string inputs =
      {};  // of a function: "integer, text"; of an operator: "NONE, text"; of an operator class: "btree"
  std::vector<CatalogDependent> dependents = {};  // of a schema: what is in it, and what is outside and hangs on that
  bool cut = false;                               // there are more
};

struct CatalogSnapshot {
  int server_version = 0;                // 150004 is 15.4
  std::vector<std::string> search_path;  // schemas in which an unqualified name is looked for, in order
  std::string time_zone;                 // of the sessions that will run the statements
  std::vector<CatalogRelation> relations;
  std::vector<CatalogFunction> functions;
  std::vector<CatalogType> types;
  std::vector<CatalogObject>
      objects;  // each overload, and of an unqualified name those of each schema of the search_path

  // The first that the search_path finds, where the schema is empty. Null where the snapshot has none: it may still
  // exist unless the snapshot was asked for it.
  [[nodiscard]] const CatalogRelation* relation(const RelationName& wanted) const;
  // The table and its index.
  struct IndexPlace {
    const CatalogRelation* table = nullptr;
    const CatalogIndex* index = nullptr;
  };
  [[nodiscard]] IndexPlace index(const RelationName& wanted) const;
  [[nodiscard]] const CatalogFunction* function(const RelationName& wanted) const;
  [[nodiscard]] const CatalogType* type(const RelationName& wanted) const;
};

// What a snapshot is to hold. The reader adds what hangs together with it: descendants and ancestors, both sides of
// foreign keys, the table of an index, the views above it, the relations below a view, the tables that use a type.
struct CatalogRequest {
  bool everything = false;  // every relation but PostgreSQL's own, ours and other sessions' temporary ones
  std::vector<RelationName> relations = {};  // tables, views, indexes and sequences; what does not exist is left out
  std::vector<RelationName> functions = {};
  std::vector<RelationName> types = {};
  struct Object {
    std::string kind;  // as CatalogObject has it
    RelationName name;
    friend auto operator<=>(const Object&, const Object&) = default;
  };
  std::vector<Object> objects = {};  // to be dropped
  bool all_functions = false;        // every one but PostgreSQL's own
};

}  // namespace diastole::core
