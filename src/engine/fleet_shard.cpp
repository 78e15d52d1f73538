// What happens to members: reports, polls, lists, removal, time.
#include "fleet_shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace diastole::engine {
namespace {

constexpr std::size_t kIncarnations = 1'000;  // of an instance: a loop of crashes must not fill the registry
constexpr std::size_t kSources = 32;          // of a service: bits of Entry::listed
constexpr const char* kUnlisted = "discovery no longer lists it and it is silent";

}  // namespace

Result<HeartbeatReply> FleetShard::report(const Heartbeat& heartbeat, std::size_t hash) {
  // Under the lock, so that a view never misses a report from before its own time.
  const auto now = commons_.clock.now();
  auto& service = service_of(heartbeat.service);
  const Slot entry = entry_of(service, heartbeat.instance, hash);
  Slot slot = entry == kNoSlot ? kNoSlot : member_of(entry, heartbeat.incarnation, core::Source::heartbeat);
  if (slot != kNoSlot) {
    const auto& member = members_[slot];
    if (heartbeat.sequence && *heartbeat.sequence <= member.sequence) {
      ++heartbeats.replayed;
      return HeartbeatReply{.next_in = {}, .replayed = true};
    }
    // It was silent in between, whether or not anybody looked meanwhile.
    if (member.state != State::live || now.mono - member.last_seen >= commons_.pace.suspect_after())
      service.last_silence = now.mono;
  } else {
    auto arrived = arrive(service, entry, heartbeat);
    if (!arrived) return std::unexpected(std::move(arrived.error()));
    slot = *arrived;
  }
  auto& member = members_[slot];
  // A report without a sequence does not let an older one be repeated.
  if (heartbeat.sequence) member.sequence = *heartbeat.sequence;
  const bool same = member.linked && service.tallies[member.version].version == heartbeat.version;
  renew(slot, same ? member.version : version_of(service, heartbeat.version), State::live, now);
  ++heartbeats.accepted;
  return HeartbeatReply{};
}

Result<Slot> FleetShard::arrive(Service& service, Slot entry, const Heartbeat& heartbeat) {
  if (entry != kNoSlot && members_of(entry).size() >= kIncarnations) {
    return fail(ErrorCode::unavailable, fmt::format("'{}' has {} incarnations; remove it, with a reason",
                                                    heartbeat.instance.str(), kIncarnations));
  }
  if (auto room = room_for_one(); !room) return std::unexpected(std::move(room.error()));
  if (entry == kNoSlot) entry = make_entry(service, heartbeat.instance);
  const Slot slot = make_member(entry, heartbeat.incarnation, core::Source::heartbeat);
  set_polls_aside(entry, heartbeat.version);
  return slot;
}

Result<void> FleetShard::polled(const ServiceName& service_name, const InstanceId& id, const std::string& version,
                                std::size_t hash) {
  if (version.empty()) return fail(ErrorCode::invalid_argument, "an answer without a version says nothing");
  const auto now = commons_.clock.now();
  auto& service = service_of(service_name);
  Slot entry = entry_of(service, id, hash);
  const auto state = entry != kNoSlot && has_heartbeats(entry) ? State::aside : State::live;
  Slot slot = entry == kNoSlot ? kNoSlot : member_of(entry, "", core::Source::poll);
  if (slot == kNoSlot) {
    if (auto room = room_for_one(); state == State::live && !room) return std::unexpected(std::move(room.error()));
    if (entry == kNoSlot) entry = make_entry(service, id);
    slot = make_member(entry, "", core::Source::poll);
  } else if (state == State::live) {
    const auto& member = members_[slot];
    if (member.state != State::live || now.mono - member.last_seen >= commons_.pace.suspect_after())
      service.last_silence = now.mono;
  }
  renew(slot, version_of(service, version), state, now);
  return {};
}

Result<void> FleetShard::listed(const ServiceName& service_name, const std::string& source,
                                const std::vector<const InstanceId*>& instances) {
  const auto now = commons_.clock.now();
  auto& service = service_of(service_name);
  const auto number = source_of(service, source);
  if (!number) return std::unexpected(number.error());
  const auto bit = std::uint32_t{1} << *number;
  Result<void> outcome;
  std::vector<Slot> present;
  present.reserve(instances.size());
  for (const auto* id : instances) {
    const auto hash = hash_of(service_name, *id);
    Slot entry = entry_of(service, *id, hash);
    if (entry == kNoSlot) {
      if (auto room = room_for_one(); !room) {
        outcome = std::move(room);
        continue;
      }
      entry = make_entry(service, *id);
      renew(make_member(entry, "", core::Source::poll), version_of(service, ""), State::live, now);
    }
    present.push_back(entry);
    auto& known = entries_[entry];
    known.listed |= bit;
    if ((known.ever_listed & bit) == 0) {
      known.ever_listed |= bit;
      for (const Slot member : members_of(entry)) mark_dirty(member);
    }
  }
  std::ranges::sort(present);
  const auto repeated = std::ranges::unique(present);
  present.erase(repeated.begin(), repeated.end());
  std::vector<Slot> dropped;
  std::ranges::set_difference(service.sources[*number].present, present, std::back_inserter(dropped));
  service.sources[*number].present = std::move(present);
  for (const Slot entry : dropped) unlist(entry, bit);
  return outcome;
}

Result<std::uint32_t> FleetShard::source_of(Service& service, const std::string& name) {
  auto& sources = service.sources;
  const auto found = std::ranges::find(sources, name, &DiscoverySource::name);
  if (found != sources.end()) return static_cast<std::uint32_t>(found - sources.begin());
  if (sources.size() == kSources) {
    return fail(ErrorCode::unavailable,
                fmt::format("'{}' has {} discovery sources already", service.name.str(), kSources));
  }
  sources.push_back({.name = name, .present = {}});
  return static_cast<std::uint32_t>(sources.size() - 1);
}

void FleetShard::unlist(Slot entry, std::uint32_t bit) {
  entries_[entry].listed &= ~bit;
  for (const Slot member : members_of(entry)) static_cast<void>(end_if_gone(member));
}

Result<void> FleetShard::remove(const ServiceName& service, const InstanceId& id,
                                const std::optional<std::string>& incarnation, const std::string& reason) {
  const auto* known = known_service(service);
  const Slot entry = known == nullptr ? kNoSlot : entry_of(*known, id, hash_of(service, id));
  std::vector<Slot> leaving;
  if (entry != kNoSlot) leaving = members_of(entry);
  if (incarnation) std::erase_if(leaving, [&](Slot member) { return members_[member].incarnation != *incarnation; });
  if (leaving.empty()) {
    return fail(ErrorCode::not_found,
                fmt::format("service '{}' has no instance '{}'{}", service.str(), id.str(),
                            incarnation ? fmt::format(" in incarnation '{}'", *incarnation) : ""));
  }
  // What was polled first: it would take the place of the last that reports.
  std::ranges::sort(leaving, std::ranges::greater{}, [this](Slot member) { return members_[member].source; });
  for (const Slot member : leaving) end_member(member, reason);
  return {};
}

void FleetShard::load(const ports::InstanceRecord& record, bool fresh, MonoTime heard) {
  auto& service = service_of(record.service);
  const auto hash = hash_of(record.service, record.instance);
  Slot entry = entry_of(service, record.instance, hash);
  if (entry == kNoSlot) entry = make_entry(service, record.instance);
  for (const auto& source : record.listed_by) {
    const auto number = source_of(service, source);
    if (!number) continue;  // so that what it lists or not proves nothing of this instance
    entries_[entry].ever_listed |= std::uint32_t{1} << *number;
    entries_[entry].listed |= std::uint32_t{1} << *number;
    service.sources[*number].present.push_back(entry);
  }
  const Slot slot = make_member(entry, record.incarnation, record.source);
  auto& member = members_[slot];
  member.sequence = record.sequence.value_or(-1);
  member.version = version_of(service, record.version);
  member.last_seen = member.written = heard;
  member.last_seen_wall = record.last_seen;
  link(slot, !fresh ? State::presumed : record.silent ? State::silent : State::live);
  // Or the next start, soon enough, would take it for live.
  if (!fresh && !record.silent) mark_dirty(slot);
  if (has_heartbeats(entry)) set_polls_aside(entry, record.version);
  settle_conflict(entry);
}

void FleetShard::finish_load() {
  for (auto& service : services_) {
    for (auto& source : service.sources) {
      std::ranges::sort(source.present);
      const auto repeated = std::ranges::unique(source.present);
      source.present.erase(repeated.begin(), repeated.end());
    }
  }
}

void FleetShard::renew(Slot slot, std::uint32_t version, State state, Now now) {
  auto& member = members_[slot];
  const bool changed = !member.linked || member.state != state || member.version != version;
  unlink(slot);
  member.version = version;
  member.last_seen = now.mono;
  member.last_seen_wall = now.wall;
  link(slot, state);
  tally_of(member).last_report = now.mono;
  if (changed) {
    mark_dirty(slot);
    settle_conflict(member.entry);
  } else if (now.mono - member.written >= FleetPace::last_seen_every(commons_.members.load())) {
    mark_dirty(slot);
  }
}

void FleetShard::fall_silent(Slot slot) {
  auto& member = members_[slot];
  auto& service = service_of(member);
  const auto at = member.last_seen + commons_.pace.suspect_after();
  service.last_silence = service.last_silence ? std::max(*service.last_silence, at) : at;
  move(slot, State::fresh);
  mark_dirty(slot);
  if (!end_if_gone(slot)) settle_conflict(member.entry);
}

bool FleetShard::end_if_gone(Slot slot) {
  const auto& member = members_[slot];
  const auto& entry = entries_[member.entry];
  const bool silent = member.state == State::fresh || member.state == State::silent || member.state == State::lasting;
  if (!silent || entry.ever_listed == 0 || entry.listed != 0) return false;
  end_member(slot, kUnlisted);
  return true;
}

// A heartbeat has come, of that version: what a poll says of the same instance is compared with it from now on. Where
// they agree there is nothing to compare until the next poll.
void FleetShard::set_polls_aside(Slot entry, const std::string& version) {
  const Slot slot = member_of(entry, "", core::Source::poll);
  if (slot == kNoSlot || members_[slot].state == State::aside) return;
  auto record = record_of(slot);
  record.gone = true;
  gone_.push_back(std::move(record));
  const auto& polled = tally_of(members_[slot]).version;
  if (members_[slot].state != State::live || polled.empty() || polled == version) {
    end_member(slot);
  } else {
    move(slot, State::aside);
  }
}

// The last that reported by itself has been removed: what was polled lately counts again.
void FleetShard::count_polls(Slot entry) {
  const Slot slot = member_of(entry, "", core::Source::poll);
  if (slot == kNoSlot || members_[slot].state != State::aside) return;
  if (commons_.clock.now().mono - members_[slot].last_seen >= commons_.pace.suspect_after()) {
    end_member(slot);
    return;
  }
  move(slot, State::live);
  mark_dirty(slot);
}

void FleetShard::settle_conflict(Slot entry) {
  auto& conflicts = services_[entries_[entry].service].conflicts;
  if (in_conflict(entry)) {
    conflicts.insert(entry);
  } else if (!conflicts.empty()) {
    conflicts.erase(entry);
  }
}

bool FleetShard::in_conflict(Slot entry) const {
  std::optional<std::uint32_t> version;
  for (Slot slot = entries_[entry].first; slot != kNoSlot; slot = members_[slot].next) {
    const auto& member = members_[slot];
    const bool says = member.linked && (member.state == State::live || member.state == State::aside);
    if (!says) continue;
    if (version && *version != member.version) return true;
    version = member.version;
  }
  return false;
}

void FleetShard::expire(MonoTime now) {
  for (auto& service : services_) expire(service, now);
}

void FleetShard::expire(Service& service, MonoTime now) {
  const auto suspect = commons_.pace.suspect_after();
  const auto lasting = std::max(commons_.settings.provable_after, 2 * suspect);
  const auto due = [&](const Tally& tally, State state, Milliseconds after) {
    const Slot front = tally.list(state).front;
    return front != kNoSlot && now - members_[front].last_seen >= after ? front : kNoSlot;
  };
  for (auto& tally : service.tallies) {
    for (Slot slot = kNoSlot; (slot = due(tally, State::aside, suspect)) != kNoSlot;) end_member(slot);
  }
  for (auto& tally : service.tallies) {
    for (Slot slot = kNoSlot; (slot = due(tally, State::live, suspect)) != kNoSlot;) fall_silent(slot);
    for (Slot slot = kNoSlot; (slot = due(tally, State::presumed, suspect)) != kNoSlot;) {
      move(slot, State::silent);
      static_cast<void>(end_if_gone(slot));
    }
    for (Slot slot = kNoSlot; (slot = due(tally, State::fresh, 2 * suspect)) != kNoSlot;) move(slot, State::silent);
    for (Slot slot = kNoSlot; (slot = due(tally, State::silent, lasting)) != kNoSlot;) move(slot, State::lasting);
  }
}

}  // namespace diastole::engine
