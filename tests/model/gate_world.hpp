// A fleet, a database and a daemon or two around the gate: the truth, and what of it the daemon has been told.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <vector>

#include "diastole/core/machine.hpp"
#include "model/exploration.hpp"

namespace diastole::test::gate {

// What must hold; the numbers are the design's (gate.md).
inline constexpr auto kS1 = "S1 after contract no session below the floor is there, or can begin where roles tell";
inline constexpr auto kS2 = "S2 the drop commits only under the current lease and gate epochs, and by a clean scan";
inline constexpr auto kS3 = "S3 the fence is up before the final scan, and the floor stays after contract";
inline constexpr auto kS4 = "S4 fencing begins only when each service has its minimum and each member is new or gone";
inline constexpr auto kSoaked = "S4 and only after a soak in which nothing spoke against it";
inline constexpr auto kS6 = "S6 evidence from before the plan never counts";
inline constexpr auto kS7 = "S7 a restart never opens a gate";
inline constexpr auto kS8 = "S8 no lease epoch acts on a target once a later one has";
inline constexpr auto kFallsBack = "from fencing to the drop, bad evidence leads back";
inline constexpr auto kUndone = "a gate that is closed again has undone quarantine and fence";
inline constexpr auto kAccepted = "what decide and command say is accepted";
inline constexpr auto kL1 = "L1 a fleet that becomes new or provably dead gets its contract";
inline constexpr auto kL2 = "L2 removing a dead member never needs an open gate";

inline const Now kNow{WallTime{Milliseconds{100'000'000}}, MonoTime{Milliseconds{100'000'000}}};

enum class Process { dead, old, current };
// How the daemon's registry has it; `stale` is live by a report from before the plan or the take-over, `fell` is silent
// for less than one suspect time.
enum class Entry { none, live, stale, fell, silent, long_silent };

struct Instance {
  Process process = Process::dead;
  bool session = false;
  Entry entry = Entry::none;
  bool reported_old = false;  // by the entry
  friend auto operator<=>(const Instance&, const Instance&) = default;
};

// The daemon's memory of the soak, beside what has happened since its latest look.
enum class Soak { none, begun, over, moved, broken };  // moved: other members; broken: something bad was seen

// What the leader's runner does; `done`: not recorded yet.
enum class Hand {
  empty,
  fence,
  fence_done,
  drain,
  drain_clean,  // one clean look
  drained,
  rename,
  rename_done,
  lower,
  lower_done,
  run,
  run_done,
  run_refused,       // rolled back at the last look: wait
  run_contradicted,  // rolled back at the last look: fall back
};
// An act of a daemon that was paused amid it, or of a connection that was lost: it may still reach the target.
enum class Orphan { none, fence, rename, lower, run };

// The target's row of the plan's gate, by its epoch against the plan's.
enum class Row { none, behind, let_in, kept_out, ahead };
enum class Column { there, renamed, dropped };
// The target's lease epoch: of somebody long gone, of the leader before, or of the present leader.
enum class Lease { ancient, before, present };

enum class Ask { none, asked, confirmed };

// Small, since a hundred of them are made for each state.
struct World {
  std::array<Instance, 3> instances;
  bool psql = false;  // a session of nobody declared
  Soak soak = Soak::none;
  bool unwatched = false;  // the memory is of a time in which nobody watched (only mutants keep such a memory)
  bool watched = false;    // for one suspect time since the plan or the take-over
  // The plan's state, as far as anything may depend on it.
  core::Stage stage = core::Stage::backfilled;
  core::GateStage gate = core::GateStage::closed;
  core::StepStatus drop = core::StepStatus::pending;
  bool held = false;
  Ask ask = Ask::none;
  bool ask_late = false;  // of an earlier gate epoch
  bool ask_expired = false;
  // The daemon.
  Hand hand = Hand::empty;
  bool drain_failed = false;
  bool last_look = false;
  Orphan orphan = Orphan::none;
  bool orphan_leads = false;  // of the present lease: its connection was lost
  bool orphan_late = false;   // of an earlier gate epoch
  // The target.
  Lease lease = Lease::before;
  Row row = Row::none;
  bool login = true;  // of the role that stands for the old version
  Column column = Column::there;
};

// Which look at the sessions the daemon has: none that is young enough, one of just now, or one from when nobody was
// there.
enum class Look { none, now, earlier };

inline bool old_session(const World& world) {
  return std::ranges::any_of(world.instances,
                             [](const Instance& it) { return it.session && it.process == Process::old; });
}

// What an exploration is to cover; each costs states.
struct Scope {
  const char* name = "";
  std::ptrdiff_t instances = 2;
  bool by_role = false;
  bool terminate = false;
  bool quarantine = false;
  bool resumed = false;     // the registry survives a restart
  bool short_soak = false;  // shorter than the suspect time
  bool mass = false;        // silence has an age
  bool psql = false;
  bool people = false;  // hold, release, abort
  bool overrides = false;
  bool takeovers = false;
  bool lost = false;  // connections are lost amid an act, the target forgets, roles get their login back
  std::size_t limit = std::numeric_limits<std::uint32_t>::max();
};

// One field after the other; packing and unpacking go through the same list.
template <typename Field>
void fields(World& world, Field field) {
  for (auto& instance : world.instances) {
    field(instance.process, 2);
    field(instance.session, 1);
    field(instance.entry, 3);
    field(instance.reported_old, 1);
  }
  field(world.psql, 1);
  field(world.soak, 3);
  field(world.unwatched, 1);
  field(world.watched, 1);
  field(world.stage, 4);
  field(world.gate, 3);
  field(world.drop, 3);
  field(world.held, 1);
  field(world.ask, 2);
  field(world.ask_late, 1);
  field(world.ask_expired, 1);
  field(world.hand, 4);
  field(world.drain_failed, 1);
  field(world.last_look, 1);
  field(world.orphan, 3);
  field(world.orphan_leads, 1);
  field(world.orphan_late, 1);
  field(world.lease, 2);
  field(world.row, 3);
  field(world.login, 1);
  field(world.column, 2);
}

// Instances that nothing tells apart are put in order, and of a plan that is over the daemon knows nothing.
inline Key pack(World world, const Scope& scope) {
  if (core::terminal(world.stage)) {
    for (auto& instance : world.instances) instance = {instance.process, instance.session, Entry::none, false};
    world.soak = Soak::none;
    world.unwatched = world.watched = world.drain_failed = world.last_look = false;
  }
  if (world.orphan == Orphan::none) world.orphan_leads = world.orphan_late = false;
  if (!scope.overrides) std::ranges::sort(world.instances.begin(), world.instances.begin() + scope.instances);
  Key key = 0;
  fields(world, [&](auto value, unsigned bits) { key = key << bits | static_cast<Key>(value); });
  return key;
}

inline World unpack(Key key) {
  World world;
  unsigned left = 0;
  fields(world, [&](auto&, unsigned bits) { left += bits; });
  fields(world, [&]<typename T>(T& value, unsigned bits) {
    left -= bits;
    value = static_cast<T>(key >> left & ((Key{1} << bits) - 1));
  });
  return world;
}

}  // namespace diastole::test::gate
