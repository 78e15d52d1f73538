#include "diastole/core/version.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace diastole::core {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_identifier_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}
bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, is_digit);
}

// A number without leading zeros, that fits.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || !all_digits(text) || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<std::string>> parse_identifiers(std::string_view text, bool numeric_rule) {
  std::vector<std::string> out;
  while (true) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    if (part.empty() || !std::ranges::all_of(part, is_identifier_char)) return std::nullopt;
    if (numeric_rule && all_digits(part) && part.size() > 1 && part.front() == '0') return std::nullopt;
    out.emplace_back(part);
    if (dot == std::string_view::npos) return out;
    text.remove_prefix(dot + 1);
  }
}

// Numeric identifiers are below alphanumeric ones and compare by value; their length decides before their digits do, so
// that no number is too long to compare.
std::strong_ordering compare_identifiers(const std::string& a, const std::string& b) {
  const bool numeric_a = all_digits(a);
  const bool numeric_b = all_digits(b);
  if (numeric_a != numeric_b) return numeric_a ? std::strong_ordering::less : std::strong_ordering::greater;
  if (numeric_a && a.size() != b.size()) return a.size() <=> b.size();
  return a <=> b;
}

}  // namespace

std::optional<Version> Version::parse(std::string_view text) {
  if (!text.empty() && text.front() == 'v') text.remove_prefix(1);
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    if (!parse_identifiers(text.substr(plus + 1), false)) return std::nullopt;
    text = text.substr(0, plus);
  }
  Version version;
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    auto prerelease = parse_identifiers(text.substr(dash + 1), true);
    if (!prerelease) return std::nullopt;
    version.prerelease = std::move(*prerelease);
    text = text.substr(0, dash);
  }
  const auto first = text.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = text.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto major = parse_number(text.substr(0, first));
  const auto minor = parse_number(text.substr(first + 1, second - first - 1));
  const auto patch = parse_number(text.substr(second + 1));
  if (!major || !minor || !patch) return std::nullopt;
  version.major = *major;
  version.minor = *minor;
  version.patch = *patch;
  return version;
}

std::strong_ordering operator<=>(const Version& a, const Version& b) {
  if (const auto order = a.major <=> b.major; order != 0) return order;
  if (const auto order = a.minor <=> b.minor; order != 0) return order;
  if (const auto order = a.patch <=> b.patch; order != 0) return order;
  if (a.prerelease.empty() != b.prerelease.empty()) {
    return a.prerelease.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  return std::lexicographical_compare_three_way(a.prerelease.begin(), a.prerelease.end(), b.prerelease.begin(),
                                                b.prerelease.end(), compare_identifiers);
}

Result<VersionRequirement> VersionRequirement::range(std::string_view text) {
  const auto bad = [&](std::string_view part) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' in '{}' is not a version comparator; write e.g. \">=2.3.0\" or \">=2.3.0 <4.0.0\", or use "
                    "one_of for build ids",
                    part, text));
  };
  VersionRequirement requirement;
  std::string_view rest = text;
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (rest.empty()) break;
    auto part = rest.substr(0, rest.find(' '));
    rest.remove_prefix(part.size());
    auto number = part;
    using Op = Comparator::Op;
    Op op = Op::eq;
    constexpr std::pair<std::string_view, Op> kOps[] = {
        {">=", Op::ge}, {"<=", Op::le}, {">", Op::gt}, {"<", Op::lt}, {"=", Op::eq}};
    for (const auto& [symbol, meaning] : kOps) {
      if (part.starts_with(symbol)) {
        op = meaning;
        number.remove_prefix(symbol.size());
        break;
      }
    }
    auto version = Version::parse(number);
    if (!version) return bad(part);
    requirement.comparators_.push_back({op, std::move(*version)});
    if (!requirement.range_text_.empty()) requirement.range_text_ += ' ';
    requirement.range_text_ += part;
  }
  if (requirement.comparators_.empty()) return bad("");
  return requirement;
}

Result<VersionRequirement> VersionRequirement::one_of(std::vector<std::string> builds) {
  if (builds.empty()) return fail(ErrorCode::invalid_argument, "one_of names no version: no instance could ever pass");
  if (std::ranges::any_of(builds, &std::string::empty))
    return fail(ErrorCode::invalid_argument, "one_of holds an empty version");
  VersionRequirement requirement;
  requirement.builds_ = std::move(builds);
  return requirement;
}

VersionMatch VersionRequirement::match(std::string_view version) const {
  const auto verdict = [](bool holds) { return holds ? VersionMatch::satisfied : VersionMatch::unsatisfied; };
  if (!builds_.empty()) return verdict(std::ranges::find(builds_, version) != builds_.end());
  const auto parsed = Version::parse(version);
  if (!parsed) return VersionMatch::unparsable;
  return verdict(std::ranges::all_of(comparators_, [&](const Comparator& comparator) {
    const auto order = *parsed <=> comparator.version;
    switch (comparator.op) {
      case Comparator::Op::ge: return order >= 0;
      case Comparator::Op::gt: return order > 0;
      case Comparator::Op::le: return order <= 0;
      case Comparator::Op::lt: return order < 0;
      case Comparator::Op::eq: return order == 0;
    }
    return false;
  }));
}

std::string VersionRequirement::text() const {
  return builds_.empty() ? range_text_ : fmt::format("one of {}", fmt::join(builds_, ", "));
}

}  // namespace diastole::core
