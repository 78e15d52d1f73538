#include <fmt/format.h>

#include <set>

#include "analyse.hpp"
#include "diastole/sql/analysis.hpp"
#include "effects.hpp"
#include "kinds.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

using core::LockMode;

// What PostgreSQL's parser makes of a statement names every relation it touches. Reading them is the least it does;
// rows are written wherever a data-modifying node stands, in WITH and in the bodies of functions and rules too.
void touch_relations(const Json& body, Effects& effects) {
  std::set<std::string> with_names;
  visit_objects(body, [&](std::string_view key, const Json& node) {
    if (key == "CommonTableExpr") with_names.insert(quote_identifier(text_field(node, "ctename")));
  });
  visit_objects(body, [&](std::string_view key, const Json& node) {
    if (key == "InsertStmt" || key == "UpdateStmt" || key == "DeleteStmt" || key == "MergeStmt") {
      effects.touch(relation_name(field(node, "relation")), LockMode::row_exclusive);
    } else if (is_relation(node)) {
      const std::string name = relation_name(node);
      if (!with_names.contains(name)) effects.touch(name, LockMode::access_share);
    }
  });
}

void apply_subject(const StatementKind& kind, const Json& body, Effects& effects) {
  const Json& subject = field(body, kind.subject);
  const auto apply = [&](const Json& relation) {
    if (!is_relation(relation)) return;
    switch (kind.role) {
      case Role::none: break;
      case Role::touches: effects.touch(relation_name(relation), kind.lock); break;
      case Role::creates: effects.create(relation_name(relation)); break;
      case Role::unlisted: effects.unlist(relation_name(relation)); break;
    }
  };
  if (subject.is_array()) {
    for (const Json& entry : subject) apply(open_node(entry).second);
  } else {
    apply(subject);
  }
  if (kind.role != Role::touches) effects.lock_at_least(kind.lock);
}

// For a statement the table does not know: its first word.
std::string first_word(std::string_view text) {
  std::string word;
  for (const char c : text.substr(0, text.find_first_of(" \t\r\n;(/-"))) {
    word += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return word;
}

Analysed analyse_statement(ParsedStatement parsed, const std::vector<std::string>& created_before) {
  Effects effects;
  effects.statement.sql = std::string(parsed.text);
  effects.statement.kind = first_word(parsed.text);
  const StatementKind* kind = find_statement_kind(parsed.tag);
  const Json& main = field(parsed.body, "relation");
  if (is_relation(main)) effects.touch(relation_name(main), LockMode::none);  // listed first
  if (kind == nullptr || kind->opens) touch_relations(parsed.body, effects);
  // The statement itself may be the data-modifying node, of which touch_relations has seen only the inside.
  if (parsed.tag == "InsertStmt" || parsed.tag == "UpdateStmt" || parsed.tag == "DeleteStmt" ||
      parsed.tag == "MergeStmt") {
    effects.touch(relation_name(field(parsed.body, "relation")), LockMode::row_exclusive);
  }
  if (kind != nullptr) {
    if (!kind->command.empty()) effects.statement.kind = kind->command;
    effects.statement.transactional = kind->transactional;
    effects.statement.destructive = kind->destructive;
    apply_subject(*kind, parsed.body, effects);
    if (kind->refine != nullptr) kind->refine(parsed.body, effects);
  } else {
    effects.unknown();
  }
  effects.finish(created_before);
  const bool surely = !flag_field(parsed.body, "if_not_exists") && !flag_field(parsed.body, "replace");
  return {.parsed = std::move(parsed),
          .statement = std::move(effects.statement),
          .known = effects.known,
          .surely_creates = surely};
}

}  // namespace

Result<std::vector<Analysed>> analyse(std::string_view sql) {
  auto parsed = parse(sql);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  if (parsed->empty()) return fail_at(sql, 0, "the SQL holds no statement");
  std::vector<Analysed> result;
  std::vector<std::string> created;
  result.reserve(parsed->size());
  for (ParsedStatement& statement : *parsed) {
    result.push_back(analyse_statement(std::move(statement), created));
    const auto& creates = result.back().statement.creates;
    created.insert(created.end(), creates.begin(), creates.end());
  }
  return result;
}

std::string_view table_key(std::string_view table) {
  constexpr std::string_view kUsualSchema = "public.";
  return table.starts_with(kUsualSchema) ? table.substr(kUsualSchema.size()) : table;
}

Result<std::vector<core::Statement>> classify(std::string_view sql) {
  auto analysed = analyse(sql);
  if (!analysed) return std::unexpected(std::move(analysed.error()));
  std::vector<core::Statement> statements;
  statements.reserve(analysed->size());
  for (Analysed& one : *analysed) statements.push_back(std::move(one.statement));
  return statements;
}

}  // namespace diastole::sql
