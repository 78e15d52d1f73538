#include "rules.hpp"

#include <fmt/format.h>

#include "diastole/sql/analysis.hpp"

namespace diastole::sql {

namespace {

std::string_view shown(std::optional<core::Severity> severity) {
  if (!severity) return "";
  return *severity == kError ? "refused" : "warning";
}

// {table} as _table_; | would end the cell.
std::string cell(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool blank = (c == '{' && i + 1 < text.size() && text[i + 1] != ' ') || (c == '}' && text[i - 1] != ' ');
    if (c == '|') {
      shown += "\\|";
    } else if (c == '\n') {
      shown += ", ";
    } else {
      shown += blank ? '_' : c;
    }
  }
  return shown;
}

std::string why_cell(const Rule& rule) {
  const std::string why = cell(rule.why);
  return rule.why_old_code.empty() ? why : fmt::format("{}; {}", why, cell(rule.why_old_code));
}

std::string safe_cell(const Rule& rule) {
  std::string shown;
  for (const SafeTemplate& safe : rule.safe) {
    if (safe.text.empty()) continue;
    if (!shown.empty()) shown += "; ";
    if (safe.phase) shown += fmt::format("{}: ", to_string(*safe.phase));
    if (safe.form != core::SafeStep::Form::sql) shown += fmt::format("{} ", to_string(safe.form));
    shown += safe.text == "{statement}" ? "the statement made safe" : cell(safe.text);
    if (!safe.note.empty()) shown += fmt::format(" ({})", cell(safe.note));
  }
  return shown;
}

std::string servers_cell(const Rule& rule) {
  constexpr int kMajor = 10'000;
  const auto name = [](int version) {
    return version % kMajor == 0 ? fmt::format("{}", version / kMajor)
                                 : fmt::format("{}.{}", version / kMajor, version % kMajor);
  };
  const bool ends = rule.until != std::numeric_limits<int>::max();
  if (rule.since == 0 && !ends) return "";
  return ends ? fmt::format("{} to before {}", name(rule.since), name(rule.until))
              : fmt::format("from {}", name(rule.since));
}

}  // namespace

std::string rules_reference() {
  std::string table = "| rule | expand, backfill | contract | why | instead | servers |\n|---|---|---|---|---|---|\n";
  for (const Rule* rule : all_rules()) {
    table += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", rule->name, shown(rule->expand), shown(rule->contract),
                         why_cell(*rule), safe_cell(*rule), servers_cell(*rule));
  }
  return table;
}

std::span<const Rule* const> all_rules() {
  static constexpr auto kRules = std::to_array<const Rule*>({
      &kSyntaxError,
      &kTransactionNesting,
      &kUncommittedTransaction,
      &kConcurrentInTransaction,
      &kRequireIndexName,
      &kOneConcurrentDrop,
      &kManagedSetting,
      &kRequireLockTimeout,
      &kRequireStatementTimeout,
      &kBanDropDatabase,
      &kDdlInBackfill,
      &kUnanalysable,
      &kIdentifierTooLong,
      &kRequireTableSchema,
      &kPreferRobust,
      &kConcurrentUnderTimeout,
      &kBanDropColumn,
      &kBanDropTable,
      &kBanDropSchema,
      &kBanDropObject,
      &kBanTruncate,
      &kBanTruncateCascade,
      &kRenamingColumn,
      &kRenamingTable,
      &kRenamingSchema,
      &kRenamingEnumValue,
      &kRenamingObject,
      &kCheckOldWriters,
      &kConstraintOldWriters,
      &kRowSecurity,
      &kRevoking,
      &kDetachingPartition,
      &kCreatingRule,
      &kDisablingTrigger,
      &kPolicy,
      &kChangingOwner,
      &kRestrictingRole,
      &kForeignSetting,
      &kGeneratedAlways,
      &kChangingSequence,
      &kNarrowingPublication,
      &kReplicaIdentity,
      &kDroppingUnique,
      &kReplacing,
      &kChangingCollation,
      &kLockTable,
      &kDropNotNull,
      &kColumnDefault,
      &kRequiredField,
      &kDropCascade,
      &kDropBlocked,
      &kDropTakesAlong,
      &kColumnRevoke,
      &kOwner,
      &kChangingColumnType,
      &kTypeUnderCheck,
      &kTypeWithNotNull,
      &kAddingNotNullable,
      &kNotNullAfterUpdate,
      &kVolatileDefault,
      &kSerialField,
      &kGeneratedField,
      &kConstrainedDomain,
      &kTableRewrite,
      &kConcurrentIndexCreation,
      &kConcurrentPartitioned,
      &kConcurrentIndexDeletion,
      &kConcurrentReindex,
      &kConcurrentDetach,
      &kConcurrentRefresh,
      &kMissingNotValid,
      &kForeignKey,
      &kValidateTogether,
      &kUniqueConstraint,
      &kPrimaryKey,
      &kPrimaryKeyNullable,
      &kExclusionConstraint,
      &kAttachWithoutCheck,
      &kDropForeignKey,
      &kDropTableForeignKeys,
      &kVacuumFull,
      &kDomainConstraint,
      &kUnbatchedDml,
      &kDmlWithoutWhere,
      &kAffectedRows,
      &kRowLocks,
      &kAssignedTwice,
      &kAfterAccessExclusive,
      &kEnumValueTogether,
      &kMultipleAlter,
      &kMultipleForeignKeys,
      &kIndexReplaced,
      &kWideIndex,
      &kIndexCorruption,
      &kForeignKeyIndex,
      &kForeignKeyType,
      &kOnDeleteCascade,
      &kMayFail,
      &kJson,
      &kBigintOverInt,
      &kBigintOverSmallint,
      &kPreferIdentity,
      &kPreferText,
      &kPreferTimestamptz,
      &kBanChar,
      &kCreateDomain,
      &kCreatingEnum,
      &kEnumOrdering,
      &kAlignment,
      &kUnknownColumn,
      &kBackfillWithoutWay,
      &kBackfillWithoutNeeds,
      &kUnusedIgnore,
  });
  return kRules;
}

}  // namespace diastole::sql
