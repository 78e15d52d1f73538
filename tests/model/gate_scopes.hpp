// What the model covers, in pieces, since all at once would be too many worlds.
#pragma once

#include <algorithm>
#include <vector>

#include "model/gate_world.hpp"

namespace diastole::test::gate {

// An instrumented build is to see each line, not each world.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif
inline constexpr std::size_t kBound = kInstrumented ? 20'000 : 1'000'000;
inline constexpr std::ptrdiff_t kFew = kInstrumented ? 1 : 2;

inline Scope names() {
  return {.name = "SessionsByName", .instances = kFew, .psql = true, .limit = kBound};
}
inline Scope roles() {
  return {.name = "SessionsByRole", .instances = kFew, .by_role = true, .terminate = true, .limit = kBound};
}
inline Scope mass() {
  return {.name = "MassSilence", .mass = true, .limit = kBound};
}
inline Scope overrides() {
  return {.name = "Overrides", .overrides = true, .limit = kBound};
}
inline Scope people() {
  return {.name = "People",
          .instances = 1,
          .by_role = true,
          .quarantine = true,
          .psql = true,
          .people = true,
          .limit = kBound};
}
inline Scope daemons() {
  return {.name = "TwoDaemons",
          .instances = 1,
          .by_role = true,
          .quarantine = true,
          .people = true,
          .takeovers = true,
          .lost = true,
          .limit = kBound};
}
inline Scope forgetful() {
  return {.name = "TwoDaemonsAndAForgetfulTarget",
          .instances = 1,
          .psql = true,
          .people = true,
          .takeovers = true,
          .lost = true,
          .limit = kBound};
}
inline Scope resumed() {
  return {.name = "RegistryCarriedOver", .instances = kFew, .resumed = true, .takeovers = true, .limit = kBound};
}
inline Scope short_soak() {
  return {.name = "ShortSoak", .instances = 1, .short_soak = true, .takeovers = true, .limit = kBound};
}
inline Scope three() {
  return {.name = "ThreeInstances", .instances = 3, .by_role = true, .limit = std::min<std::size_t>(kBound, 150'000)};
}

inline std::vector<Scope> scopes() {
  return {names(), roles(), mass(), overrides(), people(), daemons(), forgetful(), resumed(), short_soak(), three()};
}

}  // namespace diastole::test::gate
