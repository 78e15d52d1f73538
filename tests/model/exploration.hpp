// Exhaustive exploration of a finite state graph, with the shortest way to whatever it finds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace diastole::test {

using Key = std::uint64_t;  // a state, packed
struct Move {
  std::string name;
  Key to = 0;
  bool helps = true;  // may be part of a way on; false for what only makes things worse
};

class Exploration {
 public:
  // `moves(key)` names every state that is one move away. Breadth first, so that a trace is as short as can be. Beyond
  // `limit` states nothing is looked at any more.
  template <typename Moves>
  void run(Key start, Moves moves, std::size_t limit = std::numeric_limits<std::uint32_t>::max()) {
    visit(start, 0, "start");
    for (std::size_t at = 0; at < nodes_.size() && nodes_.size() < limit; ++at) {
      current_ = at;
      for (const Move& move : moves(nodes_[at].key)) {
        const auto to = visit(move.to, at, move.name);
        if (move.helps) ways_.emplace_back(static_cast<std::uint32_t>(to), static_cast<std::uint32_t>(at));
        ++transitions_;
      }
    }
  }

  // Called while moves are computed: the first way to each broken invariant is kept.
  void broken(const std::string& invariant, const std::string& how) {
    if (!broken_.contains(invariant)) broken_.emplace(invariant, trace(current_) + "\n  => " + how);
  }

  // Every state from which one of those that `is_goal` names can be reached.
  template <typename IsGoal>
  [[nodiscard]] std::vector<bool> reaching(IsGoal is_goal) {
    std::ranges::sort(ways_);
    std::vector<bool> reached(nodes_.size());
    std::vector<std::size_t> todo;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!is_goal(nodes_[i].key)) continue;
      reached[i] = true;
      todo.push_back(i);
    }
    while (!todo.empty()) {
      const auto at = static_cast<std::uint32_t>(todo.back());
      todo.pop_back();
      for (auto way = std::ranges::lower_bound(ways_, std::pair{at, std::uint32_t{0}});
           way != ways_.end() && way->first == at; ++way) {
        const auto from = way->second;
        if (reached[from]) continue;
        reached[from] = true;
        todo.push_back(from);
      }
    }
    return reached;
  }

  // Asserts that from each state that `needs_one` names there is a way to a goal.
  template <typename NeedsOne, typename IsGoal>
  void require_way(const std::string& invariant, NeedsOne needs_one, IsGoal is_goal) {
    const auto reached = reaching(is_goal);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (reached[i] || !needs_one(nodes_[i].key)) continue;
      current_ = i;
      broken(invariant, "no way on from here");
      return;
    }
  }

  [[nodiscard]] std::size_t states() const { return nodes_.size(); }
  [[nodiscard]] std::size_t transitions() const { return transitions_; }
  [[nodiscard]] const std::map<std::string, std::string>& violations() const { return broken_; }
  template <typename Is>
  [[nodiscard]] bool reached(Is is) const {
    return std::ranges::any_of(nodes_, is, &Node::key);
  }

 private:
  struct Node {
    Key key = 0;
    std::uint32_t parent = 0;
    std::uint32_t move = 0;  // of names_
  };

  std::size_t visit(Key key, std::size_t parent, const std::string& move) {
    const auto [found, is_new] = index_.try_emplace(key, static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) nodes_.push_back({key, static_cast<std::uint32_t>(parent), name(move)});
    return found->second;
  }

  std::uint32_t name(const std::string& move) {
    const auto [found, is_new] = numbers_.try_emplace(move, static_cast<std::uint32_t>(names_.size()));
    if (is_new) names_.push_back(move);
    return found->second;
  }

  [[nodiscard]] std::string trace(std::size_t at) const {
    std::vector<std::string> moves;
    for (; at != 0; at = nodes_[at].parent) moves.push_back(names_[nodes_[at].move]);
    std::string out;
    for (auto move = moves.rbegin(); move != moves.rend(); ++move) out += "\n  " + *move;
    return out;
  }

  std::vector<Node> nodes_;
  std::unordered_map<Key, std::uint32_t> index_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ways_;  // to, from
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::size_t current_ = 0;
  std::size_t transitions_ = 0;
  std::map<std::string, std::string> broken_;
};

}  // namespace diastole::test
