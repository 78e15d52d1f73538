// What a backfill's expressions name, against the columns that its table will have by then.
#include <fmt/format.h>

#include <algorithm>

#include "diastole/base/json_pointer.hpp"
#include "lint.hpp"
#include "scope.hpp"

namespace diastole::sql {
namespace {

class BackfillNames {
 public:
  BackfillNames(const core::Backfill& backfill, const core::CatalogRelation& table, const Known& known)
      : backfill_(backfill), table_(table), known_(known) {}

  std::vector<core::Finding> check(const std::string& path) {
    for (const auto& [column, expression] : backfill_.set) {
      path_ = fmt::format("{}/set/{}", path, pointer_token(column));
      if (!has_column(table_, column)) report(quote_identifier(column), {.line = 0, .column = 0});
      check_expression(expression);
    }
    path_ = path + "/where";
    if (!backfill_.where.empty()) check_expression(backfill_.where);
    return std::move(findings_);
  }

 private:
  static constexpr std::string_view kPrefix = "SELECT ";

  // What the plan adds to a parent, its partitions and heirs have too.
  [[nodiscard]] bool has_column(const core::CatalogRelation& table, std::string_view column) const {
    if (table.column(column) != nullptr || !known_.column_type(known_.written(table.name), column).empty()) return true;
    return std::ranges::any_of(table.parents, [&](const core::RelationName& name) {
      const core::CatalogRelation* parent = known_.relation(name);
      return parent == nullptr || has_column(*parent, column);
    });
  }

  // A subquery has names of its own.
  void check_expression(std::string_view expression) {
    const auto tree = parse(expression, kPrefix);
    if (!tree || tree->statements.size() != 1) return;
    std::vector<Node> open{tree->statements.front().body["targetList"]};
    while (!open.empty()) {
      const Node node = open.back();
      open.pop_back();
      if (node.tag() == "ColumnRef") {
        check_reference(expression, node.body());
      } else if (node.tag() == "SubLink") {
        open.push_back(node.body()["testexpr"]);
      } else if (node.is_object()) {
        for (const auto field : node.fields()) open.emplace_back(field.value);
      } else {
        for (const Node child : node) open.push_back(child);
      }
    }
  }

  // column, table.column and schema.table.column; `table` alone, or with a *, is the row.
  void check_reference(std::string_view expression, Node reference) {
    std::vector<std::string_view> names;
    std::string written;
    for (const Node field : reference["fields"]) {
      names.push_back(field.body().text("sval"));  // empty for *
      written += fmt::format("{}{}", written.empty() ? "" : ".", quote_identifier(names.back()));
    }
    if (names.empty() || names.size() > 3) return;
    const std::string_view column = names.back();
    const bool here = names.size() == 1 || names[names.size() - 2] == table_.name.name;
    const bool in_schema = names.size() < 3 || names.front() == table_.name.schema;
    const bool row = column.empty() || (names.size() == 1 && column == table_.name.name);
    if (here && in_schema && (row || is_system_column(column) || has_column(table_, column))) return;
    const auto offset = static_cast<std::size_t>(reference.number("location")) - kPrefix.size();
    report(std::move(written), place_at(expression, offset));
  }

  void report(std::string column, Place place) {
    core::Finding finding =
        make_finding(kUnknownColumn, kError, {.table = backfill_.table, .column = std::move(column)});
    finding.path = path_;
    finding.line = place.line;
    finding.column = place.column;
    findings_.push_back(std::move(finding));
  }

  const core::Backfill& backfill_;
  const core::CatalogRelation& table_;
  const Known& known_;
  std::string path_;
  std::vector<core::Finding> findings_;
};

}  // namespace

std::vector<core::Finding> lint_backfill(const core::Backfill& backfill, const std::string& path, const Known& known) {
  const core::CatalogRelation* table = known.table(backfill.table);
  if (table == nullptr || table->columns.empty()) return {};
  return BackfillNames(backfill, *table, known).check(path);
}

std::vector<core::Finding> choose_way(core::Backfill& backfill, const std::string& path, const Known& known) {
  const core::CatalogRelation* table = known.table(backfill.table);
  if (table == nullptr) return {};
  core::CatalogRelation now = *table;
  const auto made = known.indexes_made(backfill.table);
  now.indexes.insert(now.indexes.end(), made.begin(), made.end());
  auto walk = core::choose_walk(*known.catalog(), now, backfill);
  if (walk) {
    backfill.walk = *std::move(walk);
    return {};
  }
  // The plan may be making a way (a primary key USING INDEX); preflight looks again before the backfill begins.
  if (!made.empty()) return {};
  core::Finding finding =
      make_finding(kBackfillWithoutWay, kError, {.table = backfill.table, .name = walk.error().message});
  finding.path = path + "/table";
  return std::vector{std::move(finding)};
}

}  // namespace diastole::sql
