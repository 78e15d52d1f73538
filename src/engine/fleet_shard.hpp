// One shard of the fleet registry: all members of some of the instances. Whoever calls holds its mutex.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_set.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <unordered_map>

#include "diastole/engine/fleet.hpp"
#include "fleet_commons.hpp"
#include "fleet_slots.hpp"

namespace diastole::engine {

class FleetShard {
 public:
  explicit FleetShard(FleetCommons& commons) : commons_(commons) {}

  std::mutex mutex;
  HeartbeatCounts heartbeats;

  // What FleetRegistry says of each, for the instances of this shard; `hash` is hash_of the instance.
  [[nodiscard]] static std::size_t hash_of(const ServiceName& service, const InstanceId& instance);
  [[nodiscard]] Result<HeartbeatReply> report(const Heartbeat& heartbeat, std::size_t hash);
  [[nodiscard]] Result<void> polled(const ServiceName& service, const InstanceId& instance, const std::string& version,
                                    std::size_t hash);
  [[nodiscard]] Result<void> listed(const ServiceName& service, const std::string& source,
                                    const std::vector<const InstanceId*>& instances);
  [[nodiscard]] Result<void> remove(const ServiceName& service, const InstanceId& instance,
                                    const std::optional<std::string>& incarnation, const std::string& reason);

  // Of the record: live as of `heard` where it is fresh, silent otherwise, and not known to be gone before a suspect
  // time is over. finish_load once after all.
  void load(const ports::InstanceRecord& record, bool fresh, MonoTime heard);
  void finish_load();

  // What time alone changes: to be called before anything is read.
  void expire(MonoTime now);

  // Takes what is to be written, at most `limit` records. put_back where that failed.
  [[nodiscard]] std::vector<ports::InstanceRecord> collect(std::size_t limit, MonoTime now);
  void put_back(std::vector<ports::InstanceRecord> records);

  // Adds this shard's counts to a view; and examples, of silent or of live members, until there are enough.
  void add_counts(core::FleetView& view) const;
  void add_examples(core::FleetView& view, bool silent) const;
  void add_named(core::FleetView& view, const core::InstanceName& name) const;
  void page(const ServiceName& service, const std::string& after, std::size_t limit,
            std::vector<InstanceView>& out) const;

 private:
  // The lists of a version's members, each in the order in which they were last heard, so that time is a matter of its
  // front:
  //
  //   live ──suspect time──▶ fresh ──one more──▶ silent ──provable_after──▶ lasting
  //                                                ▲
  //   presumed ──suspect time after the start──────┘        a report leads from all of them to live
  //
  // fresh fell silent a short while ago; presumed is recorded, and nothing is known of it since the start. Aside are
  // polls of instances that send heartbeats: no members.
  enum class State : std::uint8_t { live, fresh, presumed, silent, lasting, aside };
  static constexpr std::array kSilent{State::lasting, State::silent, State::presumed, State::fresh};
  static constexpr std::size_t kStates = 6;

  struct Member {
    std::string incarnation;
    std::int64_t sequence = -1;  // none
    MonoTime last_seen;
    MonoTime written;
    WallTime last_seen_wall;
    Slot entry = kNoSlot;
    Slot next = kNoSlot;  // of the same instance
    Slot before = kNoSlot;
    Slot after = kNoSlot;
    std::uint32_t version = 0;
    State state = State::live;
    core::Source source = core::Source::heartbeat;
    bool dirty = false;
    bool linked = false;   // stands in a list
    bool counted = false;  // is a member: not aside
  };
  // An instance: the name of its members.
  struct Entry {
    InstanceId id;
    std::uint32_t service = 0;
    Slot first = kNoSlot;
    std::uint32_t ever_listed = 0;  // a bit a source of the service
    std::uint32_t listed = 0;       // now
  };
  struct List {
    Slot front = kNoSlot;
    Slot back = kNoSlot;
    std::int64_t size = 0;
  };
  struct Tally {
    std::string version;
    std::array<List, kStates> lists;
    std::optional<MonoTime> last_report;

    [[nodiscard]] const List& list(State state) const { return lists[static_cast<std::size_t>(state)]; }
    [[nodiscard]] bool unused() const;
  };
  struct DiscoverySource {
    std::string name;
    std::vector<Slot> present;  // entries, ascending
  };
  struct Service {
    ServiceName name;
    std::uint32_t number = 0;
    std::deque<Tally> tallies;
    std::unordered_map<std::string, std::uint32_t> versions;  // to their tally
    std::vector<DiscoverySource> sources;
    SlotOrder order;  // of its entries, by id
    std::set<Slot> conflicts;
    std::optional<MonoTime> last_silence;
    std::uint64_t membership = 0;
  };
  // How the index finds an entry by its name.
  struct Key {
    std::uint32_t service;
    std::string_view id;
    std::size_t hash;
  };
  struct KeyHash {
    using is_transparent = void;
    const FleetShard* shard;
    std::size_t operator()(Slot entry) const;
    std::size_t operator()(const Key& key) const { return key.hash; }
  };
  struct KeyEqual {
    using is_transparent = void;
    const FleetShard* shard;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot entry, const Key& key) const;
    bool operator()(const Key& key, Slot entry) const { return (*this)(entry, key); }
  };

  [[nodiscard]] Service& service_of(const ServiceName& name);
  [[nodiscard]] Service* known_service(const ServiceName& name);
  [[nodiscard]] Service& service_of(const Member& member) { return services_[entries_[member.entry].service]; }
  [[nodiscard]] std::uint32_t version_of(Service& service, const std::string& version);
  [[nodiscard]] Tally& tally_of(const Member& member) { return service_of(member).tallies[member.version]; }
  [[nodiscard]] Slot entry_of(const Service& service, const InstanceId& id, std::size_t hash) const;
  [[nodiscard]] Slot make_entry(Service& service, const InstanceId& id);
  void end_entry(Slot entry);
  [[nodiscard]] Slot member_of(Slot entry, std::string_view incarnation, core::Source source) const;
  [[nodiscard]] bool has_heartbeats(Slot entry) const;
  [[nodiscard]] std::vector<Slot> members_of(Slot entry) const;
  [[nodiscard]] Result<void> room_for_one();
  [[nodiscard]] Slot make_member(Slot entry, const std::string& incarnation, core::Source source);
  void end_member(Slot member);
  void end_member(Slot member, const std::string& reason);
  [[nodiscard]] Result<Slot> arrive(Service& service, Slot entry, const Heartbeat& heartbeat);

  void count(Slot member, bool in);
  void link(Slot member, State state);
  void unlink(Slot member);
  void renew(Slot member, std::uint32_t version, State state, Now now);
  void fall_silent(Slot member);
  [[nodiscard]] bool end_if_gone(Slot member);
  void set_polls_aside(Slot entry, const std::string& version);
  void count_polls(Slot entry);
  void move(Slot member, State state);
  void settle_conflict(Slot entry);
  [[nodiscard]] bool in_conflict(Slot entry) const;
  void expire(Service& service, MonoTime now);
  [[nodiscard]] Result<std::uint32_t> source_of(Service& service, const std::string& name);
  void unlist(Slot entry, std::uint32_t bit);
  void mark_dirty(Slot member);
  [[nodiscard]] ports::InstanceRecord record_of(Slot member) const;
  [[nodiscard]] core::Sighting sighting_of(Slot member) const;
  [[nodiscard]] auto by_id() const {
    return [this](Slot a, Slot b) { return entries_[a].id < entries_[b].id; };
  }

  FleetCommons& commons_;
  Slots<Member> members_;
  Slots<Entry> entries_;
  boost::unordered_flat_set<Slot, KeyHash, KeyEqual> index_{0, KeyHash{this}, KeyEqual{this}};
  std::deque<Service> services_;
  std::unordered_map<std::string, std::uint32_t> service_numbers_;
  std::vector<Slot> dirty_;  // one that has ended since is skipped
  std::vector<ports::InstanceRecord> gone_;
};

}  // namespace diastole::engine
