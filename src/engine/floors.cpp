#include "diastole/engine/floors.hpp"

#include <algorithm>

namespace diastole::engine {

Result<void> Floors::load(ports::PlanStore& store) {
  auto stored = store.floors();
  if (!stored) return std::unexpected(stored.error());
  const std::scoped_lock lock(mutex_);
  list_ = std::make_shared<const List>(*std::move(stored));
  return {};
}

void Floors::update(const core::PlanState& state) {
  auto floors = core::floors(state);
  const std::scoped_lock lock(mutex_);
  const auto of_plan = [&](const core::Floor& floor) { return floor.plan == state.plan.id; };
  // Most changes of a plan change no floor.
  if (std::ranges::count_if(*list_, of_plan) == std::ssize(floors)) return;
  auto next = std::make_shared<List>(*list_);
  std::erase_if(*next, of_plan);
  std::ranges::move(floors, std::back_inserter(*next));
  list_ = std::move(next);
}

std::optional<core::Floor> Floors::above(const ServiceName& service, std::string_view version) const {
  const auto all = list();
  const auto found = std::ranges::find_if(*all, [&](const core::Floor& floor) {
    return floor.service == service && floor.version.match(version) != core::VersionMatch::satisfied;
  });
  return found == all->end() ? std::nullopt : std::optional(*found);
}

std::vector<core::Floor> Floors::of(const ServiceName& service) const {
  List out;
  std::ranges::copy_if(*list(), std::back_inserter(out),
                       [&](const core::Floor& floor) { return floor.service == service; });
  return out;
}

std::string Floors::text(const ServiceName& service) const {
  std::string out;
  for (const auto& floor : of(service)) {
    const auto words = floor.version.text();
    if (!out.contains(words)) out += (out.empty() ? "" : " and ") + words;
  }
  return out;
}

std::shared_ptr<const Floors::List> Floors::list() const {
  const std::scoped_lock lock(mutex_);
  return list_;
}

}  // namespace diastole::engine
