// JSON and YAML text to one kind of value, with the place of what is wrong.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
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

// Builds the value like nlohmann's own parser, but refuses depth and duplicate keys where they stand.
class StrictSax : public nlohmann::detail::json_sax_dom_parser<json> {
  using Base = nlohmann::detail::json_sax_dom_parser<json>;

 public:
  explicit StrictSax(json& out) : Base(out, false) {}
  std::string refusal;
  std::size_t error_at = 0;

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
    if (!keys_.back().insert(name).second) {
      refusal = fmt::format("the key '{}' stands twice in one object", name);
      return false;
    }
    return Base::key(name);
  }
  template <typename Exception>
  bool parse_error(std::size_t position, const std::string& /*token*/, const Exception& error) {
    error_at = position > 0 ? position - 1 : 0;
    const std::string what = error.what();
    const auto after = what.find(": ");
    refusal = after == std::string::npos ? what : what.substr(after + 2);
    return false;
  }

 private:
  bool deeper() {
    if (++depth_ <= kMaxDepth) return true;
    refusal = fmt::format("nested more than {} levels deep", kMaxDepth);
    return false;
  }
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
    if (node.Tag() == "!") return json(text);  // quoted
    if (text == "true" || text == "false") return json(text == "true");
    if (text == "null" || text == "~" || text.empty()) return json(nullptr);
    std::int64_t integer = 0;
    const auto* end = text.data() + text.size();
    if (const auto [stop, error] = std::from_chars(text.data(), end, integer); error == std::errc{} && stop == end) {
      return json(integer);
    }
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
  StrictSax sax(out);
  if (!json::sax_parse(text.begin(), text.end(), &sax)) {
    // Our own refusals come without a position; the parser's carry one.
    if (sax.error_at == 0 && !sax.refusal.starts_with("syntax")) return fail(ErrorCode::invalid_argument, sax.refusal);
    const auto [line, column] = line_and_column(text, sax.error_at);
    return bad_text(line, column, sax.refusal);
  }
  return out;
}

Result<json> parse_yaml(std::string_view text) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return json(nullptr);
    if (documents.size() > 1) return fail(ErrorCode::invalid_argument, "more than one YAML document in one file");
    return YamlReader{}.read(documents.front(), 1);
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
      if (node.IsSequence() && !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; })) {
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
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
  std::string out = "sha256-";
  for (unsigned int i = 0; i < length; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace diastole::codec
