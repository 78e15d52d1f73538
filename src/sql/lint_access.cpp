// Rules on who may do what: rights, owners, roles, policies, and the settings of other sessions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "lint.hpp"

namespace diastole::sql {
namespace {

std::string role_name(Node role) {
  return name_or(role.text("rolename"), "the role of the session");
}

// What nobody but the owner has rights on by itself; functions and types are open to PUBLIC.
constexpr auto kGuarded =
    std::to_array<std::string_view>({"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE",
                                     "OBJECT_SEQUENCE", "OBJECT_SCHEMA", "OBJECT_DATABASE", "OBJECT_LARGEOBJECT"});

// {object} of AlterOwnerStmt: a list of names, a name, or a function with its arguments.
std::string object_name(Node object) {
  const Node body = object.body();
  if (const Node items = body["items"]) return dotted_name(items);
  if (const Node function = body["objname"]) return dotted_name(function);
  return quote_identifier(body.text("sval"));
}

void report_owner(const Lint& lint, std::string_view type, const std::string& table, const std::string& object) {
  lint.reporter.report(kChangingOwner,
                       {.table = table, .object = object, .statement = lint.reporter.shown(lint.text())},
                       contains(kGuarded, type) ? kError : kWarning, kPasses);
}

// What a role loses by an option of ALTER ROLE; kPasses where it loses nothing.
std::optional<core::Severity> severity_of(const Lint& lint, Node option) {
  constexpr auto kNeeded =
      std::to_array<std::string_view>({"canlogin", "superuser", "inherit", "bypassrls", "isreplication"});
  const std::string_view name = option.text("defname");
  const Node value = option["arg"].body();
  if (name == "password") return kError;
  if (contains(kNeeded, name)) return value.flag("boolval") ? kPasses : std::optional(kError);
  if (name == "createrole" || name == "createdb") return value.flag("boolval") ? kPasses : std::optional(kWarning);
  if (name == "validUntil") return value.text("sval") == "infinity" ? kPasses : std::optional(kWarning);
  if (name != "connectionlimit") return kPasses;
  // The tree does not tell -1, no limit, from 0.
  const auto at = static_cast<std::size_t>(option.number("location")) - lint.statement.parsed.offset;
  const std::size_t number = lint.text().find_first_of("-0123456789", at);
  return number != std::string_view::npos && lint.text()[number] == '-' ? kPasses : std::optional(kWarning);
}

std::string option_words(Node option) {
  constexpr auto kWords = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"canlogin", "NOLOGIN"},
      {"superuser", "NOSUPERUSER"},
      {"inherit", "NOINHERIT"},
      {"bypassrls", "NOBYPASSRLS"},
      {"isreplication", "NOREPLICATION"},
      {"createrole", "NOCREATEROLE"},
      {"createdb", "NOCREATEDB"},
      {"password", "another PASSWORD"},
      {"validUntil", "VALID UNTIL"},
      {"connectionlimit", "CONNECTION LIMIT"},
  });
  const auto* found =
      std::ranges::find(kWords, option.text("defname"), &std::pair<std::string_view, std::string_view>::first);
  return std::string(found == kWords.end() ? option.text("defname") : found->second);
}

void report_revoke(const Lint& lint, std::string_view kind, std::optional<core::Severity> severity) {
  lint.reporter.report(kRevoking, {.kind = std::string(kind), .statement = std::string(lint.text())}, severity,
                       kPasses);
}

bool revokes_new(const Lint& lint) {
  const Node body = lint.body();
  const auto is_new = [&](Node object) {
    if (body.text("objtype") == "OBJECT_TABLE") return lint.known().is_new(relation_name(object.body()));
    const auto named = named_object(body.text("objtype"), object);
    return named && lint.known().is_new(*named);
  };
  return body.text("targtype") == "ACL_TARGET_OBJECT" && std::ranges::all_of(body["objects"], is_new);
}

}  // namespace

// ALTER TABLE, VIEW and SEQUENCE … OWNER TO.
void lint_new_owner(const Lint& lint) {
  const std::string_view type = lint.body().text("objtype");
  const Node relation = lint.body()["relation"];
  const std::string name = relation_name(relation);
  if (lint.known().is_new(sequence_named(name_of(relation)))) return;
  if (type != "OBJECT_INDEX") report_owner(lint, type, name, name);  // which PostgreSQL does not do
}

void lint_owner_of_object(const Lint& lint) {
  const std::string_view type = lint.body().text("objectType");
  const Node object = lint.body()["object"];
  const auto named = named_object(type, object);
  if (!named || !lint.known().is_new(*named)) report_owner(lint, type, {}, object_name(object));
}

void lint_reassign(const Lint& lint) {
  std::vector<std::string> roles;
  for (const Node role : lint.body()["roles"]) roles.push_back(role_name(role.body()));
  report_owner(lint, "OBJECT_TABLE", {}, fmt::format("what {} owns", fmt::join(roles, ", ")));
}

void lint_grant(const Lint& lint) {
  const Node body = lint.body();
  if (body.flag("is_grant")) return;
  if (!revokes_new(lint)) report_revoke(lint, "REVOKE", kError);
  const bool of_columns = std::ranges::any_of(
      body["privileges"], [](Node privilege) { return static_cast<bool>(privilege.body()["cols"]); });
  if (!of_columns) return;
  for (const Node object : body["objects"]) {
    if (!is_relation(object.body())) continue;
    const core::CatalogRelation* present = lint.known().relation(object.body());
    for (const Node grantee : body["grantees"]) {
      const std::string_view name = grantee.body().text("rolename");
      const std::string role = name.empty() ? "PUBLIC" : std::string(name);
      if (present != nullptr && !contains(present->column_grantees, role)) continue;
      core::Finding* found = lint.reporter.report(
          kColumnRevoke, {.table = relation_name(object.body()),
                          .object = name.empty() ? role : quote_identifier(role),
                          .name = std::string(body["privileges"].front().body().text("priv_name"))});
      if (found != nullptr && present == nullptr)
        found->sharper_with = fmt::format("the rights on {}", relation_name(object.body()));
    }
  }
}

void lint_grant_role(const Lint& lint) {
  if (!lint.body().flag("is_grant")) report_revoke(lint, "REVOKE", kError);
}

// Only on what is made from now on.
void lint_default_rights(const Lint& lint) {
  if (!lint.body()["action"].flag("is_grant")) report_revoke(lint, "ALTER DEFAULT PRIVILEGES … REVOKE", kWarning);
}

void lint_role(const Lint& lint) {
  for (const Node node : lint.body()["options"]) {
    const Node option = node.body();
    if (option.text("defname") == "rolemembers") {  // ALTER GROUP, whose DROP is -1
      const bool adds = lint.body().number("action") > 0;
      if (!adds) report_revoke(lint, "ALTER GROUP … DROP USER", kError);
      continue;
    }
    lint.reporter.report(
        kRestrictingRole,
        {.object = role_name(lint.body()["role"]), .name = option_words(option), .statement = std::string(lint.text())},
        severity_of(lint, option), kPasses);
  }
}

// ALTER ROLE, DATABASE and SYSTEM … SET.
void lint_foreign_setting(const Lint& lint) {
  // What queries mean, or whether they may write, hangs on these.
  constexpr auto kMeaning = std::to_array<std::string_view>(
      {"search_path", "role", "session_replication_role", "default_transaction_read_only", "row_security", "timezone",
       "datestyle", "intervalstyle", "bytea_output", "client_encoding", "standard_conforming_strings"});
  const Node setting = lint.body()["setstmt"];
  const std::string_view name = setting.text("name");  // none: RESET ALL
  const auto severity = name.empty() || contains(kMeaning, name) ? kError : kWarning;
  const std::string setting_name = name.empty() ? "all their settings" : fmt::format("setting {}", name);
  lint.reporter.report(
      kForeignSetting,
      {.kind = lint.statement.statement.kind, .name = setting_name, .statement = std::string(lint.text())}, severity,
      kPasses);
}

// A permissive policy lets through more; any other change may let through less.
void lint_policy(const Lint& lint) {
  const Node body = lint.body();
  const bool creates = lint.statement.parsed.tag == "CreatePolicyStmt";
  const std::string table = relation_name(body["table"]);
  if ((creates && body.flag("permissive")) || lint.known().is_new(table)) return;
  const std::string_view name = body.text("policy_name");
  if (!creates && lint.known().is_new(policy_named(name_of(body["table"]), name))) return;
  const core::CatalogRelation* present = lint.known().relation(body["table"]);
  if (present != nullptr && !present->row_security) return;
  core::Finding* found = lint.reporter.report(
      kPolicy, {.table = table, .object = quote_identifier(name), .statement = std::string(lint.text())});
  if (found != nullptr && present == nullptr)
    found->sharper_with = fmt::format("whether row level security is enabled on {}", table);
}

}  // namespace diastole::sql
