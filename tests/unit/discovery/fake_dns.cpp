#include "fake_dns.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

namespace diastole::discovery::testing {
namespace {

constexpr std::size_t kHeader = 12;

std::string number(std::size_t value) {
  return {static_cast<char>(value >> 8U & 0xffU), static_cast<char>(value & 0xffU)};
}

std::string encoded(const std::string& name) {
  std::string out;
  std::size_t from = 0;
  while (from < name.size()) {
    const std::size_t end = std::min(name.find('.', from), name.size());
    out += static_cast<char>(end - from) + name.substr(from, end - from);
    from = end + 1;
  }
  return out + '\0';
}

}  // namespace

FakeDns::FakeDns() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket_, generic, size) != 0 || ::getsockname(socket_, generic, &size) != 0) {
    ADD_FAILURE() << "no UDP port";
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

FakeDns::~FakeDns() {
  // An empty datagram ends it.
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  ::sendto(socket_, "", 0, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  thread_.join();
  ::close(socket_);
}

std::string FakeDns::server() const {
  return fmt::format("127.0.0.1:{}", port_);
}

void FakeDns::set_addresses(const std::string& name, const std::vector<std::string>& addresses) {
  Entry entry;
  for (const std::string& text : addresses) {
    std::array<char, 16> bytes{};
    const bool v4 = inet_pton(AF_INET, text.c_str(), bytes.data()) == 1;
    if (!v4) inet_pton(AF_INET6, text.c_str(), bytes.data());
    entry.records.emplace_back(v4 ? 1 : 28, std::string(bytes.data(), v4 ? 4 : 16));
  }
  const std::scoped_lock lock(mutex_);
  entries_[name] = std::move(entry);
}

void FakeDns::set_services(const std::string& name, const std::vector<Service>& services) {
  Entry entry;
  for (const auto& [port, host] : services) {
    entry.records.emplace_back(33, number(1) + number(1) + number(port) + encoded(host));
  }
  const std::scoped_lock lock(mutex_);
  entries_[name] = std::move(entry);
}

void FakeDns::set_outcome(const std::string& name, Outcome outcome) {
  const std::scoped_lock lock(mutex_);
  entries_[name].outcome = outcome;
}

void FakeDns::serve() {
  std::array<char, 1500> buffer{};
  for (;;) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    auto* generic = reinterpret_cast<sockaddr*>(&from);
    const auto count = ::recvfrom(socket_, buffer.data(), buffer.size(), 0, generic, &size);
    if (count <= 0) return;
    const std::string reply = answer(std::string(buffer.data(), static_cast<std::size_t>(count)));
    if (!reply.empty()) ::sendto(socket_, reply.data(), reply.size(), 0, generic, size);
  }
}

std::string FakeDns::answer(const std::string& query) {
  if (query.size() < kHeader) return {};
  std::string name;
  std::size_t at = kHeader;
  while (at < query.size() && query[at] != 0) {
    const auto length = static_cast<std::size_t>(query[at]);
    name += (name.empty() ? "" : ".") + query.substr(at + 1, length);
    at += length + 1;
  }
  if (at + 5 > query.size()) return {};
  const std::string question = query.substr(kHeader, at + 5 - kHeader);
  const auto type = static_cast<std::uint16_t>(static_cast<unsigned char>(query[at + 1]) << 8U |
                                               static_cast<unsigned char>(query[at + 2]));
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(name);
  const Outcome outcome = found == entries_.end() ? Outcome::no_name : found->second.outcome;
  if (outcome == Outcome::silence) return {};
  const int code = outcome == Outcome::no_name ? 3 : outcome == Outcome::server_failure ? 2 : 0;
  std::size_t count = 0;
  std::string records;
  if (code == 0) {
    for (const auto& [kind, data] : found->second.records) {
      if (kind != type) continue;
      ++count;
      records += number(0xc00c) + number(kind) + number(1) + number(0) + number(5) + number(data.size()) + data;
    }
  }
  return query.substr(0, 2) + number(0x8180U | static_cast<unsigned>(code)) + number(1) + number(count) + number(0) +
         number(0) + question + records;
}

}  // namespace diastole::discovery::testing
