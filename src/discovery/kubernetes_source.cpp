#include "kubernetes_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "endpoint_slices.hpp"

namespace diastole::discovery {
namespace {

constexpr Milliseconds kApiTimeout{15'000};  // of a list, and until a watch begins
constexpr Milliseconds kLongestPause{30'000};
constexpr int kWatchSeconds = 270;         // after which the server ends it in order
constexpr Milliseconds kSilence{330'000};  // longer than that, and it is broken
constexpr std::size_t kLargestList = 32 * 1024 * 1024;
constexpr std::size_t kLargestEvent = 4 * 1024 * 1024;  // etcd holds no object of more than 1.5 MiB
constexpr int kOkStatus = 200;
constexpr int kGoneStatus = 410;

std::string slices_of(const KubernetesService& service) {
  return fmt::format(
      "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{}",
      service.space, service.name);
}

// What the server says of why: {"kind":"Status","message":"…"}
std::string refusal(const GetAnswer& answer) {
  constexpr std::size_t kLongest = 300;
  const auto status = nlohmann::json::parse(answer.body, nullptr, false);
  const bool says = status.is_object() && status.contains("message") && status["message"].is_string();
  return fmt::format("the API server answers {}: {}", answer.status,
                     says ? status["message"].get<std::string>().substr(0, kLongest) : "without saying why");
}

enum class WatchEnd { in_order, expired };

Task<Result<void>> list_slices(Kubernetes& kubernetes, KubernetesService service, EndpointSlices& slices) {
  auto request = kubernetes.request(slices_of(service));
  if (!request) co_return std::unexpected(std::move(request.error()));
  request->timeout = kApiTimeout;
  request->body_limit = kLargestList;
  auto answer = co_await get(kubernetes.io(), kubernetes.resolver(), std::move(*request));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status != kOkStatus) co_return fail(ErrorCode::unavailable, refusal(*answer));
  co_return slices.replace(answer->body);
}

Task<Result<WatchEnd>> watch_slices(Kubernetes& kubernetes, KubernetesService service, EndpointSlices& slices,
                                    Sink sink) {
  auto request =
      kubernetes.request(fmt::format("{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
                                     slices_of(service), kWatchSeconds, slices.version()));
  if (!request) co_return std::unexpected(std::move(request.error()));
  request->timeout = kApiTimeout;
  request->body_limit = kLargestEvent;
  std::optional<Error> wrong;
  bool expired = false;
  const auto on_line = [&](std::string_view line) {
    const auto event = slices.apply(line);
    if (!event) {
      wrong = event.error();
    } else if (*event == EndpointSlices::Event::expired) {
      expired = true;
    } else if (*event == EndpointSlices::Event::changed) {
      sink.answered(slices.listing());
    }
    return event && !expired;
  };
  const auto answer =
      co_await get_lines(kubernetes.io(), kubernetes.resolver(), std::move(*request), kSilence, on_line);
  if (wrong) co_return std::unexpected(*wrong);
  if (!answer) co_return std::unexpected(answer.error());
  if (expired || answer->status == kGoneStatus) co_return WatchEnd::expired;
  if (answer->status != kOkStatus) co_return fail(ErrorCode::unavailable, refusal(*answer));
  co_return WatchEnd::in_order;
}

}  // namespace

Kubernetes::Kubernetes(asio::io_context& io, Resolver& resolver, const ports::Clock& clock,
                       const KubernetesSettings& settings, Milliseconds first_pause)
    : io_(io),
      resolver_(resolver),
      clock_(clock),
      settings_(settings),
      first_pause_(first_pause),
      tls_({.ca = settings.ca_file, .cert = {}, .key = {}}),
      random_(std::random_device{}()) {}

Result<GetRequest> Kubernetes::request(std::string target) {
  GetRequest request{.at = settings_.api, .target = std::move(target), .headers = {{"Accept", "application/json"}}};
  if (settings_.https) {
    auto context = tls_.context(clock_.now().mono);
    if (!context) return std::unexpected(std::move(context.error()));
    request.tls = std::move(*context);
  }
  if (settings_.token_file.empty()) return request;
  std::string token;
  std::ifstream(settings_.token_file) >> token;
  if (token.empty()) {
    return fail(ErrorCode::invalid_argument, fmt::format("there is no token in {}", settings_.token_file.string()));
  }
  request.headers.emplace_back("Authorization", "Bearer " + token);
  return request;
}

Milliseconds Kubernetes::pause_after(int failures) {
  const auto longest = std::min(first_pause_ * (1 << std::min(failures - 1, 10)), kLongestPause);
  std::uniform_int_distribution<Milliseconds::rep> jitter(longest.count() / 2, longest.count());
  return Milliseconds(jitter(random_));
}

// A watch that ends in order goes on where it was. One that breaks, or has missed what is no longer known, begins with
// a list; so does a source that is well again.
Task<> follow_slices(Kubernetes& kubernetes, KubernetesService service, Sink sink) {
  EndpointSlices slices(service.port);
  bool listed = false;
  int failures = 0;
  for (;;) {
    Result<void> outcome;
    if (!listed) {
      outcome = co_await list_slices(kubernetes, service, slices);
      if (outcome) sink.answered(slices.listing());
      listed = outcome.has_value();
    }
    if (listed) {
      const auto begun = SteadyClock::now();
      const auto end = co_await watch_slices(kubernetes, service, slices, sink);
      listed = end && *end == WatchEnd::in_order;
      if (!end) outcome = std::unexpected(end.error());
      // What lasted was no failure, and what ended at once, however well, must not begin at once for ever.
      if (SteadyClock::now() - begun >= kApiTimeout) failures = 0;
    }
    if (!outcome) sink.failed(outcome.error().message);
    co_await pause(kubernetes.io(), kubernetes.pause_after(++failures));
  }
}

}  // namespace diastole::discovery
