// Rules on ALTER COLUMN … TYPE.
#include <fmt/format.h>

#include <algorithm>

#include "column_def.hpp"
#include "contains.hpp"
#include "definition_text.hpp"
#include "diastole/sql/analysis.hpp"
#include "lint.hpp"
#include "lint_dependents.hpp"
#include "safe_form.hpp"
#include "text.hpp"
#include "type_change.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

class TypeRules {
 public:
  TypeRules(const Lint& lint, const std::string& table, std::string_view column, TypeOf of)
      : lint_(lint),
        reporter_(lint.reporter),
        known_(lint.known()),
        table_(table),
        name_(column),
        of_(of),
        idle_(lint.idle(table)),
        type_(lint.body().text("objtype") == "OBJECT_TYPE") {}

  void check(Node definition) {
    const bool not_null = of_.not_null;
    const TypeChange change = type_change(known_, table_, name_, definition);
    const Blanks texts = blanks();
    const bool builds = change.builds_index && !definition["collClause"];  // see change_collation
    const bool quick = idle_ || (change.rewrites == Answer::no && !builds);
    const bool free = change.widens && change.rewrites == Answer::no && quick;
    if (not_null && !idle_) {
      if (core::Finding* found = reporter_.report(kTypeWithNotNull, texts))
        found->safe_form = free ? type_then_not_null(definition) : new_column_form(definition, true);
    }
    if (free && definition["collClause"]) change_collation(definition);
    if (free && change.scans == Answer::yes && !change.check.empty() && !idle_) type_under_check(definition, change);
    if (free) return;
    const auto in_contract = quick                              ? kPasses
                             : change.rewrites == Answer::maybe ? std::optional(kWarning)
                                                                : std::optional(kError);
    const auto in_expand = known_to_old_code() ? std::optional(kError) : in_contract;
    const bool long_lock = !quick && !type_;
    core::Finding* found = reporter_.report(
        kChangingColumnType, texts, in_expand, in_contract,
        {.itself = long_lock, .old_code = !long_lock || (known_to_old_code() && reporter_.phase() != kContract)});
    if (found == nullptr) return;
    if (change.from.empty())
      found->sharper_with = fmt::format("the type that {}.{} has now", table_, quote_identifier(name_));
    found->safe_form = new_column_form(definition, not_null);
    if (type_) found->safe_form = attribute_form(lint_, name_, change.to);
  }

 private:
  [[nodiscard]] Blanks blanks() const {
    return {.table = table_, .column = quote_identifier(name_), .statement = reporter_.shown(lint_.text())};
  }
  [[nodiscard]] bool known_to_old_code() const { return of_.old; }

  // Which collation it has now is not known.
  void change_collation(Node definition) {
    Blanks texts = blanks();
    texts.name = dotted_name(definition["collClause"]["collname"]);
    const core::CatalogRelation* present = known_.table(table_);
    const bool indexed = present == nullptr || std::ranges::any_of(present->indexes, [&](const auto& index) {
                           return contains(index.columns, name_) || contains(index.uses, name_);
                         });
    const auto in_contract = idle_ || !indexed ? kPasses : std::optional(kWarning);
    core::Finding* found = reporter_.report(kChangingCollation, texts,
                                            known_to_old_code() ? std::optional(kError) : in_contract, in_contract);
    if (found != nullptr) found->safe_form = new_column_form(definition, false);
  }

  // As it is written, with COLLATE.
  [[nodiscard]] std::string new_type(Node definition) const {
    std::string type = column_text(lint_.statement.parsed, definition).type;
    type.resize(find_keyword(type, "USING"));
    return std::string(trim(type));
  }

  [[nodiscard]] SafeSteps type_then_not_null(Node definition) const {
    StepWriter steps(known_, table_);
    steps.sql(
        fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE {}", table_, quote_identifier(name_), new_type(definition)));
    steps.set_not_null(name_);
    return steps.take();
  }

  [[nodiscard]] SafeSteps new_column_form(Node definition, bool not_null) const {
    constexpr std::string_view kNew = "<new column>";
    const std::string type = new_type(definition);
    const std::string column = quote_identifier(name_);
    std::string value = using_text(lint_.statement.parsed, definition);
    if (value.empty()) value = fmt::format("{}::{}", column, type_name(definition["typeName"]));
    StepWriter steps(known_, table_);
    steps.in_phase(kExpand);
    steps.sql(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table_, kNew, type));
    // Two columns of two collations are compared by one that is named.
    const Node collation = definition["collClause"]["collname"];
    const std::string old_value = collation ? fmt::format("({}) COLLATE {}", value, dotted_name(collation)) : value;
    steps.backfill(kNew, value, fmt::format("{} IS DISTINCT FROM ({})", kNew, old_value),
                   "once every instance writes both");
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogColumn* old = present == nullptr ? nullptr : present->column(name_);
    steps.in_phase(kContract);
    if (not_null || (old != nullptr && old->not_null)) steps.set_not_null(kNew);
    steps.append(drop_column_form(lint_, table_, name_));
    return steps.take();
  }

  // All at once, so that the constraint is never away for others.
  void type_under_check(Node definition, const TypeChange& change) {
    Blanks texts = blanks();
    texts.object = quote_identifier(change.check);
    core::Finding* found = reporter_.report(kTypeUnderCheck, texts);
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogConstraint* check = present == nullptr ? nullptr : present->constraint(change.check);
    if (found == nullptr || check == nullptr) return;
    StepWriter steps(known_, table_);
    steps.in_phase(kContract);
    steps.check(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}, ALTER COLUMN {} TYPE {},", table_, texts.object,
                            quote_identifier(name_), new_type(definition)),
                change.check, fmt::format("CHECK ({})", check->expression));
    found->safe_form = steps.take();
  }

  const Lint& lint_;
  Reporter& reporter_;
  const Known& known_;
  const std::string& table_;
  std::string_view name_;
  TypeOf of_;
  bool idle_;
  bool type_;  // a composite type, not a table
};

}  // namespace

void lint_column_type(const Lint& lint, const std::string& table, std::string_view column, Node definition, TypeOf of) {
  TypeRules(lint, table, column, of).check(definition);
}

// ALTER TABLE does not change those.
std::vector<core::SafeStep> attribute_form(const Lint& lint, std::string_view attribute, std::string_view fresh) {
  const std::string type = relation_name(lint.body()["relation"]);
  StepWriter steps(lint.known(), type);
  steps.in_phase(kExpand);
  if (!fresh.empty()) steps.sql(fmt::format("ALTER TYPE {} ADD ATTRIBUTE <new attribute> {}", type, fresh));
  steps.in_phase(kContract);
  steps.sql(fmt::format("ALTER TYPE {} DROP ATTRIBUTE {}", type, quote_identifier(attribute)));
  return steps.take();
}

}  // namespace diastole::sql
