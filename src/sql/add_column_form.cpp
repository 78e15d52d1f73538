// ADD COLUMN taken apart: the bare column first, then its default, the rows, NOT NULL, and its constraints.
#include <fmt/format.h>

#include <algorithm>

#include "definition_text.hpp"
#include "diastole/sql/analysis.hpp"
#include "safe_form.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

std::string integer_of(std::string_view serial) {
  if (serial == "smallserial" || serial == "serial2") return "smallint";
  return serial == "bigserial" || serial == "serial8" ? "bigint" : "integer";
}

class ColumnForm {
 public:
  ColumnForm(const ParsedStatement& statement, const Known& known, Node command, const ColumnTraits& traits,
             const NewColumns& columns)
      : relation_(statement.body["relation"]),
        command_(command),
        traits_(traits),
        known_(known),
        columns_(columns),
        text_(column_text(statement, command["def"].body())),
        table_(relation_name(relation_)),
        column_(quote_identifier(traits.name)),
        alter_(alter_text(statement, relation_)),
        steps_(known, table_) {
    counted_ = traits.serial || traits.identity;
    filled_later_ = counted_ || traits.generated || traits.per_row != Answer::no;
    wants_rows_ = filled_later_ || (traits.not_null && !traits.has_default);
  }

  SafeSteps take() {
    if (wants_rows_) steps_.in_phase(core::Phase::expand);
    if (counted_) create_sequence();
    add();
    if (wants_rows_) {
      fill();
      steps_.in_phase(core::Phase::contract);
    }
    if (traits_.identity) become_identity();
    for (const ColumnText::Clause& clause : text_.clauses) add_constraint(clause);
    return steps_.take();
  }

 private:
  [[nodiscard]] bool keeps(std::string_view kind) const {
    if (kind == "CONSTR_NULL") return true;
    if (kind == "CONSTR_DEFAULT") return traits_.per_row == Answer::no;
    if (kind == "CONSTR_NOTNULL") return !wants_rows_;
    return kind == "CONSTR_FOREIGN" && !traits_.filled;  // there is nothing to look for
  }

  [[nodiscard]] const ColumnText::Clause* clause(std::string_view kind) const {
    const auto found = std::ranges::find_if(
        text_.clauses, [&](const ColumnText::Clause& one) { return one.constraint.text("contype") == kind; });
    return found == text_.clauses.end() ? nullptr : &*found;
  }

  // In place of a domain that each row must be checked against: what it is over.
  [[nodiscard]] std::string type() const {
    if (traits_.serial) return integer_of(traits_.type);
    if (traits_.constrained != Answer::yes) return text_.type;
    const std::string base = known_.base_type(name_of_identifier(traits_.type));
    return base.empty() ? text_.type : base;
  }

  void create_sequence() {
    // An identity column makes a sequence of the usual name itself.
    sequence_ = beside(table_, made_name(name_of_identifier(table_).name, {traits_.name},
                                         traits_.identity ? std::string_view("fill") : std::string_view("seq")));
    std::string text = fmt::format("CREATE SEQUENCE {} AS {}", sequence_, type());
    if (const ColumnText::Clause* identity = clause("CONSTR_IDENTITY")) {
      const std::string options = text_in_parentheses(identity->text, "IDENTITY");
      if (const std::size_t open = options.find('('); open != std::string::npos)
        text += " " + options.substr(open + 1, options.size() - open - 2);
    }
    steps_.sql(std::move(text));
  }

  void add() {
    std::string text = fmt::format("{} ADD COLUMN {}{} {}", alter_, command_.flag("missing_ok") ? "IF NOT EXISTS " : "",
                                   column_, type());
    for (const ColumnText::Clause& one : text_.clauses) {
      if (!keeps(one.constraint.text("contype"))) continue;
      text += " " + one.text;
      if (one.deferred || one.deferrable) text += one.deferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
    }
    std::string_view note;
    if (traits_.generated) note = "kept by a trigger";
    if (traits_.constrained == Answer::yes) note = "the domain's own type, and its CHECK as NOT VALID on the table";
    steps_.sql(std::move(text), note);
    if (filled_later_ && !traits_.generated)
      steps_.sql(fmt::format("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table_, column_, value()));
    if (traits_.serial) steps_.sql(fmt::format("ALTER SEQUENCE {} OWNED BY {}.{}", sequence_, table_, column_));
  }

  [[nodiscard]] std::string value() const {
    if (counted_) return fmt::format("nextval({})", sql_literal(sequence_));
    if (const ColumnText::Clause* generated = clause("CONSTR_GENERATED")) {
      const std::string expression = text_in_parentheses(generated->text, "AS");
      return expression.substr(std::min(expression.find('('), expression.size()));
    }
    const ColumnText::Clause* given = clause("CONSTR_DEFAULT");
    return filled_later_ && given != nullptr ? text_behind(given->text, "DEFAULT") : "<expression>";
  }

  void fill() {
    const std::string expression = value();
    steps_.backfill(traits_.name, expression,
                    traits_.generated ? fmt::format("{} IS DISTINCT FROM {}", column_, expression)
                                      : fmt::format("{} IS NULL", column_));
    if (traits_.not_null || counted_) steps_.set_not_null(traits_.name);
  }

  // In one transaction, so that no number is given twice.
  void become_identity() {
    steps_.sql(
        fmt::format("ALTER TABLE {0} ALTER COLUMN {1} DROP DEFAULT, ALTER COLUMN {1} ADD {2}; "
                    "SELECT setval(pg_get_serial_sequence({3}, {4}), nextval({5})); DROP SEQUENCE {6}",
                    table_, column_, clause("CONSTR_IDENTITY")->text, sql_literal(table_), sql_literal(traits_.name),
                    sql_literal(sequence_), sequence_));
  }

  void add_constraint(const ColumnText::Clause& one) {
    const std::string_view kind = one.constraint.text("contype");
    if (keeps(kind)) return;
    const std::string table = name_of_identifier(table_).name;
    const auto name = [&](std::string_view label, bool with_column) {
      const std::string_view given = one.constraint.text("conname");
      if (!given.empty()) return std::string(given);
      return made_name(table, with_column ? std::vector{traits_.name} : std::vector<std::string>{}, label);
    };
    if (kind == "CONSTR_CHECK") {
      if (!check_holds(one.constraint["raw_expr"], columns_)) steps_.in_phase(core::Phase::contract);
      steps_.check(alter_, name("check", true), one.text);
    }
    if (kind == "CONSTR_FOREIGN") {
      std::string text = fmt::format("FOREIGN KEY ({}) {}", column_, one.text);
      if (one.deferred || one.deferrable) text += one.deferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
      steps_.foreign_key(alter_, name("fkey", true), text);
    }
    if (kind != "CONSTR_UNIQUE" && kind != "CONSTR_PRIMARY") return;
    const bool primary = kind == "CONSTR_PRIMARY";
    steps_.key({.name = name(primary ? "pkey" : "key", !primary),
                .columns = {traits_.name},
                .text = one.text,
                .primary = primary,
                .not_null = wants_rows_,
                .deferrable = one.deferrable,
                .deferred = one.deferred});
  }

  Node relation_;
  Node command_;
  const ColumnTraits& traits_;
  const Known& known_;
  const NewColumns& columns_;
  ColumnText text_;
  std::string table_;
  std::string column_;  // as SQL
  std::string alter_;
  std::string sequence_;
  StepWriter steps_;
  bool counted_ = false;       // serial or identity
  bool filled_later_ = false;  // what the rows get is not the same for all of them
  bool wants_rows_ = false;    // a backfill, before anything may ask about them
};

}  // namespace

SafeSteps add_column_form(const ParsedStatement& statement, const Known& known, Node command,
                          const ColumnTraits& traits, const NewColumns& columns) {
  return ColumnForm(statement, known, command, traits, columns).take();
}

}  // namespace diastole::sql
