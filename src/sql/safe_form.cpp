#include "safe_form.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "contains.hpp"
#include "definition_text.hpp"
#include "diastole/sql/analysis.hpp"
#include "lint.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

constexpr std::string_view kOwnStep = "in a step of its own";
constexpr std::string_view kEach = "for each partition";
constexpr std::string_view kUnknownPartition = "<partition>";

// UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b) WITH (…) USING INDEX TABLESPACE c in CREATE INDEX's order.
std::string indexed_by(const KeyDefinition& key) {
  std::string indexed = fmt::format("({})", join_names(key.columns));
  for (const std::string_view keyword : {"INCLUDE", "NULLS", "WITH", "TABLESPACE"}) {
    const std::size_t at = find_keyword(key.text, keyword);
    if (at == key.text.size()) continue;
    if (keyword == "NULLS") {
      const std::size_t end = find_keyword(key.text, "DISTINCT", at);
      indexed += " " + key.text.substr(at, end + std::string_view("DISTINCT").size() - at);
    } else if (keyword == "TABLESPACE") {
      const std::size_t name = skip_blank(key.text, at + keyword.size());
      indexed += fmt::format(" TABLESPACE {}", key.text.substr(name, skip_token(key.text, name) - name));
    } else {
      indexed += " " + text_in_parentheses(key.text, keyword);
    }
  }
  return indexed;
}

// The same as a table's constraint; a column's names no columns.
std::string defined_by(const KeyDefinition& key, std::string_view attributes) {
  const std::string_view text = key.text;
  std::string clause = key.primary ? "PRIMARY KEY" : "UNIQUE";
  if (const std::size_t at = find_keyword(text, "NULLS"); at < text.size()) {
    const std::size_t end = find_keyword(text, "DISTINCT", at);
    clause += fmt::format(" {}", text.substr(at, end + std::string_view("DISTINCT").size() - at));
  }
  clause += fmt::format(" ({})", join_names(key.columns));
  for (const std::string_view keyword : {"INCLUDE", "WITH"}) {
    if (const std::string part = text_in_parentheses(text, keyword); !part.empty()) clause += " " + part;
  }
  return clause.append(attributes);
}

std::string_view attributes_of(const KeyDefinition& key) {
  return key.deferred ? " DEFERRABLE INITIALLY DEFERRED" : key.deferrable ? " DEFERRABLE" : "";
}

// Without a character that is cut off in its middle.
void clip(std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  text.resize(bytes);
}

bool is_plain_scalar(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == ' ' || c == '<' || c == '>';
  };
  if (text.empty() || text.back() == ' ' || (!letter(text.front()) && text.front() != '<')) return false;
  if (!std::ranges::all_of(text, inner)) return false;
  constexpr auto kWords =
      std::to_array<std::string_view>({"y", "n", "yes", "no", "on", "off", "true", "false", "null"});
  return std::ranges::none_of(kWords, [&](std::string_view word) {
    return std::ranges::equal(text, word, [](char a, char b) { return (a | 0x20) == b; });
  });
}

}  // namespace

std::string yaml_scalar(std::string_view text) {
  if (is_plain_scalar(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += fmt::format("\\{}", c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string backfill_text(std::string_view table, std::string_view column, std::string_view expression,
                          std::string_view where) {
  return fmt::format("table: {}\nset: {{ {}: {} }}\nwhere: {}", yaml_scalar(table), yaml_scalar(column),
                     yaml_scalar(expression), yaml_scalar(where));
}

std::string sql_literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("\'\'") : std::string(1, c);
  return quoted + "'";
}

std::string made_name(std::string_view table, const std::vector<std::string>& columns, std::string_view label) {
  constexpr std::size_t kMaxBytes = 63;
  std::string first(table);
  std::string second = fmt::format("{}", fmt::join(columns, "_"));
  const std::size_t fixed = label.size() + 1 + (second.empty() ? 0 : 1);
  while (first.size() + second.size() + fixed > kMaxBytes) {
    std::string& longer = first.size() > second.size() ? first : second;
    clip(longer, longer.size() - 1);
  }
  return second.empty() ? fmt::format("{}_{}", first, label) : fmt::format("{}_{}_{}", first, second, label);
}

std::string beside(std::string_view table, std::string_view name) {
  return to_sql({.schema = name_of_identifier(table).schema, .name = std::string(name)});
}

void StepWriter::sql(std::string text, std::string_view note) {
  steps_.push_back(
      {.phase = phase_, .form = core::SafeStep::Form::sql, .text = std::move(text), .note = std::string(note)});
}

void StepWriter::backfill(std::string_view column, std::string_view expression, std::string_view where,
                          std::string_view note) {
  steps_.push_back({.phase = core::Phase::backfill,
                    .form = core::SafeStep::Form::backfill,
                    .text = backfill_text(table_, column, expression, where),
                    .note = std::string(note)});
}

void StepWriter::set_not_null(std::string_view column) {
  steps_.push_back(
      {.phase = core::Phase::contract,
       .form = core::SafeStep::Form::set_not_null,
       .text = fmt::format("{}.{}", table_, column.starts_with('<') ? std::string(column) : quote_identifier(column)),
       .note = {}});
}

void StepWriter::append(SafeSteps steps) {
  std::ranges::move(steps, std::back_inserter(steps_));
}

bool StepWriter::is_partitioned() const {
  const core::CatalogRelation* present = known_.table(table_);
  return present != nullptr && present->kind == core::RelationKind::partitioned_table;
}

std::vector<std::string> StepWriter::partitions() const {
  constexpr std::size_t kWorthListing = 24;
  const core::CatalogRelation* present = known_.table(table_);
  std::vector<std::string> names;
  if (present->children.size() > kWorthListing) return {std::string(kUnknownPartition)};
  for (const core::RelationName& child : present->children) {
    const core::CatalogRelation* one = known_.relation(child);
    if (one == nullptr || one->kind != core::RelationKind::table) return {std::string(kUnknownPartition)};
    names.push_back(known_.written(child));
  }
  return names;
}

void StepWriter::index_on(std::string_view name, std::string_view table, std::string_view indexed, bool unique) {
  sql(fmt::format("CREATE {}INDEX CONCURRENTLY {} ON {} {}", unique ? "UNIQUE " : "", name, table, indexed), kOwnStep);
}

void StepWriter::validate(std::string_view table, std::string_view name) {
  sql(fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name), kOwnStep);
}

namespace {

// A partition's own index or constraint of that purpose.
std::string name_on(std::string_view partition, std::string_view name) {
  if (partition == kUnknownPartition) return "<name>";
  return quote_identifier(made_name(name_of_identifier(partition).name, {std::string(name)}, "idx"));
}

std::string qualified_on(std::string_view partition, std::string_view name) {
  if (partition == kUnknownPartition) return "<name>";
  return beside(partition, made_name(name_of_identifier(partition).name, {std::string(name)}, "idx"));
}

}  // namespace

void StepWriter::index(std::string_view name, std::string_view indexed, bool unique) {
  const std::string quoted = quote_identifier(name);
  if (!is_partitioned()) return index_on(quoted, table_, indexed, unique);
  const auto all = partitions();
  sql(fmt::format("CREATE {}INDEX {} ON ONLY {} {}", unique ? "UNIQUE " : "", quoted, table_, indexed));
  for (const std::string& partition : all) {
    index_on(name_on(partition, name), partition, indexed, unique);
    sql(fmt::format("ALTER INDEX {} ATTACH PARTITION {}", beside(table_, name), qualified_on(partition, name)),
        partition == kUnknownPartition ? kEach : std::string_view{});
  }
}

// A primary key would read every row for that.
void StepWriter::declare_not_null(const KeyDefinition& key) {
  for (const std::string& column : key.columns) {
    if (!key.primary || key.not_null || known_.proven_not_null(table_, column) == core::Answer::yes) continue;
    set_not_null(column);
    phase_ = core::Phase::contract;
  }
}

void StepWriter::key(const KeyDefinition& key) {
  const std::string indexed = indexed_by(key);
  if (is_partitioned()) return partition_key(key, indexed);
  const std::string name = quote_identifier(key.name);
  index_on(name, table_, indexed, true);
  declare_not_null(key);
  sql(fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", table_, name,
                  key.primary ? "PRIMARY KEY" : "UNIQUE", name, attributes_of(key)));
}

// The parent's constraint, which builds nothing under ONLY, is valid once each partition's own is attached to it.
void StepWriter::partition_key(const KeyDefinition& key, std::string_view indexed) {
  const auto all = partitions();
  for (const std::string& partition : all) index_on(name_on(partition, key.name), partition, indexed, true);
  declare_not_null(key);
  const std::string_view kind = key.primary ? "PRIMARY KEY" : "UNIQUE";
  for (const std::string& partition : all) {
    const std::string own = name_on(partition, key.name);
    sql(fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", partition, own, kind, own,
                    attributes_of(key)),
        partition == kUnknownPartition ? kEach : std::string_view{});
  }
  sql(fmt::format("ALTER TABLE ONLY {} ADD CONSTRAINT {} {}", table_, quote_identifier(key.name),
                  defined_by(key, attributes_of(key))));
  for (const std::string& partition : all) {
    sql(fmt::format("ALTER INDEX {} ATTACH PARTITION {}", beside(table_, key.name), qualified_on(partition, key.name)),
        partition == kUnknownPartition ? kEach : std::string_view{});
  }
}

// A partitioned table takes no NOT VALID (until PostgreSQL 18), but adopts what its partitions already have.
void StepWriter::foreign_key(std::string_view alter, std::string_view name, std::string_view definition) {
  const std::string quoted = quote_identifier(name);
  if (!is_partitioned()) {
    sql(fmt::format("{} ADD CONSTRAINT {} {} NOT VALID", alter, quoted, definition));
    return validate(table_, quoted);
  }
  for (const std::string& partition : partitions()) {
    const bool unknown = partition == kUnknownPartition;
    sql(fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", partition, quoted, definition),
        unknown ? kEach : std::string_view{});
    validate(partition, quoted);
  }
  sql(fmt::format("{} ADD CONSTRAINT {} {}", alter, quoted, definition),
      "PostgreSQL adopts the partitions' own and reads no rows");
}

void StepWriter::check(std::string_view alter, std::string_view name, std::string_view definition) {
  sql(fmt::format("{} ADD CONSTRAINT {} {} NOT VALID", alter, quote_identifier(name), definition));
  validate(table_, quote_identifier(name));
}

}  // namespace diastole::sql
