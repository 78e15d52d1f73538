#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "reporter.hpp"

namespace diastole::sql {
namespace {

constexpr auto kSerialTypes =
    std::to_array<std::string_view>({"serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"});

// Functions that PostgreSQL declares stable or immutable: as a default they are computed once, when the column is
// added. What is not here may be volatile, and a text alone cannot tell.
constexpr auto kSteadyFunctions = std::to_array<std::string_view>({
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "current_database",
    "current_schema",
    "to_timestamp",
    "to_date",
    "to_char",
    "to_number",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "date_trunc",
    "date_part",
    "timezone",
    "age",
    "lower",
    "upper",
    "initcap",
    "md5",
    "concat",
    "repeat",
    "replace",
    "length",
    "abs",
    "round",
    "floor",
    "ceil",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "json_build_array",
    "to_json",
    "to_jsonb",
    "array_fill",
    "decode",
    "encode",
    "set_byte",
    "point",
});

struct SubcommandRule {
  std::string_view subtype;
  const Rule* rule;
};
// Subcommands that break a rule whatever their arguments.
constexpr auto kSubcommandRules = std::to_array<SubcommandRule>({
    {"AT_DropColumn", &kBanDropColumn},
    {"AT_SetNotNull", &kAddingNotNullable},
    {"AT_AlterColumnType", &kChangingColumnType},
    {"AT_SetTableSpace", &kTableRewrite},
    {"AT_SetAccessMethod", &kTableRewrite},
    {"AT_SetLogged", &kTableRewrite},
    {"AT_SetUnLogged", &kTableRewrite},
});

std::string join_strings(const Json& strings) {
  std::vector<std::string> names;
  for (const Json& node : strings) names.push_back(quote_identifier(text_field(open_node(node).second, "sval")));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string name_or(std::string_view name, std::string_view otherwise) {
  return name.empty() ? std::string(otherwise) : quote_identifier(name);
}

bool computed_per_row(const Json& expression) {
  bool volatile_call = false;
  visit_objects(expression, [&](std::string_view key, const Json& node) {
    if (key != "FuncCall") return;
    const Json& name = field(node, "funcname");
    const std::string_view last =
        name.is_array() ? text_field(open_node(name.back()).second, "sval") : std::string_view{};
    if (!contains(kSteadyFunctions, last)) volatile_call = true;
  });
  return volatile_call;
}

// What a column definition says about its rows.
struct ColumnTraits {
  bool not_null = false;
  bool has_default = false;  // other than NULL
  bool volatile_default = false;
  bool numbered = false;  // serial or identity
  bool generated = false;
};

ColumnTraits column_traits(const Json& column) {
  ColumnTraits traits;
  const Json& type = field(field(column, "typeName"), "names");
  traits.numbered = type.is_array() && contains(kSerialTypes, text_field(open_node(type.back()).second, "sval"));
  for (const Json& node : field(column, "constraints")) {
    const Json& constraint = open_node(node).second;
    const std::string_view kind = text_field(constraint, "contype");
    const Json& expression = field(constraint, "raw_expr");
    if (kind == "CONSTR_NOTNULL" || kind == "CONSTR_PRIMARY") traits.not_null = true;
    if (kind == "CONSTR_IDENTITY") traits.numbered = true;
    if (kind == "CONSTR_GENERATED") traits.generated = true;
    if (kind == "CONSTR_DEFAULT") {
      traits.has_default = !flag_field(open_node(expression).second, "isnull");
      traits.volatile_default = computed_per_row(expression);
    }
  }
  return traits;
}

class TableRules {
 public:
  TableRules(const Analysed& statement, Reporter& reporter)
      : statement_(statement), reporter_(reporter), table_(relation_name(field(statement.parsed.body, "relation"))) {}

  void check(const Json& command) {
    const std::string_view subtype = text_field(command, "subtype");
    const Json& definition = field(command, "def");
    const std::string column = name_or(text_field(command, "name"), "");
    const auto rule = std::ranges::find(kSubcommandRules, subtype, &SubcommandRule::subtype);
    if (rule != kSubcommandRules.end()) reporter_.report(*rule->rule, {.table = table_, .column = column});
    if (text_field(command, "behavior") == "DROP_CASCADE") reporter_.report(kDropCascade, {});
    if (subtype == "AT_AddColumn") add_column(open_node(definition).second);
    if (subtype == "AT_AddConstraint") add_constraint(open_node(definition).second);
    if (subtype == "AT_DetachPartition") detach(open_node(definition).second);
  }

  [[nodiscard]] bool on_new_table() const { return reporter_.is_new(table_); }

 private:
  void add_column(const Json& column) {
    if (text_field(statement_.parsed.body, "objtype") == "OBJECT_TYPE") return;
    const Blanks blanks{.table = table_, .column = quote_identifier(text_field(column, "colname"))};
    const ColumnTraits traits = column_traits(column);
    if (traits.numbered) {
      reporter_.report(kSerialField, blanks);
    } else if (traits.generated) {
      reporter_.report(kGeneratedField, blanks);
    } else if (traits.volatile_default) {
      reporter_.report(kVolatileDefault, blanks);
    } else if (traits.not_null && !traits.has_default) {
      reporter_.report(kAddingRequired, blanks);
    }
    for (const Json& node : field(column, "constraints")) column_constraint(open_node(node).second, blanks.column);
  }

  void column_constraint(const Json& constraint, const std::string& column) {
    const std::string_view kind = text_field(constraint, "contype");
    const std::string name = name_or(text_field(constraint, "conname"), "<name>");
    const Blanks blanks{.table = table_, .column = column, .constraint = name};
    if (kind == "CONSTR_UNIQUE") reporter_.report(kUniqueConstraint, blanks);
    if (kind == "CONSTR_PRIMARY") reporter_.report(kPrimaryKey, blanks);
    if (kind != "CONSTR_CHECK" && kind != "CONSTR_FOREIGN") return;
    const std::string_view what = kind == "CONSTR_CHECK" ? "CHECK (…)" : "FOREIGN KEY (…) REFERENCES …";
    report_not_valid(
        name, fmt::format("ALTER TABLE {0} ADD COLUMN {1} <type>;\nALTER TABLE {0} ADD CONSTRAINT {2} {3} NOT VALID",
                          table_, column, name, what));
  }

  void add_constraint(const Json& constraint) {
    const std::string_view kind = text_field(constraint, "contype");
    const std::string name = name_or(text_field(constraint, "conname"), "<name>");
    const bool from_index = !text_field(constraint, "indexname").empty();
    const Blanks blanks{.table = table_, .column = join_strings(field(constraint, "keys")), .constraint = name};
    if (kind == "CONSTR_UNIQUE" && !from_index) reporter_.report(kUniqueConstraint, blanks);
    if (kind == "CONSTR_PRIMARY" && !from_index) reporter_.report(kPrimaryKey, blanks);
    if (kind == "CONSTR_EXCLUSION") reporter_.report(kExclusionConstraint, blanks);
    const bool checked = kind == "CONSTR_CHECK" || kind == "CONSTR_FOREIGN";
    if (!checked || flag_field(constraint, "skip_validation")) return;
    const bool alone = field(statement_.parsed.body, "cmds").size() == 1;
    report_not_valid(name, alone ? statement_.statement.sql + " NOT VALID"
                                 : fmt::format("ALTER TABLE {} ADD CONSTRAINT {} … NOT VALID", table_, name));
  }

  void report_not_valid(const std::string& constraint, const std::string& add) {
    const std::string safe =
        fmt::format("{};\nALTER TABLE {} VALIDATE CONSTRAINT {};  -- in a step of its own", add, table_, constraint);
    reporter_.report(kMissingNotValid, {.table = table_, .constraint = constraint, .statement = safe});
  }

  void detach(const Json& partition) {
    if (flag_field(partition, "concurrent")) return;
    reporter_.report(kConcurrentDetach, {.table = table_, .name = relation_name(field(partition, "name"))});
  }

  const Analysed& statement_;
  Reporter& reporter_;
  std::string table_;
};

}  // namespace

void lint_alter_table(const Analysed& statement, Reporter& reporter) {
  TableRules rules(statement, reporter);
  if (rules.on_new_table()) return;
  for (const Json& node : field(statement.parsed.body, "cmds")) rules.check(open_node(node).second);
}

}  // namespace diastole::sql
