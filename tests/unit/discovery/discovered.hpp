// A loop under test, and what it has told of the fleet.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "loop.hpp"
#include "support/fakes.hpp"

namespace diastole::discovery::testing {

class RealClock : public ports::Clock {
 public:
  [[nodiscard]] Now now() const override {
    return {std::chrono::floor<Milliseconds>(std::chrono::system_clock::now()),
            std::chrono::floor<Milliseconds>(std::chrono::steady_clock::now())};
  }
};

// All waits end after test::kPatience, and then are false.
class Discovered {
 public:
  using Names = std::set<std::string>;

  // Polls and DNS ten times a second, files looked at as often, Kubernetes tried again as soon.
  static DiscoverySettings quick() {
    DiscoverySettings settings;
    settings.first_pause = Milliseconds{20};
    settings.file_check = Milliseconds{20};
    return settings;
  }
  static ServiceSettings service(const std::string& name = "api") {
    ServiceSettings settings;
    settings.service = ServiceName(name);
    settings.interval = Milliseconds{100};
    return settings;
  }

  void start(DiscoverySettings settings) {
    loop_ = std::make_unique<Loop>(std::move(settings), report(), clock_, log_);
    loop_->start();
  }
  void stop() { loop_->stop(); }

  // A version that an instance was last found to run; "" where it never was.
  [[nodiscard]] std::string version(const std::string& instance) const {
    const std::scoped_lock lock(mutex_);
    const auto found = versions_.find(instance);
    return found == versions_.end() ? "" : found->second;
  }
  [[nodiscard]] int polls(const std::string& instance) const {
    const std::scoped_lock lock(mutex_);
    const auto found = polls_.find(instance);
    return found == polls_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::string log() const { return log_.lines(); }
  [[nodiscard]] bool await_version(const std::string& instance, const std::string& version) {
    return await([&] { return versions_[instance] == version; });
  }
  [[nodiscard]] bool await_polls(const std::string& instance, int count) {
    return await([&] { return polls_[instance] >= count; });
  }
  // What a source lists.
  [[nodiscard]] bool await_listed(const std::string& source, const Names& names) {
    return await([&] { return listed_.contains(source) && listed_[source] == names; });
  }
  [[nodiscard]] bool await_log(const std::string& part) {
    return await([&] { return log_.lines().contains(part); });
  }
  // How often a part is in the log.
  [[nodiscard]] int logged(const std::string& part) const {
    const std::string lines = log_.lines();
    int count = 0;
    for (auto at = lines.find(part); at != std::string::npos; at = lines.find(part, at + 1)) ++count;
    return count;
  }

 private:
  Report report() {
    return {.listed =
                [this](const ServiceName&, const std::string& source, const std::vector<InstanceId>& instances) {
                  const std::scoped_lock lock(mutex_);
                  Names& names = listed_[source];
                  names.clear();
                  for (const auto& instance : instances) names.insert(instance.str());
                  changed_.notify_all();
                  return true;
                },
            .polled =
                [this](const ServiceName&, const InstanceId& instance, const std::string& version) {
                  const std::scoped_lock lock(mutex_);
                  versions_[instance.str()] = version;
                  ++polls_[instance.str()];
                  changed_.notify_all();
                }};
  }

  template <typename Done>
  bool await(Done done) {
    std::unique_lock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
    // The log notifies nobody, so it is looked at in turns.
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      changed_.wait_for(lock, std::chrono::milliseconds{20});
    }
    return true;
  }

  RealClock clock_;
  test::CollectingLog log_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Names> listed_;
  std::map<std::string, std::string> versions_;
  std::map<std::string, int> polls_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace diastole::discovery::testing
