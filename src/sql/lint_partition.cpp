// Rules on attaching and detaching partitions.
#include <fmt/format.h>

#include "definition_text.hpp"
#include "lint.hpp"
#include "safe_form.hpp"

namespace diastole::sql {

void lint_detach(const Lint& lint, Node partition) {
  const std::string name = relation_name(partition["name"]);
  const std::size_t first = lint.reporter.count();
  lint.reporter.report(kDetachingPartition,
                       {.table = lint.table(), .name = name, .statement = lint.reporter.shown(lint.text())});
  if (partition.flag("concurrent") || lint.idle(lint.table())) return;
  const core::CatalogRelation* present = lint.known().table(lint.table());
  const Blanks texts{.table = lint.table(), .name = name};
  if (present != nullptr && present->default_partition) {  // PostgreSQL detaches nothing CONCURRENTLY beside one
    core::Finding* found = lint.reporter.report(kConcurrentDetach, texts, kWarning, kWarning);
    if (found != nullptr) found->safe_form.clear();
    return;
  }
  if (lint.reporter.report(kConcurrentDetach, texts) == nullptr) return;
  StepWriter steps(lint.known(), lint.table());
  steps.in_phase(kContract);
  steps.sql(fmt::format("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY", lint.table(), name), "in a step of its own");
  lint.reporter.reform(first, steps.take());
}

void lint_attach(const Lint& lint, Node command) {
  const Node partition = command["name"];
  if (!is_relation(partition) || lint.body().text("objtype") == "OBJECT_INDEX") return;
  const std::string name = relation_name(partition);
  const bool present = lint.known().relation(partition) != nullptr;
  if (lint.idle(name) || lint.known().has_valid_check(name)) return;
  const auto severity = present ? kError : kWarning;
  core::Finding* found = lint.reporter.report(
      kAttachWithoutCheck, {.table = lint.table(), .name = name, .statement = lint.reporter.shown(lint.text())},
      severity, severity);
  if (found == nullptr) return;
  if (!present) found->sharper_with = fmt::format("the CHECK constraints of {}, and its size", name);
  const std::string bounds = bounds_text(lint.statement.parsed, lint.known().table(lint.table()), command["bound"]);
  if (bounds.empty()) return;
  StepWriter steps(lint.known(), name);
  const std::string check = made_name(name_of(partition).name, {}, "bounds");
  steps.in_phase(kContract);  // old code may write other rows to it, which the bounds refuse as well
  steps.check(fmt::format("ALTER TABLE {}", name), check, fmt::format("CHECK ({})", bounds));
  steps.sql(lint.reporter.shown(lint.text()));
  steps.sql(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", name, quote_identifier(check)));
  found->safe_form = steps.take();
}

}  // namespace diastole::sql
