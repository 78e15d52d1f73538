// Rules on sequences and identity columns: the values that old code takes or gives.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "diastole/sql/analysis.hpp"
#include "lint.hpp"
#include "type_name.hpp"

namespace diastole::sql {
namespace {

// What an option can do to those who take values; empty: nothing. NO MINVALUE, NO MAXVALUE and NO CYCLE are what a
// sequence has by itself.
std::string harmful(Node option) {
  const std::string_view name = option.text("defname");
  const Node value = option["arg"];
  if (name == "restart") return "RESTART";
  if (name == "increment") return "INCREMENT";
  if (name == "cycle" && value.body().flag("boolval")) return "CYCLE";
  if (name == "minvalue" && value) return "MINVALUE";
  if (name == "maxvalue" && value) return "MAXVALUE";
  if (name == "as" && type_name(value.body()) != "bigint") return fmt::format("AS {}", type_name(value.body()));
  return {};
}

void report_sequence(const Lint& lint, const std::string& sequence, std::string_view what, core::Severity severity) {
  lint.reporter.report(kChangingSequence,
                       {.object = sequence, .name = std::string(what), .statement = lint.reporter.shown(lint.text())},
                       severity, kPasses);
}

// The plan has made it, or a serial or identity column, whose sequence PostgreSQL names table_column_seq.
bool is_new_sequence(const Lint& lint, const core::RelationName& sequence) {
  if (lint.known().is_new(sequence_named(sequence))) return true;
  constexpr std::string_view kEnd = "_seq";
  if (!sequence.name.ends_with(kEnd)) return false;
  const std::string_view both = std::string_view(sequence.name).substr(0, sequence.name.size() - kEnd.size());
  for (std::size_t at = both.find('_'); at != std::string_view::npos; at = both.find('_', at + 1)) {
    const std::string table = to_sql({.schema = sequence.schema, .name = std::string(both.substr(0, at))});
    if (lint.known().is_new(table) || lint.known().is_new_column(table, both.substr(at + 1))) return true;
  }
  return false;
}

}  // namespace

// RESTART alone begins anew, where values are surely taken.
void lint_sequence_options(const Lint& lint, const std::string& sequence, Node options) {
  for (const Node node : options) {
    const Node option = node.body();
    const std::string what = harmful(option);
    if (what.empty()) continue;
    const bool anew = option.text("defname") == "restart" && !option["arg"];
    report_sequence(lint, sequence, what, anew ? kError : kWarning);
  }
}

void lint_sequence(const Lint& lint) {
  const Node sequence = lint.body()["sequence"];
  const std::string name = relation_name(sequence);
  if (lint.known().is_absent(name_of(sequence)) || is_new_sequence(lint, name_of(sequence))) return;
  lint_sequence_options(lint, name, lint.body()["options"]);
}

void lint_setval(const Lint& lint) {
  if (lint.text().find("setval") == std::string_view::npos) return;
  visit_objects(lint.body(), [&](std::string_view key, Node node) {
    if (key != "FuncCall" || last_name(node["funcname"]) != "setval") return;
    Node sequence = node["args"].front();
    if (sequence.tag() == "TypeCast") sequence = sequence.body()["arg"];  // 's'::regclass
    const auto parts = split_identifier(sequence.body()["sval"].text("sval"), 2);
    const std::string name = parts ? fmt::format("{}", fmt::join(*parts, ".")) : "<sequence>";
    if (!is_new_sequence(lint, name_of_identifier(name))) report_sequence(lint, name, "setval()", kWarning);
  });
}

}  // namespace diastole::sql
