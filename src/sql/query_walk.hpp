// Walks over statements as PostgreSQL's parse analysis does, and records what they use.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parse.hpp"
#include "scope.hpp"
#include "use_record.hpp"

namespace diastole::sql {

// For one text. The tree of its statements must outlive it. Chains (a AND b AND …, 1 + 1 + …, UNION, JOIN) may be of
// any length; queries within queries deeper than kMaxQueryDepth end in any_column.
class QueryWalk {
 public:
  static constexpr int kMaxQueryDepth = 250;
  static constexpr std::size_t kMaxRanges = 500;  // in one FROM

  explicit QueryWalk(UseRecord& record) : record_(record) {}
  void statement(std::string_view tag, Node body);

 private:
  struct Cte {
    std::string_view name;
    Node body;
    Output output;
  };
  using CteId = std::size_t;  // in ctes_

  // query_walk.cpp: statements, and queries of every kind. What they return is their rows' columns.
  void utility(std::string_view tag, Node body);
  void maintenance(std::string_view tag, Node body);
  void copy(Node body);
  void inner(Node node);  // {"SelectStmt": …}, as a whole statement
  Output query(std::string_view tag, Node body, const Level* outer, std::optional<CteId> self = std::nullopt);
  void with(Node clause, const Level* outer);
  void name_columns(Cte& cte);
  Output select(Node body, const Level* outer);
  Output set_operation(Node body, const Level* outer, std::optional<CteId> self);
  Output values(Node lists, const Level& level);
  Output targets(Node list, const Level& level);
  void order_by(Node items, const Level& level, const Output& output);
  void group_by(Node items, const Level& level, const Output& output);

  // query_walk_change.cpp: statements that write.
  Output insert(Node body, const Level* outer);
  Output update(Node body, const Level* outer);
  Output remove(Node body, const Level* outer);
  Output merge(Node body, const Level* outer);
  void on_conflict(Node clause, Level& level);
  void infer(Node clause, const Level& level);
  void arbiter(const Range& target, const core::CatalogIndex& index);
  void merge_when(Node clause, Level& level);
  void insert_columns(const Range& target, Node columns, const Level& level);
  void first_columns(const Range& target, std::size_t count);  // written by position
  void assign(const Range& target, Node targets, const Level& level);
  void write_column(const Range& target, Node target_node, const Level& level);
  Range target_range(Node range_var, bool reads);

  // query_walk_from.cpp
  void from(Node items, Level& level);
  void from_item(Node item, Level& level);
  void from_leaf(Node item, Level& level);
  void join(Node body, Level& level, std::size_t start, std::size_t middle);
  std::vector<std::string_view> join_names(Node body, const Level& level, std::size_t start, std::size_t middle);
  Range merged(const std::vector<std::string_view>& names, Level& level, std::size_t start, std::size_t middle);
  void merge_side(Range::Column& column, Level& level, std::size_t begin, std::size_t end);
  void alias_join(Node alias, Level& level, std::size_t start);
  Range table_range(Node range_var);
  Range base_range(Node range_var);
  Range derived(const Output& output, std::string_view name);
  void function_range(Node body, Level& level);
  void one_function(Node call, Range& range, const Level& level);
  void unnest_columns(Node arguments, Range& range, const Level& level);
  void xml_range(Node body, Level& level);
  void rename(Range& range, Node alias);

  // query_walk_expression.cpp
  void expression(Node root, const Level& level);
  void finish(std::size_t mark, const Level& level);  // what is pending beyond the mark
  void expression_node(Node node, const Level& level);
  void push_children(Node body);
  void column_ref(Node fields, const Level& level);
  void plain_name(std::string_view name, const Level& level);
  void qualified_name(const Range* range, std::string_view name);
  void star(const Level& level);
  void sub_link(Node body, const Level& level);
  void indirection(Node body, const Level& level);
  void func_call(Node body, const Level& level);
  bool as_column(std::string_view function, Node argument, const Level& level);
  void called(Node name, Node arguments);
  void called_by_text(Node arguments, std::string_view function);
  void sequence_by_text(Node arguments, bool owned);
  void table_by_text(Node argument);
  void type_cast(Node body);
  void type_name(Node type);
  // Where a column reference is nothing but a row: its range.
  static const Range* whole_row(Node column_ref, const Level& level);
  // Where it can be one column only: that.
  static std::optional<Candidates::One> one_column(Node column_ref, const Level& level);
  // Where its values are rows of a table: that.
  const core::CatalogRelation* column_row_type(Node column_ref, const Level& level) const;
  void fields_of(Node argument, Node parts, const Level& level);
  void field(const core::CatalogRelation& row, std::string_view name);
  void unresolved(std::string_view name);

  UseRecord& record_;
  std::vector<Cte> ctes_;         // those in sight, inner ones last
  std::vector<Node> pending_;     // of expressions being walked
  std::deque<std::string> made_;  // names that the text does not hold
  int depth_ = 0;
  bool path_set_ = false;  // what follows in the text is looked up elsewhere
};

// The name PostgreSQL gives a result column (FigureColname); empty for ?column?.
[[nodiscard]] std::string_view result_name(Node target);
// "a" of the column reference a; empty for anything else.
[[nodiscard]] std::string_view bare_name(Node node);

}  // namespace diastole::sql
