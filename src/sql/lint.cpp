#include "lint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "kinds.hpp"
#include "safe_form.hpp"

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

void lint_setting(std::string_view name, Reporter& reporter) {
  const bool unknown = name.empty();  // RESET ALL, or a name that is computed
  if (!unknown && !contains(kManagedSettings, name)) return;
  const Rule& rule = name == "lock_timeout"        ? kRequireLockTimeout
                     : name == "statement_timeout" ? kRequireStatementTimeout
                                                   : kManagedSetting;
  reporter.report(rule, {.name = unknown ? "its session's settings" : std::string(name)});
}

// set_config('lock_timeout', …) is SET in disguise.
void lint_set_config(const Lint& lint) {
  if (lint.text().find("set_config") == std::string_view::npos) return;
  visit_objects(lint.body(), [&](std::string_view key, Node node) {
    if (key != "FuncCall" || last_name(node["funcname"]) != "set_config") return;
    lint_setting(node["args"].front().body()["sval"].text("sval"), lint.reporter);
  });
}

void lint_set(const Lint& lint) {
  lint_setting(lint.body().text("name"), lint.reporter);
}

void lint_transaction(const Lint& lint) {
  const std::string_view kind = lint.body().text("kind");
  const bool opens = kind == "TRANS_STMT_BEGIN" || kind == "TRANS_STMT_START";
  lint.reporter.report(opens && !lint.reporter.commits() ? kUncommittedTransaction : kTransactionNesting,
                       {.kind = lint.statement.statement.kind});
}

void lint_rule(const Lint& lint) {
  const std::string table = relation_name(lint.body()["relation"]);
  const bool view = lint.body().text("event") == "CMD_SELECT";
  if (!view && !lint.known().is_new(table))
    lint.reporter.report(kCreatingRule, {.table = table, .statement = std::string(lint.text())});
}

void lint_lock(const Lint& lint) {
  const auto mode = static_cast<core::LockMode>(lint.body().number("mode"));
  if (mode < core::LockMode::share) return;
  for (const Node relation : lint.body()["relations"]) {
    const std::string table = relation_name(relation.body());
    if (lint.known().is_new(table)) continue;
    lint.reporter.report(kLockTable, {.table = table});
    return;
  }
}

void lint_drop_database(const Lint& lint) {
  lint.reporter.report(kBanDropDatabase, {});
}

// A statement that commits by itself, and that the daemon's own probing by definition does not cover.
void lint_robust(const Lint& lint) {
  constexpr auto kCreating = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"CreatedbStmt", ""},
      {"CreateTableSpaceStmt", ""},
      {"CreateSubscriptionStmt", ""},
      {"DropTableSpaceStmt", "TABLESPACE"},
      {"DropSubscriptionStmt", "SUBSCRIPTION"},
  });
  const auto* found =
      std::ranges::find(kCreating, lint.statement.parsed.tag, &std::pair<std::string_view, std::string_view>::first);
  if (found == kCreating.end() || lint.body().flag("missing_ok")) return;
  const std::string safe = found->second.empty() ? std::string{} : with_word(lint.text(), found->second, "IF EXISTS");
  lint.reporter.report(kPreferRobust, {.kind = lint.statement.statement.kind, .statement = safe});
}

// In the tree a name that is too long is cut off already.
void lint_identifiers(const Lint& lint) {
  const std::string_view name = long_identifier(lint.text());
  if (!name.empty()) lint.reporter.report(kIdentifierTooLong, {.name = std::string(name)});
}

struct StatementRules {
  std::string_view tag;
  void (*lint)(const Lint&);
};
constexpr auto kStatementRules = std::to_array<StatementRules>({
    {"AlterDatabaseSetStmt", lint_foreign_setting},
    {"AlterDefaultPrivilegesStmt", lint_default_rights},
    {"AlterDomainStmt", lint_domain},
    {"AlterEnumStmt", lint_enum},
    {"AlterObjectSchemaStmt", lint_set_schema},
    {"AlterOwnerStmt", lint_owner_of_object},
    {"AlterPolicyStmt", lint_policy},
    {"AlterPublicationStmt", lint_publication},
    {"AlterRoleSetStmt", lint_foreign_setting},
    {"AlterRoleStmt", lint_role},
    {"AlterSeqStmt", lint_sequence},
    {"AlterSystemStmt", lint_foreign_setting},
    {"AlterTableStmt", lint_alter_table},
    {"ClusterStmt", lint_vacuum},
    {"CreateDomainStmt", lint_create_domain},
    {"CreateEnumStmt", lint_create_enum},
    {"CreateFunctionStmt", lint_replace_object},
    {"CreatePolicyStmt", lint_policy},
    {"CreatePublicationStmt", lint_publication},
    {"CreateStmt", lint_create_table},
    {"CreateTrigStmt", lint_replace_object},
    {"DefineStmt", lint_replace_object},
    {"DeleteStmt", lint_query},
    {"DropOwnedStmt", lint_drop_owned},
    {"DropRoleStmt", lint_drop_owned},
    {"DropStmt", lint_drop},
    {"DropSubscriptionStmt", lint_drop_owned},
    {"DropdbStmt", lint_drop_database},
    {"GrantRoleStmt", lint_grant_role},
    {"GrantStmt", lint_grant},
    {"IndexStmt", lint_index},
    {"InsertStmt", lint_query},
    {"LockStmt", lint_lock},
    {"MergeStmt", lint_query},
    {"ReassignOwnedStmt", lint_reassign},
    {"RefreshMatViewStmt", lint_refresh},
    {"ReindexStmt", lint_reindex},
    {"RenameStmt", lint_rename},
    {"RuleStmt", lint_rule},
    {"SelectStmt", lint_query},
    {"TransactionStmt", lint_transaction},
    {"TruncateStmt", lint_truncate},
    {"UpdateStmt", lint_query},
    {"VacuumStmt", lint_vacuum},
    {"VariableSetStmt", lint_set},
    {"ViewStmt", lint_replace_view},
});

constexpr auto kRowStatements = std::to_array<std::string_view>(
    {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "VariableSetStmt", "TransactionStmt"});

bool moves_rows(const Analysed& statement) {
  return contains(kRowStatements, statement.parsed.tag);
}

void lint_schema_named(const Lint& lint) {
  const auto check = [&](const std::string& name) {
    if (name_of_identifier(name).schema.empty()) lint.reporter.report(kRequireTableSchema, {.table = name});
  };
  for (const core::Touch& touch : lint.statement.statement.touches) {
    if (touch.named && touch.kind == core::Touch::Kind::table) check(touch.relation);
  }
  for (const std::string& created : lint.statement.statement.creates) check(created);
}

void lint_owner(const Lint& lint) {
  constexpr auto kOwners = std::to_array<std::string_view>(
      {"AlterTableStmt", "DropStmt", "RenameStmt", "IndexStmt", "ReindexStmt", "RefreshMatViewStmt"});
  if (!contains(kOwners, lint.statement.parsed.tag) || lint.statement.statement.touches.empty()) return;
  const core::Touch& first = lint.statement.statement.touches.front();
  const core::CatalogRelation* table = lint.known().table(first.relation);
  if (table != nullptr && !table->owned) lint.reporter.report(kOwner, {.table = first.relation});
}

// IF EXISTS of a table that is not there. What DROP names is looked at one by one.
bool does_nothing(const ParsedStatement& statement, const Known& known) {
  const Node relation = statement.body["relation"];
  return statement.body.flag("missing_ok") && is_relation(relation) && known.is_absent(name_of(relation));
}

void lint_obscure(const Lint& lint) {
  core::Finding* found = lint.reporter.report(kUnanalysable, {.kind = lint.statement.obscure});
  if (found == nullptr || lint.statement.parsed.tag != "DoStmt") return;
  StepWriter steps(lint.known(), {});
  steps.sql("<the statements of its body>", "a step runs once, so that they need no guard against what is there");
  found->safe_form = steps.take();
}

void lint_statement(const Lint& lint, const Before& before, std::size_t statements, const AnalysisOptions& options) {
  const Analysed& one = lint.statement;
  if (!one.obscure.empty()) lint_obscure(lint);
  if (!one.statement.transactional && statements > 1) {
    lint.reporter.report(kConcurrentInTransaction, {.kind = one.statement.kind, .statement = one.statement.sql});
  }
  if (lint.reporter.phase() == core::Phase::backfill && !moves_rows(one)) {
    lint.reporter.report(kDdlInBackfill, {.kind = one.statement.kind, .statement = one.statement.sql});
    return;
  }
  if (does_nothing(one.parsed, lint.known())) return;
  const auto rules = std::ranges::find(kStatementRules, one.parsed.tag, &StatementRules::tag);
  if (rules != kStatementRules.end()) rules->lint(lint);
  lint_set_config(lint);
  lint_setval(lint);
  if (!one.statement.transactional) lint_robust(lint);
  lint_owner(lint);
  lint_identifiers(lint);
  lint_together(lint, before);
  if (options.require_table_schema) lint_schema_named(lint);
}

// The first phase whose rules let it pass.
std::optional<core::Phase> belongs(const Reporter& reporter, const Analysed& statement) {
  if (!reporter.refused_in(core::Phase::expand)) return core::Phase::expand;
  if (reporter.batches()) return core::Phase::backfill;
  if (!reporter.refused_in(core::Phase::contract) && !moves_rows(statement)) return core::Phase::contract;
  return std::nullopt;
}

bool has_commit(const Tree& tree) {
  return std::ranges::any_of(tree.statements, [](const ParsedStatement& statement) {
    const std::string_view kind = statement.tag == "TransactionStmt" ? statement.body.text("kind") : std::string_view{};
    return kind == "TRANS_STMT_COMMIT" || kind == "TRANS_STMT_ROLLBACK";
  });
}

LintedText syntax_error(const SyntaxError& error) {
  core::Finding finding = make_finding(kSyntaxError, kError, {.name = error.message});
  finding.line = error.place.line;
  finding.column = error.place.column;
  return {.statements = {}, .findings = {std::move(finding)}};
}

}  // namespace

LintedText lint_text(std::string_view sql, core::Phase phase, const AnalysisOptions& options, PlanMemory& memory) {
  const auto tree = parse_statements(sql);
  if (!tree) return syntax_error(tree.error());
  Reporter reporter(sql, phase, memory.known.server_version(), has_commit(*tree));
  std::vector<Analysed> done;
  done.reserve(tree->statements.size());
  Before before;
  for (const ParsedStatement& parsed : tree->statements) {
    Analysed& one = done.emplace_back(analyse(parsed, memory.known));
    const Lint lint{.statement = one, .reporter = reporter, .memory = memory};
    reporter.begin(parsed.offset);
    lint_statement(lint, before, tree->statements.size(), options);
    one.statement.phase = belongs(reporter, one);
    if (done.size() < tree->statements.size()) before.take_in(lint);
    memory.known.learn(one);
  }
  LintedText result{.statements = {}, .findings = reporter.take()};
  result.statements.reserve(done.size());
  for (Analysed& one : done) result.statements.push_back(std::move(one.statement));
  return result;
}

LintedText lint_undo(std::string_view sql, const core::CatalogSnapshot* catalog) {
  PlanMemory memory(catalog);
  LintedText linted = lint_text(sql, core::Phase::contract, {}, memory);
  std::erase_if(linted.findings, [](const core::Finding& finding) { return !is_structural(finding.rule); });
  return linted;
}

std::vector<core::Finding> open_foreign_keys(const PlanMemory& memory) {
  std::vector<core::Finding> open;
  for (const PlanMemory::ForeignKey& key : memory.foreign_keys) {
    const core::Answer indexed = memory.known.has_index_on(key.table, key.columns);
    if (indexed == core::Answer::yes) continue;
    const std::string index = made_name(name_of_identifier(key.table).name, key.columns, "idx");
    core::Finding finding = make_finding(kForeignKeyIndex, kWarning,
                                         {.table = key.table,
                                          .column = join_names(key.columns),
                                          .object = quote_identifier(index),
                                          .name = key.references});
    finding.path = key.path;
    finding.line = key.place.line;
    finding.column = key.place.column;
    if (indexed == core::Answer::maybe) finding.sharper_with = fmt::format("the indexes of {}", key.table);
    if (StepWriter steps(memory.known, key.table); steps.is_partitioned()) {
      steps.index(index, fmt::format("({})", join_names(key.columns)), false);
      finding.safe_form = steps.take();
    }
    open.push_back(std::move(finding));
  }
  return open;
}

Result<std::vector<core::Finding>> lint(std::string_view sql, core::Phase phase, const core::CatalogSnapshot* catalog,
                                        const AnalysisOptions& options) {
  PlanMemory memory(catalog);
  LintedText linted = lint_text(sql, phase, options, memory);
  std::ranges::move(open_foreign_keys(memory), std::back_inserter(linted.findings));
  return std::move(linted.findings);
}

std::vector<std::string> names_in(Node strings) {
  std::vector<std::string> names;
  for (const Node node : strings) names.emplace_back(node.body().text("sval"));
  return names;
}

std::string join_names(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + quote_identifier(name);
  return joined;
}

std::string name_or(std::string_view name, std::string_view otherwise) {
  return name.empty() ? std::string(otherwise) : quote_identifier(name);
}

}  // namespace diastole::sql
