#include "dns_source.hpp"

#include <utility>

namespace diastole::discovery {
namespace {

constexpr Milliseconds kQuestionTimeout{10'000};  // for one question, over all servers and tries

}  // namespace

Task<> follow_addresses(asio::io_context& io, Resolver& resolver, HostPort name, Milliseconds interval, Sink sink) {
  for (;;) {
    const auto found = co_await resolver.records(name.host, kQuestionTimeout);
    if (found) {
      Listing listing;
      for (const auto& address : *found) listing.push_back(endpoint_at({address.to_string(), name.port}));
      sink.answered(std::move(listing));
    } else {
      sink.failed(found.error().message);
    }
    co_await pause(io, interval);
  }
}

Task<> follow_services(asio::io_context& io, Resolver& resolver, std::string name, Milliseconds interval, Sink sink) {
  for (;;) {
    const auto found = co_await resolver.services(name, kQuestionTimeout);
    if (found) {
      Listing listing;
      for (const HostPort& at : *found) listing.push_back(endpoint_at(at));
      sink.answered(std::move(listing));
    } else {
      sink.failed(found.error().message);
    }
    co_await pause(io, interval);
  }
}

}  // namespace diastole::discovery
