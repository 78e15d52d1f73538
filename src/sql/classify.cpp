#include <fmt/format.h>

#include <algorithm>

#include "analyse.hpp"
#include "diastole/sql/analysis.hpp"
#include "effects.hpp"
#include "kinds.hpp"
#include "refine.hpp"
#include "rows.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

using core::Answer;
using core::LockMode;

// How fast rows are read, copied and indexed, in bytes of the table or index: at most a third of the slowest that was
// measured in memory, on one core, with a million rows, since production's tables are rarely in memory. Measured, in
// bytes a millisecond: 353'000 (checking a foreign key) to 2'600'000 read, 102'000 (narrow rows) to 234'000 copied,
// 17'700 (many equal keys) to 88'000 indexed.
constexpr std::int64_t kScanBytesPerMs = 110'000;
constexpr std::int64_t kCopyBytesPerMs = 34'000;
constexpr std::int64_t kIndexBytesPerMs = 5'900;
// Where the table was never analysed.
constexpr std::int64_t kUsualRowBytes = 100;

void apply_subject(const StatementKind& kind, Node body, Effects& effects) {
  const Node subject = body[kind.subject];
  const auto apply = [&](Node relation) {
    if (!is_relation(relation)) return;
    switch (kind.role) {
      case Role::none: break;
      case Role::touches: effects.touch(relation, kind.lock); break;
      case Role::creates: effects.create(relation_name(relation)); break;
      case Role::unlisted: effects.unlist(relation_name(relation)); break;
      case Role::sequence: effects.touch(relation, kind.lock).kind = core::Touch::Kind::sequence; break;
    }
  };
  if (subject.is_array()) {
    for (const Node entry : subject) apply(entry.body());
  } else {
    apply(subject);
  }
  const bool listed = kind.role == Role::touches || kind.role == Role::sequence;
  if (!listed) effects.lock_at_least(kind.lock);
}

// For a statement the table does not know: its first word.
std::string first_word(std::string_view text) {
  std::string word;
  for (const char c : text.substr(0, text.find_first_of(" \t\r\n;(/-"))) {
    word += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return word;
}

// Reading the relations that it names is the least a statement does; rows are written wherever a data-modifying node
// stands, in WITH too. In the bodies of functions and rules it stands for later, but takes its lock.
void touch_relations(const ParsedStatement& parsed, bool queries, const Known& known, Effects& effects) {
  const refine::Mentions mentions = refine::mentions_in(parsed.body);
  refine::read_rows(mentions, queries, known, effects);
  const auto write = queries ? refine::write_rows : refine::name_written;
  if (writes_rows(parsed.tag)) write(parsed.tag, parsed.body, known, effects);
  for (const auto& [tag, node] : mentions.writes) {
    if (writes_rows(tag)) write(tag, node, known, effects);
  }
}

std::int64_t copy_time(const core::CatalogRelation& table) {
  return table.bytes / kCopyBytesPerMs + table.index_bytes / kIndexBytesPerMs;
}

std::optional<core::Estimate> estimate(const core::Statement& statement, const Known& known) {
  if (known.catalog() == nullptr) return std::nullopt;
  core::Estimate sum;
  for (const core::Touch& touch : statement.touches) {
    if (touch.scans == Answer::no && touch.rewrites == Answer::no) continue;
    if (touch.kind == core::Touch::Kind::index) {
      const auto place = known.index(name_of_identifier(touch.relation));
      if (place.index != nullptr) sum.time += Milliseconds{place.index->bytes / kIndexBytesPerMs};
      continue;
    }
    const core::CatalogRelation* table = known.table(touch.relation);
    if (table == nullptr) return std::nullopt;
    sum.rows += table->rows >= 0 ? table->rows : table->bytes / kUsualRowBytes;
    sum.time += Milliseconds{touch.rewrites == Answer::no ? table->bytes / kScanBytesPerMs : copy_time(*table)};
  }
  return sum;
}

}  // namespace

Analysed analyse(const ParsedStatement& parsed, const Known& known) {
  Effects effects(known);
  effects.statement.sql = std::string(parsed.text);
  effects.may_miss = parsed.body.flag("missing_ok");
  const StatementKind* kind = find_statement_kind(parsed.tag);
  const Node main = parsed.body["relation"];
  if (is_relation(main)) {
    effects.table = relation_name(main);
    effects.touch(effects.table, LockMode::none);  // listed first
  }
  if (parsed.tag == "CreateStmt" || parsed.tag == "AlterTableStmt") effects.columns = columns_of(parsed.body, known);
  const bool queries = kind != nullptr && kind->queries && !parsed.body["into"].flag("skipData");  // WITH NO DATA
  if (kind == nullptr || kind->opens) touch_relations(parsed, queries, known, effects);
  if (kind != nullptr) {
    effects.statement.kind = kind->command.empty() ? first_word(parsed.text) : std::string(kind->command);
    effects.statement.transactional = kind->transactional;
    effects.statement.destructive = kind->destructive;
    apply_subject(*kind, parsed.body, effects);
    if (kind->refine != nullptr) kind->refine(parsed.body, known, effects);
  } else {
    effects.statement.kind = first_word(parsed.text);
    effects.unknown();
  }
  effects.finish();
  effects.statement.estimate = estimate(effects.statement, known);
  const bool surely = !parsed.body.flag("if_not_exists") && !parsed.body.flag("replace");
  return {.parsed = parsed,
          .table = std::move(effects.table),
          .columns = std::move(effects.columns),
          .statement = std::move(effects.statement),
          .obscure = std::move(effects.obscure),
          .surely_creates = surely};
}

Result<std::vector<core::Statement>> classify(std::string_view sql, const core::CatalogSnapshot* catalog) {
  const auto tree = parse_statements(sql);
  if (!tree) return std::unexpected(tree.error().as_error());
  std::vector<core::Statement> statements;
  statements.reserve(tree->statements.size());
  Known known(catalog);
  for (const ParsedStatement& parsed : tree->statements) {
    Analysed analysed = analyse(parsed, known);
    known.learn(analysed);
    statements.push_back(std::move(analysed.statement));
  }
  return statements;
}

}  // namespace diastole::sql
