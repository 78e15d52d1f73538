// What the sources of one service list, and what of it is believed.
//
//   the source says       what is taken to be listed
//   ───────────────────   ──────────────────────────────────────────────────────────────────────────────────────────
//   instances             these
//   none                  the last ones, until it has said so for `empty_for` unbroken: a selector that is wrong, or a
//                         name that is misspelt, looks just like this
//   nothing (it fails)    the last ones; from `suspect_after` on, or at once where there are no last ones, also a
//                         stand-in called source:NAME, which nobody ever hears of: it blocks the gate, since who came
//                         meanwhile is not known
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diastole/ports/clock.hpp"
#include "diastole/ports/log.hpp"
#include "endpoint.hpp"

namespace diastole::discovery {

struct RosterSettings {
  Milliseconds suspect_after{40'000};
  Milliseconds empty_for{300'000};
};

// Not thread-safe. Says once in the log that a source has broken, and once that it is well again.
class Roster {
 public:
  // Takes the complete list of one source. False: not now; it is told again.
  using Tell = std::function<bool(const std::string& source, const std::vector<InstanceId>&)>;

  Roster(ServiceName service, const std::vector<std::string>& sources, const RosterSettings& settings, Tell tell,
         const ports::Clock& clock, ports::Log& log);

  // True, as of settle(): endpoints() are others now.
  bool answered(const std::string& source, Listing listing);
  void failed(const std::string& source, const std::string& error);
  // What time alone changes; called about once a second.
  bool settle();

  // Of all sources, each instance once: as the first source has it that knows where it is.
  [[nodiscard]] Listing endpoints() const;

 private:
  struct Source {
    std::string name;
    std::optional<Listing> listing = {};  // the last that was believed; ordered by instance, each once
    std::optional<MonoTime> failing_since = {};
    std::optional<MonoTime> empty_since = {};
    bool stands_in = false;
    bool told = true;
  };
  Source& find(const std::string& name);
  bool settle(Source& source);
  void tell(Source& source);

  const ServiceName service_;
  const RosterSettings settings_;
  const Tell tell_;
  const ports::Clock& clock_;
  ports::Log& log_;
  const MonoTime began_;
  std::vector<Source> sources_;
};

}  // namespace diastole::discovery
