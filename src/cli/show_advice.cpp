// The queries that still use what contract drops.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "show.hpp"

namespace diastole::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kShown = 5;

// Those that have not been seen to grow say little.
bool grown(const json& statement) {
  const auto at = statement.find("last_grew");
  return at != statement.end() && at->is_string();
}

// On one line, whatever the application's own layout.
std::string one_line(const std::string& query) {
  std::string out;
  for (const char c : query) {
    const bool blank = static_cast<unsigned char>(c) <= ' ';
    if (!blank) out += c;
    if (blank && !out.empty() && !out.ends_with(' ')) out += ' ';
  }
  return out;
}

std::string line(const json& statement) {
  std::string uses;
  for (const auto& use : statement.value("uses", json::array()))
    uses += (uses.empty() ? "" : ", ") + use.get<std::string>();
  return fmt::format("  still used: {}{} by role {} on {}, last seen {}, {} calls: {}\n",
                     statement.value("sure", false) ? "" : "perhaps ", uses, statement.value("role", ""),
                     statement.value("server", ""), statement.value("last_grew", ""), statement.value("calls", 0LL),
                     one_line(statement.value("query", "")));
}

}  // namespace

std::string show_advice(const json& gate) {
  std::string out;
  std::size_t more = 0;
  std::size_t shown = 0;
  for (const auto& statement : gate.value("advice", json::array())) {
    if (!grown(statement)) continue;
    if (shown++ < kShown) {
      out += line(statement);
    } else {
      ++more;
    }
  }
  if (more > 0) out += fmt::format("  and by at least {} more quer{}\n", more, more == 1 ? "y" : "ies");
  if (const auto missing = gate.value("advice_missing", ""); !missing.empty())
    out += fmt::format("  no word of the queries that still use what contract drops: {}\n", missing);
  return out;
}

}  // namespace diastole::cli
