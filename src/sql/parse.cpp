#include "parse.hpp"

#include <fmt/format.h>
#include <pg_query.h>

#include <memory>

#include "diastole/sql/analysis.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

// PostgreSQL quotes the offending token, which may be as long as the input.
constexpr std::size_t kMaxMessageBytes = 300;

std::string shortened(std::string_view message) {
  if (message.size() <= kMaxMessageBytes) return std::string(message);
  std::size_t end = kMaxMessageBytes;
  while ((static_cast<unsigned char>(message[end]) & 0xC0U) == 0x80U) --end;
  return std::string(message.substr(0, end)) + "…";
}

class ParseOutcome {
 public:
  explicit ParseOutcome(const std::string& sql) : result_(pg_query_parse(sql.c_str())) {}
  ~ParseOutcome() { pg_query_free_parse_result(result_); }
  ParseOutcome(const ParseOutcome&) = delete;
  ParseOutcome& operator=(const ParseOutcome&) = delete;
  [[nodiscard]] const PgQueryError* error() const { return result_.error; }
  [[nodiscard]] const char* tree() const { return result_.parse_tree; }

 private:
  PgQueryParseResult result_;
};

std::size_t size_field(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found == node.end() ? 0 : found->get<std::size_t>();
}

const Json& null_node() {
  static const Json kNull;
  return kNull;
}

}  // namespace

Result<std::vector<ParsedStatement>> parse(std::string_view sql, std::string_view prefix, std::string_view suffix) {
  if (auto valid = check_text(sql); !valid) return std::unexpected(std::move(valid.error()));
  const bool fragment = !prefix.empty() || !suffix.empty();
  const std::string whole = fmt::format("{}{}{}", prefix, sql, suffix);
  const ParseOutcome outcome(whole);
  if (const PgQueryError* error = outcome.error()) {
    // cursorpos counts characters from 1; 0 means that PostgreSQL gave none. The prefix is ASCII.
    const auto characters = error->cursorpos > 0 ? static_cast<std::size_t>(error->cursorpos - 1) : 0;
    const std::size_t in_sql = characters > prefix.size() ? characters - prefix.size() : 0;
    return fail_at(sql, offset_of_character(sql, in_sql), shortened(error->message));
  }
  Json tree = Json::parse(outcome.tree());
  std::vector<ParsedStatement> statements;
  for (Json& raw : tree["stmts"]) {
    const std::size_t begin = size_field(raw, "stmt_location");
    const std::size_t length = size_field(raw, "stmt_len");  // 0: to the end
    const std::size_t end = length == 0 ? whole.size() : begin + length;
    const std::size_t offset = skip_blank(whole, begin);
    auto node = raw["stmt"].begin();
    const std::string_view text = fragment ? std::string_view{} : trim_end(sql.substr(offset, end - offset));
    statements.push_back({.tag = node.key(), .body = std::move(node.value()), .offset = offset, .text = text});
  }
  return statements;
}

std::string_view text_field(const Json& node, const char* key) {
  if (!node.is_object()) return {};
  const auto found = node.find(key);
  return found != node.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                   : std::string_view{};
}

bool flag_field(const Json& node, const char* key) {
  const Json& value = field(node, key);
  return value.is_boolean() && value.get<bool>();
}

const Json& field(const Json& node, const char* key) {
  if (!node.is_object()) return null_node();
  const auto found = node.find(key);
  return found == node.end() ? null_node() : *found;
}

std::pair<std::string_view, const Json&> open_node(const Json& node) {
  if (!node.is_object() || node.size() != 1) return {std::string_view{}, null_node()};
  const auto only = node.begin();
  return {std::string_view(only.key()), only.value()};
}

bool option_set(const Json& options, std::string_view name) {
  for (const Json& option : options) {
    const Json& element = open_node(option).second;
    if (text_field(element, "defname") != name) continue;
    const auto [tag, value] = open_node(field(element, "arg"));
    if (tag == "Integer") return size_field(value, "ival") != 0;
    const std::string_view word = text_field(value, "sval");
    return tag.empty() || (word != "false" && word != "off");
  }
  return false;
}

bool is_relation(const Json& node) {
  return node.is_object() && node.contains("relname") && node.contains("relpersistence");
}

std::string relation_name(const Json& relation) {
  const std::string_view schema = text_field(relation, "schemaname");
  const std::string name = quote_identifier(text_field(relation, "relname"));
  return schema.empty() ? name : quote_identifier(schema) + "." + name;
}

std::string dotted_name(const Json& strings, std::size_t drop) {
  std::string name;
  const std::size_t count = strings.is_array() && strings.size() > drop ? strings.size() - drop : 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) name += '.';
    name += quote_identifier(text_field(open_node(strings[i]).second, "sval"));
  }
  return name;
}

}  // namespace diastole::sql
