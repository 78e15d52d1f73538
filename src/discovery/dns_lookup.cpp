#include "dns_lookup.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <utility>

namespace diastole::discovery {
namespace {

// Of one server, before the next is asked or the first again; c-ares doubles it from round to round.
constexpr int kTryMs = 1'000;
constexpr int kTries = 3;
constexpr int kInternet = 1;  // the class

// c-ares reads the system's files in a call that it makes once for all.
int initialised() {
  static const int kStatus = ares_library_init(ARES_LIB_INIT_ALL);
  return kStatus;
}

}  // namespace

DnsLookup::DnsLookup(asio::io_context& io, const std::string& servers) : state_(std::make_shared<State>(io)) {
  ares_options options{};
  options.timeout = kTryMs;
  options.tries = kTries;
  options.sock_state_cb_data = state_.get();
  options.sock_state_cb = [](void* state, ares_socket_t fd, int readable, int writable) {
    static_cast<State*>(state)->on_socket(fd, readable != 0, writable != 0);
  };
  State& state = *state_;
  state.status = initialised();
  if (state.status == ARES_SUCCESS) {
    state.status =
        ares_init_options(&state.channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  }
  if (state.status == ARES_SUCCESS && !servers.empty()) {
    state.status = ares_set_servers_ports_csv(state.channel, servers.c_str());
  }
}

DnsLookup::~DnsLookup() {
  state_->changed.cancel();
  if (state_->channel != nullptr) ares_destroy(std::exchange(state_->channel, nullptr));
}

void DnsLookup::State::on_socket(ares_socket_t fd, bool readable, bool writable) {
  if (!readable && !writable) {
    if (const auto found = sockets.find(fd); found != sockets.end()) {
      found->second->descriptor.release();  // c-ares closes it
      sockets.erase(found);
    }
    return;
  }
  auto& watched = sockets[fd];
  if (!watched) watched = std::make_shared<Watched>(io, fd);
  const bool read = std::exchange(watched->reading, readable);
  const bool write = std::exchange(watched->writing, writable);
  if (readable && !read) watch(fd, false);
  if (writable && !write) watch(fd, true);
}

// A wait that c-ares no longer wants ends without being begun again.
void DnsLookup::State::watch(ares_socket_t fd, bool write) {
  const auto watched = sockets.at(fd);
  const auto ready = [self = shared_from_this(), watched, fd, write](const error_code& error) {
    if (error || self->channel == nullptr) return;
    const auto still = self->sockets.find(fd);
    if (still == self->sockets.end() || still->second != watched) return;
    if (!(write ? watched->writing : watched->reading)) return;
    self->process(write ? ARES_SOCKET_BAD : fd, write ? fd : ARES_SOCKET_BAD);
    const auto again = self->sockets.find(fd);
    if (again == self->sockets.end() || again->second != watched) return;
    if (write ? watched->writing : watched->reading) self->watch(fd, write);
  };
  watched->descriptor.async_wait(write ? Descriptor::wait_write : Descriptor::wait_read, ready);
}

void DnsLookup::State::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(channel, readable, writable);
  if (done) changed.cancel();
}

// Until the question has its answer, however long c-ares would try.
Task<> DnsLookup::finish(Milliseconds timeout) {
  const std::shared_ptr<State> state = state_;
  const auto deadline = SteadyClock::now() + timeout;
  while (!state->done) {
    const auto now = SteadyClock::now();
    if (now >= deadline) {
      ares_cancel(state->channel);
      break;
    }
    timeval most{.tv_sec = 1, .tv_usec = 0};
    timeval next{};
    const timeval* const wait = ares_timeout(state->channel, &most, &next);
    const auto until = now + std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec);
    state->changed.expires_at(std::min<SteadyClock::time_point>(until, deadline));
    const auto [woken] = co_await state->changed.async_wait(kAsTuple);
    if (!woken) state->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time alone makes it try again
  }
}

Task<DnsLookup::Reply> DnsLookup::query(std::string name, int type, Milliseconds timeout) {
  const std::shared_ptr<State> state = state_;
  if (state->status != ARES_SUCCESS) co_return Reply{.status = state->status, .bytes = {}};
  state->done = false;
  state->reply = {};
  const auto on_reply = [](void* self, int status, int, unsigned char* bytes, int size) {
    auto& out = *static_cast<State*>(self);
    out.done = true;
    out.reply.status = status;
    if (bytes != nullptr) out.reply.bytes.assign(bytes, bytes + size);
  };
  ares_search(state->channel, name.c_str(), kInternet, type, on_reply, state.get());
  co_await finish(timeout);
  co_return std::move(state->reply);
}

Task<DnsLookup::Found> DnsLookup::host(std::string name, Milliseconds timeout) {
  const std::shared_ptr<State> state = state_;
  if (state->status != ARES_SUCCESS) co_return Found{.status = state->status, .addresses = {}};
  state->done = false;
  state->host_found = {};
  const auto on_found = [](void* self, int status, int, ares_addrinfo* result) {
    auto& out = *static_cast<State*>(self);
    out.done = true;
    out.host_found.status = status;
    for (const auto* node = result != nullptr ? result->nodes : nullptr; node != nullptr; node = node->ai_next) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      const void* const address =
          node->ai_family == AF_INET
              ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr)
              : &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr;
      if (inet_ntop(node->ai_family, address, text.data(), text.size()) != nullptr) {
        out.host_found.addresses.emplace_back(text.data());
      }
    }
    if (result != nullptr) ares_freeaddrinfo(result);
  };
  const ares_addrinfo_hints hints{
      .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
  ares_getaddrinfo(state->channel, name.c_str(), nullptr, &hints, on_found, state.get());
  co_await finish(timeout);
  co_return std::move(state->host_found);
}

}  // namespace diastole::discovery
