#include "type_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "contains.hpp"
#include "diastole/sql/analysis.hpp"

namespace diastole::sql {
namespace {

using core::Answer;

// The names that the parser gives, and those of the SQL standard that format_type() prints.
constexpr auto kStandardNames = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"int2", "smallint"},
    {"int4", "integer"},
    {"int8", "bigint"},
    {"float4", "real"},
    {"float8", "double precision"},
    {"bool", "boolean"},
    {"varchar", "character varying"},
    {"bpchar", "character"},
    {"varbit", "bit varying"},
    {"timestamp", "timestamp without time zone"},
    {"timestamptz", "timestamp with time zone"},
    {"time", "time without time zone"},
    {"timetz", "time with time zone"},
});

// Sorted. What a column may commonly be of; the rest is taken for somebody's own.
constexpr auto kBuiltin = std::to_array<std::string_view>({
    "bigint",
    "bit",
    "bit varying",
    "boolean",
    "box",
    "bytea",
    "character",
    "character varying",
    "cidr",
    "circle",
    "date",
    "daterange",
    "double precision",
    "inet",
    "int4range",
    "int8range",
    "integer",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "numrange",
    "oid",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "real",
    "regclass",
    "smallint",
    "text",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "uuid",
    "xid8",
    "xml",
});
static_assert(std::ranges::is_sorted(kBuiltin));

// What an interval keeps: INTERVAL_MASK() of its fields, as the parser gives them, and as format_type() writes them.
struct IntervalFields {
  std::int64_t mask;
  std::string_view text;
};
constexpr auto kIntervalFields = std::to_array<IntervalFields>({
    {0x4, "year"},
    {0x2, "month"},
    {0x8, "day"},
    {0x400, "hour"},
    {0x800, "minute"},
    {0x1000, "second"},
    {0x6, "year to month"},
    {0x408, "day to hour"},
    {0xC08, "day to minute"},
    {0x1C08, "day to second"},
    {0xC00, "hour to minute"},
    {0x1C00, "hour to second"},
    {0x1800, "minute to second"},
});
// The smallest field that is kept, smallest first.
constexpr auto kSmallestField = std::to_array<std::string_view>({"second", "minute", "hour", "day", "month", "year"});

std::size_t smallest_field(std::string_view interval) {
  const auto found =
      std::ranges::find_if(kSmallestField, [&](std::string_view field) { return interval.ends_with(field); });
  return found == kSmallestField.end() ? 0 : static_cast<std::size_t>(found - kSmallestField.begin());
}

bool is_interval(std::string_view name) {
  return name == "interval" || name.starts_with("interval ");
}

struct Type {
  std::string name;  // without length
  std::vector<int> lengths;
  bool array = false;
};

Type take_apart(std::string_view text) {
  Type type;
  while (text.ends_with("[]")) {
    type.array = true;
    text.remove_suffix(2);
  }
  const std::size_t open = text.find('(');
  const std::size_t close = open == std::string_view::npos ? open : text.find(')', open);
  if (close == std::string_view::npos) {
    type.name = text;
    return type;
  }
  type.name = fmt::format("{}{}", text.substr(0, open), text.substr(close + 1));
  for (std::size_t at = open + 1; at < close;) {
    int number = 0;
    std::from_chars(text.data() + at, text.data() + close, number);
    type.lengths.push_back(number);
    at = std::min(text.find(',', at), close) + 1;
  }
  return type;
}

constexpr int kFullPrecision = 6;  // of times

// The same type with room for as much: its values need no look.
bool has_room(const Type& from, const Type& to) {
  if (from.lengths == to.lengths) return true;
  const bool fixed = to.name == "character" || to.name == "bit";
  if (fixed) return false;
  if (to.lengths.empty()) return true;
  if (to.name == "numeric") {
    const auto scale = [](const Type& type) { return type.lengths.size() > 1 ? type.lengths[1] : 0; };
    return !from.lengths.empty() && to.lengths[0] >= from.lengths[0] && scale(to) == scale(from);
  }
  const bool temporal = to.name.starts_with("time") || is_interval(to.name);
  if (from.lengths.empty()) return temporal && to.lengths[0] >= kFullPrecision;
  return to.lengths[0] >= from.lengths[0];
}

// Casts that pg_cast calls binary coercible ('b'), between types without length.
constexpr auto kSameBits = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"character varying", "text"},
    {"text", "character varying"},
    {"cidr", "inet"},
    {"xml", "text"},
    {"xml", "character varying"},
    {"integer", "oid"},
    {"oid", "integer"},
    {"bit", "bit varying"},
    {"oid", "regclass"},
    {"regclass", "oid"},
    {"integer", "regclass"},
    {"regclass", "integer"},
    {"citext", "text"},
    {"text", "citext"},
    {"citext", "character varying"},
    {"character varying", "citext"},
});

bool between_timestamps(std::string_view a, std::string_view b) {
  return a != b && a.starts_with("timestamp w") && b.starts_with("timestamp w");
}

}  // namespace

std::string type_name(Node type) {
  const Node names = type["names"];
  const std::string_view last = last_name(names);
  const bool qualified = names.size() > 1 && names.front().body().text("sval") != "pg_catalog";
  std::string name = qualified ? dotted_name(names) : std::string(last);
  if (!qualified) {
    const auto* standard =
        std::ranges::find(kStandardNames, last, &std::pair<std::string_view, std::string_view>::first);
    if (standard != kStandardNames.end())
      name = standard->second;
    else if (!std::ranges::binary_search(kBuiltin, last))
      name = quote_identifier(last);
  }
  std::vector<std::int64_t> lengths;
  for (const Node node : type["typmods"]) lengths.push_back(node.body()["ival"].number("ival"));
  constexpr std::int64_t kAllFields = 0x7FFF;  // INTERVAL_FULL_RANGE
  if (last == "interval" && !lengths.empty()) {
    const std::int64_t mask = lengths.front() == kAllFields ? 0 : lengths.front();
    const auto* fields = std::ranges::find(kIntervalFields, mask, &IntervalFields::mask);
    if (fields != kIntervalFields.end()) name += fmt::format(" {}", fields->text);
    lengths.erase(lengths.begin());
  }
  if (!lengths.empty()) {
    const std::string text = fmt::format("({})", fmt::join(lengths, ","));
    const std::size_t word = name.starts_with("time") ? name.find(' ') : std::string::npos;
    name.insert(std::min(word, name.size()), text);
  }
  for ([[maybe_unused]] const Node bound : type["arrayBounds"]) {
    name += "[]";
    break;  // dimensions are not part of the type
  }
  return name;
}

std::string type_without_length(std::string_view type) {
  if (type.find('(') == std::string_view::npos && !type.ends_with("[][]")) return std::string(type);
  const Type parts = take_apart(type);
  return parts.array ? parts.name + "[]" : parts.name;
}

bool is_builtin_type(std::string_view type) {
  if (type.find_first_of("([") == std::string_view::npos) return std::ranges::binary_search(kBuiltin, type);
  return std::ranges::binary_search(kBuiltin, std::string_view(take_apart(type).name));
}

Answer change_rewrites(std::string_view from, std::string_view to, bool utc) {
  if (from == to) return Answer::no;
  const Type old = take_apart(from);
  const Type next = take_apart(to);
  if (old.array || next.array) {
    if (old.array == next.array && old.name == next.name) return next.lengths.empty() ? Answer::no : Answer::yes;
    return Answer::yes;
  }
  if (old.name == next.name) return has_room(old, next) ? Answer::no : Answer::yes;
  if (is_interval(old.name) && is_interval(next.name)) {
    const bool keeps = smallest_field(next.name) <= smallest_field(old.name) && has_room(old, next);
    return keeps ? Answer::no : Answer::yes;
  }
  if (between_timestamps(old.name, next.name)) {
    // The cast forgets the precision, so that any but the full one is looked at again.
    const bool full = next.lengths.empty() || next.lengths[0] >= kFullPrecision;
    return utc && full ? Answer::no : Answer::yes;
  }
  const bool same_bits = contains(kSameBits, std::pair<std::string_view, std::string_view>(old.name, next.name));
  // Where a length is asked for, PostgreSQL looks at each value; of another type it does not know how long they are.
  const bool varchars = old.name == "character varying" && next.name == "character varying";
  if (same_bits) return next.lengths.empty() || (varchars && has_room(old, next)) ? Answer::no : Answer::yes;
  return is_builtin_type(from) && is_builtin_type(to) ? Answer::yes : Answer::maybe;
}

bool widens(std::string_view from, std::string_view to) {
  const Type old = take_apart(from);
  const Type next = take_apart(to);
  if (old.array != next.array) return false;
  if (old.name == next.name) return has_room(old, next);
  if (is_interval(old.name) && is_interval(next.name))
    return smallest_field(next.name) <= smallest_field(old.name) && has_room(old, next);
  if (between_timestamps(old.name, next.name)) return true;
  if (old.name == "citext" || next.name == "citext") return false;  // it compares otherwise
  return next.lengths.empty() &&
         contains(kSameBits, std::pair<std::string_view, std::string_view>(old.name, next.name));
}

bool keeps_indexes(std::string_view from, std::string_view to) {
  const std::string old = take_apart(from).name;
  const std::string next = take_apart(to).name;
  constexpr auto kSameOperators = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"character varying", "text"}, {"text", "character varying"}, {"cidr", "inet"}});
  return old == next || (is_interval(old) && is_interval(next)) ||
         contains(kSameOperators, std::pair<std::string_view, std::string_view>(old, next));
}

}  // namespace diastole::sql
