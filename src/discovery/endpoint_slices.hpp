// The EndpointSlices of one Service of Kubernetes, kept up to date by what the API server says.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "diastole/base/result.hpp"
#include "endpoint.hpp"

namespace diastole::discovery {

// Errors are unavailable: what came is not what the API server sends, and what is held counts no longer.
class EndpointSlices {
 public:
  // `port`: the name or number to ask at; empty: the slice's only one.
  explicit EndpointSlices(std::string port) : port_(std::move(port)) {}

  // The answer to a list: all that there is.
  [[nodiscard]] Result<void> replace(std::string_view list);
  enum class Event {
    changed,
    bookmark,  // only the version has changed
    expired,   // what happened since version() is no longer known: list anew
  };
  // A line of a watch.
  [[nodiscard]] Result<Event> apply(std::string_view line);

  // Where a watch goes on.
  [[nodiscard]] const std::string& version() const { return version_; }
  // Every endpoint of every slice, ready, serving, terminating or not, each instance once. It is called as its pod, or
  // as its address where it has none.
  [[nodiscard]] Listing listing() const;

 private:
  std::string port_;
  std::string version_;
  std::map<std::string, Listing> slices_;  // by name
};

}  // namespace diastole::discovery
