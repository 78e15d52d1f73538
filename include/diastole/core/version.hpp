// Versions of applications and what a plan requires of them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/base/result.hpp"

namespace diastole::core {

// Semantic Versioning 2.0.0. A leading "v" is accepted, build metadata is ignored in comparisons (semver.org, section
// 10).
struct Version {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t patch = 0;
  std::vector<std::string> prerelease;

  [[nodiscard]] static std::optional<Version> parse(std::string_view text);
  // Precedence of semver.org, section 11.
  friend std::strong_ordering operator<=>(const Version& a, const Version& b);
  friend bool operator==(const Version& a, const Version& b) { return (a <=> b) == 0; }
};

// How an instance's version stands to a requirement.
enum class VersionMatch {
  satisfied,
  unsatisfied,
  unparsable,  // the requirement is a range and the text is no version: nobody can tell
};

// ">=2.3.0", ">=2.3.0 <4.0.0" (every comparator must hold; operators >= > <= < =), or a set of exact build ids.
class VersionRequirement {
 public:
  struct Comparator {
    enum class Op { ge, gt, le, lt, eq };
    Op op;
    Version version;
  };

  [[nodiscard]] static Result<VersionRequirement> range(std::string_view text);
  [[nodiscard]] static Result<VersionRequirement> one_of(std::vector<std::string> builds);

  [[nodiscard]] VersionMatch match(std::string_view version) const;
  // As written: ">=2.3.0", or "one of 4f1c2ab, 9d03e77".
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const std::string& range_text() const { return range_text_; }  // empty for a set
  [[nodiscard]] const std::vector<std::string>& builds() const { return builds_; }

  friend bool operator==(const VersionRequirement& a, const VersionRequirement& b) {
    return a.range_text_ == b.range_text_ && a.builds_ == b.builds_;
  }

 private:
  std::string range_text_;
  std::vector<Comparator> comparators_;
  std::vector<std::string> builds_;
};

}  // namespace diastole::core
