#include "strategy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <pqxx/pqxx>
#include <string>

namespace diastole::bench {
namespace {

constexpr auto kNothing = std::chrono::seconds{8};  // about as long as the fast ones take
constexpr int kArticleRows = 100;
constexpr int kKeysetRows = 1'000;

// What the machine alone makes of two stretches of the same load.
class Nothing : public Backfill {
 public:
  Span run(const std::stop_token& stop) override {
    const auto begin = Clock::now();
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, kNothing, [] { return false; });
    return {begin, Clock::now()};
  }
};

// With a session of its own.
class Client : public Backfill {
 public:
  explicit Client(const Database& database) : session_(database.dsn()) {}
  Span run(const std::stop_token&) override {
    const auto begin = Clock::now();
    update();
    return {begin, Clock::now()};
  }

 protected:
  virtual void update() = 0;
  pqxx::connection session_;
};

class SingleUpdate : public Client {
 public:
  using Client::Client;

 private:
  void update() override {
    pqxx::nontransaction(session_).exec(
        "UPDATE users SET display_name = name WHERE display_name IS DISTINCT FROM name");
  }
};

// As an application's script does it: the ids go to the client and come back as a list.
class ArticleBatches : public Client {
 public:
  explicit ArticleBatches(const Database& database) : Client(database) {
    session_.prepare(
        "select", fmt::format("SELECT id FROM users WHERE id > $1 AND display_name IS DISTINCT FROM name ORDER BY id "
                              "LIMIT {}",
                              kArticleRows));
    session_.prepare("update", "UPDATE users SET display_name = name WHERE id = ANY ($1::bigint[])");
  }

 private:
  void update() override {
    for (std::string after = "0"; !after.empty();) {
      const pqxx::result ids = pqxx::nontransaction(session_).exec_prepared("select", after);
      after.clear();
      std::string list;
      for (const pqxx::row& row : ids) {
        after = row[0].c_str();
        list += (list.empty() ? "{" : ",") + after;
      }
      if (!list.empty()) pqxx::nontransaction(session_).exec_prepared("update", list + "}");
    }
  }
};

// The walk along the key that pgroll and reshape make, without the triggers, flags and locks that they add to it.
class Keyset : public Client {
 public:
  explicit Keyset(const Database& database) : Client(database) {
    session_.prepare(
        "last", fmt::format("SELECT max(id) FROM (SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT {}) AS batch",
                            kKeysetRows));
    session_.prepare("update",
                     "UPDATE users SET display_name = name WHERE id > $1 AND id <= $2 AND display_name IS DISTINCT "
                     "FROM name");
  }

 private:
  void update() override {
    std::string last;
    for (std::string after = "0"; !after.empty(); after = last) {
      pqxx::work batch(session_);
      last = batch.exec_prepared("last", after)[0][0].as<std::string>("");
      if (!last.empty()) batch.exec_prepared("update", after, last);
      batch.commit();
    }
  }
};

template <typename Kind>
std::unique_ptr<Backfill> prepare(const Database& database) {
  return std::make_unique<Kind>(database);
}

}  // namespace

const std::vector<Strategy>& strategies() {
  static const std::vector<Strategy> kStrategies{
      {"nothing", "nothing", true, [](const Database&) { return std::make_unique<Nothing>(); }},
      {"update", "one UPDATE", true, prepare<SingleUpdate>},
      {"article", "client, 100 by id list", false, prepare<ArticleBatches>},
      {"keyset", "keyset, 1,000", false, prepare<Keyset>},
      {"ours", "ours", true, prepare_ours},
  };
  return kStrategies;
}

}  // namespace diastole::bench
