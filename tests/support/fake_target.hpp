// A target whose database is a ghost: a ledger, a cursor and a list of what was done, with failures as a test asks for.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "diastole/ports/target.hpp"
#include "support/scripted_calls.hpp"

namespace diastole::test {

// Calls are named "<what> <step>": prepare, preflight expand, catalog, settle column, do column, undo column, begin
// copy, pressure copy, batch copy, again copy, remaining copy, finish copy; sessions, statements, keep out, let in, end
// sessions, quarantine.
class FakeTarget : public ports::Target, public ScriptedCalls {
 public:
  void set_preflight(std::vector<core::Reason> reasons) {
    const std::scoped_lock lock(mutex_);
    preflight_ = std::move(reasons);
  }
  void set_catalog(core::CatalogSnapshot catalog) {
    const std::scoped_lock lock(mutex_);
    catalog_ = std::move(catalog);
  }
  void set_ledger(const std::string& step, core::Applied applied) {
    const std::scoped_lock lock(mutex_);
    ledger_[step] = applied;
  }
  void set_table(std::int64_t rows, std::deque<std::int64_t> remaining_after_pass = {}) {
    const std::scoped_lock lock(mutex_);
    rows_ = rows;
    remaining_ = std::move(remaining_after_pass);
  }
  void set_recheck(ports::RecheckResult found) {
    const std::scoped_lock lock(mutex_);
    recheck_ = found;
  }
  void set_pressure(core::Pressure pressure) {
    const std::scoped_lock lock(mutex_);
    pressure_ = std::move(pressure);
  }
  // Who is connected; the look takes no time.
  void set_sessions(std::vector<core::Session> sessions) {
    const std::scoped_lock lock(mutex_);
    scan_.sessions = std::move(sessions);
  }
  void set_quarantined_for(std::optional<Milliseconds> time) {
    const std::scoped_lock lock(mutex_);
    scan_.quarantined_for = time;
  }
  // What its servers count; the words are not looked at.
  void set_statements(std::vector<core::ServerStatements> statements) {
    const std::scoped_lock lock(mutex_);
    statements_ = std::move(statements);
  }
  // Somebody else undoes what a fence has done to a role.
  void give_login(const std::string& role) {
    const std::scoped_lock lock(mutex_);
    kept_out_.erase(role);
  }
  // What the look inside contract's transactions sees instead.
  void set_last_look(std::optional<std::vector<core::Session>> sessions) {
    const std::scoped_lock lock(mutex_);
    last_look_ = std::move(sessions);
  }
  [[nodiscard]] std::vector<std::string> last_words() const {
    const std::scoped_lock lock(mutex_);
    return last_words_;
  }
  [[nodiscard]] ports::GateWork last_gate_work() const {
    const std::scoped_lock lock(mutex_);
    return last_gate_work_;
  }
  void raise_fence(Epoch epoch) {
    const std::scoped_lock lock(mutex_);
    fence_ = epoch;
  }
  // The table's parts, each for a worker; which of them a batch is for makes no difference to what it does.
  void set_parts(int parts) {
    const std::scoped_lock lock(mutex_);
    parts_ = parts;
  }
  // What was committed, in order: "do column", "undo column".
  [[nodiscard]] std::vector<std::string> done() const {
    const std::scoped_lock lock(mutex_);
    return done_;
  }
  // Of the batches that were committed.
  [[nodiscard]] std::vector<int> asked_rows() const {
    const std::scoped_lock lock(mutex_);
    return asked_rows_;
  }
  [[nodiscard]] Epoch fence() const {
    const std::scoped_lock lock(mutex_);
    return fence_;
  }
  [[nodiscard]] ports::PreflightRequest last_preflight() const {
    const std::scoped_lock lock(mutex_);
    return last_preflight_;
  }
  [[nodiscard]] core::CatalogRequest last_catalog_request() const {
    const std::scoped_lock lock(mutex_);
    return last_catalog_request_;
  }

  Answer<void> prepare(Epoch epoch) override {
    return call<void>("prepare", nullptr, {}, [&]() -> Answer<void> {
      if (epoch < fence_) return std::unexpected(fenced());
      fence_ = epoch;
      return {};
    });
  }
  Answer<std::vector<core::Reason>> preflight(const ports::PreflightRequest& request) override {
    using Reasons = std::vector<core::Reason>;
    return call<Reasons>("preflight " + std::string(to_string(request.phase)), nullptr, {}, [&]() -> Answer<Reasons> {
      last_preflight_ = request;
      return preflight_;
    });
  }
  Answer<core::CatalogSnapshot> catalog(const core::CatalogRequest& request) override {
    return call<core::CatalogSnapshot>("catalog", nullptr, {}, [&]() -> Answer<core::CatalogSnapshot> {
      last_catalog_request_ = request;
      return catalog_;
    });
  }
  Answer<core::Applied> settle(const ports::WorkId& id, bool) override {
    return call<core::Applied>("settle " + id.step.str(), &id, {},
                               [&]() -> Answer<core::Applied> { return ledger_[key(id)]; });
  }
  Answer<ports::WorkDone> execute(const ports::StatementWork& work, std::stop_token stop) override {
    return run(work, std::move(stop));
  }
  Answer<ports::WorkDone> execute_concurrently(const ports::StatementWork& work, std::stop_token stop) override {
    return run(work, std::move(stop));
  }
  Answer<ports::BackfillPreview> backfill_preview(const ports::BackfillWork& work, int) override {
    return call<ports::BackfillPreview>("preview " + work.id.step.str(), nullptr, {},
                                        [&]() -> Answer<ports::BackfillPreview> { return ports::BackfillPreview{}; });
  }
  Answer<ports::BackfillState> backfill_begin(const ports::BackfillWork& work) override {
    return call<ports::BackfillState>("begin " + work.id.step.str(), &work.id, {},
                                      [&]() -> Answer<ports::BackfillState> {
                                        state_.rows_total = rows_;
                                        return shown_state();
                                      });
  }
  Answer<ports::BackfillBatch> backfill_batch(const ports::BackfillWork& work, int, int rows,
                                              std::stop_token stop) override {
    return batch("batch ", work, rows, std::move(stop), 0);
  }
  // Skips one row.
  Answer<ports::BackfillBatch> backfill_isolate(const ports::BackfillWork& work, int, int rows,
                                                std::stop_token stop) override {
    return batch("isolate ", work, rows, std::move(stop), 1);
  }
  Answer<std::string> backfill_vacuum(const ports::BackfillWork& work, int, std::stop_token stop) override {
    return call<std::string>("vacuum " + work.id.step.str(), nullptr, std::move(stop),
                             [&]() -> Answer<std::string> { return work.backfill.table; });
  }
  Answer<ports::BackfillState> backfill_again(const ports::BackfillWork& work) override {
    return call<ports::BackfillState>("again " + work.id.step.str(), &work.id, {},
                                      [&]() -> Answer<ports::BackfillState> {
                                        ++state_.pass;
                                        pass_done_ = false;
                                        return shown_state();
                                      });
  }
  Answer<std::int64_t> backfill_remaining(const ports::BackfillWork& work, std::stop_token stop) override {
    return call<std::int64_t>("remaining " + work.id.step.str(), &work.id, stop, [&]() -> Answer<std::int64_t> {
      if (remaining_.empty()) return 0;
      const auto rows = remaining_.front();
      remaining_.pop_front();
      return rows;
    });
  }
  Answer<core::Pressure> backfill_pressure(const ports::BackfillWork& work, const core::ThrottleLimits&,
                                           std::stop_token stop) override {
    // Without its id: a look needs no intent.
    return call<core::Pressure>("pressure " + work.id.step.str(), nullptr, std::move(stop),
                                [&]() -> Answer<core::Pressure> { return pressure_; });
  }
  Answer<ports::RecheckResult> backfill_recheck(const ports::BackfillWork& work, Milliseconds,
                                                std::stop_token stop) override {
    return call<ports::RecheckResult>("recheck " + work.id.step.str(), nullptr, std::move(stop),
                                      [&]() -> Answer<ports::RecheckResult> { return recheck_; });
  }
  Answer<core::SessionScan> sessions(const ports::SessionRequest& request) override {
    return call<core::SessionScan>("sessions", nullptr, {}, [&]() -> Answer<core::SessionScan> {
      auto scan = scan_;
      for (const auto& role : request.roles) scan.servers.front().logins.push_back({role, !kept_out_.contains(role)});
      return scan;
    });
  }
  Answer<std::vector<core::ServerStatements>> statements(const std::vector<std::string>& words) override {
    using Statements = std::vector<core::ServerStatements>;
    return call<Statements>("statements", nullptr, {}, [&]() -> Answer<Statements> {
      last_words_ = words;
      return statements_;
    });
  }
  Answer<std::vector<std::string>> keep_out(const ports::GateWork& work) override {
    using Roles = std::vector<std::string>;
    return call<Roles>("keep out", nullptr, {}, [&]() -> Answer<Roles> {
      if (work.epoch != fence_) return std::unexpected(fenced());
      last_gate_work_ = work;
      kept_out_.insert(work.roles.begin(), work.roles.end());
      return work.roles;
    });
  }
  Answer<void> let_in(const ports::GateWork& work, std::stop_token stop) override {
    return call<void>("let in", nullptr, std::move(stop), [&]() -> Answer<void> {
      if (work.epoch != fence_) return std::unexpected(fenced());
      kept_out_.clear();
      scan_.quarantined_for.reset();
      return {};
    });
  }
  Answer<std::int64_t> end_sessions(const std::vector<core::Session>& sessions) override {
    return call<std::int64_t>("end sessions", nullptr, {}, [&]() -> Answer<std::int64_t> {
      std::erase_if(scan_.sessions, [&](const core::Session& session) {
        return std::ranges::find(sessions, session) != sessions.end();
      });
      return std::ssize(sessions);
    });
  }
  Answer<std::vector<std::string>> quarantine(const ports::GateWork& work, std::stop_token stop) override {
    using Names = std::vector<std::string>;
    return call<Names>("quarantine", nullptr, std::move(stop), [&]() -> Answer<Names> {
      if (work.epoch != fence_) return std::unexpected(fenced());
      scan_.quarantined_for = Milliseconds{0};
      Names names;
      for (const auto& doomed : work.doomed) names.push_back(doomed.table + "." + doomed.column + " → gone");
      return names;
    });
  }
  Answer<std::vector<core::RowFault>> backfill_finish(const ports::BackfillWork& work) override {
    using Faults = std::vector<core::RowFault>;
    return call<Faults>("finish " + work.id.step.str(), &work.id, {}, [&]() -> Answer<Faults> {
      ledger_[key(work.id)] = core::Applied::full;
      done_.push_back("do " + work.id.step.str());
      return skipped_;
    });
  }

 private:
  [[nodiscard]] static std::string key(const ports::WorkId& id) {
    return (id.direction == ports::Direction::undo ? "undo " : "") + id.step.str();
  }
  [[nodiscard]] static ports::TargetError fenced() {
    ports::TargetError error{ErrorCode::fenced, {}, core::Applied::none};
    error.failure.message = "a daemon with a later epoch has taken over";
    return error;
  }
  [[nodiscard]] std::optional<ports::TargetError> before_work(const ports::WorkId* id) const override {
    return id && id->epoch != fence_ ? std::optional(fenced()) : std::nullopt;
  }

  Answer<ports::BackfillBatch> batch(const std::string& what, const ports::BackfillWork& work, int rows,
                                     std::stop_token stop, std::int64_t faults) {
    return call<ports::BackfillBatch>(
        what + work.id.step.str(), &work.id, std::move(stop), [&]() -> Answer<ports::BackfillBatch> {
          const auto moved = std::min<std::int64_t>(rows, left());
          asked_rows_.push_back(rows);
          state_.rows += moved;
          state_.rows_changed += moved - faults;
          if (faults > 0) skipped_.push_back({"public.users", "id = 7", "22012", "division by zero"});
          pass_done_ = left() == 0;
          ledger_[key(work.id)] = core::Applied::partial;
          return ports::BackfillBatch{.rows = moved,
                                      .rows_changed = moved - faults,
                                      .share = static_cast<double>(moved) / static_cast<double>(rows_),
                                      .part_done = pass_done_,
                                      .window_done = true,
                                      .rows_skipped = faults};
        });
  }
  Answer<ports::WorkDone> run(const ports::StatementWork& work, std::stop_token stop) {
    const bool forward = work.id.direction == ports::Direction::forward;
    const auto name = (forward ? "do " : "undo ") + work.id.step.str();
    return call<ports::WorkDone>(name, &work.id, std::move(stop), [&]() -> Answer<ports::WorkDone> {
      if (work.last_look) {
        auto scan = scan_;
        for (const auto& role : work.last_look->request.roles)
          scan.servers.front().logins.push_back({role, !kept_out_.contains(role)});
        if (last_look_) scan.sessions = *last_look_;
        if (!work.last_look->judge(scan).empty())
          return std::unexpected(ports::TargetError{ErrorCode::interrupted, {}, core::Applied::none});
      }
      auto& entry = ledger_[key(work.id)];
      if (entry == core::Applied::full) return ports::WorkDone{0, Milliseconds{5}, true};
      entry = core::Applied::full;
      ledger_.erase((forward ? "undo " : "") + work.id.step.str());
      done_.push_back(name);
      return ports::WorkDone{3, Milliseconds{5}, false};
    });
  }
  [[nodiscard]] std::int64_t left() const { return rows_ * state_.pass - state_.rows; }
  [[nodiscard]] ports::BackfillState shown_state() const {
    auto state = state_;
    state.rows_before = rows_ * (state.pass - 1);
    state.share = static_cast<double>(state.rows - state.rows_before) / static_cast<double>(rows_);
    state.walk.workers = parts_;
    for (int part = 1; part <= parts_ && !pass_done_; ++part) state.open_parts.push_back(part);
    return state;
  }

  std::vector<core::Reason> preflight_;
  ports::PreflightRequest last_preflight_;
  core::CatalogSnapshot catalog_;
  core::CatalogRequest last_catalog_request_;
  std::map<std::string, core::Applied> ledger_;
  ports::BackfillState state_;
  core::Pressure pressure_;
  bool pass_done_ = false;
  std::int64_t rows_ = 2500;
  int parts_ = 1;
  std::deque<std::int64_t> remaining_;
  std::vector<core::RowFault> skipped_;
  ports::RecheckResult recheck_;
  std::vector<int> asked_rows_;
  core::SessionScan scan_{.at = {}, .servers = {{"primary", "", {}}}, .sessions = {}, .quarantined_for = {}};
  std::optional<std::vector<core::Session>> last_look_;
  std::vector<core::ServerStatements> statements_;
  std::vector<std::string> last_words_;
  std::set<std::string> kept_out_;
  ports::GateWork last_gate_work_;
  std::vector<std::string> done_;
  Epoch fence_;
};

}  // namespace diastole::test
