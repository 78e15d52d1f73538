// Rules on ALTER TABLE's subcommands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "around.hpp"
#include "column_def.hpp"
#include "contains.hpp"
#include "lint.hpp"
#include "type_change.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

constexpr auto kRewriting =
    std::to_array<std::string_view>({"AT_SetTableSpace", "AT_SetAccessMethod", "AT_SetLogged", "AT_SetUnLogged"});

class TableRules {
 public:
  explicit TableRules(const Lint& lint)
      : lint_(lint),
        reporter_(lint.reporter),
        known_(lint.known()),
        table_(relation_name(lint.body()["relation"])),
        idle_(lint.idle(table_)),
        columns_([this](std::string_view name) { return new_column(name); }) {
    const core::CatalogRelation* present = known_.table(table_);
    for (const Node node : lint.body()["cmds"]) {
      const Node column = node.body()["def"].body();
      if (node.body().text("subtype") == "AT_SetNotNull") set_not_null_.insert(node.body().text("name"));
      if (node.body().text("subtype") != "AT_AddColumn") continue;
      ColumnTraits traits = column_traits(column, known_);
      fills_ |= traits.filled;
      const bool there = present != nullptr && present->column(traits.name) != nullptr;
      if (there || (node.body().flag("missing_ok") && present == nullptr)) continue;
      added_.emplace(traits.name, Added{.column = sql::new_column(column, traits.type), .not_null = traits.not_null});
    }
  }

  void check(Node command) {
    const std::string_view subtype = command.text("subtype");
    const Node definition = command["def"].body();
    name_ = command.text("name");
    if (subtype == "AT_DropColumn") drop_column(command);
    if (subtype == "AT_SetNotNull") set_not_null();
    if (subtype == "AT_DropNotNull") drop_not_null();
    if (subtype == "AT_AlterColumnType") change_type(definition);
    if (subtype == "AT_ColumnDefault" || subtype == "AT_DropIdentity") change_default(command);
    if (subtype == "AT_AddColumn") add_column(command, definition);
    if (subtype == "AT_AddConstraint") add_constraint(definition);
    if (subtype == "AT_DropConstraint") drop_constraint(command);
    if (subtype == "AT_DetachPartition") detach(definition);
    if (subtype == "AT_AttachPartition") attach(definition["name"]);
    if (subtype.starts_with("AT_DisableTrig") || subtype == "AT_DisableRule")
      reporter_.report(kDisablingTrigger, blanks());
    if (subtype == "AT_EnableRowSecurity" || subtype == "AT_ForceRowSecurity") reporter_.report(kRowSecurity, blanks());
    if (subtype == "AT_ChangeOwner") lint_new_owner(lint_);
    if (subtype == "AT_ReplicaIdentity") lint_replica_identity(lint_, definition);
    if (subtype == "AT_AddIdentity" || subtype == "AT_SetIdentity") change_identity(definition);
    if (contains(kRewriting, subtype) && !idle_ && lint_.body().text("objtype") != "OBJECT_INDEX")
      reporter_.report(kTableRewrite, blanks());
  }

 private:
  [[nodiscard]] Blanks blanks() const {
    return {.table = table_, .column = name_or(name_, ""), .statement = reporter_.shown(lint_.text())};
  }
  // By a statement before, or by this one; null where old code knows it.
  [[nodiscard]] const NewColumn* new_column(std::string_view name) const {
    const auto found = added_.find(name);
    return found == added_.end() ? known_.new_column(table_, name) : &found->second.column;
  }
  [[nodiscard]] bool known_to_old_code() const { return new_column(name_) == nullptr; }
  [[nodiscard]] Answer not_null(std::string_view column) const {
    const auto found = added_.find(column);
    return found != added_.end() && found->second.not_null ? Answer::yes : known_.proven_not_null(table_, column);
  }

  void drop_column(Node command) {
    const core::CatalogRelation* present = known_.table(table_);
    if (command.flag("missing_ok") && present != nullptr && present->column(name_) == nullptr && known_to_old_code())
      return;
    if (known_to_old_code() || reporter_.phase() == kContract) {
      if (core::Finding* found = reporter_.report(kBanDropColumn, blanks()); found != nullptr && present != nullptr) {
        const Dependents others = dependents_of(*present, name_, known_);
        found->concerned = others.blocking;
        found->concerned.insert(found->concerned.end(), others.along.begin(), others.along.end());
      }
    }
    const bool cascade = command.text("behavior") == "DROP_CASCADE";
    if (present != nullptr) return lint_dependents(lint_, *present, name_, cascade);
    if (cascade) reporter_.report(kDropCascade, drop_blanks());
  }

  [[nodiscard]] Blanks drop_blanks() const {
    Blanks texts = blanks();
    texts.statement = without_cascade(texts.statement);
    return texts;
  }

  void set_not_null() {
    const Answer proven = not_null(name_);
    if (proven == Answer::yes) return;
    const auto in_contract = idle_                     ? kPasses
                             : proven == Answer::maybe ? std::optional(kWarning)
                                                       : std::optional(kError);
    const auto in_expand = may_be_null(name_, columns_) ? std::optional(kError) : in_contract;
    core::Finding* found = reporter_.report(kAddingNotNullable, blanks(), in_expand, in_contract);
    if (found != nullptr && proven == Answer::maybe)
      found->sharper_with = fmt::format("the valid CHECK constraints of {}, and its size", table_);
  }

  void drop_not_null() {
    if (!known_to_old_code()) return;
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogColumn* column = present == nullptr ? nullptr : present->column(name_);
    if (column == nullptr || column->not_null) reporter_.report(kDropNotNull, blanks());
  }

  void change_type(Node definition) {
    const TypeChange change = type_change(known_, table_, name_, definition);
    Blanks texts = blanks();
    texts.type = change.to;
    texts.name = "<new column>";
    texts.object =
        definition["raw_default"] ? "<the USING expression>" : fmt::format("{}::{}", texts.column, change.to);
    if (set_not_null_.contains(name_) && !idle_) reporter_.report(kTypeWithNotNull, texts);
    const bool free = change.widens && change.rewrites == Answer::no;
    if (free && definition["collClause"]) change_collation(definition, texts);
    if (free && change.scans == Answer::yes && !change.check.empty() && !idle_) {
      texts.object = quote_identifier(change.check);
      texts.name = "CONSTRAINT " + texts.object + " CHECK (…)";
      reporter_.report(kTypeUnderCheck, texts);
    }
    if (free) return;
    const auto in_contract = idle_ || change.rewrites == Answer::no ? kPasses
                             : change.rewrites == Answer::yes       ? std::optional(kError)
                                                                    : std::optional(kWarning);
    const auto in_expand = known_to_old_code() ? std::optional(kError) : in_contract;
    core::Finding* found = reporter_.report(kChangingColumnType, texts, in_expand, in_contract);
    if (found != nullptr) found->subject.object.clear();
    if (found != nullptr && change.from.empty())
      found->sharper_with = fmt::format("the type that {}.{} has now", table_, quote_identifier(name_));
  }

  // Which collation it has now is not known.
  void change_collation(Node definition, Blanks texts) {
    texts.name = dotted_name(definition["collClause"]["collname"]);
    const core::CatalogRelation* present = known_.table(table_);
    const bool indexed = present == nullptr || std::ranges::any_of(present->indexes, [&](const auto& index) {
                           return contains(index.columns, name_) || contains(index.uses, name_);
                         });
    const auto in_contract = idle_ || !indexed ? kPasses : std::optional(kWarning);
    reporter_.report(kChangingCollation, texts, known_to_old_code() ? std::optional(kError) : in_contract, in_contract);
  }

  void change_default(Node command) {
    if (!known_to_old_code()) return change_new_default(command);
    const bool drops = !command["def"];
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogColumn* column = present == nullptr ? nullptr : present->column(name_);
    if (drops && column != nullptr && !column->has_default) return;
    const bool fails = drops && column != nullptr && column->not_null;
    core::Finding* found = reporter_.report(kColumnDefault, blanks(), fails ? kError : kWarning, kPasses);
    if (found != nullptr && drops && column == nullptr)
      found->sharper_with = fmt::format("whether {}.{} is NOT NULL", table_, quote_identifier(name_));
  }

  // ADD has a constraint with the kind and the sequence's options, SET a list of options, of which the kind is one.
  void change_identity(Node definition) {
    if (!known_to_old_code()) return;
    const Node items = definition["items"];
    const bool always =
        definition.text("generated_when") == "a" || std::ranges::any_of(items, [](Node option) {
          return option.body().text("defname") == "generated" && option.body()["arg"].body().number("ival") == 'a';
        });
    if (always) reporter_.report(kGeneratedAlways, blanks());
    lint_sequence_options(lint_, fmt::format("of {}.{}", table_, quote_identifier(name_)), items);
  }

  // Old code leaves it to the default, which must go on meeting what else is asked of the column.
  void change_new_default(Node command) {
    const Value now = default_value(command["def"]);
    if (now.is_null() && not_null(name_) == Answer::yes) reporter_.report(kColumnDefault, blanks(), kError, kPasses);
    if (!now.is_null() && known_.is_constrained(table_, name_)) reporter_.report(kColumnDefault, blanks());
  }

  void add_column(Node command, Node column) {
    if (lint_.body().text("objtype") == "OBJECT_TYPE") return;
    const ColumnTraits traits = column_traits(column, known_);
    const core::CatalogRelation* present = known_.table(table_);
    if (command.flag("missing_ok") && present != nullptr && present->column(traits.name) != nullptr) return;
    name_ = traits.name;
    if (!idle_) added_rows(traits);
    const bool filled = traits.has_default || traits.serial || traits.identity || traits.generated;
    if (traits.not_null && !filled) {
      Blanks texts = blanks();
      texts.type = traits.type;
      reporter_.report(kRequiredField, texts);
    }
    lint_column(lint_, table_, traits, false);
    for (const Node node : column["constraints"]) column_constraint(node.body());
  }

  void added_rows(const ColumnTraits& traits) {
    Blanks texts = blanks();
    texts.type = traits.type;
    if (traits.serial || traits.identity) {
      texts.name = name_or(fmt::format("{}_{}_seq", name_of_identifier(table_).name, traits.name), "");
      reporter_.report(kSerialField, texts);
    } else if (traits.generated) {
      texts.name = expression_text(lint_, traits.generated_expression);
      reporter_.report(kGeneratedField, texts);
    } else if (traits.per_row != Answer::no) {
      texts.name = expression_text(lint_, traits.default_expression);
      core::Finding* found = reporter_.report(kVolatileDefault, texts);
      if (found != nullptr && traits.per_row == Answer::maybe)
        found->sharper_with = "the volatility of the functions in the default";
    } else if (traits.constrained != Answer::no) {
      const core::CatalogType* domain =
          known_.catalog() == nullptr ? nullptr : known_.catalog()->type(name_of_identifier(traits.type));
      texts.name = domain == nullptr ? "<the domain's own type>" : domain->base;
      const auto severity = traits.constrained == Answer::yes ? kError : kWarning;
      core::Finding* found = reporter_.report(kConstrainedDomain, texts, severity, severity);
      if (found != nullptr && traits.constrained == Answer::maybe)
        found->sharper_with = fmt::format("whether type {} is a domain with constraints", traits.type);
    }
  }

  void column_constraint(Node constraint) {
    const std::string_view kind = constraint.text("contype");
    const std::vector<std::string> columns{std::string(name_)};
    Blanks texts = blanks();
    texts.object = constraint_name(constraint, kind, columns);
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY") unique_key(constraint, columns, texts);
    if (kind != "CONSTR_CHECK" && kind != "CONSTR_FOREIGN") return;
    const bool foreign = kind == "CONSTR_FOREIGN";
    const std::string alone = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", table_, texts.object,
                                          foreign ? "FOREIGN KEY (…) REFERENCES …" : "CHECK (…)");
    texts.statement = fmt::format("ALTER TABLE {} ADD COLUMN {} <type>; {}", table_, texts.column, alone);
    // Without values there are none to look for in the other table (transformAlterTableStmt).
    if (!idle_ && (!foreign || fills_)) report_not_valid(foreign, constraint, texts);
    texts.statement = alone;
    if (!foreign && !check_holds(constraint["raw_expr"], columns_)) reporter_.report(kCheckOldWriters, texts);
    if (!foreign) return;
    if (may_dangle(constraint, columns, columns_)) old_writers("a foreign key", texts);
    lint_foreign_key(lint_, table_, constraint, columns);
  }

  void unique_key(Node constraint, const std::vector<std::string>& columns, const Blanks& texts) {
    const bool primary = constraint.text("contype") == "CONSTR_PRIMARY";
    if (!idle_) reporter_.report(primary ? kPrimaryKey : kUniqueConstraint, texts);
    lint_unique_key(lint_, constraint, columns, columns_, texts);
    if (primary && idle_) key_not_null(columns);
  }

  // A primary key makes its columns NOT NULL.
  void key_not_null(const std::vector<std::string>& columns) {
    for (const std::string& column : columns) {
      if (not_null(column) == Answer::yes || !may_be_null(column, columns_)) continue;
      Blanks texts = blanks();
      texts.column = quote_identifier(column);
      reporter_.report(kAddingNotNullable, texts, kError, kPasses);
    }
  }

  void add_constraint(Node constraint) {
    const std::string_view kind = constraint.text("contype");
    const bool from_index = !constraint.text("indexname").empty();
    const auto columns = names_in(kind == "CONSTR_FOREIGN" ? constraint["fk_attrs"] : constraint["keys"]);
    Blanks texts = blanks();
    texts.column = join_names(columns);
    texts.object = constraint_name(constraint, kind, columns);
    if (kind == "CONSTR_PRIMARY") lint_.memory.identified.emplace(table_key(table_));
    if (from_index) return kind == "CONSTR_PRIMARY" ? key_from_index(constraint, texts) : void();
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY") unique_key(constraint, columns, texts);
    if (kind == "CONSTR_EXCLUSION") add_exclusion(constraint, texts);
    if (kind == "CONSTR_CHECK") add_check(constraint, texts);
    if (kind == "CONSTR_FOREIGN") add_foreign_key(constraint, columns, texts);
  }

  // A row with NULL in one of the columns excludes none.
  void add_exclusion(Node constraint, const Blanks& texts) {
    if (!idle_) return static_cast<void>(reporter_.report(kExclusionConstraint, texts));
    bool never = false;
    for (const Node element : constraint["exclusions"]) {
      const Node column = element.body()["items"].front().body();
      const NewColumn* added = new_column(column.text("name"));
      never |= added != nullptr && added->in_inserts.is_null() && added->in_rows.is_null();
    }
    if (!never) old_writers("EXCLUDE", texts);
  }

  void key_from_index(Node constraint, Blanks texts) {
    const std::string schema(lint_.body()["relation"].text("schemaname"));
    const auto columns = known_.index_columns({.schema = schema, .name = std::string(constraint.text("indexname"))});
    if (idle_) return key_not_null(columns);
    if (columns.empty()) {
      texts.column = "<its columns>";
      if (core::Finding* found = reporter_.report(kPrimaryKeyNullable, texts, kWarning, kWarning))
        found->sharper_with = fmt::format("the columns of index {}", quote_identifier(constraint.text("indexname")));
      return;
    }
    for (const std::string& column : columns) {
      const Answer proven = not_null(column);
      if (proven == Answer::yes) continue;
      texts.column = quote_identifier(column);
      const auto severity = proven == Answer::no ? kError : kWarning;
      core::Finding* found = reporter_.report(kPrimaryKeyNullable, texts, severity, severity);
      if (found != nullptr && proven == Answer::maybe)
        found->sharper_with = fmt::format("whether {}.{} is NOT NULL", table_, texts.column);
      return;
    }
  }

  void add_check(Node constraint, Blanks texts) {
    texts.statement = not_valid_statement(constraint, texts.object);
    if (!constraint.flag("skip_validation") && !idle_) report_not_valid(false, constraint, texts);
    if (!check_holds(constraint["raw_expr"], columns_)) reporter_.report(kCheckOldWriters, texts);
  }

  void add_foreign_key(Node constraint, const std::vector<std::string>& columns, Blanks texts) {
    texts.statement = not_valid_statement(constraint, texts.object);
    const bool blocks = !constraint.flag("skip_validation") && !idle_;
    if (blocks) report_not_valid(true, constraint, texts);
    if (!blocks && may_dangle(constraint, columns, columns_)) old_writers("a foreign key", texts);
    lint_foreign_key(lint_, table_, constraint, columns);
  }

  void old_writers(std::string_view kind, Blanks texts) {
    texts.kind = kind;
    reporter_.report(kConstraintOldWriters, texts);
  }

  // The statement, with NOT VALID where it lacks that.
  [[nodiscard]] std::string not_valid_statement(Node constraint, const std::string& name) const {
    std::string text(lint_.text());
    if (constraint.flag("skip_validation")) return text;
    if (lint_.body()["cmds"].size() > 1)
      return fmt::format("ALTER TABLE {} ADD CONSTRAINT {} … NOT VALID", table_, name);
    return with_not_valid(text);
  }

  void report_not_valid(bool foreign, Node constraint, Blanks texts) {
    if (!foreign) return static_cast<void>(reporter_.report(kMissingNotValid, texts));
    texts.name = relation_name(constraint["pktable"]);
    reporter_.report(kForeignKey, texts);
  }

  // As PostgreSQL would name it, so that a safe form can name it too.
  [[nodiscard]] std::string constraint_name(Node constraint, std::string_view kind,
                                            const std::vector<std::string>& columns) const {
    if (const std::string_view given = constraint.text("conname"); !given.empty()) return quote_identifier(given);
    const std::string table = name_of_identifier(table_).name;
    const std::string joined = fmt::format("{}", fmt::join(columns, "_"));
    if (kind == "CONSTR_PRIMARY") return quote_identifier(table + "_pkey");
    if (kind == "CONSTR_UNIQUE") return quote_identifier(fmt::format("{}_{}_key", table, joined));
    if (kind == "CONSTR_FOREIGN") return quote_identifier(fmt::format("{}_{}_fkey", table, joined));
    std::string column;
    visit_objects(constraint["raw_expr"], [&](std::string_view key, Node node) {
      if (key == "ColumnRef" && column.empty()) column = std::string("_") + std::string(last_name(node["fields"]));
    });
    return quote_identifier(fmt::format("{}{}_check", table, column));
  }

  void drop_constraint(Node command) {
    const bool cascade = command.text("behavior") == "DROP_CASCADE";
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogConstraint* constraint = present == nullptr ? nullptr : present->constraint(name_);
    core::Finding* cascades = cascade ? reporter_.report(kDropCascade, drop_blanks()) : nullptr;
    if (cascades != nullptr && constraint != nullptr) cascades->concerned = resting_on(*present, *constraint);
    if (constraint == nullptr || constraint->kind == core::ConstraintKind::check) return;
    Blanks texts = blanks();
    texts.object = quote_identifier(name_);
    texts.kind = "DROP CONSTRAINT";
    if (constraint->kind != core::ConstraintKind::foreign_key) return drop_key(*present, *constraint, texts, cascade);
    texts.name = known_.written(constraint->references);
    reporter_.report(kDropForeignKey, texts);
  }

  // Foreign keys of other tables rest on it, and ON CONFLICT of old code.
  void drop_key(const core::CatalogRelation& present, const core::CatalogConstraint& key, const Blanks& texts,
                bool cascade) {
    reporter_.report(kBanDropObject, texts);
    std::vector<std::string> resting = resting_on(present, key);
    if (cascade || resting.empty()) return;
    if (core::Finding* found = reporter_.report(kDropBlocked, texts)) found->concerned = std::move(resting);
  }

  // Nothing rests on a constraint that has no index.
  [[nodiscard]] std::vector<std::string> resting_on(const core::CatalogRelation& present,
                                                    const core::CatalogConstraint& key) const {
    std::vector<std::string> resting;
    if (key.index.empty() || key.kind == core::ConstraintKind::foreign_key) return resting;
    for (const core::CatalogDependent& dependent : present.dependents) {
      const core::CatalogConstraint* other =
          dependent.kind == core::DependentKind::foreign_key ? key_of(dependent, known_) : nullptr;
      if (other != nullptr && other->index == key.index && !known_.is_gone(dependent))
        resting.push_back(fmt::format("foreign key {} of {}", quote_identifier(dependent.name.name),
                                      to_sql({dependent.name.schema, dependent.table})));
    }
    return resting;
  }

  void detach(Node partition) {
    const std::string name = relation_name(partition["name"]);
    reporter_.report(kDetachingPartition, {.table = table_, .name = name, .statement = std::string(lint_.text())});
    if (partition.flag("concurrent") || idle_) return;
    reporter_.report(kConcurrentDetach, {.table = table_, .name = name});
  }

  void attach(Node partition) {
    if (!is_relation(partition) || lint_.body().text("objtype") == "OBJECT_INDEX") return;
    const std::string name = relation_name(partition);
    const bool present = known_.relation(partition) != nullptr;
    if (lint_.idle(name) || known_.has_valid_check(name)) return;
    const auto severity = present ? kError : kWarning;
    core::Finding* found = reporter_.report(kAttachWithoutCheck,
                                            {.table = table_, .name = name, .statement = reporter_.shown(lint_.text())},
                                            severity, severity);
    if (found != nullptr && !present)
      found->sharper_with = fmt::format("the CHECK constraints of {}, and its size", name);
  }

  const Lint& lint_;
  Reporter& reporter_;
  const Known& known_;
  std::string table_;
  bool idle_;
  struct Added {
    NewColumn column;
    bool not_null;
  };
  std::map<std::string, Added, std::less<>> added_;  // by this statement
  std::set<std::string_view> set_not_null_;          // likewise
  bool fills_ = false;                               // with values, at least one of them
  NewColumns columns_;
  std::string_view name_;  // of the column or constraint that the subcommand is about
};

}  // namespace

namespace {

// Nobody uses it yet; only what turns out badly later is worth a word.
void lint_new_table(const Lint& lint, const std::string& table, Node command) {
  const Node definition = command["def"].body();
  if (command.text("subtype") == "AT_AddColumn") {
    const ColumnTraits traits = column_traits(definition, lint.known());
    lint_column(lint, table, traits, false);
    for (const Node constraint : definition["constraints"]) {
      if (constraint.body().text("contype") == "CONSTR_FOREIGN")
        lint_foreign_key(lint, table, constraint.body(), {traits.name});
    }
  } else if (definition.text("contype") == "CONSTR_FOREIGN") {
    lint_foreign_key(lint, table, definition, names_in(definition["fk_attrs"]));
  }
}

}  // namespace

void lint_alter_table(const Lint& lint) {
  const std::string table = relation_name(lint.body()["relation"]);
  if (lint.known().is_new(table)) {
    for (const Node node : lint.body()["cmds"]) lint_new_table(lint, table, node.body());
    return;
  }
  const bool type = lint.body().text("objtype") == "OBJECT_TYPE";
  if (type && lint.known().is_new(type_named(name_of(lint.body()["relation"])))) return;
  TableRules rules(lint);
  for (const Node node : lint.body()["cmds"]) rules.check(node.body());
}

std::string expression_text(const Lint& lint, Node expression) {
  const std::string_view text = lint.text();
  const auto offset = static_cast<std::int64_t>(lint.statement.parsed.offset);
  auto begin = static_cast<std::int64_t>(text.size());
  visit_objects(expression, [&](std::string_view, Node node) {
    const std::int64_t location = node.number("location") - offset;
    if (location > 0) begin = std::min(begin, location);
  });
  if (begin >= static_cast<std::int64_t>(text.size())) return "<expression>";
  const auto from = static_cast<std::size_t>(begin);
  const std::size_t end = visit_outside(text, from, [&](std::size_t i) {
    // The next column, or the next clause of this one.
    constexpr auto kClauses = std::to_array<std::string_view>({",", ";", " NOT ", " CHECK", " UNIQUE", " PRIMARY",
                                                               " REFERENCES", " CONSTRAINT", " not ", " check",
                                                               " unique", " primary", " references", " constraint"});
    return std::ranges::none_of(kClauses, [&](std::string_view clause) { return text.substr(i).starts_with(clause); });
  });
  return std::string(trim(text.substr(from, end - from)));
}

}  // namespace diastole::sql
