// What is wrong with a file, collected, so that one run of --check-config shows all of it.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <string>

#include "diastole/base/result.hpp"

namespace diastole::config {

class Problems {
 public:
  void add(int line, const std::string& key, const std::string& what) {
    problems_.emplace(line, fmt::format("{}: {}", key, what));
  }
  [[nodiscard]] bool empty() const { return problems_.empty(); }
  [[nodiscard]] Error error(const std::string& file) const {
    std::string text;
    for (const auto& [line, problem] : problems_) {
      fmt::format_to(std::back_inserter(text), "{}{}:{}: {}", text.empty() ? "" : "\n", file, line, problem);
    }
    return {.code = ErrorCode::invalid_argument, .message = std::move(text), .path = {}};
  }

 private:
  std::multimap<int, std::string> problems_;
};

}  // namespace diastole::config
