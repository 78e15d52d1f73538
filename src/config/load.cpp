// From a file's text to a Config, in three passes: every scalar into its place by the table, then the rules between
// keys, then the secrets. Errors of all three are collected.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "keys.hpp"
#include "problems.hpp"
#include "services.hpp"

namespace diastole::config {
namespace {

int line_of(const YAML::Node& node) {
  return node.Mark().line + 1;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// What may stand directly below a section, "" for the top: "targets.*" has dsn_file and dsn_env.
std::vector<std::string> names_below(const std::string& section) {
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    std::string_view rest = key.path;
    if (!section.empty()) {
      if (!rest.starts_with(section + ".")) continue;
      rest.remove_prefix(section.size() + 1);
    }
    const std::string name(rest.substr(0, rest.find_first_of(".[")));
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

// What an unknown name was probably meant to be.
std::string advice(const std::string& section, const std::string& name) {
  const std::vector<std::string> known = names_below(section);
  const auto nearest =
      std::ranges::min_element(known, {}, [&](const std::string& k) { return edit_distance(k, name); });
  if (edit_distance(*nearest, name) <= std::max<std::size_t>(2, name.size() / 3)) {
    return fmt::format("did you mean {}?", *nearest);
  }
  for (const Key& key : keys()) {
    if (key.path.ends_with("." + name)) return fmt::format("did you mean {}?", key.path);
  }
  return fmt::format("known here: {}", fmt::join(known, ", "));
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == name.npos;
}

class Reader {
 public:
  Reader(Draft& draft, Problems& problems) : draft_(draft), problems_(problems) {}

  // `section` is the table's form (targets.*), `shown` the user's (targets.main).
  void read_map(const YAML::Node& node, const std::string& section, const std::string& shown);
  [[nodiscard]] bool has(const std::string& key) const { return lines_.contains(key); }
  // Where a key stands; 1 for one that does not.
  [[nodiscard]] int line(const std::string& key) const {
    const auto found = lines_.find(key);
    return found == lines_.end() ? 1 : found->second;
  }

 private:
  void read_entry(const YAML::Node& key, const YAML::Node& value, const std::string& section, const std::string& shown);
  void read_list(const YAML::Node& node, const std::string& section, const std::string& shown);
  void read_scalar(const Key& key, const YAML::Node& value, const std::string& shown);

  Draft& draft_;
  Problems& problems_;
  std::map<std::string, int> lines_;
};

void Reader::read_map(const YAML::Node& node, const std::string& section, const std::string& shown) {
  // A section whose lines are all comments.
  if (node.IsNull()) return;
  if (!node.IsMap()) {
    problems_.add(line_of(node), shown.empty() ? "the file" : shown,
                  "must hold keys and values, write them indented below it");
    return;
  }
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      problems_.add(line_of(entry.first), shown.empty() ? "the file" : shown,
                    "has a key that is not a word, write key: value");
      continue;
    }
    const std::string& name = entry.first.Scalar();
    const std::string child = shown.empty() ? name : shown + "." + name;
    if (!seen.insert(name).second) {
      problems_.add(line_of(entry.first), child, fmt::format("is there already, at line {}; keep one", line(child)));
      continue;
    }
    lines_[child] = line_of(entry.first);
    read_entry(entry.first, entry.second, section, child);
  }
}

void Reader::read_entry(const YAML::Node& key, const YAML::Node& value, const std::string& section,
                        const std::string& shown) {
  std::string path = section.empty() ? key.Scalar() : section + "." + key.Scalar();
  if (section == "targets" || section == "services") {
    if (!is_name(key.Scalar())) {
      problems_.add(line_of(key), shown, "is not a name, write 1 to 63 of a-z, 0-9 and -");
      return;
    }
    if (section == "targets") {
      draft_.targets.push_back(
          {.name = key.Scalar(), .dsn = {}, .disk = {}, .replicas = {}, .tools = {}, .line = line_of(key)});
    } else {
      draft_.services.push_back({.name = key.Scalar(), .value = {}, .line = line_of(key)});
    }
    path = section + ".*";
  }
  const auto begins = [&](const std::string& prefix) {
    return std::ranges::any_of(keys(), [&](const Key& k) { return k.path.starts_with(prefix); });
  };
  const auto exact = std::ranges::find(keys(), path, &Key::path);
  // "*" and "[]" in a file are not the table's.
  const bool literal = path == section + ".*" || path.find_first_of("*[", section.size()) == path.npos;
  if (literal && exact != keys().end()) {
    read_scalar(*exact, value, shown);
  } else if (literal && begins(path + ".")) {
    read_map(value, path, shown);
  } else if (literal && begins(path + "[].")) {
    read_list(value, path + "[]", shown);
  } else {
    problems_.add(line_of(key), shown, "is not known; " + advice(section, key.Scalar()));
  }
}

void Reader::read_list(const YAML::Node& node, const std::string& section, const std::string& shown) {
  if (node.IsNull()) return;
  if (!node.IsSequence()) {
    problems_.add(line_of(node), shown, "must be a list, begin each item with \"- \"");
    return;
  }
  int number = 0;
  for (const YAML::Node& item : node) {
    Draft::TokenEntry entry;
    entry.line = line_of(item);
    draft_.tokens.push_back(std::move(entry));
    read_map(item, section, fmt::format("{}[{}]", shown, number++));
  }
}

void Reader::read_scalar(const Key& key, const YAML::Node& value, const std::string& shown) {
  if (!value.IsScalar()) {
    const std::string range = range_text(key);
    problems_.add(line(shown), shown,
                  fmt::format("{}, write {}{}{}", value.IsNull() ? "has no value" : "must be a single value",
                              type_name(key), range.empty() ? "" : ": ", range));
    return;
  }
  if (const Result<void> stored = store(key, value.Scalar(), draft_); !stored) {
    problems_.add(line(shown), shown, stored.error().message);
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(separator, begin), text.size());
    parts.push_back(trimmed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

// "role=backup, application_name=pg_dump"
std::vector<core::Tool> tools_of(const std::string& text, const std::string& key, int line, Problems& problems) {
  std::vector<core::Tool> tools;
  if (text.empty()) return tools;
  const std::vector<std::string_view> entries = split(text, ',');
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto equals = entries[i].find('=');
    const auto by = trimmed(entries[i].substr(0, equals));
    const auto name = equals == entries[i].npos ? std::string_view() : trimmed(entries[i].substr(equals + 1));
    if (name.empty() || (by != "role" && by != "application_name")) {
      problems.add(
          line, key,
          fmt::format("entry {} ('{}') is not known, write role=NAME or application_name=NAME", i + 1, entries[i]));
      continue;
    }
    tools.push_back(
        {.by = by == "role" ? core::Tool::By::role : core::Tool::By::application_name, .name = std::string(name)});
  }
  return tools;
}

// What the table's rows cannot say one by one.
void check_values(const Config& config, const Reader& reader, Problems& problems) {
  in_addr v4{};
  in6_addr v6{};
  const std::string& address = config.listen.address;
  if (inet_pton(AF_INET, address.c_str(), &v4) != 1 && inet_pton(AF_INET6, address.c_str(), &v6) != 1) {
    problems.add(
        reader.line("listen.address"), "listen.address",
        fmt::format("'{}' is not an IP address, write 127.0.0.1, 0.0.0.0, ::1 or one of this machine's", address));
  }
  const auto at_most = [&](auto low, const std::string& low_key, auto high, const std::string& high_key) {
    if (low <= high) return;
    const int line = std::max(reader.line(low_key), reader.line(high_key));
    problems.add(line, low_key, fmt::format("is more than {}, lower it or raise {}", high_key, high_key));
  };
  at_most(config.backfill.min_rows, "backfill.min_rows", config.backfill.batch_rows, "backfill.batch_rows");
  at_most(config.backfill.batch_rows, "backfill.batch_rows", config.backfill.max_rows, "backfill.max_rows");
  at_most(config.gate.min_soak, "gate.min_soak", config.gate.soak, "gate.soak");
  at_most(config.limits.heartbeat_bytes, "limits.heartbeat_bytes", config.limits.batch_bytes, "limits.batch_bytes");
  at_most(config.fleet.heartbeat, "fleet.heartbeat", config.fleet.suspect_after, "fleet.suspect_after");
}

class SecretReader {
 public:
  SecretReader(std::filesystem::path directory, Problems& problems)
      : directory_(std::move(directory)), problems_(problems) {}

  // `name` is the key without _file and _env.
  Secret read(const SecretSource& source, const std::string& name, const Reader& reader, int line) {
    const bool file = reader.has(name + "_file");
    const bool env = reader.has(name + "_env");
    if (file == env) {
      problems_.add(
          line, name,
          fmt::format("is there {}, write either {}_file or {}_env", file ? "twice" : "not at all", name, name));
      return {};
    }
    if (source.file.empty() && source.env.empty()) return {};  // it was no text: said already
    const std::string key = name + (file ? "_file" : "_env");
    Result<Secret> secret = file ? Secret::from_file(directory_ / source.file) : Secret::from_environment(source.env);
    if (secret) return std::move(*secret);
    problems_.add(reader.line(key), key, secret.error().message);
    return {};
  }

  // A file of connection strings, one a line; none where it is not named.
  std::vector<Secret> read_lines(const std::string& file, const std::string& key, const Reader& reader) {
    std::vector<Secret> secrets;
    if (file.empty()) return secrets;
    const Result<Secret> text = Secret::from_file(directory_ / file);
    if (!text) {
      problems_.add(reader.line(key), key, text.error().message);
      return secrets;
    }
    for (const std::string_view line : split(text->reveal(), '\n')) {
      if (!line.empty() && !line.starts_with('#')) secrets.emplace_back(std::string(line));
    }
    if (secrets.empty()) {
      problems_.add(reader.line(key), key,
                    fmt::format("{} has only comments, write a connection string a line or remove the key",
                                (directory_ / file).string()));
    }
    return secrets;
  }

 private:
  std::filesystem::path directory_;
  Problems& problems_;
};

void check_token(const Token& token, const std::string& key, int line, const std::vector<Token>& others,
                 Problems& problems) {
  const std::string& text = token.secret.reveal();
  if (text.empty()) return;  // said already
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  if (text.size() < 32 || !printable) {
    problems.add(line, key,
                 "must be at least 32 printable characters without spaces, make one with openssl rand -hex 32");
  }
  for (const Token& other : others) {
    if (other.secret.reveal() == text)
      problems.add(line, key, fmt::format("is the same as that of {}, make another", other.name));
  }
}

void read_tokens(Draft& draft, const Reader& reader, SecretReader& secrets, Problems& problems) {
  if (draft.tokens.empty()) {
    problems.add(reader.line("tokens"), "tokens", "there are none, so nobody could use the API; add at least one");
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < draft.tokens.size(); ++i) {
    const Draft::TokenEntry& entry = draft.tokens[i];
    const std::string key = fmt::format("tokens[{}]", i);
    for (const char* required : {".name", ".role"}) {
      if (!reader.has(key + required)) problems.add(entry.line, key + required, "is missing, write it");
    }
    if (!entry.name.empty() && !names.insert(entry.name).second) {
      problems.add(reader.line(key + ".name"), key + ".name",
                   fmt::format("'{}' is there already, choose another", entry.name));
    }
    Token token{.name = entry.name,
                .role = entry.role,
                .secret = secrets.read(entry.token, key + ".token", reader, entry.line)};
    check_token(token, key + ".token", entry.line, draft.config.tokens, problems);
    draft.config.tokens.push_back(std::move(token));
  }
}

void read_secrets(Draft& draft, const Reader& reader, const std::filesystem::path& directory, Problems& problems) {
  SecretReader secrets(directory, problems);
  draft.config.state_dsn = secrets.read(draft.state, "state.dsn", reader, reader.line("state"));
  if (draft.targets.empty()) {
    problems.add(reader.line("targets"), "targets", "there are none, so no plan could run; add at least one");
  }
  for (const Draft::Target& target : draft.targets) {
    const std::string key = "targets." + target.name;
    draft.config.targets[target.name] = {
        .dsn = secrets.read(target.dsn, key + ".dsn", reader, target.line),
        .disk = target.disk.empty() ? std::filesystem::path() : directory / target.disk,
        .replicas = secrets.read_lines(target.replicas, key + ".replicas_file", reader),
        .tools = tools_of(target.tools, key + ".tools", reader.line(key + ".tools"), problems)};
  }
  read_tokens(draft, reader, secrets, problems);
}

Result<YAML::Node> parse_document(const std::string& text, const std::string& name) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() <= 1) return documents.empty() ? YAML::Node() : documents.front();
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}:{}: a second document begins, keep one", name, line_of(documents[1])));
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}:{}: not valid YAML: {}", name, error.mark.line + 1, error.msg));
  }
}

}  // namespace

Result<Config> parse(const std::string& text, const std::string& name) {
  const Result<YAML::Node> document = parse_document(text, name);
  if (!document) return std::unexpected(document.error());
  Draft draft;
  Problems problems;
  Reader reader(draft, problems);
  reader.read_map(*document, "", "");
  check_values(draft.config, reader, problems);
  read_secrets(draft, reader, std::filesystem::path(name).parent_path(), problems);
  read_services(
      draft, [&](const std::string& key) { return reader.line(key); }, std::filesystem::path(name).parent_path(),
      problems);
  if (!problems.empty()) return std::unexpected(problems.error(name));
  return std::move(draft.config);
}

Result<Config> load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::invalid_argument, fmt::format("cannot read {}", path.string()));
  std::string text;
  std::array<char, 4096> buffer{};
  while (file.read(buffer.data(), buffer.size()), file.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return fail(ErrorCode::invalid_argument, fmt::format("cannot read {}", path.string()));
  return parse(text, path.string());
}

}  // namespace diastole::config
