#include "fake_kubernetes.hpp"

#include <fmt/format.h>

#include "support/fakes.hpp"

namespace diastole::discovery::testing {
namespace {

constexpr std::string_view kTarget =
    "GET /apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dapi";

std::string status_text(int code, const std::string& message) {
  return nlohmann::json{{"kind", "Status"}, {"status", "Failure"}, {"message", message}, {"code", code}}.dump();
}

}  // namespace

FakeKubernetes::FakeKubernetes(std::string token, SSL_CTX* tls) : token_(std::move(token)) {
  server_ = std::make_unique<LoopbackServer>([this](Peer& peer) { serve(peer); }, tls);
}

FakeKubernetes::~FakeKubernetes() {
  disconnect();
  server_.reset();
}

void FakeKubernetes::record(const char* type, const json& slice) {
  events_.push_back({version_, json{{"type", type}, {"object", slice}}.dump()});
  changed_.notify_all();
}

void FakeKubernetes::put(const std::string& name, json slice) {
  const std::scoped_lock lock(mutex_);
  slice["metadata"] = {{"name", name}, {"resourceVersion", std::to_string(++version_)}};
  const bool fresh = !slices_.contains(name);
  slices_[name] = slice;
  record(fresh ? "ADDED" : "MODIFIED", slice);
}

void FakeKubernetes::erase(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  json slice = slices_.at(name);
  slices_.erase(name);
  slice["metadata"]["resourceVersion"] = std::to_string(++version_);
  record("DELETED", slice);
}

void FakeKubernetes::bookmark() {
  const std::scoped_lock lock(mutex_);
  record("BOOKMARK", {{"kind", "EndpointSlice"}, {"metadata", {{"resourceVersion", std::to_string(++version_)}}}});
}

void FakeKubernetes::say(const std::string& line) {
  const std::scoped_lock lock(mutex_);
  events_.push_back({++version_, line});
  changed_.notify_all();
}

void FakeKubernetes::expire(bool by_status) {
  const std::scoped_lock lock(mutex_);
  known_from_ = version_;
  expired_by_status_ = by_status;
  events_.clear();
  changed_.notify_all();
}

void FakeKubernetes::end_watches() {
  const std::scoped_lock lock(mutex_);
  ++ends_;
  changed_.notify_all();
}

void FakeKubernetes::disconnect() {
  {
    const std::scoped_lock lock(mutex_);
    ++breaks_;
    changed_.notify_all();
  }
  server_->disconnect();
}

void FakeKubernetes::refuse(int status) {
  const std::scoped_lock lock(mutex_);
  refusal_ = status;
}

void FakeKubernetes::set_token(std::string token) {
  const std::scoped_lock lock(mutex_);
  token_ = std::move(token);
}

int FakeKubernetes::lists() {
  const std::scoped_lock lock(mutex_);
  return lists_;
}

int FakeKubernetes::watches() {
  const std::scoped_lock lock(mutex_);
  return watches_;
}

bool FakeKubernetes::await_watches(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, test::kPatience, [&] { return watches_ >= count; });
}

FakeKubernetes::json FakeKubernetes::endpoint(const std::string& address, const std::string& pod,
                                              const json& conditions) {
  json out{{"addresses", {address}}, {"conditions", conditions}};
  if (!pod.empty()) out["targetRef"] = {{"kind", "Pod"}, {"namespace", "prod"}, {"name", pod}};
  return out;
}

FakeKubernetes::json FakeKubernetes::slice(json endpoints, int port, const std::string& family) {
  return {{"addressType", family},
          {"endpoints", std::move(endpoints)},
          {"ports", {{{"name", "http"}, {"port", port}, {"protocol", "TCP"}}}}};
}

std::string FakeKubernetes::list() {
  json items = json::array();
  for (const auto& [name, slice] : slices_) items.push_back(slice);
  return json{{"kind", "EndpointSliceList"},
              {"metadata", {{"resourceVersion", std::to_string(version_)}}},
              {"items", std::move(items)}}
      .dump();
}

void FakeKubernetes::serve(Peer& peer) {
  const std::string head = peer.read_head();
  if (head.empty()) return;
  std::unique_lock lock(mutex_);
  int code = refusal_;
  std::string message = "endpointslices.discovery.k8s.io is forbidden";
  if (code == 0 && !token_.empty() && !head.contains("\r\nAuthorization: Bearer " + token_ + "\r\n")) {
    code = 401;
    message = "Unauthorized";
  }
  if (code == 0 && !head.starts_with(kTarget)) code = 404;
  const auto watch = head.find("&watch=true");
  const auto from = head.find("&resourceVersion=");
  if (code == 0 && watch != std::string::npos) {
    const std::int64_t version = std::stoll(head.substr(from + 17));
    const bool expired = version < known_from_;
    if (!(expired && expired_by_status_)) {
      lock.unlock();
      return serve_watch(peer, version);
    }
    code = 410;
    message = "too old resource version";
  }
  if (code == 0) ++lists_;
  const std::string answer = code == 0 ? response(list()) : response(status_text(code, message), code);
  lock.unlock();
  peer.send(answer);
}

void FakeKubernetes::serve_watch(Peer& peer, std::int64_t from) {
  if (!peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")) return;
  std::unique_lock lock(mutex_);
  ++watches_;
  changed_.notify_all();
  const int ends = ends_;
  const int breaks = breaks_;
  for (;;) {
    std::string line;
    const bool expired = from < known_from_;
    if (expired) line = json{{"type", "ERROR"}, {"object", json::parse(status_text(410, "too old"))}}.dump();
    for (const Event& event : events_) {
      if (line.empty() && event.version > from) {
        line = event.line;
        from = event.version;
      }
    }
    if (line.empty()) {
      if (ends != ends_ || breaks != breaks_) break;
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    // In two pieces: nothing says that a chunk is a line.
    const std::size_t middle = line.size() / 2;
    const bool sent = peer.send_chunk(line.substr(0, middle)) && peer.send_chunk(line.substr(middle) + "\n");
    if (!sent || expired) return;
    lock.lock();
  }
  const bool in_order = breaks == breaks_;
  lock.unlock();
  if (in_order) peer.send("0\r\n\r\n");
}

}  // namespace diastole::discovery::testing
