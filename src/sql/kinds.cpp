#include "kinds.hpp"

#include <array>
#include <unordered_map>

#include "refine.hpp"

namespace diastole::sql {
namespace {

using enum core::LockMode;
using enum Reach;

// Sorted by nothing but sense: tables and their contents first. What is not here is unknown, and so refused.
constexpr auto kStatementKinds = std::to_array<StatementKind>({
    // tables
    {.tag = "CreateStmt", .command = "CREATE TABLE", .role = Role::creates, .refine = refine::create_table},
    {.tag = "CreateTableAsStmt", .command = "", .queries = true, .refine = refine::create_table_as},
    {.tag = "CreateForeignTableStmt", .command = "CREATE FOREIGN TABLE", .refine = refine::create_foreign_table},
    {.tag = "AlterTableStmt", .command = "", .refine = refine::alter_table},
    {.tag = "TruncateStmt", .command = "TRUNCATE TABLE", .destructive = true, .refine = refine::truncate},
    {.tag = "LockStmt", .command = "LOCK TABLE", .refine = refine::lock_table},
    {.tag = "ClusterStmt",
     .command = "CLUSTER",
     .lock = access_exclusive,
     .role = Role::touches,
     .refine = refine::cluster},
    {.tag = "VacuumStmt", .command = "", .refine = refine::vacuum},
    // any object
    {.tag = "DropStmt", .command = "", .refine = refine::drop},
    {.tag = "RenameStmt", .command = "", .refine = refine::rename},
    {.tag = "AlterObjectSchemaStmt", .command = "", .refine = refine::alter_object_schema},
    {.tag = "AlterOwnerStmt", .command = "", .refine = refine::alter_owner},
    {.tag = "CommentStmt", .command = "COMMENT", .refine = refine::comment},
    {.tag = "GrantStmt", .command = "", .opens = false, .refine = refine::grant},
    {.tag = "AlterDefaultPrivilegesStmt", .command = "ALTER DEFAULT PRIVILEGES"},
    {.tag = "DropOwnedStmt", .command = "DROP OWNED", .lock = access_exclusive, .destructive = true},
    {.tag = "ReassignOwnedStmt", .command = "REASSIGN OWNED", .lock = access_exclusive},
    // indexes and statistics
    {.tag = "IndexStmt", .command = "CREATE INDEX", .refine = refine::create_index},
    {.tag = "ReindexStmt", .command = "REINDEX", .refine = refine::reindex},
    {.tag = "CreateStatsStmt",
     .command = "CREATE STATISTICS",
     .lock = share_update_exclusive,
     .role = Role::touches,
     .subject = "relations"},
    {.tag = "AlterStatsStmt", .command = "ALTER STATISTICS"},
    // views
    {.tag = "ViewStmt", .command = "CREATE VIEW", .refine = refine::create_view},
    {.tag = "RefreshMatViewStmt", .command = "REFRESH MATERIALIZED VIEW", .refine = refine::refresh},
    // what hangs on tables
    {.tag = "CreateTrigStmt", .command = "CREATE TRIGGER", .refine = refine::create_trigger},
    {.tag = "RuleStmt", .command = "CREATE RULE", .lock = access_exclusive, .role = Role::touches},
    {.tag = "CreatePolicyStmt",
     .command = "CREATE POLICY",
     .lock = access_exclusive,
     .role = Role::touches,
     .subject = "table"},
    {.tag = "AlterPolicyStmt",
     .command = "ALTER POLICY",
     .lock = access_exclusive,
     .role = Role::touches,
     .subject = "table"},
    {.tag = "CreatePublicationStmt", .command = "CREATE PUBLICATION", .refine = refine::change_publication},
    {.tag = "AlterPublicationStmt", .command = "ALTER PUBLICATION", .refine = refine::change_publication},
    // functions, types, sequences, schemas
    {.tag = "CreateFunctionStmt", .command = "", .refine = refine::create_function},
    {.tag = "AlterFunctionStmt", .command = "", .refine = refine::alter_function},
    {.tag = "CompositeTypeStmt", .command = "CREATE TYPE", .role = Role::unlisted, .subject = "typevar"},
    {.tag = "CreateEnumStmt", .command = "CREATE TYPE"},
    {.tag = "CreateRangeStmt", .command = "CREATE TYPE"},
    {.tag = "DefineStmt", .command = "", .refine = refine::define},
    {.tag = "AlterEnumStmt", .command = "ALTER TYPE", .refine = refine::alter_type_value},
    {.tag = "CreateDomainStmt", .command = "CREATE DOMAIN"},
    {.tag = "AlterDomainStmt", .command = "ALTER DOMAIN", .refine = refine::alter_domain},
    {.tag = "CreateSeqStmt",
     .command = "CREATE SEQUENCE",
     .role = Role::unlisted,
     .subject = "sequence",
     .refine = refine::alter_sequence},
    {.tag = "AlterSeqStmt",
     .command = "ALTER SEQUENCE",
     .lock = share_row_exclusive,
     .role = Role::sequence,
     .subject = "sequence",
     .refine = refine::alter_sequence},
    {.tag = "CreateSchemaStmt", .command = "CREATE SCHEMA", .refine = refine::create_schema},
    {.tag = "CreateCastStmt", .command = "CREATE CAST"},
    // of the database and the server
    {.tag = "CreateExtensionStmt", .command = "CREATE EXTENSION"},
    {.tag = "AlterExtensionStmt", .command = "ALTER EXTENSION", .lock = access_exclusive},
    {.tag = "CreateEventTrigStmt", .command = "CREATE EVENT TRIGGER"},
    {.tag = "AlterEventTrigStmt", .command = "ALTER EVENT TRIGGER"},
    {.tag = "CreateFdwStmt", .command = "CREATE FOREIGN DATA WRAPPER"},
    {.tag = "CreateForeignServerStmt", .command = "CREATE SERVER"},
    {.tag = "CreateUserMappingStmt", .command = "CREATE USER MAPPING"},
    {.tag = "CreateRoleStmt", .command = "CREATE ROLE"},
    {.tag = "AlterRoleStmt", .command = "ALTER ROLE"},
    {.tag = "AlterRoleSetStmt", .command = "ALTER ROLE"},
    {.tag = "AlterDatabaseSetStmt", .command = "ALTER DATABASE"},
    {.tag = "DropRoleStmt", .command = "DROP ROLE", .destructive = true},
    {.tag = "GrantRoleStmt", .command = "", .refine = refine::grant_role},
    {.tag = "CreatedbStmt", .command = "CREATE DATABASE", .transactional = false},
    {.tag = "DropdbStmt",
     .command = "DROP DATABASE",
     .lock = access_exclusive,
     .destructive = true,
     .transactional = false},
    {.tag = "CreateTableSpaceStmt", .command = "CREATE TABLESPACE", .transactional = false},
    {.tag = "DropTableSpaceStmt", .command = "DROP TABLESPACE", .destructive = true, .transactional = false},
    {.tag = "CreateSubscriptionStmt",
     .command = "CREATE SUBSCRIPTION",
     .transactional = false,
     .refine = refine::create_subscription},
    {.tag = "DropSubscriptionStmt", .command = "DROP SUBSCRIPTION", .destructive = true, .transactional = false},
    {.tag = "AlterSystemStmt", .command = "ALTER SYSTEM", .transactional = false},
    // rows
    {.tag = "SelectStmt", .command = "SELECT", .queries = true, .refine = refine::select},
    {.tag = "InsertStmt", .command = "INSERT", .queries = true, .refine = refine::insert},
    {.tag = "UpdateStmt", .command = "UPDATE", .destructive = true, .queries = true},
    {.tag = "DeleteStmt", .command = "DELETE", .destructive = true, .queries = true},
    {.tag = "MergeStmt", .command = "MERGE", .queries = true, .refine = refine::merge},
    // the session
    {.tag = "VariableSetStmt", .command = "", .refine = refine::set},
    {.tag = "ConstraintsSetStmt", .command = "SET CONSTRAINTS"},
    {.tag = "TransactionStmt", .command = "", .refine = refine::transaction},
    // their effect is in code that only the server can see
    {.tag = "DoStmt", .command = "DO", .refine = refine::unknown},
    {.tag = "CallStmt", .command = "CALL", .refine = refine::unknown},
    {.tag = "ExecuteStmt", .command = "EXECUTE", .refine = refine::unknown},
});

constexpr auto kObjectKinds = std::to_array<ObjectKind>({
    {"OBJECT_TABLE", "TABLE", Naming::relation, access_exclusive, access_exclusive, true},
    {"OBJECT_VIEW", "VIEW", Naming::relation, access_exclusive, access_exclusive, true},
    {"OBJECT_MATVIEW", "MATERIALIZED VIEW", Naming::relation, access_exclusive, access_exclusive, true},
    {"OBJECT_FOREIGN_TABLE", "FOREIGN TABLE", Naming::relation, access_exclusive, access_exclusive, true},
    {"OBJECT_INDEX", "INDEX", Naming::index, access_exclusive, share_update_exclusive, false},
    {"OBJECT_SEQUENCE", "SEQUENCE", Naming::sequence, access_exclusive, access_exclusive, true},
    {"OBJECT_STATISTIC_EXT", "STATISTICS", Naming::other, share_update_exclusive, none, false},
    {"OBJECT_COLUMN", "TABLE", Naming::member, access_exclusive, access_exclusive, true},
    {"OBJECT_TABCONSTRAINT", "TABLE", Naming::member, access_exclusive, access_exclusive, false},
    {"OBJECT_TRIGGER", "TRIGGER", Naming::member, access_exclusive, access_exclusive, false},
    {"OBJECT_RULE", "RULE", Naming::member, access_exclusive, access_exclusive, false},
    {"OBJECT_POLICY", "POLICY", Naming::member, access_exclusive, access_exclusive, false},
    {"OBJECT_ATTRIBUTE", "TYPE", Naming::other, access_exclusive, access_exclusive, true},
    {"OBJECT_TYPE", "TYPE", Naming::other, none, none, true},
    {"OBJECT_DOMAIN", "DOMAIN", Naming::other, none, none, true},
    {"OBJECT_DOMCONSTRAINT", "DOMAIN", Naming::other, none, none, false},
    {"OBJECT_SCHEMA", "SCHEMA", Naming::other, none, none, true},
    {"OBJECT_FUNCTION", "FUNCTION", Naming::other, none, none, true},
    {"OBJECT_PROCEDURE", "PROCEDURE", Naming::other, none, none, true},
    {"OBJECT_ROUTINE", "ROUTINE", Naming::other, none, none, true},
    {"OBJECT_AGGREGATE", "AGGREGATE", Naming::other, none, none, true},
    {"OBJECT_OPERATOR", "OPERATOR", Naming::other, none, none, true},
    {"OBJECT_OPCLASS", "OPERATOR CLASS", Naming::other, none, none, true},
    {"OBJECT_OPFAMILY", "OPERATOR FAMILY", Naming::other, none, none, true},
    {"OBJECT_CAST", "CAST", Naming::other, none, none, true},
    {"OBJECT_COLLATION", "COLLATION", Naming::other, none, none, true},
    {"OBJECT_CONVERSION", "CONVERSION", Naming::other, none, none, true},
    {"OBJECT_LANGUAGE", "LANGUAGE", Naming::other, none, none, true},
    {"OBJECT_EXTENSION", "EXTENSION", Naming::other, access_exclusive, none, true},
    {"OBJECT_EVENT_TRIGGER", "EVENT TRIGGER", Naming::other, none, none, false},
    {"OBJECT_PUBLICATION", "PUBLICATION", Naming::other, none, none, true},
    {"OBJECT_FDW", "FOREIGN DATA WRAPPER", Naming::other, none, none, true},
    {"OBJECT_FOREIGN_SERVER", "SERVER", Naming::other, none, none, true},
    {"OBJECT_ROLE", "ROLE", Naming::other, none, none, true},
    {"OBJECT_DATABASE", "DATABASE", Naming::other, access_exclusive, access_exclusive, true},
    {"OBJECT_TSCONFIGURATION", "TEXT SEARCH CONFIGURATION", Naming::other, none, none, true},
    {"OBJECT_TSDICTIONARY", "TEXT SEARCH DICTIONARY", Naming::other, none, none, true},
    {"OBJECT_TSPARSER", "TEXT SEARCH PARSER", Naming::other, none, none, true},
    {"OBJECT_TSTEMPLATE", "TEXT SEARCH TEMPLATE", Naming::other, none, none, true},
});

// AlterTableGetLockLevel() of PostgreSQL 15. What reaches further than its row says, or takes another lock, has a
// function of its own in refine_alter_table.cpp.
constexpr auto kAlterKinds = std::to_array<AlterKind>({
    {"AT_AddColumn"},
    {"AT_ColumnDefault", access_exclusive, family},
    {"AT_DropNotNull", access_exclusive, family},
    {"AT_SetNotNull"},
    {"AT_DropExpression", access_exclusive, family},
    {"AT_SetStatistics", share_update_exclusive, family},
    {"AT_SetOptions", share_update_exclusive},
    {"AT_ResetOptions", share_update_exclusive},
    {"AT_SetStorage", access_exclusive, family},
    {"AT_SetCompression"},
    {"AT_DropColumn", access_exclusive, itself, true},
    {"AT_AddConstraint"},
    {"AT_AlterConstraint", access_exclusive, partitions},
    {"AT_ValidateConstraint", share_update_exclusive},
    {"AT_DropConstraint"},
    {"AT_AlterColumnType", access_exclusive, itself, true},
    {"AT_AlterColumnGenericOptions"},
    {"AT_GenericOptions"},
    {"AT_ChangeOwner"},
    {"AT_ClusterOn", share_update_exclusive},
    {"AT_DropCluster", share_update_exclusive},
    {"AT_SetLogged"},
    {"AT_SetUnLogged"},
    {"AT_DropOids"},
    {"AT_SetAccessMethod"},
    {"AT_SetTableSpace"},
    {"AT_SetRelOptions", share_update_exclusive},
    {"AT_ResetRelOptions", share_update_exclusive},
    {"AT_EnableTrig", share_row_exclusive},
    {"AT_EnableAlwaysTrig", share_row_exclusive},
    {"AT_EnableReplicaTrig", share_row_exclusive},
    {"AT_DisableTrig", share_row_exclusive},
    {"AT_EnableTrigAll", share_row_exclusive},
    {"AT_DisableTrigAll", share_row_exclusive},
    {"AT_EnableTrigUser", share_row_exclusive},
    {"AT_DisableTrigUser", share_row_exclusive},
    {"AT_EnableRule"},
    {"AT_EnableAlwaysRule"},
    {"AT_EnableReplicaRule"},
    {"AT_DisableRule"},
    {"AT_AddInherit"},
    {"AT_DropInherit"},
    {"AT_AddOf"},
    {"AT_DropOf"},
    {"AT_ReplicaIdentity"},
    {"AT_EnableRowSecurity"},
    {"AT_DisableRowSecurity"},
    {"AT_ForceRowSecurity"},
    {"AT_NoForceRowSecurity"},
    {"AT_AttachPartition", share_update_exclusive},
    {"AT_DetachPartition"},
    {"AT_DetachPartitionFinalize", share_update_exclusive},
    {"AT_AddIdentity"},
    {"AT_SetIdentity"},
    {"AT_DropIdentity"},
});

// Made once; the keys are those of the table.
template <typename Row, std::size_t N>
const Row* find_row(const std::array<Row, N>& rows, std::string_view Row::* key, std::string_view wanted) {
  static const auto kByKey = [&] {
    std::unordered_map<std::string_view, const Row*> by_key;
    for (const Row& row : rows) by_key.emplace(row.*key, &row);
    return by_key;
  }();
  const auto found = kByKey.find(wanted);
  return found == kByKey.end() ? nullptr : found->second;
}

}  // namespace

const StatementKind* find_statement_kind(std::string_view tag) {
  return find_row(kStatementKinds, &StatementKind::tag, tag);
}

const ObjectKind* find_object_kind(std::string_view type) {
  return find_row(kObjectKinds, &ObjectKind::type, type);
}

const AlterKind* find_alter_kind(std::string_view subtype) {
  return find_row(kAlterKinds, &AlterKind::subtype, subtype);
}

}  // namespace diastole::sql
