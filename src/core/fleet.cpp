#include "diastole/core/fleet.hpp"

#include <algorithm>

#include "names.hpp"

namespace diastole::core {
namespace {

constexpr Names<Source, 2> kSourceNames{{{Source::heartbeat, "heartbeat"}, {Source::poll, "poll"}}};

}  // namespace

std::string_view to_string(Source source) {
  return name_of(kSourceNames, source);
}
std::optional<Source> source_from(std::string_view text) {
  return value_of(kSourceNames, text);
}

const ServiceTally* FleetView::find(const ServiceName& service) const {
  const auto found = std::ranges::find(services, service, &ServiceTally::service);
  return found == services.end() ? nullptr : &*found;
}

}  // namespace diastole::core
