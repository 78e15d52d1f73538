#include "resolver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "dns_lookup.hpp"

namespace diastole::discovery {
namespace {

using asio::ip::address;

constexpr int kA = 1;
constexpr int kAaaa = 28;
constexpr int kSrv = 33;
constexpr int kMostAddresses = 4096;  // a reply over TCP has room for no more

std::unexpected<Error> no_answer(const std::string& name, int status) {
  const char* const why = status == ARES_ECANCELLED ? "no DNS server answers in time" : ares_strerror(status);
  return fail(ErrorCode::unavailable, fmt::format("{}: {}", name, why));
}

int size_of(const DnsLookup::Reply& reply) {
  return static_cast<int>(reply.bytes.size());
}

Result<std::vector<address>> addresses_v4(const std::string& name, const DnsLookup::Reply& reply) {
  std::vector<ares_addrttl> found(kMostAddresses);
  int count = kMostAddresses;
  const int status = ares_parse_a_reply(reply.bytes.data(), size_of(reply), nullptr, found.data(), &count);
  if (status == ARES_ENODATA) return std::vector<address>{};
  if (status != ARES_SUCCESS) return no_answer(name, status);
  std::vector<address> out;
  out.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    out.emplace_back(asio::ip::address_v4(ntohl(found[static_cast<std::size_t>(i)].ipaddr.s_addr)));
  }
  return out;
}

Result<std::vector<address>> addresses_v6(const std::string& name, const DnsLookup::Reply& reply) {
  std::vector<ares_addr6ttl> found(kMostAddresses);
  int count = kMostAddresses;
  const int status = ares_parse_aaaa_reply(reply.bytes.data(), size_of(reply), nullptr, found.data(), &count);
  if (status == ARES_ENODATA) return std::vector<address>{};
  if (status != ARES_SUCCESS) return no_answer(name, status);
  std::vector<address> out;
  out.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const auto& bytes = found[static_cast<std::size_t>(i)].ip6addr._S6_un._S6_u8;
    asio::ip::address_v6::bytes_type raw{};
    std::copy_n(bytes, raw.size(), raw.begin());
    out.emplace_back(asio::ip::address_v6(raw));
  }
  return out;
}

Result<std::vector<HostPort>> services_in(const std::string& name, const DnsLookup::Reply& reply) {
  ares_srv_reply* first = nullptr;
  const int status = ares_parse_srv_reply(reply.bytes.data(), size_of(reply), &first);
  if (status == ARES_ENODATA) return std::vector<HostPort>{};
  if (status != ARES_SUCCESS) return no_answer(name, status);
  std::vector<HostPort> out;
  for (const auto* record = first; record != nullptr; record = record->next) {
    std::string host = record->host;
    while (host.ends_with('.')) host.pop_back();
    if (!host.empty() && record->port != 0) out.push_back({std::move(host), record->port});  // ".": none, RFC 2782
  }
  ares_free_data(first);
  std::ranges::sort(out, {}, [](const HostPort& at) { return std::tie(at.host, at.port); });
  return out;
}

}  // namespace

Resolver::Resolver(asio::io_context& io, const std::string& servers) : io_(io), servers_(servers) {
  std::ranges::replace(servers_, ' ', ',');
}

Task<Result<std::vector<address>>> Resolver::addresses(std::string host, Milliseconds timeout) {
  error_code no_address;
  const address literal = asio::ip::make_address(host, no_address);
  if (!no_address) co_return std::vector<address>{literal};
  DnsLookup lookup(io_, servers_);
  const DnsLookup::Found found = co_await lookup.host(host, timeout);
  if (found.status != ARES_SUCCESS || found.addresses.empty()) co_return no_answer(host, found.status);
  std::vector<address> out;
  out.reserve(found.addresses.size());
  for (const std::string& text : found.addresses) out.push_back(asio::ip::make_address(text));
  co_return out;
}

Task<Result<std::vector<address>>> Resolver::records(std::string name, Milliseconds timeout) {
  DnsLookup lookup(io_, servers_);
  const DnsLookup::Reply v4 = co_await lookup.query(name, kA, timeout);
  if (v4.status == ARES_SUCCESS) {
    auto found = addresses_v4(name, v4);
    if (!found || !found->empty()) co_return found;
  } else if (v4.status != ARES_ENODATA) {
    co_return no_answer(name, v4.status);
  }
  const DnsLookup::Reply v6 = co_await lookup.query(name, kAaaa, timeout);
  if (v6.status == ARES_SUCCESS) co_return addresses_v6(name, v6);
  if (v6.status == ARES_ENODATA) co_return std::vector<address>{};
  co_return no_answer(name, v6.status);
}

Task<Result<std::vector<HostPort>>> Resolver::services(std::string name, Milliseconds timeout) {
  DnsLookup lookup(io_, servers_);
  const DnsLookup::Reply reply = co_await lookup.query(name, kSrv, timeout);
  if (reply.status == ARES_SUCCESS) co_return services_in(name, reply);
  if (reply.status == ARES_ENODATA) co_return std::vector<HostPort>{};
  co_return no_answer(name, reply.status);
}

}  // namespace diastole::discovery
