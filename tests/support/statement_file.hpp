// Statements in a text file, each with what it was seen to do. Paragraphs, of lines:
//
//   -- hold: SQL            what another session runs and keeps open, for a statement that runs on its own
//   -- may: word, word      what the analyser is excused of here, see observed_effects.cpp
//   SQL …;                  what must be there first, and last the statement itself
//   -- => what was observed
//
// A paragraph without SQL is a heading.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/sql/analysis.hpp"

namespace diastole::test {

struct FiledStatement {
  int line = 0;
  std::string text;  // the paragraph without what was observed
  std::string setup;
  std::string statement;
  std::vector<std::string> holds;
  std::set<std::string> may;
  std::string observed;
};

inline std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto word = list.substr(0, comma);
    const auto first = word.find_first_not_of(' ');
    if (first != std::string_view::npos) words.emplace_back(word.substr(first));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return words;
}

inline void read_line(const std::string& line, FiledStatement& entry, std::string& sql) {
  const auto after = [&](std::string_view mark) { return line.substr(mark.size()); };
  constexpr std::string_view kHold = "-- hold: ";
  constexpr std::string_view kMay = "-- may: ";
  constexpr std::string_view kObserved = "-- => ";
  if (line.starts_with(kObserved)) {
    entry.observed += (entry.observed.empty() ? "" : " ") + after(kObserved);
    return;
  }
  entry.text += line + "\n";
  if (line.starts_with(kHold)) entry.holds.push_back(after(kHold));
  if (line.starts_with(kMay)) {
    for (auto& word : words_of(after(kMay))) entry.may.insert(std::move(word));
  }
  if (!line.starts_with("--")) sql += line + "\n";
}

inline std::vector<FiledStatement> read_statements(const std::string& path) {
  std::ifstream file(path);
  std::vector<FiledStatement> entries;
  FiledStatement entry;
  std::string sql;
  const auto close = [&] {
    if (entry.text.empty()) return;
    const auto parsed = sql::classify(sql);
    if (parsed) {
      entry.statement = parsed->back().sql;
      for (std::size_t i = 0; i + 1 < parsed->size(); ++i) entry.setup += (*parsed)[i].sql + ";\n";
    } else if (!sql.empty()) {
      ADD_FAILURE() << path << ":" << entry.line << ": " << parsed.error().message;
    }
    entries.push_back(std::move(entry));
    entry = {};
    sql.clear();
  };
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty()) {
      close();
      continue;
    }
    if (entry.text.empty()) entry.line = number;
    read_line(line, entry, sql);
  }
  close();
  return entries;
}

// What was observed, in lines that stay narrow.
inline std::string observed_lines(std::string_view observed) {
  constexpr std::size_t kWidth = 110;
  std::string lines;
  std::string line;
  std::istringstream words{std::string(observed)};
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + word.size() >= kWidth) {
      lines += "-- => " + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + "-- => " + line + "\n";
}

inline void write_statements(const std::string& path, const std::vector<FiledStatement>& entries) {
  std::ofstream file(path);
  for (const auto& entry : entries) {
    if (&entry != &entries.front()) file << "\n";
    file << entry.text;
    if (!entry.statement.empty()) file << observed_lines(entry.observed);
  }
}

}  // namespace diastole::test
