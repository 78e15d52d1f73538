// How a shard keeps its members: slots, lists, names, and what is to be written.
#include <algorithm>
#include <iterator>

#include "fleet_shard.hpp"

namespace diastole::engine {
namespace {

// Of one service. Deployments leave them behind; the gate wants to know when each was last seen.
constexpr std::size_t kVersions = 128;

std::size_t mixed(std::size_t a, std::size_t b) {
  constexpr std::size_t kGolden = 0x9E3779B97F4A7C15;
  a ^= b + kGolden + (a << 6U) + (a >> 2U);
  a *= kGolden;
  return a ^ (a >> 32U);
}

std::uint64_t digest(const InstanceId& instance, const std::string& incarnation) {
  return mixed(std::hash<std::string>{}(incarnation), std::hash<InstanceId>{}(instance));
}

}  // namespace

std::size_t FleetShard::hash_of(const ServiceName& service, const InstanceId& instance) {
  return mixed(std::hash<ServiceName>{}(service), std::hash<InstanceId>{}(instance));
}

std::size_t FleetShard::KeyHash::operator()(Slot entry) const {
  const auto& known = shard->entries_[entry];
  return hash_of(shard->services_[known.service].name, known.id);
}

bool FleetShard::KeyEqual::operator()(Slot entry, const Key& key) const {
  const auto& known = shard->entries_[entry];
  return known.service == key.service && known.id.str() == key.id;
}

bool FleetShard::Tally::unused() const {
  return std::ranges::all_of(lists, [](const List& list) { return list.size == 0; });
}

FleetShard::Service* FleetShard::known_service(const ServiceName& name) {
  const auto found = service_numbers_.find(name.str());
  return found == service_numbers_.end() ? nullptr : &services_[found->second];
}

FleetShard::Service& FleetShard::service_of(const ServiceName& name) {
  if (auto* known = known_service(name)) return *known;
  const auto number = static_cast<std::uint32_t>(services_.size());
  service_numbers_.emplace(name.str(), number);
  auto& service = services_.emplace_back();
  service.name = name;
  service.number = number;
  return service;
}

std::uint32_t FleetShard::version_of(Service& service, const std::string& version) {
  if (const auto found = service.versions.find(version); found != service.versions.end()) return found->second;
  auto number = static_cast<std::uint32_t>(service.tallies.size());
  if (number >= kVersions) {
    std::optional<std::uint32_t> oldest;
    for (std::uint32_t i = 0; i < number; ++i) {
      const auto& tally = service.tallies[i];
      if (tally.unused() && (!oldest || tally.last_report < service.tallies[*oldest].last_report)) oldest = i;
    }
    if (oldest) {
      // That it was seen is kept as a silence: either breaks a soak that had begun before.
      service.last_silence = std::max(service.last_silence, service.tallies[*oldest].last_report);
      service.versions.erase(service.tallies[*oldest].version);
      service.tallies[*oldest] = Tally{};
      number = *oldest;
    }
  }
  if (number == service.tallies.size()) service.tallies.emplace_back();
  service.tallies[number].version = version;
  service.versions.emplace(version, number);
  return number;
}

Slot FleetShard::entry_of(const Service& service, const InstanceId& id, std::size_t hash) const {
  const auto found = index_.find(Key{service.number, id.str(), hash});
  return found == index_.end() ? kNoSlot : *found;
}

Slot FleetShard::make_entry(Service& service, const InstanceId& id) {
  const Slot slot = entries_.take();
  auto& entry = entries_[slot];
  entry.id = id;
  entry.service = service.number;
  index_.insert(slot);
  service.order.insert(slot, by_id());
  return slot;
}

void FleetShard::end_entry(Slot slot) {
  const auto& entry = entries_[slot];
  auto& service = services_[entry.service];
  for (std::size_t i = 0; i < service.sources.size(); ++i) {
    if ((entry.listed & std::uint32_t{1} << i) == 0) continue;
    auto& present = service.sources[i].present;
    const auto at = std::ranges::lower_bound(present, slot);
    if (at != present.end() && *at == slot) present.erase(at);
  }
  service.conflicts.erase(slot);
  service.order.erase(slot, by_id());
  index_.erase(slot);
  entries_.give_back(slot);
}

Slot FleetShard::member_of(Slot entry, std::string_view incarnation, core::Source source) const {
  Slot slot = entries_[entry].first;
  while (slot != kNoSlot && (members_[slot].source != source || members_[slot].incarnation != incarnation))
    slot = members_[slot].next;
  return slot;
}

bool FleetShard::has_heartbeats(Slot entry) const {
  Slot slot = entries_[entry].first;
  while (slot != kNoSlot && members_[slot].source != core::Source::heartbeat) slot = members_[slot].next;
  return slot != kNoSlot;
}

std::vector<Slot> FleetShard::members_of(Slot entry) const {
  std::vector<Slot> out;
  for (Slot slot = entries_[entry].first; slot != kNoSlot; slot = members_[slot].next) out.push_back(slot);
  return out;
}

Result<void> FleetShard::room_for_one() {
  const auto limit = commons_.settings.max_instances;
  if (static_cast<std::size_t>(commons_.members.load()) < limit) return {};
  return fail(ErrorCode::unavailable, "the registry is full with " + std::to_string(limit) + " instances");
}

Slot FleetShard::make_member(Slot entry, const std::string& incarnation, core::Source source) {
  const Slot slot = members_.take();
  auto& member = members_[slot];
  member.incarnation = incarnation;
  member.source = source;
  member.entry = entry;
  member.next = entries_[entry].first;
  entries_[entry].first = slot;
  return slot;
}

void FleetShard::end_member(Slot slot, const std::string& reason) {
  if (members_[slot].counted) {
    auto record = record_of(slot);
    record.gone = true;
    record.gone_reason = reason;
    gone_.push_back(std::move(record));
  }
  end_member(slot);
}

void FleetShard::end_member(Slot slot) {
  unlink(slot);
  count(slot, false);
  const Slot entry = members_[slot].entry;
  Slot* link = &entries_[entry].first;
  while (*link != slot) link = &members_[*link].next;
  *link = members_[slot].next;
  members_.give_back(slot);
  if (entries_[entry].first == kNoSlot) {
    end_entry(entry);
    return;
  }
  settle_conflict(entry);
  if (!has_heartbeats(entry)) count_polls(entry);
}

void FleetShard::count(Slot slot, bool in) {
  auto& member = members_[slot];
  if (member.counted == in) return;
  member.counted = in;
  const auto part = digest(entries_[member.entry].id, member.incarnation);
  service_of(member).membership += in ? part : ~part + 1;
  const auto members = commons_.members += in ? 1 : -1;
  if (in) commons_.pace.grow(members);
}

void FleetShard::link(Slot slot, State state) {
  auto& member = members_[slot];
  auto& list = tally_of(member).lists[static_cast<std::size_t>(state)];
  // Nearly always the latest.
  Slot before = list.back;
  while (before != kNoSlot && members_[before].last_seen > member.last_seen) before = members_[before].before;
  member.before = before;
  member.after = before == kNoSlot ? list.front : members_[before].after;
  (before == kNoSlot ? list.front : members_[before].after) = slot;
  (member.after == kNoSlot ? list.back : members_[member.after].before) = slot;
  ++list.size;
  member.state = state;
  member.linked = true;
  count(slot, state != State::aside);
}

void FleetShard::unlink(Slot slot) {
  auto& member = members_[slot];
  if (!member.linked) return;
  auto& list = tally_of(member).lists[static_cast<std::size_t>(member.state)];
  (member.before == kNoSlot ? list.front : members_[member.before].after) = member.after;
  (member.after == kNoSlot ? list.back : members_[member.after].before) = member.before;
  --list.size;
  member.linked = false;
}

void FleetShard::move(Slot slot, State state) {
  unlink(slot);
  link(slot, state);
}

void FleetShard::mark_dirty(Slot slot) {
  auto& member = members_[slot];
  if (member.dirty || !member.counted) return;
  member.dirty = true;
  dirty_.push_back(slot);
}

std::vector<ports::InstanceRecord> FleetShard::collect(std::size_t limit, MonoTime now) {
  std::vector<ports::InstanceRecord> out;
  const auto taken = static_cast<std::ptrdiff_t>(std::min(limit, gone_.size()));
  out.assign(std::make_move_iterator(gone_.begin()), std::make_move_iterator(gone_.begin() + taken));
  gone_.erase(gone_.begin(), gone_.begin() + taken);
  // The living only when all the gone are written: one that left and came back is written after its departure.
  while (gone_.empty() && !dirty_.empty() && out.size() < limit) {
    auto& member = members_[dirty_.back()];
    if (member.dirty && member.counted) {
      member.written = now;
      out.push_back(record_of(dirty_.back()));
    }
    member.dirty = false;
    dirty_.pop_back();
  }
  return out;
}

void FleetShard::put_back(std::vector<ports::InstanceRecord> records) {
  std::vector<ports::InstanceRecord> gone;
  for (auto& record : records) {
    if (record.gone) {
      gone.push_back(std::move(record));
      continue;
    }
    const auto& service = service_of(record.service);
    const Slot entry = entry_of(service, record.instance, hash_of(record.service, record.instance));
    if (entry == kNoSlot) continue;
    if (const Slot slot = member_of(entry, record.incarnation, record.source); slot != kNoSlot) mark_dirty(slot);
  }
  gone_.insert(gone_.begin(), std::make_move_iterator(gone.begin()), std::make_move_iterator(gone.end()));
}

ports::InstanceRecord FleetShard::record_of(Slot slot) const {
  const auto& member = members_[slot];
  const auto& entry = entries_[member.entry];
  const auto& service = services_[entry.service];
  ports::InstanceRecord record{.service = service.name,
                               .instance = entry.id,
                               .incarnation = member.incarnation,
                               .source = member.source,
                               .version = service.tallies[member.version].version,
                               .last_seen = member.last_seen_wall,
                               .silent = member.state != State::live};
  if (member.sequence >= 0) record.sequence = member.sequence;
  for (std::size_t i = 0; i < service.sources.size(); ++i) {
    if ((entry.ever_listed & std::uint32_t{1} << i) != 0) record.listed_by.push_back(service.sources[i].name);
  }
  return record;
}

}  // namespace diastole::engine
