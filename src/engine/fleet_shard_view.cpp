// What a shard tells of its members.
#include <algorithm>

#include "fleet_shard.hpp"

namespace diastole::engine {
namespace {

// The row of that name in a list ordered by it; made where there is none.
template <typename Row, typename Name>
Row& row_of(std::vector<Row>& rows, const Name& name, Name Row::* member) {
  auto at = std::ranges::lower_bound(rows, name, {}, member);
  if (at == rows.end() || (*at).*member != name) {
    at = rows.emplace(at);
    (*at).*member = name;
  }
  return *at;
}

}  // namespace

void FleetShard::add_counts(core::FleetView& view) const {
  for (const auto& service : services_) {
    auto& row = row_of(view.services, service.name, &core::ServiceTally::service);
    row.last_silence = std::max(row.last_silence, service.last_silence);
    row.membership += service.membership;
    row.conflicts += std::ssize(service.conflicts);
    for (const auto& tally : service.tallies) {
      auto& version = row_of(row.versions, tally.version, &core::VersionTally::version);
      const auto live = tally.list(State::live).size;
      std::int64_t silent = 0;
      for (const auto state : kSilent) silent += tally.list(state).size;
      version.live += live;
      version.silent += silent;
      version.long_silent += tally.list(State::lasting).size;
      version.last_report = std::max(version.last_report, tally.last_report);
      row.members += live + silent;
      row.fell_silent += tally.list(State::fresh).size;
    }
  }
}

void FleetShard::add_examples(core::FleetView& view, bool silent) const {
  static constexpr std::array kLive{State::live};
  const std::span<const State> states = silent ? std::span<const State>(kSilent) : std::span<const State>(kLive);
  for (const auto& service : services_) {
    auto& row = row_of(view.services, service.name, &core::ServiceTally::service);
    for (const auto& tally : service.tallies) {
      if (tally.unused()) continue;
      auto& examples = row_of(row.versions, tally.version, &core::VersionTally::version).examples;
      for (const auto state : states) {
        for (Slot slot = tally.list(state).front; slot != kNoSlot; slot = members_[slot].after) {
          if (examples.size() >= core::FleetView::kExamples) break;
          examples.push_back(sighting_of(slot));
        }
      }
    }
    if (silent) continue;
    for (const Slot entry : service.conflicts) {
      for (Slot slot = entries_[entry].first; slot != kNoSlot; slot = members_[slot].next) {
        const bool says = members_[slot].state == State::live || members_[slot].state == State::aside;
        if (row.conflict_examples.size() >= core::FleetView::kExamples) break;
        if (says) row.conflict_examples.push_back(sighting_of(slot));
      }
    }
  }
}

void FleetShard::add_named(core::FleetView& view, const core::InstanceName& name) const {
  const auto number = service_numbers_.find(name.service.str());
  if (number == service_numbers_.end()) return;
  const auto& service = services_[number->second];
  const Slot entry = entry_of(service, name.instance, hash_of(name.service, name.instance));
  if (entry == kNoSlot) return;
  for (Slot slot = entries_[entry].first; slot != kNoSlot; slot = members_[slot].next) {
    const auto& member = members_[slot];
    if (!member.counted) continue;
    view.named.push_back(
        {name, service.tallies[member.version].version, sighting_of(slot), member.state == State::lasting});
  }
}

void FleetShard::page(const ServiceName& name, const std::string& after, std::size_t limit,
                      std::vector<InstanceView>& out) const {
  const auto number = service_numbers_.find(name.str());
  if (number == service_numbers_.end()) return;
  const auto& service = services_[number->second];
  const auto enough = out.size() + limit;
  const auto add = [&](Slot entry) {
    if (out.size() >= enough) return false;
    for (Slot slot = entries_[entry].first; slot != kNoSlot; slot = members_[slot].next) {
      const auto seen = sighting_of(slot);
      out.push_back({seen.instance, service.tallies[members_[slot].version].version, seen.incarnation, seen.last_seen,
                     seen.silent, seen.source, entries_[entry].listed != 0});
    }
    return true;
  };
  service.order.each_behind([&](Slot entry) { return entries_[entry].id.str() > after; }, add);
}

core::Sighting FleetShard::sighting_of(Slot slot) const {
  const auto& member = members_[slot];
  const bool silent = member.state != State::live && member.state != State::aside;
  return {entries_[member.entry].id, member.incarnation, member.last_seen_wall, silent, member.source};
}

}  // namespace diastole::engine
