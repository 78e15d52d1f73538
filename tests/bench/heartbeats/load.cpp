#include "load.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace diastole::bench {
namespace {

std::chrono::duration<double> clock_time(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

[[noreturn]] void fail_with(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// How many bytes the answer has, once its head is there; 0 before.
std::size_t size_of(std::string_view answer) {
  constexpr std::string_view kLength = "Content-Length: ";
  const auto end = answer.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  if (!answer.starts_with("HTTP/1.1 200 ")) throw std::runtime_error(std::string(answer));
  const auto at = answer.find(kLength);
  if (at == std::string_view::npos || at > end) throw std::runtime_error("an answer without a length");
  std::size_t length = 0;
  std::from_chars(answer.data() + at + kLength.size(), answer.data() + end, length);
  return end + 4 + length;
}

}  // namespace

std::chrono::duration<double> thread_time() {
  return clock_time(CLOCK_THREAD_CPUTIME_ID);
}
std::chrono::duration<double> process_time() {
  return clock_time(CLOCK_PROCESS_CPUTIME_ID);
}

Load::Load(std::uint16_t port, std::size_t connections) : poll_(epoll_create1(0)), answers_(connections) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (std::size_t i = 0; i < connections; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockets_.push_back(socket);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail_with("connect");
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event) != 0) fail_with("epoll_ctl");
  }
}

Load::~Load() {
  for (const int socket : sockets_) ::close(socket);
  ::close(poll_);
}

LoadResult Load::run(const std::function<const std::string&()>& next, std::chrono::milliseconds time) {
  LoadResult result;
  const auto begin = std::chrono::steady_clock::now();
  const auto processor = thread_time();
  for (const int socket : sockets_) send(socket, next());
  std::size_t in_flight = sockets_.size();
  std::array<epoll_event, 64> events{};
  bool over = false;
  while (in_flight > 0) {
    const int ready = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 10'000);
    if (ready <= 0) fail_with("no answer");
    over = over || std::chrono::steady_clock::now() - begin >= time;
    for (int i = 0; i < ready; ++i) {
      const auto number = events[static_cast<std::size_t>(i)].data.u64;
      if (!receive(sockets_[number], answers_[number])) continue;
      answers_[number].clear();
      ++result.requests;
      if (over) {
        --in_flight;
      } else {
        send(sockets_[number], next());
      }
    }
  }
  result.wall = std::chrono::steady_clock::now() - begin;
  result.processor = thread_time() - processor;
  return result;
}

void Load::send(int socket, const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) fail_with("send");
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool Load::receive(int socket, std::string& answer) {
  std::array<char, 4096> piece{};
  const auto bytes = ::recv(socket, piece.data(), piece.size(), 0);
  if (bytes <= 0) fail_with("recv");
  answer.append(piece.data(), static_cast<std::size_t>(bytes));
  const auto size = size_of(answer);
  if (size != 0 && answer.size() > size) throw std::runtime_error("more than an answer");
  return size != 0 && answer.size() == size;
}

}  // namespace diastole::bench
