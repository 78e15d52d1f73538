#include "roster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace diastole::discovery {

Roster::Roster(ServiceName service, const std::vector<std::string>& sources, const RosterSettings& settings, Tell tell,
               const ports::Clock& clock, ports::Log& log)
    : service_(std::move(service)),
      settings_(settings),
      tell_(std::move(tell)),
      clock_(clock),
      log_(log),
      began_(clock.now().mono) {
  for (const std::string& name : sources) sources_.push_back({.name = name});
}

Roster::Source& Roster::find(const std::string& name) {
  const auto found = std::ranges::find(sources_, name, &Source::name);
  if (found == sources_.end()) throw std::logic_error("a source that was not declared: " + name);
  return *found;
}

bool Roster::answered(const std::string& name, Listing listing) {
  Source& source = find(name);
  bool changed = false;
  if (std::exchange(source.failing_since, std::nullopt)) {
    log_.info("a source of discovery answers again", {{"service", service_.str()}, {"source", name}});
  }
  std::ranges::sort(listing, {}, [](const Endpoint& e) { return std::tie(e.instance, e.at.host, e.at.port); });
  const auto rest = std::ranges::unique(listing, {}, &Endpoint::instance);
  listing.erase(rest.begin(), rest.end());
  if (!listing.empty()) {
    source.empty_since.reset();
    if (source.listing != listing) {
      source.listing = std::move(listing);
      source.told = false;
      changed = true;
    }
  } else if (!source.empty_since && !(source.listing && source.listing->empty())) {
    source.empty_since = clock_.now().mono;
    log_.warning(
        "a source of discovery lists no instance",
        {{"service", service_.str()}, {"source", name}, {"believed_after", format_duration(settings_.empty_for)}});
  }
  return settle(source) || changed;
}

void Roster::failed(const std::string& name, const std::string& error) {
  Source& source = find(name);
  source.empty_since.reset();
  if (!source.failing_since) {
    source.failing_since = clock_.now().mono;
    log_.warning("a source of discovery fails; what it listed last goes on to count",
                 {{"service", service_.str()}, {"source", name}, {"error", error}});
  }
  settle(source);
}

bool Roster::settle() {
  bool changed = false;
  for (Source& source : sources_) changed |= settle(source);
  return changed;
}

bool Roster::settle(Source& source) {
  const MonoTime now = clock_.now().mono;
  bool changed = false;
  if (source.empty_since && now - *source.empty_since >= settings_.empty_for) {
    source.empty_since.reset();
    source.listing.emplace();
    source.told = false;
    changed = true;
    log_.warning("the empty list of a source of discovery is believed now",
                 {{"service", service_.str()}, {"source", source.name}});
  }
  const bool never =
      !source.listing && (source.failing_since || source.empty_since || now - began_ >= settings_.suspect_after);
  const bool long_failing = source.failing_since && now - *source.failing_since >= settings_.suspect_after;
  if (source.stands_in != (never || long_failing)) {
    source.stands_in = never || long_failing;
    source.told = false;
  }
  if (!source.told) tell(source);
  return changed;
}

void Roster::tell(Source& source) {
  std::vector<InstanceId> instances;
  for (const Endpoint& endpoint : source.listing.value_or(Listing{})) instances.push_back(endpoint.instance);
  if (source.stands_in) instances.emplace_back("source:" + source.name);
  source.told = tell_(source.name, instances);
}

Listing Roster::endpoints() const {
  Listing all;
  std::set<InstanceId> known;
  for (const bool unknown_place : {false, true}) {
    for (const Source& source : sources_) {
      for (const Endpoint& endpoint : source.listing.value_or(Listing{})) {
        if ((endpoint.at.port == 0) == unknown_place && known.insert(endpoint.instance).second) all.push_back(endpoint);
      }
    }
  }
  return all;
}

}  // namespace diastole::discovery
