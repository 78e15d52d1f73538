#include "diastole/engine/fleet.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <mutex>
#include <tuple>

#include "fleet_shard.hpp"

namespace diastole::engine {
namespace {

constexpr std::size_t kShards = 16;
constexpr std::size_t kBatch = 10'000;  // records a transaction, so that none takes longer than its timeout

// Spread over ±20 %, so that a fleet that started together does not report together.
Milliseconds jittered(Milliseconds base, std::uint64_t count) {
  const auto step = static_cast<std::int64_t>(count * 7919 % 401) - 200;
  return base + base * step / 1000;
}

template <std::size_t... I>
std::array<FleetShard, sizeof...(I)> make_shards(FleetCommons& commons, std::index_sequence<I...>) {
  return {{(static_cast<void>(I), FleetShard(commons))...}};
}

}  // namespace

class FleetRegistry::Impl {
 public:
  Impl(ports::FleetStore& store, const ports::Clock& clock, const FleetSettings& settings)
      : store_(store),
        commons_(clock, settings),
        started_(clock.now().mono),
        shards_(make_shards(commons_, std::make_index_sequence<kShards>())) {}

  Result<void> load() {
    auto record = store_.load();
    if (!record) return std::unexpected(std::move(record.error()));
    const auto members = std::ssize(record->members);
    commons_.pace.grow(members);
    // By the database's clock and this machine's monotonic one; a moment passes between the two readings, as it does
    // where the daemon had never stopped.
    const bool fresh = record->age && *record->age < commons_.pace.suspect_after();
    const auto heard = fresh ? started_ - *record->age - commons_.pace.interval(members) : started_;
    for (const auto& member : record->members) {
      auto& shard = shard_of(FleetShard::hash_of(member.service, member.instance));
      const std::scoped_lock lock(shard.mutex);
      shard.load(member, fresh, heard);
    }
    for (auto& shard : shards_) {
      const std::scoped_lock lock(shard.mutex);
      shard.finish_load();
    }
    resumed_ = fresh;
    return {};
  }

  Result<HeartbeatReply> report(const Heartbeat& heartbeat) {
    const auto hash = FleetShard::hash_of(heartbeat.service, heartbeat.instance);
    auto& shard = shard_of(hash);
    std::unique_lock lock(shard.mutex);
    auto reply = shard.report(heartbeat, hash);
    if (!reply) return reply;
    const auto count = shard.heartbeats.accepted + shard.heartbeats.replayed;
    lock.unlock();
    reply->next_in = jittered(commons_.pace.interval(commons_.members.load()), count);
    return reply;
  }

  Result<void> polled(const ServiceName& service, const InstanceId& instance, const std::string& version) {
    const auto hash = FleetShard::hash_of(service, instance);
    auto& shard = shard_of(hash);
    const std::scoped_lock lock(shard.mutex);
    return shard.polled(service, instance, version, hash);
  }

  Result<void> listed(const ServiceName& service, const std::string& source, const std::vector<InstanceId>& instances) {
    std::array<std::vector<const InstanceId*>, kShards> parts;
    for (const auto& id : instances) parts[number_of(FleetShard::hash_of(service, id))].push_back(&id);
    Result<void> outcome;
    for (std::size_t i = 0; i < kShards; ++i) {
      const std::scoped_lock lock(shards_[i].mutex);
      if (auto taken = shards_[i].listed(service, source, parts[i]); !taken) outcome = std::move(taken);
    }
    return outcome;
  }

  Result<void> remove(const ServiceName& service, const InstanceId& instance,
                      const std::optional<std::string>& incarnation, const std::string& reason) {
    auto& shard = shard_of(FleetShard::hash_of(service, instance));
    const std::scoped_lock lock(shard.mutex);
    return shard.remove(service, instance, incarnation, reason);
  }

  Result<void> flush() {
    const std::scoped_lock flushing(flush_mutex_);
    commons_.pace.settle(commons_.members.load(), commons_.clock.now().mono);
    for (auto& shard : shards_) {
      while (true) {
        std::unique_lock lock(shard.mutex);
        const auto now = commons_.clock.now().mono;
        shard.expire(now);
        auto records = shard.collect(kBatch - pending_.size(), now);
        lock.unlock();
        const bool all = pending_.size() + records.size() < kBatch;
        std::ranges::move(records, std::back_inserter(pending_));
        if (all) break;
        if (auto written = write(false); !written) return written;
      }
    }
    return write(true);
  }

  core::FleetView view(std::span<const core::InstanceName> named) {
    core::FleetView out;
    out.watching_since = started_;
    out.resumed = resumed_;
    // All at once: nothing that happened before the view's moment is missing in it.
    std::array<std::unique_lock<std::mutex>, kShards> locks;
    for (std::size_t i = 0; i < kShards; ++i) locks[i] = std::unique_lock(shards_[i].mutex);
    const auto now = commons_.clock.now().mono;
    commons_.pace.settle(commons_.members.load(), now);
    out.suspect_after = commons_.pace.suspect_after();
    for (auto& shard : shards_) {
      shard.expire(now);
      shard.add_counts(out);
    }
    for (const bool silent : {true, false}) {
      for (const auto& shard : shards_) shard.add_examples(out, silent);
    }
    for (const auto& name : named) shard_of(FleetShard::hash_of(name.service, name.instance)).add_named(out, name);
    return out;
  }

  std::vector<InstanceView> instances(const ServiceName& service, const std::string& after, std::size_t limit) {
    std::vector<InstanceView> out;
    for (auto& shard : shards_) {
      const std::scoped_lock lock(shard.mutex);
      shard.expire(commons_.clock.now().mono);
      shard.page(service, after, limit, out);
    }
    std::ranges::sort(out, {},
                      [](const InstanceView& row) { return std::tie(row.instance, row.source, row.incarnation); });
    auto end = std::min(limit, out.size());
    while (end > 0 && end < out.size() && out[end].instance == out[end - 1].instance) ++end;
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(end), out.end());
    return out;
  }

  HeartbeatCounts heartbeats() {
    HeartbeatCounts out;
    for (auto& shard : shards_) {
      const std::scoped_lock lock(shard.mutex);
      out.accepted += shard.heartbeats.accepted;
      out.replayed += shard.heartbeats.replayed;
    }
    return out;
  }

 private:
  static std::size_t number_of(std::size_t hash) { return hash % kShards; }
  FleetShard& shard_of(std::size_t hash) { return shards_[number_of(hash)]; }

  Result<void> write(bool complete) {
    auto written = store_.flush(pending_, complete);
    if (!written) {
      std::array<std::vector<ports::InstanceRecord>, kShards> parts;
      for (auto& record : pending_)
        parts[number_of(FleetShard::hash_of(record.service, record.instance))].push_back(std::move(record));
      for (std::size_t i = 0; i < kShards; ++i) {
        const std::scoped_lock lock(shards_[i].mutex);
        shards_[i].put_back(std::move(parts[i]));
      }
    }
    pending_.clear();
    return written;
  }

  ports::FleetStore& store_;
  FleetCommons commons_;
  const MonoTime started_;
  bool resumed_ = false;
  std::array<FleetShard, kShards> shards_;
  std::mutex flush_mutex_;  // one flush at a time: an older record never overwrites a newer one
  std::vector<ports::InstanceRecord> pending_;
};

FleetRegistry::FleetRegistry(ports::FleetStore& store, const ports::Clock& clock, const FleetSettings& settings)
    : impl_(std::make_unique<Impl>(store, clock, settings)) {}
FleetRegistry::~FleetRegistry() = default;

Result<void> FleetRegistry::load() {
  return impl_->load();
}
Result<HeartbeatReply> FleetRegistry::report(const Heartbeat& heartbeat) {
  return impl_->report(heartbeat);
}
Result<void> FleetRegistry::polled(const ServiceName& service, const InstanceId& instance, const std::string& version) {
  return impl_->polled(service, instance, version);
}
Result<void> FleetRegistry::listed(const ServiceName& service, const std::string& source,
                                   const std::vector<InstanceId>& instances) {
  return impl_->listed(service, source, instances);
}
Result<void> FleetRegistry::remove(const ServiceName& service, const InstanceId& instance,
                                   const std::optional<std::string>& incarnation, const std::string& reason) {
  return impl_->remove(service, instance, incarnation, reason);
}
Result<void> FleetRegistry::flush() {
  return impl_->flush();
}
core::FleetView FleetRegistry::view(std::span<const core::InstanceName> named) {
  return impl_->view(named);
}
std::vector<InstanceView> FleetRegistry::instances(const ServiceName& service, const std::string& after,
                                                   std::size_t limit) {
  return impl_->instances(service, after, limit);
}
HeartbeatCounts FleetRegistry::heartbeats() const {
  return impl_->heartbeats();
}

}  // namespace diastole::engine
