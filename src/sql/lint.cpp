#include "lint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"
#include "kinds.hpp"

namespace diastole::sql {
namespace {

// The daemon sets these itself, for every statement (architecture.md: short locks, fencing).
constexpr auto kManagedSettings = std::to_array<std::string_view>({
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
    "role",
    "session_authorization",
    "session_replication_role",
    "search_path",
    "TRANSACTION",
    "SESSION CHARACTERISTICS",
});

struct ObjectRule {
  std::string_view type;
  const Rule* rule;
};
constexpr auto kDropRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kBanDropTable},
    {"OBJECT_FOREIGN_TABLE", &kBanDropTable},
    {"OBJECT_INDEX", &kConcurrentIndexDeletion},
});
constexpr auto kRenameRules = std::to_array<ObjectRule>({
    {"OBJECT_TABLE", &kRenamingTable},
    {"OBJECT_VIEW", &kRenamingTable},
    {"OBJECT_MATVIEW", &kRenamingTable},
    {"OBJECT_FOREIGN_TABLE", &kRenamingTable},
    {"OBJECT_COLUMN", &kRenamingColumn},
    {"OBJECT_SCHEMA", &kRenamingSchema},
});

// The type's own rule; the usual one where what goes would be missed.
const Rule* rule_for(std::span<const ObjectRule> rules, std::string_view type, bool destructive, const Rule& usual) {
  const auto found = std::ranges::find(rules, type, &ObjectRule::type);
  if (found != rules.end()) return found->rule;
  return destructive ? &usual : nullptr;
}

void lint_setting(std::string_view name, Reporter& reporter) {
  const bool unknown = name.empty();  // RESET ALL, or a name that is computed
  if (unknown || contains(kManagedSettings, name)) {
    reporter.report(kManagedSetting, {.name = unknown ? "its session's settings" : std::string(name)});
  }
}

// set_config('lock_timeout', …) is SET in disguise.
void lint_set_config(const Json& body, Reporter& reporter) {
  visit_objects(body, [&](std::string_view key, const Json& node) {
    if (key != "FuncCall") return;
    const Json& function = field(node, "funcname");
    const Json& arguments = field(node, "args");
    if (!function.is_array() || !arguments.is_array()) return;
    if (text_field(open_node(function.back()).second, "sval") != "set_config") return;
    lint_setting(text_field(field(open_node(arguments.front()).second, "sval"), "sval"), reporter);
  });
}

void lint_drop(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  const Json& objects = field(body, "objects");
  const bool cascade = text_field(body, "behavior") == "DROP_CASCADE";
  const bool concurrent = flag_field(body, "concurrent");
  if (concurrent && (cascade || objects.size() > 1))
    return reporter.report(kOneConcurrentDrop, {.name = one.statement.index});
  const std::string_view type = text_field(body, "removeType");
  const Rule* rule = concurrent ? nullptr : rule_for(kDropRules, type, one.statement.destructive, kBanDropObject);
  const ObjectKind* kind = find_object_kind(type);
  const bool all_new =
      kind != nullptr && kind->naming == Naming::relation && std::ranges::all_of(objects, [&](const Json& object) {
        return reporter.is_new(dotted_name(field(open_node(object).second, "items")));
      });
  if (rule != nullptr && !all_new) {
    const bool index = rule == &kConcurrentIndexDeletion;
    reporter.report(*rule,
                    {.kind = one.statement.kind,
                     .name = fmt::format("{}", fmt::join(one.statement.tables, ", ")),
                     .statement = index ? with_word(one.parsed.text, "INDEX", "CONCURRENTLY") : one.statement.sql});
  }
  if (cascade && !all_new) reporter.report(kDropCascade, {});
}

void lint_rename(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  const Json& relation = field(body, "relation");
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  if (reporter.is_new(table)) return;
  const std::string_view type = text_field(body, "renameType");
  const Rule* rule = rule_for(kRenameRules, type, one.statement.destructive, kRenamingObject);
  if (rule == nullptr) return;
  reporter.report(*rule, {.table = table,
                          .column = quote_identifier(text_field(body, "subname")),
                          .kind = one.statement.kind,
                          .name = quote_identifier(text_field(body, "newname")),
                          .statement = one.statement.sql});
}

// ALTER … SET SCHEMA gives a table another name, too.
void lint_set_schema(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  const Json& relation = field(body, "relation");
  const std::string table = is_relation(relation) ? relation_name(relation) : std::string{};
  if (reporter.is_new(table) || !one.statement.destructive) return;
  const Rule* rule = rule_for(kRenameRules, text_field(body, "objectType"), true, kRenamingObject);
  const std::string schema = quote_identifier(text_field(body, "newschema"));
  reporter.report(*rule, {.table = table,
                          .kind = one.statement.kind,
                          .name = schema + "." + quote_identifier(text_field(relation, "relname")),
                          .statement = one.statement.sql});
}

void lint_index(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  const std::string table = relation_name(field(body, "relation"));
  if (flag_field(body, "concurrent")) {
    if (!one.statement.index.empty()) return;
    reporter.report(kRequireIndexName, {.statement = with_word(one.parsed.text, "CONCURRENTLY", "<name>")});
  } else if (!reporter.is_new(table)) {
    reporter.report(kConcurrentIndexCreation,
                    {.table = table, .statement = with_word(one.parsed.text, "INDEX", "CONCURRENTLY")});
  }
}

void lint_reindex(const Analysed& one, Reporter& reporter) {
  if (option_set(field(one.parsed.body, "params"), "concurrently")) return;
  const Json& relation = field(one.parsed.body, "relation");
  if (is_relation(relation) && reporter.is_new(relation_name(relation))) return;
  constexpr auto kTargets = std::to_array<std::string_view>({"INDEX", "TABLE", "SCHEMA", "DATABASE"});
  constexpr auto kKinds = std::to_array<std::string_view>(
      {"REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_DATABASE"});
  const auto kind = std::ranges::find(kKinds, text_field(one.parsed.body, "kind"));
  const std::string safe =
      kind == kKinds.end()
          ? std::string{}
          : with_word(one.parsed.text, kTargets.at(static_cast<std::size_t>(kind - kKinds.begin())), "CONCURRENTLY");
  reporter.report(kConcurrentReindex, {.statement = safe});
}

void lint_truncate(const Analysed& one, Reporter& reporter) {
  std::vector<std::string> old;
  for (const Json& relation : field(one.parsed.body, "relations")) {
    std::string name = relation_name(open_node(relation).second);
    if (!reporter.is_new(name)) old.push_back(std::move(name));
  }
  if (old.empty()) return;
  reporter.report(kBanTruncate, {.name = fmt::format("{}", fmt::join(old, ", ")), .statement = one.statement.sql});
  if (text_field(one.parsed.body, "behavior") == "DROP_CASCADE") reporter.report(kDropCascade, {});
}

// The rows are named one by one: id = 7, id IN (7, 8), alone or with further conditions.
bool names_rows(const Json& where) {
  const auto [tag, body] = open_node(where);
  if (tag == "BoolExpr") {
    return text_field(body, "boolop") == "AND_EXPR" && std::ranges::any_of(field(body, "args"), names_rows);
  }
  if (tag != "A_Expr") return false;
  const Json& operation = field(body, "name");
  if (!operation.is_array() || text_field(open_node(operation.back()).second, "sval") != "=") return false;
  const auto [left, column] = open_node(field(body, "lexpr"));
  if (left != "ColumnRef") return false;
  const Json& path = field(column, "fields");
  if (!path.is_array() || text_field(open_node(path.back()).second, "sval") != "id") return false;
  const auto [right, value] = open_node(field(body, "rexpr"));
  const auto constant = [](const Json& node) { return open_node(node).first == "A_Const"; };
  const std::string_view kind = text_field(body, "kind");
  if (kind == "AEXPR_OP") return right == "A_Const";
  return kind == "AEXPR_IN" && std::ranges::all_of(field(value, "items"), constant);
}

void lint_rows(std::string_view tag, const Json& body, Reporter& reporter) {
  const bool update = tag == "UpdateStmt";
  if (!update && tag != "DeleteStmt" && tag != "MergeStmt") return;
  const std::string table = relation_name(field(body, "relation"));
  if (reporter.is_new(table) || names_rows(field(body, "whereClause"))) return;
  reporter.report(kUnbatchedDml, {.table = table,
                                  .kind = update                ? "UPDATE"
                                          : tag == "DeleteStmt" ? "DELETE"
                                                                : "MERGE"});
}

void lint_query(const Analysed& one, Reporter& reporter) {
  lint_rows(one.parsed.tag, one.parsed.body, reporter);
  visit_objects(one.parsed.body, [&](std::string_view key, const Json& node) { lint_rows(key, node, reporter); });
}

void lint_vacuum(const Analysed& one, Reporter& reporter) {
  const bool cluster = one.parsed.tag == "ClusterStmt";
  if (!cluster && !option_set(field(one.parsed.body, "options"), "full")) return;
  reporter.report(kVacuumFull, {.kind = cluster ? "CLUSTER" : "VACUUM FULL",
                                .name = fmt::format("{}", fmt::join(one.statement.tables, ", "))});
}

void lint_enum(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  if (text_field(body, "oldVal").empty()) return;
  reporter.report(kRenamingEnumValue,
                  {.object = dotted_name(field(body, "typeName")), .name = std::string(text_field(body, "newVal"))});
}

void lint_domain(const Analysed& one, Reporter& reporter) {
  const Json& body = one.parsed.body;
  if (text_field(body, "subtype") != "C" || flag_field(open_node(field(body, "def")).second, "skip_validation")) return;
  reporter.report(kMissingNotValid,
                  {.table = "every table that uses the domain", .statement = one.statement.sql + " NOT VALID"});
}

void lint_set(const Analysed& one, Reporter& reporter) {
  lint_setting(text_field(one.parsed.body, "name"), reporter);
}
void lint_transaction(const Analysed& one, Reporter& reporter) {
  reporter.report(kTransactionNesting, {.kind = one.statement.kind});
}
void lint_drop_database(const Analysed&, Reporter& reporter) {
  reporter.report(kBanDropDatabase, {});
}
void lint_drop_owned(const Analysed& one, Reporter& reporter) {
  reporter.report(kBanDropObject, {.kind = one.statement.kind, .statement = one.statement.sql});
}

struct StatementRules {
  std::string_view tag;
  void (*lint)(const Analysed&, Reporter&);
};
constexpr auto kStatementRules = std::to_array<StatementRules>({
    {"AlterTableStmt", lint_alter_table},
    {"AlterDomainStmt", lint_domain},
    {"AlterEnumStmt", lint_enum},
    {"AlterObjectSchemaStmt", lint_set_schema},
    {"ClusterStmt", lint_vacuum},
    {"DeleteStmt", lint_query},
    {"DropOwnedStmt", lint_drop_owned},
    {"DropRoleStmt", lint_drop_owned},
    {"DropStmt", lint_drop},
    {"DropSubscriptionStmt", lint_drop_owned},
    {"DropdbStmt", lint_drop_database},
    {"IndexStmt", lint_index},
    {"InsertStmt", lint_query},
    {"MergeStmt", lint_query},
    {"ReindexStmt", lint_reindex},
    {"RenameStmt", lint_rename},
    {"SelectStmt", lint_query},
    {"TransactionStmt", lint_transaction},
    {"TruncateStmt", lint_truncate},
    {"UpdateStmt", lint_query},
    {"VacuumStmt", lint_vacuum},
    {"VariableSetStmt", lint_set},
});

void lint_statement(const Analysed& one, std::size_t statements, Reporter& reporter) {
  if (!one.known) reporter.report(kUnanalysable, {.kind = one.statement.kind});
  if (!one.statement.transactional && statements > 1) {
    reporter.report(kConcurrentInTransaction, {.kind = one.statement.kind, .statement = one.statement.sql});
  }
  const auto rules = std::ranges::find(kStatementRules, one.parsed.tag, &StatementRules::tag);
  if (rules != kStatementRules.end()) rules->lint(one, reporter);
  lint_set_config(one.parsed.body, reporter);
}

}  // namespace

std::vector<core::Finding> lint_statements(std::string_view sql, const std::vector<Analysed>& statements,
                                           core::Phase phase, NewTables& created) {
  Reporter reporter(sql, phase, created);
  for (const Analysed& one : statements) {
    reporter.begin(one);
    lint_statement(one, statements.size(), reporter);
    if (!one.surely_creates) continue;
    for (const std::string& table : one.statement.creates) created.emplace(table_key(table));
  }
  return reporter.take();
}

std::vector<core::Finding> lint_undo(std::string_view sql, const std::vector<Analysed>& statements) {
  NewTables created;
  auto findings = lint_statements(sql, statements, core::Phase::contract, created);
  std::erase_if(findings, [](const core::Finding& finding) { return !is_structural(finding.rule); });
  return findings;
}

Result<std::vector<core::Finding>> lint(std::string_view sql, core::Phase phase) {
  const auto analysed = analyse(sql);
  if (!analysed) return std::unexpected(analysed.error());
  NewTables created;
  return lint_statements(sql, *analysed, phase, created);
}

}  // namespace diastole::sql
