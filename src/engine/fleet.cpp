#include "diastole/engine/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace diastole::engine {
namespace {

constexpr Milliseconds kFlushLastSeen{60'000};

// Spread over ±20 %, so that a fleet that started together does not report together.
Milliseconds jittered(Milliseconds base, std::uint64_t count) {
  const auto step = static_cast<std::int64_t>(count * 7919 % 401) - 200;
  return base + base * step / 1000;
}

}  // namespace

FleetRegistry::FleetRegistry(ports::FleetStore& store, const ports::Clock& clock, const FleetSettings& settings)
    : store_(store), clock_(clock), settings_(settings), started_(clock.now().mono) {}

Result<void> FleetRegistry::load() {
  auto records = store_.load();
  if (!records) return std::unexpected(records.error());
  const std::scoped_lock lock(mutex_);
  for (auto& record : *records) {
    auto& service = services_[record.service];
    auto& tally = tally_of(service, record.version);
    Instance instance;
    instance.id = record.instance;
    instance.incarnation = record.incarnation;
    instance.last_seen = started_;
    instance.last_seen_wall = record.last_seen;
    instance.flushed = started_;
    instance.silent = true;
    instance.tally = &tally;
    tally.silent.push_back(std::move(instance));
    service.instances[record.instance] = std::prev(tally.silent.end());
    ++count_;
  }
  return {};
}

Result<HeartbeatReply> FleetRegistry::report(const Heartbeat& heartbeat) {
  const std::scoped_lock lock(mutex_);
  // Under the lock, so that a view never misses a report from before its own time.
  const auto now = clock_.now();
  HeartbeatReply reply{.next_in = jittered(settings_.heartbeat, ++jitter_), .replayed = false};
  auto found_service = services_.find(heartbeat.service);
  const bool known = found_service != services_.end() && found_service->second.instances.contains(heartbeat.instance);
  if (!known && count_ >= settings_.max_instances) {
    return fail(ErrorCode::unavailable, fmt::format("the registry is full with {} instances", count_));
  }
  auto& service = services_[heartbeat.service];
  auto& tally = tally_of(service, heartbeat.version);
  if (!known) {
    Instance instance;
    instance.id = heartbeat.instance;
    tally.live.push_back(std::move(instance));
    service.instances[heartbeat.instance] = std::prev(tally.live.end());
    ++count_;
  }
  const auto position = service.instances[heartbeat.instance];
  auto& instance = *position;
  if (known) {
    const bool same_process = instance.incarnation == heartbeat.incarnation;
    if (same_process && heartbeat.sequence && instance.sequence && *heartbeat.sequence <= *instance.sequence) {
      reply.replayed = true;
      return reply;
    }
    // It was silent in between, whether or not anybody looked meanwhile.
    if (instance.silent || now.mono - instance.last_seen >= settings_.suspect_after) service.last_silence = now.mono;
    auto& from = instance.silent ? instance.tally->silent : instance.tally->live;
    tally.live.splice(tally.live.end(), from, position);
  }
  const bool changed =
      !known || instance.tally != &tally || instance.incarnation != heartbeat.incarnation || instance.silent;
  // A report without a sequence does not let an older one be repeated.
  if (heartbeat.sequence || instance.incarnation != heartbeat.incarnation) instance.sequence = heartbeat.sequence;
  instance.incarnation = heartbeat.incarnation;
  instance.last_seen = now.mono;
  instance.last_seen_wall = now.wall;
  instance.silent = false;
  instance.tally = &tally;
  tally.last_report = now.mono;
  if (changed || now.mono - instance.flushed >= kFlushLastSeen) mark_dirty(heartbeat.service, instance);
  return reply;
}

Result<void> FleetRegistry::remove(const ServiceName& service, const InstanceId& instance, const std::string& reason) {
  const std::scoped_lock lock(mutex_);
  const auto found = services_.find(service);
  if (found == services_.end() || !found->second.instances.contains(instance)) {
    return fail(ErrorCode::not_found, fmt::format("service '{}' has no instance '{}'", service.str(), instance.str()));
  }
  const auto position = found->second.instances[instance];
  gone_.push_back(
      {service, instance, position->tally->version, position->incarnation, clock_.now().wall, true, reason});
  auto& list = position->silent ? position->tally->silent : position->tally->live;
  list.erase(position);
  found->second.instances.erase(instance);
  --count_;
  return {};
}

Result<void> FleetRegistry::flush() {
  const std::scoped_lock flushing(flush_mutex_);
  std::vector<ports::InstanceRecord> records;
  {
    const std::scoped_lock lock(mutex_);
    records = std::move(gone_);
    gone_.clear();
    const auto now = clock_.now().mono;
    for (const auto& [service, id] : dirty_) {
      // A departed instance has its own record; one that came back since is written after it.
      const auto found = services_[service].instances.find(id);
      if (found == services_[service].instances.end()) continue;
      auto& instance = *found->second;
      instance.dirty = false;
      instance.flushed = now;
      records.push_back(
          {service, id, instance.tally->version, instance.incarnation, instance.last_seen_wall, false, ""});
    }
    dirty_.clear();
  }
  if (records.empty()) return {};
  auto flushed = store_.flush(records);
  if (flushed) return flushed;
  const std::scoped_lock lock(mutex_);
  std::vector<ports::InstanceRecord> kept;
  for (auto& record : records) {
    const auto service = services_.find(record.service);
    const bool here = service != services_.end() && service->second.instances.contains(record.instance);
    if (here) {
      mark_dirty(record.service, *service->second.instances[record.instance]);
    } else if (record.gone) {
      kept.push_back(std::move(record));
    }
  }
  gone_.insert(gone_.begin(), std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()));
  return flushed;
}

core::FleetView FleetRegistry::view() {
  const auto now = clock_.now().mono;
  const std::scoped_lock lock(mutex_);
  core::FleetView out;
  out.watching_since = started_;
  out.suspect_after = settings_.suspect_after;
  for (auto& [name, service] : services_) {
    expire(service, now);
    core::ServiceTally service_tally;
    service_tally.service = name;
    service_tally.last_silence = service.last_silence;
    for (const auto& [version, tally] : service.tallies) {
      core::VersionTally entry;
      entry.version = version;
      entry.live = static_cast<std::int64_t>(tally.live.size());
      entry.silent = static_cast<std::int64_t>(tally.silent.size());
      entry.last_report = tally.last_report;
      for (const auto* list : {&tally.silent, &tally.live}) {
        for (const auto& instance : *list) {
          if (entry.examples.size() == core::FleetView::kExamples) break;
          entry.examples.push_back(
              {instance.id, instance.incarnation, instance.last_seen_wall, instance.silent, core::Source::heartbeat});
        }
      }
      service_tally.versions.push_back(std::move(entry));
    }
    out.services.push_back(std::move(service_tally));
  }
  return out;
}

std::vector<InstanceView> FleetRegistry::instances(const ServiceName& service, const std::string& after,
                                                   std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  std::vector<InstanceView> out;
  const auto found = services_.find(service);
  if (found == services_.end()) return out;
  expire(found->second, clock_.now().mono);
  for (auto it = found->second.instances.upper_bound(InstanceId(after));
       it != found->second.instances.end() && out.size() < limit; ++it) {
    const auto& instance = *it->second;
    out.push_back(
        {instance.id, instance.tally->version, instance.incarnation, instance.last_seen_wall, instance.silent});
  }
  return out;
}

FleetRegistry::Tally& FleetRegistry::tally_of(Service& service, const std::string& version) {
  auto& tally = service.tallies[version];
  tally.version = version;
  return tally;
}

void FleetRegistry::expire(Service& service, MonoTime now) {
  for (auto& [version, tally] : service.tallies) {
    while (!tally.live.empty() && now - tally.live.front().last_seen >= settings_.suspect_after) {
      auto& instance = tally.live.front();
      instance.silent = true;
      const auto fell_silent = instance.last_seen + settings_.suspect_after;
      service.last_silence = service.last_silence ? std::max(*service.last_silence, fell_silent) : fell_silent;
      tally.silent.splice(tally.silent.end(), tally.live, tally.live.begin());
    }
  }
}

void FleetRegistry::mark_dirty(const ServiceName& service, Instance& instance) {
  if (instance.dirty) return;
  instance.dirty = true;
  dirty_.emplace_back(service, instance.id);
}

}  // namespace diastole::engine
