#include "diastole/core/statements.hpp"

#include <algorithm>
#include <set>

namespace diastole::core {
namespace {

// Whole characters of UTF-8.
std::string cut(const std::string& text) {
  if (text.size() <= kAdvisedQueryBytes) return text;
  const auto continues = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; };
  std::size_t end = kAdvisedQueryBytes;
  while (end > 0 && continues(end)) --end;
  return text.substr(0, end) + "…";
}

// Whether `a` tells more than `b`; nothing is before every time.
bool newer(const AdvisedStatement& a, const AdvisedStatement& b) {
  if (a.last_grew != b.last_grew) return a.last_grew > b.last_grew;
  if (a.use.sure != b.use.sure) return a.use.sure;
  return a.statement.calls > b.statement.calls;
}

// Each said once, by all servers together where they agree.
std::string missing_of(const std::vector<ServerLook>& servers) {
  std::set<std::string> different;
  for (const auto& server : servers) different.insert(server.seen->missing);
  if (different.size() == 1) return *different.begin();
  std::string all;
  for (const auto& server : servers) {
    if (server.seen->missing.empty()) continue;
    all += (all.empty() ? "" : "; ") + server.seen->server + ": " + server.seen->missing;
  }
  return all;
}

}  // namespace

std::int64_t StatementAdvice::grown_since(WallTime then) const {
  return std::ranges::count_if(statements, [&](const AdvisedStatement& each) { return each.last_grew >= then; });
}

void StatementMemory::ask_anew() {
  for (auto& [name, server] : servers_) server.complete = false;
}

void StatementMemory::look_at(const ServerLook& look, WallTime now) {
  const auto& seen = *look.seen;
  // It told nothing, so that the next look compares with the one before.
  if (!seen.missing.empty() && seen.statements.empty()) return;
  auto& server = servers_[seen.server];
  const bool comparable = server.started_us == seen.started_us;
  const bool absence_tells = comparable && server.complete;
  for (std::size_t i = 0; i < seen.statements.size(); ++i) {
    const auto& statement = seen.statements[i];
    const Key key{seen.server, statement.role, statement.query_id};
    if (look.uses[i].uses.empty()) {
      statements_.erase(key);
      continue;
    }
    const auto [at, fresh] = statements_.try_emplace(key);
    auto& known = at->second;
    const bool grew = fresh ? absence_tells : comparable && statement.calls != known.statement.calls;
    if (fresh) {
      known.server = seen.server;
      known.first_seen = now;
      known.statement = statement;
      known.statement.query = cut(statement.query);
    }
    known.statement.calls = statement.calls;
    known.use = look.uses[i];
    if (grew) known.last_grew = now;
  }
  server = {.started_us = seen.started_us, .complete = seen.missing.empty() && !seen.cut};
}

void StatementMemory::forget_surplus() {
  if (statements_.size() <= kAdvisedStatements) return;
  std::vector<std::map<Key, AdvisedStatement>::iterator> all;
  for (auto at = statements_.begin(); at != statements_.end(); ++at) all.push_back(at);
  std::ranges::sort(all, [](const auto& a, const auto& b) { return newer(a->second, b->second); });
  for (std::size_t i = kAdvisedStatements; i < all.size(); ++i) statements_.erase(all[i]);
  ask_anew();
}

StatementAdvice StatementMemory::look(const std::vector<ServerLook>& servers, WallTime now) {
  for (const auto& server : servers) look_at(server, now);
  forget_surplus();
  StatementAdvice advice{.at = now, .missing = missing_of(servers), .statements = {}};
  for (const auto& [key, statement] : statements_) advice.statements.push_back(statement);
  std::ranges::sort(advice.statements, newer);
  return advice;
}

}  // namespace diastole::core
