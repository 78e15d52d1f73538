#include "diastole/core/reason.hpp"

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<ReasonKind, 32> kReasonKindNames{{{ReasonKind::approval_missing, "approval_missing"},
                                                  {ReasonKind::backfill_incomplete, "backfill_incomplete"},
                                                  {ReasonKind::too_few_instances, "too_few_instances"},
                                                  {ReasonKind::instance_old, "instance_old"},
                                                  {ReasonKind::instance_unknown, "instance_unknown"},
                                                  {ReasonKind::version_unparsable, "version_unparsable"},
                                                  {ReasonKind::watching, "watching"},
                                                  {ReasonKind::soaking, "soaking"},
                                                  {ReasonKind::sources_disagree, "sources_disagree"},
                                                  {ReasonKind::membership_changing, "membership_changing"},
                                                  {ReasonKind::mass_silence, "mass_silence"},
                                                  {ReasonKind::held, "held"},
                                                  {ReasonKind::sessions_unseen, "sessions_unseen"},
                                                  {ReasonKind::session_old, "session_old"},
                                                  {ReasonKind::session_unversioned, "session_unversioned"},
                                                  {ReasonKind::session_undeclared, "session_undeclared"},
                                                  {ReasonKind::drain_budget, "drain_budget"},
                                                  {ReasonKind::role_can_login, "role_can_login"},
                                                  {ReasonKind::quarantined, "quarantined"},
                                                  {ReasonKind::gate_restoring, "gate_restoring"},
                                                  {ReasonKind::long_transaction, "long_transaction"},
                                                  {ReasonKind::prepared_transaction, "prepared_transaction"},
                                                  {ReasonKind::invalid_index, "invalid_index"},
                                                  {ReasonKind::privilege_missing, "privilege_missing"},
                                                  {ReasonKind::relation_missing, "relation_missing"},
                                                  {ReasonKind::no_usable_key, "no_usable_key"},
                                                  {ReasonKind::target_unavailable, "target_unavailable"},
                                                  {ReasonKind::target_read_only, "target_read_only"},
                                                  {ReasonKind::quarantine_blocked, "quarantine_blocked"},
                                                  {ReasonKind::verification_failed, "verification_failed"},
                                                  {ReasonKind::manual, "manual"},
                                                  {ReasonKind::retrying, "retrying"}}};

}  // namespace

std::string_view to_string(ReasonKind kind) {
  return name_of(kReasonKindNames, kind);
}
std::optional<ReasonKind> reason_kind_from(std::string_view text) {
  return value_of(kReasonKindNames, text);
}

}  // namespace diastole::core
