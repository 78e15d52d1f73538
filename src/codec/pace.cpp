// The manual pace of a backfill, and what the API is told to change of it.
#include <fmt/format.h>

#include "diastole/codec/plan_codec.hpp"
#include "values.hpp"

namespace diastole::codec {
namespace {

constexpr int kMostRows = 1'000'000;

// One bound of a patch: absent leaves it as it is, null lifts it.
Result<void> patch(const json& in, const char* key, int most, std::optional<int>& bound) {
  const auto found = in.find(key);
  if (found == in.end()) return {};
  if (found->is_null()) {
    bound.reset();
    return {};
  }
  if (!found->is_number_integer() || *found < 1 || *found > most) {
    return fail(ErrorCode::invalid_argument, fmt::format("expected a number from 1 to {}, or null", most),
                "/" + std::string(key));
  }
  bound = found->get<int>();
  return {};
}

}  // namespace

json pace_to_json(const core::Pace& pace) {
  json out = json::object();
  if (pace.rows_per_second) out["rows_per_second"] = *pace.rows_per_second;
  if (pace.batch_rows) out["batch_rows"] = *pace.batch_rows;
  if (pace.workers) out["workers"] = *pace.workers;
  put(out, "paused", pace.paused);
  return out;
}

core::Pace pace_from(const json& in) {
  core::Pace pace;
  if (in.contains("rows_per_second")) pace.rows_per_second = in["rows_per_second"].get<int>();
  if (in.contains("batch_rows")) pace.batch_rows = in["batch_rows"].get<int>();
  if (in.contains("workers")) pace.workers = in["workers"].get<int>();
  pace.paused = take<bool>(in, "paused");
  return pace;
}

Result<core::Pace> patched_pace(const core::Pace& present, const json& in) {
  auto pace = present;
  if (!in.is_object()) return fail(ErrorCode::invalid_argument, "expected an object");
  for (const auto& [key, value] : in.items()) {
    if (key == "rows_per_second" || key == "batch_rows" || key == "workers") continue;
    if (key != "paused") {
      return fail(ErrorCode::invalid_argument, "unknown key; known: step, rows_per_second, batch_rows, workers, paused",
                  "/" + key);
    }
    if (!value.is_boolean() && !value.is_null())
      return fail(ErrorCode::invalid_argument, "expected true or false", "/paused");
    pace.paused = value.is_boolean() && value.get<bool>();
  }
  if (auto read = patch(in, "rows_per_second", kMostRows, pace.rows_per_second); !read)
    return std::unexpected(read.error());
  if (auto read = patch(in, "batch_rows", kMostRows, pace.batch_rows); !read) return std::unexpected(read.error());
  if (auto read = patch(in, "workers", core::kMostWorkers, pace.workers); !read) return std::unexpected(read.error());
  return pace;
}

}  // namespace diastole::codec
