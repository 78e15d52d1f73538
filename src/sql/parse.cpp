#include "parse.hpp"

#include <fmt/format.h>
#include <pg_query.h>
#include <pthread.h>

#include <cstring>

#include "diastole/sql/analysis.hpp"
#include "text.hpp"

namespace diastole::sql {
namespace {

// PostgreSQL quotes the offending token, which may be as long as the input.
constexpr std::size_t kMaxMessageBytes = 300;

// libpg_query recurses as deep as the text nests, which 1 + 1 + … does too: at most a level for each two bytes, of 129
// bytes each (shared/facts/toolchain.md), so that a thread's usual stack is enough for this much.
constexpr std::size_t kUsualStackBytes = 32 * 1024;
constexpr std::size_t kStackPerByte = 128;
// Of the tree as JSON: it bounds time and memory where a short text makes a large tree.
constexpr std::size_t kMaxTreeBytes = 64 * 1024 * 1024;
constexpr std::size_t kUsualDepth = 1024;
constexpr std::size_t kUsualTreeBytes = 16 * 1024;

// A token may also end within a character: 8ж.
std::string shortened(std::string_view message) {
  if (message.size() <= kMaxMessageBytes) return well_formed(message);
  std::size_t end = kMaxMessageBytes;
  while ((static_cast<unsigned char>(message[end]) & 0xC0U) == 0x80U) --end;
  return well_formed(message.substr(0, end)) + "…";
}

// pg_query_parse on a thread whose stack is large enough for any nesting of a text this long; where there can be no
// such thread, no result.
std::optional<PgQueryParseResult> parse_deep(const std::string& sql) {
  struct Job {
    const char* sql;
    PgQueryParseResult result;
  } job{sql.c_str(), {}};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 8 * 1024 * 1024 + kStackPerByte * sql.size());
  pthread_t thread{};
  const auto run = [](void* argument) -> void* {
    auto* mine = static_cast<Job*>(argument);
    mine->result = pg_query_parse(mine->sql);
    return nullptr;
  };
  const bool started = pthread_create(&thread, &attributes, run, &job) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) return std::nullopt;
  pthread_join(thread, nullptr);
  return job.result;
}

class ParseOutcome {
 public:
  explicit ParseOutcome(const std::string& sql)
      : result_(sql.size() <= kUsualStackBytes ? pg_query_parse(sql.c_str()) : parse_deep(sql)) {}
  ~ParseOutcome() {
    if (result_) pg_query_free_parse_result(*result_);
  }
  ParseOutcome(const ParseOutcome&) = delete;
  ParseOutcome& operator=(const ParseOutcome&) = delete;
  [[nodiscard]] bool ran() const { return result_.has_value(); }
  [[nodiscard]] const PgQueryError* error() const { return result_->error; }
  [[nodiscard]] std::string_view tree() const { return result_->parse_tree; }

 private:
  std::optional<PgQueryParseResult> result_;
};

// The root; nothing where the tree is deeper than `depth`.
std::optional<Node> read_tree(simdjson::dom::parser& parser, std::string_view json, std::size_t depth) {
  const bool fits = parser.capacity() >= json.size() && parser.max_depth() >= depth;
  if (!fits && parser.allocate(std::max(json.size(), kUsualTreeBytes), depth) != simdjson::SUCCESS) return std::nullopt;
  simdjson::dom::element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  return Node(root);
}

std::unique_ptr<simdjson::dom::parser>& spare_parser() {
  thread_local std::unique_ptr<simdjson::dom::parser> spare;
  return spare;
}

}  // namespace

void KeepParser::operator()(simdjson::dom::parser* parser) const {
  constexpr std::size_t kKeepBytes = 256 * 1024;
  std::unique_ptr<simdjson::dom::parser> mine(parser);
  if (mine->capacity() <= kKeepBytes && mine->max_depth() <= kUsualDepth) spare_parser() = std::move(mine);
}

std::expected<Tree, SyntaxError> parse(std::string_view sql, std::string_view prefix, std::string_view suffix) {
  if (auto valid = check_text(sql); !valid) return std::unexpected(std::move(valid.error()));
  const bool fragment = !prefix.empty() || !suffix.empty();
  std::string whole;
  whole.reserve(prefix.size() + sql.size() + suffix.size());
  whole.append(prefix).append(sql).append(suffix);
  const ParseOutcome outcome(whole);
  if (!outcome.ran())
    return std::unexpected(SyntaxError{ErrorCode::unavailable, "there is no memory to parse SQL this long", {}});
  if (const PgQueryError* error = outcome.error()) {
    // cursorpos counts characters from 1; 0 means that PostgreSQL gave none. The prefix is ASCII.
    const auto characters = error->cursorpos > 0 ? static_cast<std::size_t>(error->cursorpos - 1) : 0;
    const std::size_t in_sql = characters > prefix.size() ? characters - prefix.size() : 0;
    return fault_at(sql, offset_of_character(sql, in_sql), shortened(error->message));
  }
  const std::string_view json = outcome.tree();
  if (json.size() > kMaxTreeBytes) return fault_at(sql, 0, "the SQL is too complex; split it into several steps");
  Tree tree{.owner = {spare_parser() ? spare_parser().release() : new simdjson::dom::parser, {}}, .statements = {}};
  auto root = read_tree(*tree.owner, json, kUsualDepth);
  // A level takes {"A":} at the least.
  if (!root) root = read_tree(*tree.owner, json, kUsualDepth + json.size() / 4);
  if (!root) return std::unexpected(SyntaxError{ErrorCode::internal, "libpg_query's tree cannot be read", {}});
  const Node raw_statements = (*root)["stmts"];
  tree.statements.reserve(raw_statements.size());
  for (const Node raw : raw_statements) {
    const auto begin = static_cast<std::size_t>(raw.number("stmt_location"));
    const auto length = static_cast<std::size_t>(raw.number("stmt_len"));  // 0: to the end
    const std::size_t end = length == 0 ? whole.size() : begin + length;
    const std::size_t offset = skip_blank(whole, begin);
    const std::string_view text = fragment ? std::string_view{} : trim_end(sql.substr(offset, end - offset));
    const Node node = raw["stmt"];
    tree.statements.push_back({.tag = node.tag(), .body = node.body(), .offset = offset, .text = text});
  }
  return tree;
}

std::expected<Tree, SyntaxError> parse_statements(std::string_view sql) {
  auto tree = parse(sql);
  if (tree && tree->statements.empty()) return fault_at(sql, 0, "the SQL holds no statement");
  return tree;
}

bool option_set(Node options, std::string_view name) {
  for (const Node option : options) {
    const Node element = option.body();
    if (element.text("defname") != name) continue;
    const Node argument = element["arg"];
    if (argument.tag() == "Integer") return argument.body().number("ival") != 0;
    const std::string_view word = argument.body().text("sval");
    return argument.tag().empty() || (word != "false" && word != "off");
  }
  return false;
}

bool is_relation(Node node) {
  if (!node.is_object() || node.fields().size() == 0) return false;
  // The fields come in the order of PostgreSQL's struct; a CreateSchemaStmt begins with schemaname too.
  const std::string_view first = (*node.fields().begin()).key;
  return first == "relname" || ((first == "schemaname" || first == "catalogname") && node["relpersistence"]);
}

RangeName range_name(Node relation) {
  RangeName written;
  if (!relation.is_object()) return written;
  for (const auto field : relation.fields()) {
    if (field.key == "schemaname") written.schema = Node(field.value).as_text();
    if (field.key != "relname") continue;
    written.name = Node(field.value).as_text();  // the last of a name's parts
    break;
  }
  return written;
}

std::string relation_name(Node relation) {
  const auto [schema, name] = range_name(relation);
  return schema.empty() ? quote_identifier(name) : quote_identifier(schema) + "." + quote_identifier(name);
}

std::string dotted_name(Node strings, std::size_t drop) {
  std::string name;
  std::size_t left = strings.size() > drop ? strings.size() - drop : 0;
  for (const Node part : strings) {
    if (left-- == 0) break;
    if (!name.empty()) name += '.';
    name += quote_identifier(part.body().text("sval"));
  }
  return name;
}

std::string_view last_name(Node strings) {
  return strings.back().body().text("sval");
}

}  // namespace diastole::sql
