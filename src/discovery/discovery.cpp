#include "diastole/discovery/discovery.hpp"

#include <string_view>
#include <utility>

#include "loop.hpp"

namespace diastole::discovery {

class Discovery::Impl {
 public:
  Impl(DiscoverySettings settings, engine::FleetRegistry& registry, const ports::Clock& clock, ports::Log& log)
      : registry_(registry), log_(log), loop_(std::move(settings), report(), clock, log) {}

  Loop& loop() { return loop_; }

 private:
  Report report() {
    return {.listed =
                [this](const ServiceName& service, const std::string& source, const std::vector<InstanceId>& all) {
                  return note(registry_.listed(service, source, all), lists_taken_);
                },
            .polled =
                [this](const ServiceName& service, const InstanceId& instance, const std::string& version) {
                  note(registry_.polled(service, instance, version), polls_taken_);
                }};
  }

  // One line when it begins, since it goes on for as long as the registry is full.
  bool note(const Result<void>& taken, bool& was_taken) {
    if (!taken && was_taken) {
      log_.error("the fleet's registry does not take what discovery has found", {{"error", taken.error().message}});
    }
    was_taken = taken.has_value();
    return was_taken;
  }

  engine::FleetRegistry& registry_;
  ports::Log& log_;
  bool lists_taken_ = true;  // the loop's thread only, as the next
  bool polls_taken_ = true;
  Loop loop_;
};

Discovery::Discovery(DiscoverySettings settings, engine::FleetRegistry& registry, const ports::Clock& clock,
                     ports::Log& log)
    : impl_(std::make_unique<Impl>(std::move(settings), registry, clock, log)) {}

Discovery::~Discovery() = default;

void Discovery::start() {
  impl_->loop().start();
}

void Discovery::stop() {
  impl_->loop().stop();
}

}  // namespace diastole::discovery
