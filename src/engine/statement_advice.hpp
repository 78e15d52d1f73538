// Which queries still use what a plan's contract drops: looked at each minute while the plan waits at its gate, beside
// the loop and its workers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "diastole/core/statements.hpp"
#include "diastole/engine/reconciler.hpp"
#include "diastole/sql/doomed_use.hpp"
#include "worker_pool.hpp"

namespace diastole::engine {

// Thread-safe. Everything is forgotten at a restart, without harm.
class StatementAdvisor {
 public:
  StatementAdvisor(Targets targets, const ports::Clock& clock, ports::Log& log);

  // Begins a look where the plan wants one, none is under way, and the latest is a minute old. Returns at once.
  void look_in_time(const StatePtr& state, Now now);
  // What the latest look has told; null before the first.
  [[nodiscard]] std::shared_ptr<const core::StatementAdvice> of(const PlanId& plan) const;
  // `kept` says which plans are still worked on.
  void forget(const std::function<bool(const PlanId&)>& kept);
  // Waits for a look under way, which ends within some seconds.
  void stop() { pool_.stop(); }

 private:
  // What a query was found to use; by its text, which may differ where the server begins a query anew.
  struct Answer {
    std::size_t text = 0;  // hash
    core::DoomedUse use;
  };
  using Answers = std::map<std::pair<std::int64_t, std::vector<std::string>>, Answer>;  // by query id and path

  // Of one plan; of the one thread that looks.
  struct Course {
    std::optional<sql::DoomedFinder> finder;
    MonoTime catalog_read;
    Answers answers;  // those of the latest look
    core::StatementMemory memory;
  };
  struct Plan {
    std::shared_ptr<Course> course = std::make_shared<Course>();
    std::shared_ptr<const core::StatementAdvice> advice;
    std::optional<MonoTime> begun;  // the latest look
    bool looking = false;
  };

  void look(const core::Plan& plan, Course& course);
  [[nodiscard]] static const core::DoomedUse* answer_in(const Answers& answers, const Answers::key_type& key,
                                                        std::size_t text);
  [[nodiscard]] core::StatementAdvice advise(const core::Plan& plan, Course& course);
  // Why there is no finder; empty where there is one, of a catalog that is young enough.
  [[nodiscard]] std::string read_catalog(const core::Plan& plan, ports::Target& target, Course& course);

  const Targets targets_;
  const ports::Clock& clock_;
  ports::Log& log_;
  mutable std::mutex mutex_;
  std::map<PlanId, Plan> plans_;
  WorkerPool pool_;
};

}  // namespace diastole::engine
