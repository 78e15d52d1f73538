// A conversation with DNS servers: a channel of c-ares, its sockets waited for by Asio.
#pragma once

#include <ares.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diastole/base/result.hpp"
#include "net.hpp"

namespace diastole::discovery {

// For one question at a time. Ends what is under way when destroyed.
class DnsLookup {
 public:
  DnsLookup(asio::io_context& io, const std::string& servers);
  ~DnsLookup();
  DnsLookup(const DnsLookup&) = delete;
  DnsLookup& operator=(const DnsLookup&) = delete;

  // How c-ares ended: ARES_SUCCESS with the reply's bytes, ARES_ENODATA, ARES_ENOTFOUND, …
  struct Reply {
    int status = ARES_SUCCESS;
    std::vector<unsigned char> bytes;
  };
  // `type` is a record's: A is 1, AAAA 28, SRV 33. A relative name is searched for as /etc/resolv.conf says.
  [[nodiscard]] Task<Reply> query(std::string name, int type, Milliseconds timeout);
  // Addresses as text.
  struct Found {
    int status = ARES_SUCCESS;
    std::vector<std::string> addresses;
  };
  [[nodiscard]] Task<Found> host(std::string name, Milliseconds timeout);

 private:
  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
  struct Watched {
    explicit Watched(asio::io_context& io, int fd) : descriptor(io, fd) {}
    Descriptor descriptor;
    bool reading = false;  // what c-ares wants
    bool writing = false;
  };
  // Outlives the lookup until the last handler has run.
  struct State : std::enable_shared_from_this<State> {
    explicit State(asio::io_context& context) : io(context), changed(context) {}
    void on_socket(ares_socket_t fd, bool readable, bool writable);
    void watch(ares_socket_t fd, bool write);
    void process(ares_socket_t readable, ares_socket_t writable);

    asio::io_context& io;
    Timer changed;
    ares_channel channel = nullptr;
    int status = ARES_SUCCESS;  // of opening it
    std::map<ares_socket_t, std::shared_ptr<Watched>> sockets;
    bool done = false;
    Reply reply;
    Found host_found;
  };

  [[nodiscard]] Task<> finish(Milliseconds timeout);

  std::shared_ptr<State> state_;
};

}  // namespace diastole::discovery
