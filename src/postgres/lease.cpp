#include <fmt/format.h>

#include "diastole/postgres/state.hpp"
#include "state_transaction.hpp"

namespace diastole::postgres {
namespace {

constexpr std::int64_t kLeaseLock = 0x64696173746F6C66;  // the migrations' key and one

// Whose lease it is, for the one who did not get it.
Error held_by_other(Connection& session) {
  const auto words = read_state(session, [](pqxx::transaction_base& transaction) -> Result<std::string> {
    const auto row =
        transaction.exec("SELECT holder, epoch, " + as_milliseconds("taken_at") + " FROM diastole.lease").at(0);
    if (row[2].is_null()) return std::string("another daemon is taking the lease");
    return fmt::format("the lease is held by {} since {} (epoch {})", row[0].as<std::string>(),
                       to_rfc3339(wall_time(row[2])), row[1].as<std::int64_t>());
  });
  if (!words) return words.error();
  return {ErrorCode::conflict, *words, {}};
}

}  // namespace

PgLease::PgLease(StateDatabase& database) : database_(database) {}

PgLease::~PgLease() = default;

Result<Epoch> PgLease::acquire(const std::string& holder) {
  const std::scoped_lock lock(mutex_);
  if (session_) return epoch();
  holder_ = holder;
  if (const auto taken = take(); !taken) return std::unexpected(taken.error());
  return epoch();
}

Result<void> PgLease::check() {
  const std::scoped_lock lock(mutex_);
  if (!session_) return take();
  auto confirmed = confirm();
  if (!confirmed) {
    epoch_ = 0;
    session_.reset();
  }
  return confirmed;
}

Result<void> PgLease::take() {
  auto session = database_.open_session("diastole/lease");
  if (!session) return std::unexpected(session.error());
  const auto locked = read_state(**session, [](pqxx::transaction_base& transaction) -> Result<bool> {
    return query(transaction, "SELECT pg_try_advisory_lock($1)", kLeaseLock)[0][0].as<bool>();
  });
  if (!locked) return std::unexpected(locked.error());
  if (!*locked) return std::unexpected(held_by_other(**session));
  // Waits for an append of the former holder that is under way; whatever it begins later is fenced.
  const auto raised = write_state(**session, [&](pqxx::transaction_base& transaction) -> Result<std::int64_t> {
    return query(
               transaction,
               "UPDATE diastole.lease SET epoch = epoch + 1, holder = $1, taken_at = clock_timestamp() RETURNING epoch",
               holder_)[0][0]
        .as<std::int64_t>();
  });
  if (!raised) return std::unexpected(raised.error());
  session_ = std::move(*session);
  epoch_ = *raised;
  return {};
}

// The session still lives, and so holds its lock, and nobody has raised the epoch over us.
Result<void> PgLease::confirm() {
  const auto current = read_state(*session_, [](pqxx::transaction_base& transaction) -> Result<std::int64_t> {
    return transaction.exec("SELECT epoch FROM diastole.lease").at(0)[0].as<std::int64_t>();
  });
  if (!current) return std::unexpected(current.error());
  if (*current == epoch_) return {};
  return fail(ErrorCode::fenced, fmt::format("the lease's epoch is {}, not our {}", *current, epoch_.load()));
}

}  // namespace diastole::postgres
