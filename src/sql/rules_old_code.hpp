// Rules on what takes from running old code rights, settings, values and definitions that it relies on. A part of
// rules.hpp.
#pragma once

#include "rule.hpp"

namespace diastole::sql {

inline constexpr Rule kPolicy{"changing-policy",
                              kError,
                              kPasses,
                              "policy {object} may hide rows of {table} from old code, or refuse those that it writes",
                              {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kChangingOwner{
    "changing-owner",
    kError,
    kPasses,
    "old code that runs as the owner of {object} has no rights on it any more, not even those that were granted to it",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kRestrictingRole{
    "restricting-role",
    kError,
    kPasses,
    "old code that runs as {object} may not log in, or not do what it did, with {name}",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kForeignSetting{"changing-settings",
                                      kError,
                                      kPasses,
                                      "new sessions of old code get {name} from {kind}, unseen",
                                      {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kGeneratedAlways{
    "generated-always",
    kError,
    kPasses,
    "once {table}.{column} is GENERATED ALWAYS, INSERTs of old code that name it fail",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kChangingSequence{
    "changing-sequence",
    kWarning,
    kPasses,
    "with {name} sequence {object} may give old code values that are taken, or none at all",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kNarrowingPublication{
    "narrowing-publication",
    kError,
    kPasses,
    "subscribers of publication {object} no longer get the changes of what leaves it",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kReplicaIdentity{
    "missing-replica-identity",
    kError,
    kError,
    "UPDATE and DELETE fail on {table} while it is published without a replica identity",
    {{{.text = "ALTER TABLE {table} REPLICA IDENTITY FULL",
       .note = "or USING INDEX, a unique one over NOT NULL columns"}}}};
inline constexpr Rule kDroppingUnique{
    "dropping-unique-index",
    kError,
    kPasses,
    "without unique index {object} ON CONFLICT of old code fails, and nothing refuses equal rows",
    {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kReplacing{"replacing-definition",
                                 kWarning,
                                 kPasses,
                                 "old code that uses {object} meets the new definition at once",
                                 {{{.phase = kContract, .text = "{statement}"}}}};
inline constexpr Rule kChangingCollation{
    "changing-collation",
    kError,
    kWarning,
    "another collation orders and compares {table}.{column} otherwise under old code, and its indexes are built anew "
    "under ACCESS EXCLUSIVE",
    {{{.phase = kExpand, .text = "ALTER TABLE {table} ADD COLUMN <new column> {type} COLLATE {name}"},
      {.phase = kBackfill,
       .text = "table: {table}\nset: { <new column>: {column} }\nwhere: <new column> IS DISTINCT FROM ({column} "
               "COLLATE {name})",
       .note = "once every instance writes both",
       .form = core::SafeStep::Form::backfill},
      {.phase = kContract, .text = "ALTER TABLE {table} DROP COLUMN {column}"}}}};

}  // namespace diastole::sql
