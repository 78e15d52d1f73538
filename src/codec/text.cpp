// JSON and YAML text to one kind of value, with the place of what is wrong.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <ranges>
#include <set>
#include <vector>

#include "diastole/codec/plan_codec.hpp"

namespace diastole::codec {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxYamlNodes = 100'000;  // aliases multiply; a plan has a few hundred

std::unexpected<Error> bad_text(int line, int column, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("line {}, column {}: {}", line, column, what));
}

std::pair<int, int> line_and_column(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte, text.size()));
  const auto newline = before.rfind('\n');
  const auto column = newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return {static_cast<int>(std::ranges::count(before, '\n')) + 1, static_cast<int>(column) + 1};
}

// Text that neither PostgreSQL nor C's strings can hold.
bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}
constexpr std::string_view kNulRefused = "the character U+0000 cannot be stored";

// Counts what the lexer has taken, because nlohmann tells a SAX reader no position.
struct CountingIterator {
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  std::size_t* taken = nullptr;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*taken;
    return *this;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at == b.at; }
};

// Builds the value like nlohmann's own parser, but refuses depth, duplicate keys and U+0000 where they stand.
class StrictSax : public nlohmann::detail::json_sax_dom_parser<json> {
  using Base = nlohmann::detail::json_sax_dom_parser<json>;

 public:
  StrictSax(json& out, std::string_view text, const std::size_t& taken)
      : Base(out, false), text_(text), taken_(taken) {}
  std::string refusal;
  std::size_t refused_at = 0;

  bool start_object(std::size_t size) { return deeper() && (keys_.emplace_back(), Base::start_object(size)); }
  bool end_object() {
    --depth_;
    keys_.pop_back();
    return Base::end_object();
  }
  bool start_array(std::size_t size) { return deeper() && Base::start_array(size); }
  bool end_array() {
    --depth_;
    return Base::end_array();
  }
  bool key(std::string& name) {
    if (has_nul(name)) return refuse(string_start(), std::string(kNulRefused));
    if (!keys_.back().insert(name).second) {
      return refuse(string_start(), fmt::format("the key '{}' stands twice in one object", name));
    }
    return Base::key(name);
  }
  bool string(std::string& value) {
    return has_nul(value) ? refuse(string_start(), std::string(kNulRefused)) : Base::string(value);
  }
  template <typename Exception>
  bool parse_error(std::size_t position, const std::string& token, const Exception& error) {
    const std::string_view what = error.what();
    const std::size_t at = position > 0 ? position - 1 : 0;
    // nlohmann repeats the bytes, which would make our own message ill-formed too.
    if (what.contains("UTF-8")) return refuse(at, "this is not UTF-8");
    if (what.contains("number overflow")) return refuse(at, fmt::format("the number {} is too large", token));
    const auto detail = what.find(": ");
    return refuse(at, std::string(what.substr(detail == std::string_view::npos ? 0 : detail + 2)));
  }

 private:
  bool refuse(std::size_t at, std::string why) {
    refused_at = at;
    refusal = std::move(why);
    return false;
  }
  bool deeper() {
    return ++depth_ <= kMaxDepth || refuse(taken_ - 1, fmt::format("nested more than {} levels deep", kMaxDepth));
  }
  // The lexer stands behind the closing quote.
  [[nodiscard]] std::size_t string_start() const { return text_.rfind('"', taken_ - 2); }

  std::string_view text_;
  const std::size_t& taken_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
};

class YamlReader {
 public:
  Result<json> read(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) return refuse(node, fmt::format("nested more than {} levels deep", kMaxDepth));
    if (++nodes_ > kMaxYamlNodes) return refuse(node, "too many values (aliases multiply them)");
    switch (node.Type()) {
      case YAML::NodeType::Scalar: return scalar(node);
      case YAML::NodeType::Sequence: return sequence(node, depth);
      case YAML::NodeType::Map: return map(node, depth);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined: return json(nullptr);
    }
    return json(nullptr);
  }

 private:
  static std::unexpected<Error> refuse(const YAML::Node& node, std::string_view what) {
    return bad_text(node.Mark().line + 1, node.Mark().column + 1, what);
  }

  // YAML 1.2's core schema: only true, false and null are words with a meaning, so "no" and "on" stay what was written.
  static Result<json> scalar(const YAML::Node& node) {
    const auto& text = node.Scalar();
    if (has_nul(text)) return refuse(node, kNulRefused);
    if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return json(text);  // quoted, or !!str
    if (text == "true" || text == "false") return json(text == "true");
    if (text == "null" || text == "~" || text.empty()) return json(nullptr);
    std::int64_t integer = 0;
    std::from_chars(text.data(), text.data() + text.size(), integer);
    if (std::to_string(integer) == text) return json(integer);  // not 007: a build id would lose its zeros
    return json(text);
  }

  Result<json> sequence(const YAML::Node& node, int depth) {
    json out = json::array();
    for (const auto& item : node) {
      auto value = read(item, depth + 1);
      if (!value) return value;
      out.push_back(std::move(*value));
    }
    return out;
  }

  Result<json> map(const YAML::Node& node, int depth) {
    json out = json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return refuse(entry.first, "a key must be plain text");
      const auto& key = entry.first.Scalar();
      if (out.contains(key)) return refuse(entry.first, fmt::format("the key '{}' stands twice in one mapping", key));
      auto value = read(entry.second, depth + 1);
      if (!value) return value;
      out[key] = std::move(*value);
    }
    return out;
  }

  std::size_t nodes_ = 0;
};

}  // namespace

Result<json> parse_json(std::string_view text) {
  json out;
  std::size_t taken = 0;
  StrictSax sax(out, text, taken);
  const char* const begin = text.data();
  if (!json::sax_parse(CountingIterator{begin, &taken}, CountingIterator{begin + text.size(), &taken}, &sax)) {
    const auto [line, column] = line_and_column(text, sax.refused_at);
    return bad_text(line, column, sax.refusal);
  }
  return out;
}

Result<json> parse_yaml(std::string_view text) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return json(nullptr);
    if (documents.size() > 1) {
      const auto second = documents[1].Mark();
      return bad_text(second.line + 1, second.column + 1, "a second document begins; keep one");
    }
    auto value = YamlReader{}.read(documents.front(), 1);
    if (value) (void)value->dump();  // throws on ill-formed UTF-8, which yaml-cpp lets through
    return value;
  } catch (const json::exception&) {
    return fail(ErrorCode::invalid_argument, "this is not UTF-8");
  } catch (const YAML::DeepRecursion& error) {
    return bad_text(error.mark.line + 1, error.mark.column + 1,
                    fmt::format("nested more than {} levels deep", kMaxDepth));
  } catch (const YAML::Exception& error) {
    return bad_text(error.mark.line + 1, error.mark.column + 1, error.msg);
  }
}

int line_of(std::string_view yaml, std::string_view pointer) {
  try {
    YAML::Node node = YAML::Load(std::string(yaml));
    int line = node.Mark().line + 1;
    const json::json_pointer path{std::string(pointer)};
    std::vector<std::string> parts;
    for (auto rest = path; !rest.empty(); rest = rest.parent_pointer()) parts.push_back(rest.back());
    for (const auto& part : parts | std::views::reverse) {
      YAML::Node child;
      if (node.IsSequence() && !part.empty() &&
          std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; })) {
        child.reset(node[std::stoul(part)]);
      } else if (node.IsMap()) {
        child.reset(node[part]);
      }
      if (!child.IsDefined()) break;  // a key that is missing: the line of what it is missing from
      node.reset(child);
      line = node.Mark().line + 1;
    }
    return line;
  } catch (const std::exception&) {
    return 0;
  }
}

std::string sha256(std::string_view bytes) {
  // Each request hashes its token: looking up the algorithm and making the context would cost more than the hash.
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr);
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context.get(), digest.data(), &length);
  std::string out = "sha256-";
  out.reserve(out.size() + std::size_t{2} * length);
  for (unsigned int i = 0; i < length; ++i) {
    out += kDigits[digest[i] >> 4U];
    out += kDigits[digest[i] & 0xFU];
  }
  return out;
}

}  // namespace diastole::codec
