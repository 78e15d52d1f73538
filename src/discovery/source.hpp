// A source of discovery: a coroutine that follows it for ever, and tells its sink.
#pragma once

#include <functional>
#include <string>

#include "endpoint.hpp"

namespace diastole::discovery {

// On the loop's thread.
struct Sink {
  std::function<void(Listing)> answered;           // complete; the same again does no harm
  std::function<void(const std::string&)> failed;  // what was listed before goes on to count
};

}  // namespace diastole::discovery
