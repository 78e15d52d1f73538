// Which queries a target's servers count (pg_stat_statements), and what two looks at the counters tell: pure functions
// of what was seen. Advice only: the servers forget queries as they like, so no gate opens or closes by it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "diastole/base/time.hpp"

namespace diastole::core {

// A query as its server keeps it, with $1, $2, … for its constants, and one role that runs it.
struct CountedStatement {
  std::int64_t query_id = 0;
  std::string role;
  std::string query;
  std::int64_t calls = 0;  // since the counter began, which no server tells

  friend bool operator==(const CountedStatement&, const CountedStatement&) = default;
};

// Where a role's new sessions look for unqualified names, if they set nothing themselves: schemas that exist and that
// the role may use, in order, without those that PostgreSQL adds.
struct RolePath {
  std::string role;
  std::vector<std::string> schemas;

  friend bool operator==(const RolePath&, const RolePath&) = default;
};

struct ServerStatements {
  std::string server;   // as SessionScan has it
  std::string missing;  // why it names no statement, or not everybody's; empty where it does
  std::int64_t started_us =
      0;             // when the server did, in microseconds since 1970: its counters compare within one start
  bool cut = false;  // it has more than were read
  std::vector<CountedStatement> statements;
  std::vector<RolePath> paths;  // of the roles of these statements

  friend bool operator==(const ServerStatements&, const ServerStatements&) = default;
};

// What a query uses of what a plan drops.
struct DoomedUse {
  std::vector<std::string> uses;  // "users.name", or "users" where the table goes; none: it uses nothing of it
  bool sure = false;              // else it may
  friend bool operator==(const DoomedUse&, const DoomedUse&) = default;
};

// A query that uses, or may use, what contract drops.
struct AdvisedStatement {
  std::string server;
  CountedStatement statement;  // its text cut to kAdvisedQueryBytes
  DoomedUse use;
  WallTime first_seen;
  std::optional<WallTime> last_grew;  // the look that found more calls than the look before it; none has yet: nothing

  friend bool operator==(const AdvisedStatement&, const AdvisedStatement&) = default;
};

struct StatementAdvice {
  WallTime at;                               // of the look
  std::string missing;                       // why it may not name all, in words; empty where it does
  std::vector<AdvisedStatement> statements;  // newest growth first, then those that are sure, then by calls

  // How many have grown since then.
  [[nodiscard]] std::int64_t grown_since(WallTime then) const;
};

// A server's look, and what each of its statements uses, in the same order.
struct ServerLook {
  const ServerStatements* seen = nullptr;
  std::vector<DoomedUse> uses;
};

// From look to look. A counter at first sight tells nothing. It has grown where it stands higher than at the server's
// look before; also where it stands lower, since it was reset and has been counted up again, and where it was not there
// then: a server begins to count a query when it runs. Nothing is concluded from a look before a server's restart, nor
// from an absence in one that was cut or incomplete. What a server has forgotten stays, with its last growth.
class StatementMemory {
 public:
  // After this call absence from the looks before tells nothing: they asked for something else.
  void ask_anew();
  [[nodiscard]] StatementAdvice look(const std::vector<ServerLook>& servers, WallTime now);

 private:
  struct Server {
    std::int64_t started_us = 0;
    bool complete = false;  // the latest look
  };
  using Key = std::tuple<std::string, std::string, std::int64_t>;  // server, role, query id

  void look_at(const ServerLook& look, WallTime now);
  void forget_surplus();

  std::map<std::string, Server> servers_;
  std::map<Key, AdvisedStatement> statements_;
};

inline constexpr std::size_t kAdvisedQueryBytes = 500;
// So many are remembered; those that have not grown for the longest time are forgotten first.
inline constexpr std::size_t kAdvisedStatements = 10'000;

}  // namespace diastole::core
