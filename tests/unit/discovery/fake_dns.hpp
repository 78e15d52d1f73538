// A DNS server on loopback, over UDP, that knows what a test tells it.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace diastole::discovery::testing {

class FakeDns {
 public:
  enum class Outcome { records, no_name, server_failure, silence };

  FakeDns();
  ~FakeDns();
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  // As the configuration has it.
  [[nodiscard]] std::string server() const;
  // From now on; what is not set does not exist (NXDOMAIN). A name with records of one type has none of the others.
  void set_addresses(const std::string& name, const std::vector<std::string>& addresses);  // IPv4 or IPv6
  struct Service {
    std::uint16_t port;
    std::string host;
  };
  void set_services(const std::string& name, const std::vector<Service>& services);
  void set_outcome(const std::string& name, Outcome outcome);

 private:
  struct Entry {
    Outcome outcome = Outcome::records;
    std::vector<std::pair<std::uint16_t, std::string>> records;  // type and data
  };
  void serve();
  std::string answer(const std::string& query);

  int socket_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::thread thread_;
};

}  // namespace diastole::discovery::testing
