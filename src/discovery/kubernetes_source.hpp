// What Kubernetes lists as the endpoints of a Service: a list, then a watch from there on.
#pragma once

#include <random>

#include "diastole/discovery/discovery.hpp"
#include "exchange.hpp"
#include "net.hpp"
#include "source.hpp"
#include "tls.hpp"

namespace diastole::discovery {

// How the API server is reached. The service account's token is read anew for each request, since it is renewed.
class Kubernetes {
 public:
  Kubernetes(asio::io_context& io, Resolver& resolver, const ports::Clock& clock, const KubernetesSettings& settings,
             Milliseconds first_pause);

  // A GET of `target`. invalid_argument where token or certificates cannot be read.
  [[nodiscard]] Result<GetRequest> request(std::string target);
  // After the `failures`-th failure in a row: doubles each time up to half a minute, and is shorter by a random half at
  // most, so that many daemons do not come back at once.
  [[nodiscard]] Milliseconds pause_after(int failures);

  [[nodiscard]] asio::io_context& io() { return io_; }
  [[nodiscard]] Resolver& resolver() { return resolver_; }

 private:
  asio::io_context& io_;
  Resolver& resolver_;
  const ports::Clock& clock_;
  const KubernetesSettings settings_;
  const Milliseconds first_pause_;
  Tls tls_;
  std::minstd_rand random_;
};

[[nodiscard]] Task<> follow_slices(Kubernetes& kubernetes, KubernetesService service, Sink sink);

}  // namespace diastole::discovery
