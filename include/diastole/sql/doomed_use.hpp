// Which queries of applications use what a plan's contract drops.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diastole/core/catalog.hpp"
#include "diastole/core/plan.hpp"
#include "diastole/core/statements.hpp"

namespace diastole::sql {

// What a DoomedFinder wants its snapshot to hold.
[[nodiscard]] core::CatalogRequest concerns(const std::vector<core::Doomed>& doomed);

// Reads queries against one snapshot. Not thread-safe.
class DoomedFinder {
 public:
  // `doomed` is looked up in the snapshot's own search_path. What is not there, or no longer under its name, is not
  // asked about.
  DoomedFinder(core::CatalogSnapshot catalog, const std::vector<core::Doomed>& doomed);
  ~DoomedFinder();
  DoomedFinder(DoomedFinder&&) noexcept;
  DoomedFinder& operator=(DoomedFinder&&) noexcept;

  // In lower case (of ASCII): a query that uses any of it holds one of these, in any case. They are the names of the
  // tables, of their partitions and parents, and of views and functions that hang on them. None: nothing is there to be
  // asked about.
  [[nodiscard]] const std::vector<std::string>& words() const;

  // `path`: the schemas in which the session that ran the query looked for unqualified names, as far as is known; it
  // may have set others, so a use that would be one under any of the schemas concerned is listed as not sure. So is
  // what does not parse and holds a word. Where the query surely uses something, what it may use as well is left out.
  // Cheap for queries without a word; else it parses, at most twice. Queries of one path are best asked in a row.
  [[nodiscard]] core::DoomedUse find(std::string_view query, const std::vector<std::string>& path);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diastole::sql
