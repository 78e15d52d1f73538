// Gathers the findings of one SQL text, statement by statement.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/plan.hpp"
#include "rules.hpp"
#include "text.hpp"

namespace diastole::sql {

// What the blanks in a rule's texts stand for.
struct Blanks {
  std::string table = {};
  std::string column = {};
  std::string object = {};
  std::string kind = {};
  std::string name = {};
  std::string type = {};
  std::string statement = {};
};

// Which of a rule's two reasons hold.
struct Because {
  bool itself = true;
  bool old_code = true;
};

class Reporter {
 public:
  // `server_version` is 0 where nobody knows it. `commits`: a COMMIT or ROLLBACK stands somewhere in the text.
  Reporter(std::string_view sql, core::Phase phase, int server_version, bool commits)
      : sql_(sql), phase_(phase), server_version_(server_version), commits_(commits) {}

  // Findings that follow are about the statement at this offset, which is behind the one before.
  void begin(std::size_t offset) {
    place_ = advanced(place_, sql_.substr(offset_, offset - offset_));
    offset_ = offset;
    refused_in_expand_ = refused_in_contract_ = batches_ = false;
  }
  // Adds a finding where the rule holds in this phase and for the server's version; null where it does not. The pointer
  // is good until the next one.
  core::Finding* report(const Rule& rule, const Blanks& blanks);
  // The same with other severities than the rule's own, where the catalog knows better.
  core::Finding* report(const Rule& rule, const Blanks& blanks, std::optional<core::Severity> in_expand,
                        std::optional<core::Severity> in_contract, Because because = {});

  // The statement, for a finding of which it may have one for each of its parts: of a long one only the first have it.
  [[nodiscard]] std::string shown(std::string_view statement) {
    if (statement.size() <= kLongBytes) return std::string(statement);
    shown_bytes_ += statement.size();
    return std::string(shown_bytes_ > kShownBytes ? std::string_view{} : statement);
  }

  [[nodiscard]] core::Phase phase() const { return phase_; }
  [[nodiscard]] bool commits() const { return commits_; }
  [[nodiscard]] Place place() const { return place_; }
  // Of the statement since begin(), whatever the phase is.
  [[nodiscard]] bool refused_in(core::Phase phase) const {
    return phase == core::Phase::contract ? refused_in_contract_ : refused_in_expand_;
  }
  // It is refused only because it does in one statement what a backfill does in batches.
  [[nodiscard]] bool batches() const { return batches_; }
  void belongs_in_backfill() { batches_ = true; }
  // Findings so far.
  [[nodiscard]] std::size_t count() const { return findings_.size(); }
  // Gives those from the one of that number on this safe form.
  void reform(std::size_t from, const std::vector<core::SafeStep>& steps) { reform(from, findings_.size(), steps); }
  // The same up to another.
  void reform(std::size_t from, std::size_t to, const std::vector<core::SafeStep>& steps) {
    for (; from < to; ++from) findings_[from].safe_form = steps;
  }
  [[nodiscard]] std::vector<core::Finding> take() { return std::move(findings_); }

 private:
  static constexpr std::size_t kLongBytes = std::size_t{16} * 1024;
  static constexpr std::size_t kShownBytes = std::size_t{8} * 1024 * 1024;

  [[nodiscard]] bool holds(const Rule& rule) const {
    return server_version_ == 0 || (server_version_ >= rule.since && server_version_ < rule.until);
  }

  std::string_view sql_;
  core::Phase phase_;
  int server_version_;
  bool commits_;
  std::size_t offset_ = 0;  // of place_
  Place place_;
  bool refused_in_expand_ = false;
  bool refused_in_contract_ = false;
  bool batches_ = false;
  std::size_t shown_bytes_ = 0;  // of long ones
  std::vector<core::Finding> findings_;
};

// A finding without a place.
[[nodiscard]] core::Finding make_finding(const Rule& rule, core::Severity severity, const Blanks& blanks,
                                         Because because = {});

// `text` with `word` put behind the first `after`, a keyword: CREATE INDEX … into CREATE INDEX CONCURRENTLY ….
[[nodiscard]] std::string with_word(std::string_view text, std::string_view after, std::string_view word);

}  // namespace diastole::sql
