#include "loopback_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

namespace diastole::discovery::testing {

int Peer::receive(char* to, int size) {
  return tls_ != nullptr ? SSL_read(tls_, to, size)
                         : static_cast<int>(::recv(fd_, to, static_cast<std::size_t>(size), 0));
}

std::string Peer::read_head() {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    char next = 0;
    if (receive(&next, 1) <= 0) return {};
    head += next;
  }
  return head;
}

bool Peer::send(const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const char* const from = text.data() + sent;
    const auto left = text.size() - sent;
    const auto size = tls_ != nullptr ? SSL_write(tls_, from, static_cast<int>(left))
                                      : static_cast<int>(::send(fd_, from, left, MSG_NOSIGNAL));
    if (size <= 0) return false;
    sent += static_cast<std::size_t>(size);
  }
  return true;
}

bool Peer::send_chunk(const std::string& text) {
  return send(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
}

void Peer::wait_until_gone() {
  char ignored = 0;
  while (receive(&ignored, 1) > 0) continue;
}

void Peer::interrupt() const {
  ::shutdown(fd_, SHUT_RDWR);
}

LoopbackServer::LoopbackServer(Serve serve, SSL_CTX* tls, std::uint16_t port)
    : serve_(std::move(serve)), tls_(tls), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  std::signal(SIGPIPE, SIG_IGN);  // which OpenSSL raises where a client has gone
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 256) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    ADD_FAILURE() << "cannot listen";
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

LoopbackServer::~LoopbackServer() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  disconnect();
  for (std::thread& thread : threads_) thread.join();
}

void LoopbackServer::disconnect() {
  const std::scoped_lock lock(mutex_);
  for (const Peer* peer : peers_) peer->interrupt();
}

void LoopbackServer::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::scoped_lock lock(mutex_);
    if (ending_ || fd < 0) {
      if (fd >= 0) ::close(fd);
      return;
    }
    ++accepted_;
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void LoopbackServer::serve(int fd) {
  SSL* const tls = tls_ != nullptr ? SSL_new(tls_) : nullptr;
  Peer peer(fd, tls);
  std::list<Peer*>::iterator place;
  {
    const std::scoped_lock lock(mutex_);
    place = peers_.insert(peers_.end(), &peer);
    if (ending_) peer.interrupt();
  }
  if (tls != nullptr) SSL_set_fd(tls, fd);
  if (tls == nullptr || SSL_accept(tls) == 1) {
    serve_(peer);
    if (tls != nullptr) SSL_shutdown(tls);
  }
  {
    const std::scoped_lock lock(mutex_);
    peers_.erase(place);
  }
  SSL_free(tls);
  ::close(fd);
}

std::string response(const std::string& body, int status, const std::string& headers) {
  return fmt::format("HTTP/1.1 {} Any\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers, body);
}

LoopbackServer::Serve says_version(const std::string& version) {
  return [version](Peer& peer) {
    if (!peer.read_head().empty()) peer.send(response(R"({"version":")" + version + "\"}"));
  };
}

}  // namespace diastole::discovery::testing
