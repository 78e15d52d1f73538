// One thread of an application instance with its own connection: reads and writes users at a steady rate and checks
// every answer.
#pragma once

#include <cstdint>
#include <map>
#include <pqxx/pqxx>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "journal.hpp"

namespace demo {

// The application's three releases of the rename: before it, in between, after it.
enum class Release {
  v1,  // knows only name
  v2,  // writes name and display_name, reads display_name and falls back to name
  v3,  // knows only display_name
};

struct Load {
  Release release = Release::v1;
  std::string dsn;
  std::int64_t rows = 0;  // users 0 … rows-1 exist; user n has the id md5("user n") and the name "user n"
  unsigned shares = 1;    // rows are divided among so many writers, by their id
  double per_second = 1;
};

// Rows have one writer at a time, the worker that holds the share's advisory lock. A new instance takes a share over
// when its predecessor's session ends. So the last acknowledged value of a row is never in doubt, and a share's
// releases only go up: v2 never reads a display_name that v1 has left stale.
class Worker {
 public:
  // Connects and prepares its statements; throws what libpqxx throws. Holds `journal`.
  Worker(const Load& load, unsigned share, Journal& journal);

  // Until asked to stop, then finishes the operation in hand. False when the connection is lost.
  [[nodiscard]] bool run(const std::stop_token& stop);

 private:
  [[nodiscard]] bool operate(double dice);
  void read();
  void update();
  void insert();
  [[nodiscard]] bool writer();
  template <typename... Args>
  pqxx::result execute(const char* statement, const Args&... args);

  [[nodiscard]] std::string any_id();
  [[nodiscard]] std::string own_id();
  [[nodiscard]] std::string new_own_id();
  [[nodiscard]] bool owns(const std::string& id) const;

  Load load_;
  unsigned share_;
  Journal& journal_;
  pqxx::connection connection_;
  const char* statement_ = "connect";  // the latest, for the journal
  bool writer_ = false;
  std::mt19937_64 random_;
  std::vector<std::string> inserted_;
  std::map<std::string, std::string> written_;     // the value of each row that we wrote
  std::map<std::string, std::int64_t> last_seen_;  // the latest write seen of each row that we read
};

}  // namespace demo
