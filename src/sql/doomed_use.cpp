#include "diastole/sql/doomed_use.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "diastole/sql/column_use.hpp"
#include "known.hpp"

namespace diastole::sql {
namespace {

using core::Answer;
using core::CatalogRelation;
using core::CatalogSnapshot;
using core::DependentKind;
using core::RelationName;

constexpr std::string_view kSequenceFunctions[] = {"nextval", "currval", "setval"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
  return out;
}

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Finds words in texts, whatever their number.
class Words {
 public:
  void add(std::string_view name) {
    const std::string word = lower(name);
    if (std::ranges::all_of(word, in_word)) {
      plain_.insert(word);
    } else {
      odd_.insert(word);
    }
  }
  [[nodiscard]] bool in(const std::string& text) const {
    const auto held = [&](const std::string& word) { return text.contains(word); };
    if (std::ranges::any_of(odd_, held)) return true;
    for (auto at = text.begin(); at != text.end();) {
      const auto begin = std::find_if(at, text.end(), in_word);
      at = std::find_if_not(begin, text.end(), in_word);
      if (plain_.contains(std::string(begin, at))) return true;
    }
    return false;
  }
  void put_into(std::set<std::string>& all) const {
    all.insert(plain_.begin(), plain_.end());
    all.insert(odd_.begin(), odd_.end());
  }

 private:
  std::unordered_set<std::string> plain_;
  std::set<std::string> odd_;  // that are more than one word in SQL, as "a b" is
};

// One thing that goes, as the snapshot has it.
struct Doomed {
  std::string text;  // as the plan writes it
  const CatalogRelation* table = nullptr;
  std::string column;  // empty: the table
  Words words;
};

// The relations with a column of a relation's row type, or of an array of it, by that relation's name.
using RowHolders = std::unordered_map<std::string, std::vector<const CatalogRelation*>>;

RowHolders row_holders(const CatalogSnapshot& catalog) {
  RowHolders holders;
  for (const CatalogRelation& relation : catalog.relations) holders[relation.name.name];
  for (const CatalogRelation& relation : catalog.relations) {
    for (const auto& column : relation.columns) {
      std::string_view type = column.type;
      while (type.ends_with("[]")) type.remove_suffix(2);
      if (const auto found = holders.find(name_of_identifier(type).name); found != holders.end())
        found->second.push_back(&relation);
    }
  }
  return holders;
}

// What a query may name in order to use a table, or a column of it.
class Around {
 public:
  Around(const CatalogSnapshot& catalog, const RowHolders& holders, Doomed& doomed)
      : catalog_(catalog), holders_(holders), doomed_(doomed) {}

  void collect() {
    reach(doomed_.table);
    while (!open_.empty()) {
      const CatalogRelation* next = open_.back();
      open_.pop_back();
      for (const auto* names : {&next->children, &next->parents}) {
        for (const RelationName& name : *names) reach(catalog_.relation(name));
      }
      for (const CatalogRelation* holder : holders_.at(next->name.name)) reach(holder);
      hanging(*next);
    }
  }

 private:
  void reach(const CatalogRelation* relation) {
    if (relation == nullptr || !seen_.insert(relation).second) return;
    doomed_.words.add(relation->name.name);
    open_.push_back(relation);
  }
  void hanging(const CatalogRelation& relation) {
    for (const auto& dependent : relation.dependents) {
      if (dependent.kind == DependentKind::view || dependent.kind == DependentKind::materialized_view) {
        reach(catalog_.relation(dependent.name));
      } else if (dependent.kind == DependentKind::function) {
        doomed_.words.add(dependent.name.name);
      } else if (dependent.kind == DependentKind::sequence && owned(dependent)) {
        doomed_.words.add(dependent.name.name);
        // Its name is a constant, which the server does not keep.
        for (const auto function : kSequenceFunctions) doomed_.words.add(function);
      }
    }
  }
  [[nodiscard]] bool owned(const core::CatalogDependent& sequence) const {
    return doomed_.column.empty() || std::ranges::find(sequence.columns, doomed_.column) != sequence.columns.end();
  }

  const CatalogSnapshot& catalog_;
  const RowHolders& holders_;
  Doomed& doomed_;
  std::set<const CatalogRelation*> seen_;
  std::vector<const CatalogRelation*> open_;
};

}  // namespace

core::CatalogRequest concerns(const std::vector<core::Doomed>& doomed) {
  core::CatalogRequest request;
  request.all_functions = true;
  for (const auto& each : doomed) {
    const auto name = name_of_identifier(each.table);
    if (std::ranges::find(request.relations, name) != request.relations.end()) continue;
    request.relations.push_back(name);
    request.types.push_back(name);  // its rows'
  }
  return request;
}

class DoomedFinder::Impl {
 public:
  Impl(CatalogSnapshot catalog, const std::vector<core::Doomed>& doomed) : catalog_(std::move(catalog)) {
    const auto holders = row_holders(catalog_);
    for (const auto& each : doomed) {
      const auto* table = catalog_.relation(name_of_identifier(each.table));
      if (table == nullptr || (!each.column.empty() && table->column(each.column) == nullptr)) continue;
      auto& known = doomed_.emplace_back();
      known.text = each.column.empty() ? each.table : each.table + "." + each.column;
      known.table = table;
      known.column = each.column;
      Around(catalog_, holders, known).collect();
    }
    std::set<std::string> all;
    for (const auto& each : doomed_) each.words.put_into(all);
    words_.assign(all.begin(), all.end());
  }

  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

  core::DoomedUse find(std::string_view query, const std::vector<std::string>& path) {
    const std::string text = lower(query);
    // U&"\0075sers" holds no name as it is.
    const bool escaped = text.contains("u&\"");
    std::vector<const Doomed*> named;
    for (const auto& each : doomed_) {
      if (escaped || each.words.in(text)) named.push_back(&each);
    }
    if (named.empty()) return {};
    const auto& as_set = under(path);
    const auto use = as_set.find(query);
    if (!use) return listed(named, [](const Doomed&) { return Answer::maybe; });
    if (auto sure = listed(named, [&](const Doomed& each) { return answer(as_set, *use, each); }); sure.sure)
      return sure;
    const auto& elsewhere = anywhere();
    const auto wide = elsewhere.find(query);
    return listed(named, [&](const Doomed& each) {
      const auto both = std::max(answer(as_set, *use, each), wide ? answer(elsewhere, *wide, each) : Answer::maybe);
      return std::min(both, Answer::maybe);
    });
  }

 private:
  // A snapshot of its own search_path and what reads queries against it.
  struct Reading {
    CatalogSnapshot catalog;
    UseFinder finder;
    Reading(CatalogSnapshot from, std::vector<std::string> path) : catalog(std::move(from)), finder(with(path)) {}

   private:
    UseFinder with(std::vector<std::string>& path) {
      // PostgreSQL looks there first, wherever else.
      if (std::ranges::find(path, "pg_catalog") == path.end()) path.insert(path.begin(), "pg_catalog");
      catalog.search_path = std::move(path);
      return UseFinder(catalog);
    }
  };

  template <typename Ask>
  [[nodiscard]] static core::DoomedUse listed(const std::vector<const Doomed*>& named, Ask ask) {
    core::DoomedUse sure{.uses = {}, .sure = true};
    core::DoomedUse unsure;
    for (const Doomed* each : named) {
      const Answer answer = ask(*each);
      if (answer == Answer::yes) sure.uses.push_back(each->text);
      if (answer == Answer::maybe) unsure.uses.push_back(each->text);
    }
    return sure.uses.empty() ? unsure : sure;
  }

  [[nodiscard]] static Answer answer(const UseFinder& finder, const QueryUse& use, const Doomed& doomed) {
    const auto& table = doomed.table->name;
    return doomed.column.empty() ? finder.uses(use, table) : finder.uses(use, table, doomed.column);
  }

  [[nodiscard]] const UseFinder& under(const std::vector<std::string>& path) {
    if (!as_set_ || path != path_) {
      as_set_ = std::make_unique<Reading>(catalog_, path);
      path_ = path;
    }
    return as_set_->finder;
  }

  // Whatever a session may have set: every schema of the snapshot, those that lose something first.
  [[nodiscard]] const UseFinder& anywhere() {
    if (!anywhere_) {
      std::vector<std::string> path;
      const auto add = [&](const std::string& schema) {
        if (std::ranges::find(path, schema) == path.end()) path.push_back(schema);
      };
      for (const auto& each : doomed_) add(each.table->name.schema);
      for (const auto& relation : catalog_.relations) add(relation.name.schema);
      for (const auto& schema : catalog_.search_path) add(schema);
      anywhere_ = std::make_unique<Reading>(catalog_, std::move(path));
    }
    return anywhere_->finder;
  }

  const CatalogSnapshot catalog_;
  std::vector<Doomed> doomed_;
  std::vector<std::string> words_;
  std::vector<std::string> path_;  // of the next
  std::unique_ptr<Reading> as_set_;
  std::unique_ptr<Reading> anywhere_;
};

DoomedFinder::DoomedFinder(CatalogSnapshot catalog, const std::vector<core::Doomed>& doomed)
    : impl_(std::make_unique<Impl>(std::move(catalog), doomed)) {}
DoomedFinder::~DoomedFinder() = default;
DoomedFinder::DoomedFinder(DoomedFinder&&) noexcept = default;
DoomedFinder& DoomedFinder::operator=(DoomedFinder&&) noexcept = default;

const std::vector<std::string>& DoomedFinder::words() const {
  return impl_->words();
}

core::DoomedUse DoomedFinder::find(std::string_view query, const std::vector<std::string>& path) {
  return impl_->find(query, path);
}

}  // namespace diastole::sql
