// Reads a core::CatalogSnapshot from a target's system catalogs in a few set-based queries. By subject:
// catalog_reader.cpp (what is concerned; functions, types), catalog_relations.cpp, catalog_dependents.cpp,
// catalog_objects.cpp (what a plan drops and is no relation).
//
// Nothing here locks a table, but for a moment of ACCESS SHARE where PostgreSQL has to print an expression over a
// table's columns, or to look at a file's size: the transaction needs a lock_timeout.
#pragma once

#include <cstdint>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"

namespace diastole::postgres {

class CatalogReader {
 public:
  // `work` is at REPEATABLE READ, so that all queries see one moment. Throws what pqxx throws.
  CatalogReader(pqxx::transaction_base& work, int server_version) : work_(work), version_(server_version) {}

  [[nodiscard]] core::CatalogSnapshot read(const core::CatalogRequest& request);

 private:
  using Oid = std::uint32_t;
  using Oids = std::vector<Oid>;

  void session();
  [[nodiscard]] Oids named(const std::vector<core::RelationName>& names, std::string_view what) const;
  void concern(const core::CatalogRequest& request, const Oids& types, const Oids& hanging);
  [[nodiscard]] Oids tables_using(const Oids& types) const;
  void functions(const core::CatalogRequest& request);
  void types(const Oids& requested);
  void used_types(const Oids& all, std::map<Oid, core::CatalogType*>& by_oid) const;

  [[nodiscard]] Oids objects(const std::vector<core::CatalogRequest::Object>& wanted);
  [[nodiscard]] std::string find_objects(const std::vector<core::CatalogRequest::Object>& wanted);

  void relations();
  void columns();
  void constraints();
  void indexes();
  void inheritance();
  void reads();
  void grantees();

  void dependents();
  void publications();
  class Body;
  void functions_by_text();
  void objects_in(const Body& body, const core::CatalogDependent& function, Oid oid);
  void add_dependents(const std::string& sql);
  void add_dependent(Oid relation, core::CatalogDependent dependent);

  [[nodiscard]] core::CatalogRelation* relation(Oid oid);
  [[nodiscard]] std::string column_name(Oid relation, int number) const;  // empty for an expression (0)
  // Of attribute numbers, "1 0 3", as the catalogs have them.
  [[nodiscard]] std::vector<std::string> column_names(Oid relation, std::string_view numbers) const;

  pqxx::transaction_base& work_;
  const int version_;
  core::CatalogSnapshot snapshot_;
  std::string concerned_;  // "unnest(…) AS w(oid)": the relations, for a JOIN
  std::map<Oid, std::size_t> places_;
  Oids object_oids_;                                   // of snapshot_.objects
  std::map<Oid, std::map<int, std::string>> columns_;  // of the relations, and of those that they reference
};

// `object` for what is none of the others.
[[nodiscard]] core::DependentKind dependent_kind(std::string_view text);
// "unnest(…) WITH ORDINALITY AS q(schema, name, place)".
[[nodiscard]] std::string name_rows(const pqxx::transaction_base& work, const std::vector<core::RelationName>& names);
// SQL for the types that pg_proc row `p` takes: "integer, text".
[[nodiscard]] std::string inputs_of(std::string_view p);
// "unnest('{1,2}'::oid[])".
[[nodiscard]] std::string oid_rows(const std::vector<std::uint32_t>& oids);
// SQL for the numbers of the columns that a stored expression (a pg_node_tree, or several concatenated as text) uses:
// "1 3". Only for expressions over one relation and without subqueries.
[[nodiscard]] std::string columns_in(std::string_view expression);

}  // namespace diastole::postgres
