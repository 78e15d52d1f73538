// The reference and the example file, from the table.
#include <fmt/format.h>

#include <iterator>
#include <string>

#include "keys.hpp"

namespace diastole::config {
namespace {

std::string code(const std::string& text) {
  return text.empty() ? text : "`" + text + "`";
}

// "tokens[].name" is "tokens[]" and "name", "targets.*.dsn_file" is "targets.*" and "dsn_file".
std::pair<std::string, std::string> split_last(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return {std::string(path.substr(0, dot)), std::string(path.substr(dot + 1))};
}

// A section that needs nothing has its name in a comment too, as all of its keys are.
std::string section_lines(const std::string& section) {
  if (section == "services.*") return "\nservices:\n  # api:\n";
  if (section.ends_with("[]")) return fmt::format("\n{}:\n", section.substr(0, section.size() - 2));
  if (section.ends_with(".*")) return fmt::format("\n{}:\n  main:\n", section.substr(0, section.size() - 2));
  return fmt::format("\n{}:\n", section);
}

}  // namespace

std::string reference() {
  std::string text = "| key | type | default | range | meaning |\n|---|---|---|---|---|\n";
  for (const Key& key : keys()) {
    fmt::format_to(std::back_inserter(text), "| `{}` | {} | {} | {} | {} |\n", key.path, type_name(key),
                   code(default_text(key)), range_text(key), key.help);
  }
  return text;
}

std::string example() {
  std::string text =
      "# diastoled.yaml: the configuration of diastoled. What is not said has the default that is shown here.\n"
      "# Check a file with: diastoled --config FILE --check-config\n"
      "# Paths are meant from this file's directory; what they name must not be readable by every user.\n";
  std::string section;
  for (const Key& key : keys()) {
    const auto [parent, name] = split_last(key.path);
    const bool first = parent != section;
    if (first) text += section_lines(parent);
    section = parent;
    const bool list = parent.ends_with("[]");
    const std::string indent(list || parent.ends_with(".*") ? 4 : 2, ' ');
    const std::string range = range_text(key);
    const std::string_view comment_indent = list && first ? "  " : std::string_view(indent);
    fmt::format_to(std::back_inserter(text), "{}# {}{}\n", comment_indent, key.help,
                   range.empty() ? "" : " (" + range + ")");
    const std::string value = key.example.empty() ? default_text(key) : std::string(key.example);
    const std::string prefix = key.optional ? indent + "# " : list && first ? "  - " : indent;
    fmt::format_to(std::back_inserter(text), "{}{}: {}\n", prefix, name, value);
  }
  return text;
}

}  // namespace diastole::config
