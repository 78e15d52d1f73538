// Rules on ALTER TABLE's subcommands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "column_def.hpp"
#include "contains.hpp"
#include "definition_text.hpp"
#include "lint.hpp"
#include "lint_dependents.hpp"
#include "safe_form.hpp"

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
        table_(lint.table()),
        idle_(lint.idle(table_)),
        type_(lint.body().text("objtype") == "OBJECT_TYPE"),
        columns_([this](std::string_view name) { return new_column(name); }) {
    const core::CatalogRelation* present = known_.table(table_);
    auto column_at = lint.statement.columns.begin();
    for (const Node node : lint.body()["cmds"]) {
      const Node column = node.body()["def"].body();
      if (node.body().text("subtype") == "AT_SetNotNull") set_not_null_.insert(node.body().text("name"));
      if (node.body().text("subtype") != "AT_AddColumn") continue;
      const ColumnTraits& traits = *column_at++;
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
    if (subtype == "AT_AlterColumnType")
      lint_column_type(lint_, table_, name_, definition,
                       {.not_null = set_not_null_.contains(name_), .old = known_to_old_code()});
    if (subtype == "AT_ColumnDefault" || subtype == "AT_DropIdentity") change_default(command);
    if (subtype == "AT_AddColumn") add_column(command, definition);
    if (subtype == "AT_AddConstraint") add_constraint(definition);
    if (subtype == "AT_DropConstraint")
      lint_dropped_constraint(lint_, table_, name_, command.text("behavior") == "DROP_CASCADE");
    if (subtype == "AT_DropConstraint" || subtype == "AT_ValidateConstraint") {
      for (PlanMemory::PartitionKey& key : lint_.memory.partition_keys) {
        if (key.table == table_key(table_) && key.name == name_) key.valid = subtype == "AT_ValidateConstraint";
      }
    }
    if (subtype == "AT_DetachPartition") lint_detach(lint_, definition);
    if (subtype == "AT_AttachPartition") lint_attach(lint_, definition);
    if (subtype.starts_with("AT_DisableTrig") || subtype == "AT_DisableRule")
      reporter_.report(kDisablingTrigger, blanks());
    if (subtype == "AT_EnableRowSecurity" || subtype == "AT_ForceRowSecurity") reporter_.report(kRowSecurity, blanks());
    if (subtype == "AT_ChangeOwner") lint_new_owner(lint_);
    if (subtype == "AT_ReplicaIdentity") lint_replica_identity(lint_, definition);
    if (subtype == "AT_AddIdentity" || subtype == "AT_SetIdentity") change_identity(definition);
    if (contains(kRewriting, subtype) && !idle_ && !of_index(lint_)) reporter_.report(kTableRewrite, blanks());
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
    const SafeSteps form = type_ ? attribute_form(lint_, name_, {}) : drop_column_form(lint_, table_, name_);
    if (known_to_old_code() || reporter_.phase() == kContract) {
      core::Finding* found = reporter_.report(kBanDropColumn, blanks());
      if (found != nullptr) found->safe_form = form;
      if (found != nullptr && present != nullptr) {
        const Dependents others = dependents_of(*present, name_, known_);
        found->concerned = others.blocking;
        found->concerned.insert(found->concerned.end(), others.along.begin(), others.along.end());
      }
    }
    const bool cascade = command.text("behavior") == "DROP_CASCADE";
    if (present != nullptr) return lint_dependents(lint_, *present, name_, cascade, form);
    core::Finding* found = cascade ? reporter_.report(kDropCascade, drop_blanks()) : nullptr;
    if (found != nullptr) found->safe_form = form;
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
    const bool old_code = reporter_.phase() != kContract && may_be_null(name_, columns_);
    core::Finding* found = reporter_.report(kAddingNotNullable, blanks(), in_expand, in_contract,
                                            {.itself = !idle_, .old_code = old_code});
    if (found != nullptr && proven == Answer::maybe)
      found->sharper_with = fmt::format("the valid CHECK constraints of {}, and its size", table_);
  }

  void drop_not_null() {
    if (!known_to_old_code()) return;
    const core::CatalogRelation* present = known_.table(table_);
    const core::CatalogColumn* column = present == nullptr ? nullptr : present->column(name_);
    if (column == nullptr || column->not_null) reporter_.report(kDropNotNull, blanks());
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
    const ColumnTraits& traits = lint_.statement.columns[next_column_++];
    if (type_) return;
    const core::CatalogRelation* present = known_.table(table_);
    if (command.flag("missing_ok") && present != nullptr && present->column(traits.name) != nullptr) return;
    name_ = traits.name;
    const std::size_t first = reporter_.count();
    if (!idle_) added_rows(traits);
    const bool filled = traits.has_default || traits.serial || traits.identity || traits.generated;
    if (traits.not_null && !filled) reporter_.report(kRequiredField, column_blanks(traits));
    for (const Node node : column["constraints"]) column_constraint(node.body(), traits);
    if (reporter_.count() > first)
      reporter_.reform(first, add_column_form(lint_.statement.parsed, known_, command, traits, columns_));
    if (!idle_ && traits.constrained == Answer::maybe) unknown_type(traits);
    lint_column(lint_, table_, column, traits, false);
    for (const Node node : column["constraints"]) {
      if (node.body().text("contype") == "CONSTR_FOREIGN") lint_foreign_key(lint_, table_, node.body(), {traits.name});
    }
  }

  [[nodiscard]] Blanks column_blanks(const ColumnTraits& traits) const {
    Blanks texts = blanks();
    texts.type = traits.type;
    return texts;
  }

  // That every row is written for it.
  void added_rows(const ColumnTraits& traits) {
    if (traits.rewrites() == Answer::no) return;
    const Blanks texts = column_blanks(traits);
    if (traits.serial || traits.identity) {
      reporter_.report(kSerialField, texts);
    } else if (traits.generated) {
      reporter_.report(kGeneratedField, texts);
    } else if (traits.per_row != Answer::no) {
      core::Finding* found = reporter_.report(kVolatileDefault, texts);
      if (found != nullptr && traits.per_row == Answer::maybe)
        found->sharper_with = "the volatility of the functions in the default";
    } else if (traits.constrained == Answer::yes) {
      reporter_.report(kConstrainedDomain, texts);
    }
  }

  void unknown_type(const ColumnTraits& traits) {
    if (traits.rewrites() == Answer::yes || traits.per_row != Answer::no) return;
    Blanks texts = column_blanks(traits);
    texts.name = "<the domain's own type>";
    if (core::Finding* found = reporter_.report(kConstrainedDomain, texts, kWarning, kWarning))
      found->sharper_with = fmt::format("whether type {} is a domain with constraints", traits.type);
  }

  // That every row is read for it. A foreign key looks for nothing where there is no value.
  void column_constraint(Node constraint, const ColumnTraits& traits) {
    const std::string_view kind = constraint.text("contype");
    constexpr auto kRuled =
        std::to_array<std::string_view>({"CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_CHECK", "CONSTR_FOREIGN"});
    if (!contains(kRuled, kind)) return;
    const std::vector<std::string> columns{traits.name};
    Blanks texts = column_blanks(traits);
    texts.object = quote_identifier(constraint_name(constraint, kind, columns));
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY") unique_key(constraint, columns, texts);
    if (kind == "CONSTR_CHECK" && !idle_) reporter_.report(kMissingNotValid, texts);
    if (kind == "CONSTR_CHECK" && !check_holds(constraint["raw_expr"], columns_))
      reporter_.report(kCheckOldWriters, texts);
    if (kind != "CONSTR_FOREIGN") return;
    if (may_dangle(constraint, columns, columns_)) old_writers("a foreign key", texts);
    if (idle_ || !fills_) return;
    texts.name = relation_name(constraint["pktable"]);
    reporter_.report(kForeignKey, texts);
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
      reporter_.report(kAddingNotNullable, texts, kError, kPasses, {.itself = false, .old_code = true});
    }
  }

  void add_constraint(Node constraint) {
    const std::string_view kind = constraint.text("contype");
    const bool from_index = !constraint.text("indexname").empty();
    const auto columns = names_in(kind == "CONSTR_FOREIGN" ? constraint["fk_attrs"] : constraint["keys"]);
    Blanks texts = blanks();
    texts.column = join_names(columns);
    const std::string name = constraint_name(constraint, kind, columns);
    texts.object = quote_identifier(name);
    if (kind == "CONSTR_PRIMARY") lint_.memory.identified.emplace(table_key(table_));
    if (from_index) return kind == "CONSTR_PRIMARY" ? key_from_index(constraint, texts) : void();
    if (kind == "CONSTR_UNIQUE" || kind == "CONSTR_PRIMARY") add_key(constraint, name, columns, texts);
    if (kind == "CONSTR_EXCLUSION") add_exclusion(constraint, texts);
    if (kind == "CONSTR_CHECK") add_check(constraint, name, texts);
    if (kind == "CONSTR_FOREIGN") add_foreign_key(constraint, name, columns, texts);
  }

  void add_key(Node constraint, const std::string& name, const std::vector<std::string>& columns, const Blanks& texts) {
    StepWriter steps(known_, table_);
    // Of a partitioned table alone: its partitions' indexes are attached to it.
    if (!lint_.body()["relation"].flag("inh") && steps.is_partitioned()) return;
    const std::size_t first = reporter_.count();
    unique_key(constraint, columns, texts);
    if (idle_ || reporter_.count() == first) return;
    steps.key({.name = name,
               .columns = columns,
               .text = constraint_text(lint_.statement.parsed, constraint),
               .primary = constraint.text("contype") == "CONSTR_PRIMARY",
               .not_null = false,
               .deferrable = constraint.flag("deferrable"),
               .deferred = constraint.flag("initdeferred")});
    reporter_.reform(first, first + 1, steps.take());
  }

  // What a partitioned table says of it holds for its partitions.
  [[nodiscard]] Answer proven_not_null(std::string_view column) const {
    Answer proven = not_null(column);
    const core::CatalogRelation* present = known_.table(table_);
    if (present == nullptr || present->partition_bound.empty()) return proven;
    for (const core::RelationName& parent : present->parents)
      proven = std::max(proven, known_.proven_not_null(known_.written(parent), column));
    return proven;
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
      const Answer proven = proven_not_null(column);
      if (proven == Answer::yes) continue;
      texts.column = quote_identifier(column);
      const auto severity = proven == Answer::no ? kError : kWarning;
      core::Finding* found = reporter_.report(kPrimaryKeyNullable, texts, severity, severity);
      if (found != nullptr && proven == Answer::maybe)
        found->sharper_with = fmt::format("whether {}.{} is NOT NULL", table_, texts.column);
      return;
    }
  }

  // NOT VALID and VALIDATE; the first alone where the statement says it already.
  [[nodiscard]] SafeSteps check_form(Node constraint, const std::string& name, bool spares) const {
    StepWriter steps(known_, table_);
    if (!spares) steps.in_phase(kContract);
    steps.check(alter_text(lint_.statement.parsed, lint_.body()["relation"]), name,
                constraint_text(lint_.statement.parsed, constraint));
    return steps.take();
  }

  void add_check(Node constraint, const std::string& name, const Blanks& texts) {
    const bool spares = check_holds(constraint["raw_expr"], columns_);
    const bool valid = !constraint.flag("skip_validation");
    const std::size_t first = reporter_.count();
    if (valid && !idle_) reporter_.report(kMissingNotValid, texts);
    if (!spares) reporter_.report(kCheckOldWriters, texts);
    if (valid && reporter_.count() > first) reporter_.reform(first, check_form(constraint, name, spares));
  }

  // Each already has the same, valid: the parent's adopts it and reads nothing.
  [[nodiscard]] bool partitions_have_key(const std::string& definition) const {
    const core::CatalogRelation* present = known_.table(table_);
    if (present == nullptr || present->kind != core::RelationKind::partitioned_table) return false;
    return std::ranges::all_of(known_.descendants(*present), [&](const core::CatalogRelation* one) {
      if (one->kind == core::RelationKind::partitioned_table) return true;
      const std::string partition = known_.written(one->name);
      return std::ranges::any_of(lint_.memory.partition_keys, [&](const PlanMemory::PartitionKey& key) {
        return key.valid && key.table == table_key(partition) && key.definition == definition;
      });
    });
  }

  void add_foreign_key(Node constraint, const std::string& name, const std::vector<std::string>& columns,
                       Blanks texts) {
    const std::string definition = constraint_text(lint_.statement.parsed, constraint);
    const bool blocks = !constraint.flag("skip_validation") && !idle_ && !partitions_have_key(definition);
    lint_.memory.partition_keys.push_back({.table = std::string(table_key(table_)),
                                           .name = name,
                                           .definition = definition,
                                           .valid = !constraint.flag("skip_validation")});
    if (blocks) {
      texts.name = relation_name(constraint["pktable"]);
      StepWriter steps(known_, table_);
      steps.foreign_key(alter_text(lint_.statement.parsed, lint_.body()["relation"]), name, definition);
      if (core::Finding* found = reporter_.report(kForeignKey, texts)) found->safe_form = steps.take();
    } else if (may_dangle(constraint, columns, columns_)) {
      old_writers("a foreign key", texts);
    }
    lint_foreign_key(lint_, table_, constraint, columns);
  }

  void old_writers(std::string_view kind, Blanks texts) {
    texts.kind = kind;
    reporter_.report(kConstraintOldWriters, texts);
  }

  // As PostgreSQL would name it, so that a safe form can name it too.
  [[nodiscard]] std::string constraint_name(Node constraint, std::string_view kind,
                                            const std::vector<std::string>& columns) const {
    if (const std::string_view given = constraint.text("conname"); !given.empty()) return std::string(given);
    const std::string table = name_of_identifier(table_).name;
    if (kind == "CONSTR_PRIMARY") return made_name(table, {}, "pkey");
    if (kind == "CONSTR_UNIQUE") return made_name(table, columns, "key");
    if (kind == "CONSTR_FOREIGN") return made_name(table, columns, "fkey");
    std::set<std::string> used;
    visit_objects(constraint["raw_expr"], [&](std::string_view key, Node node) {
      if (key == "ColumnRef") used.emplace(last_name(node["fields"]));
    });
    return made_name(table, used.size() == 1 ? std::vector{*used.begin()} : std::vector<std::string>{}, "check");
  }

  const Lint& lint_;
  Reporter& reporter_;
  const Known& known_;
  const std::string& table_;
  bool idle_;
  bool type_;  // a composite type, not a table
  struct Added {
    NewColumn column;
    bool not_null;
  };
  std::map<std::string, Added, std::less<>> added_;  // by this statement
  std::set<std::string_view> set_not_null_;          // likewise
  std::size_t next_column_ = 0;                      // of those that it adds
  bool fills_ = false;                               // with values, at least one of them
  NewColumns columns_;
  std::string_view name_;  // of the column or constraint that the subcommand is about
};

}  // namespace

bool of_index(const Lint& lint) {
  const Node relation = lint.body()["relation"];
  if (lint.body().text("objtype") == "OBJECT_INDEX") return true;
  return lint.known().relation(relation) == nullptr && lint.known().index(name_of(relation)).table != nullptr;
}

namespace {

// Nobody uses it yet; only what turns out badly later is worth a word.
void lint_new_table(const Lint& lint) {
  auto column = lint.statement.columns.begin();
  for (const Node node : lint.body()["cmds"]) {
    const Node definition = node.body()["def"].body();
    if (node.body().text("subtype") == "AT_AddColumn") {
      lint_column(lint, lint.table(), definition, *column, false);
      for (const Node constraint : definition["constraints"]) {
        if (constraint.body().text("contype") == "CONSTR_FOREIGN")
          lint_foreign_key(lint, lint.table(), constraint.body(), {column->name});
      }
      ++column;
    } else if (definition.text("contype") == "CONSTR_FOREIGN") {
      lint_foreign_key(lint, lint.table(), definition, names_in(definition["fk_attrs"]));
    }
  }
}

}  // namespace

void lint_alter_table(const Lint& lint) {
  if (lint.known().is_new(lint.table())) return lint_new_table(lint);
  const bool type = lint.body().text("objtype") == "OBJECT_TYPE";
  if (type && lint.known().is_new(type_named(name_of(lint.body()["relation"])))) return;
  TableRules rules(lint);
  for (const Node node : lint.body()["cmds"]) rules.check(node.body());
}

}  // namespace diastole::sql
