// A server on a free port of loopback, plain or TLS, whose every connection a function serves on a thread of its own.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "certificates.hpp"

namespace diastole::discovery::testing {

// The server's side of a connection.
class Peer {
 public:
  Peer(int fd, SSL* tls) : fd_(fd), tls_(tls) {}

  // A request's head, to the empty line; empty where the client goes before that.
  std::string read_head();
  // False: the client is gone.
  bool send(const std::string& text);
  // As one chunk of a chunked body.
  bool send_chunk(const std::string& text);
  // Until the client is gone, or the server ends.
  void wait_until_gone();
  // From another thread: whatever the peer waits for ends.
  void interrupt() const;

 private:
  int receive(char* to, int size);
  int fd_;
  SSL* tls_;
};

class LoopbackServer {
 public:
  using Serve = std::function<void(Peer&)>;
  // With a TLS context it speaks TLS. Port 0 is any free one.
  explicit LoopbackServer(Serve serve, SSL_CTX* tls = nullptr, std::uint16_t port = 0);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int accepted() const { return accepted_; }
  // Breaks the connections that there are.
  void disconnect();

 private:
  void accept_all();
  void serve(int fd);

  Serve serve_;
  SSL_CTX* tls_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::mutex mutex_;  // of what follows
  std::list<Peer*> peers_;
  std::list<std::thread> threads_;
  bool ending_ = false;
  std::thread acceptor_;
};

// A whole answer.
std::string response(const std::string& body, int status = 200, const std::string& headers = {});
// Serves an endpoint that says a version, as JSON below /version.
LoopbackServer::Serve says_version(const std::string& version);

}  // namespace diastole::discovery::testing
