// The plan document (YAML or JSON) to a plan. Collects every error, so that one submission shows them all.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <regex>

#include "diastole/base/json_pointer.hpp"
#include "diastole/codec/plan_codec.hpp"

namespace diastole::codec {
namespace {

using core::Phase;
using core::Step;
using nlohmann::json;

std::string shown(const json& value) {
  auto text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

// One level deeper, for keys that the document chooses; ours need no escape.
std::string child_path(const std::string& path, std::string_view key) {
  return path + "/" + pointer_token(key);
}

bool is_name(const std::string& text) {
  static const std::regex kName("[a-z0-9-]{1,63}");
  return std::regex_match(text, kName);
}

class DocumentReader {
 public:
  explicit DocumentReader(const PlanDefaults& defaults) : defaults_(defaults) {}

  std::expected<core::Plan, std::vector<Error>> read(const json& document) {
    core::Plan plan;
    if (object(document, "",
               {"plan", "target", "summary", "fleet", "expand", "backfill", "contract", "approvals", "gate"})) {
      plan.name = name(document, "", "plan");
      plan.target = TargetName(name(document, "", "target"));
      plan.id = PlanId(plan.target.str() + "." + plan.name);
      plan.summary = text(document, "", "summary", false);
      if (const auto* fleet = list(document, "", "fleet")) {
        for (std::size_t i = 0; i < fleet->size(); ++i) read_service(plan, (*fleet)[i], fmt::format("/fleet/{}", i));
      }
      for (const auto phase : core::kPhases) read_phase(plan, document, phase);
      read_approvals(plan, document);
      read_gate(plan, document);
    }
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    plan.hash = sha256(document.dump());
    return plan;
  }

 private:
  void error(std::string path, std::string message) {
    errors_.push_back({ErrorCode::invalid_argument, std::move(message), std::move(path)});
  }

  bool object(const json& value, const std::string& path, std::initializer_list<std::string_view> keys) {
    if (!value.is_object()) {
      error(path, fmt::format("expected a mapping with the keys {}, found {}", fmt::join(keys, ", "), shown(value)));
      return false;
    }
    for (const auto& [key, unused] : value.items()) {
      if (std::ranges::find(keys, key) == keys.end()) {
        error(child_path(path, key), fmt::format("unknown key '{}'; known here: {}", key, fmt::join(keys, ", ")));
      }
    }
    return true;
  }

  std::string text(const json& parent, const std::string& path, const std::string& key, bool required) {
    const auto found = parent.find(key);
    if (found == parent.end()) {
      if (required) error(child_path(path, key), fmt::format("'{}' is missing", key));
      return {};
    }
    if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
      error(child_path(path, key), fmt::format("expected text that is not empty, found {}", shown(*found)));
      return {};
    }
    return found->get<std::string>();
  }

  std::string name(const json& parent, const std::string& path, const std::string& key) {
    auto value = text(parent, path, key, true);
    if (!value.empty() && !is_name(value)) {
      error(path + "/" + key, fmt::format("expected 1 to 63 of a-z, 0-9 and -, found '{}'", value));
    }
    return value;
  }

  const json* list(const json& parent, const std::string& path, const std::string& key) {
    const auto found = parent.find(key);
    if (found == parent.end() || found->is_null()) return nullptr;
    if (!found->is_array()) {
      error(path + "/" + key, fmt::format("expected a list, found {}", shown(*found)));
      return nullptr;
    }
    return &*found;
  }

  std::optional<int> integer(const json& parent, const std::string& path, const std::string& key, int low, int high) {
    const auto found = parent.find(key);
    if (found == parent.end()) return std::nullopt;
    const bool fits = found->is_number_integer() && *found >= low && *found <= high;
    if (!fits) {
      error(path + "/" + key, fmt::format("expected a whole number from {} to {}, found {}", low, high, shown(*found)));
      return std::nullopt;
    }
    return found->get<int>();
  }

  std::optional<Milliseconds> duration(const json& parent, const std::string& path, const std::string& key) {
    if (!parent.contains(key)) return std::nullopt;
    const auto value = parsed(path + "/" + key, parse_duration(text(parent, path, key, true)));
    return value;
  }

  template <typename T>
  std::optional<T> parsed(const std::string& path, Result<T> result) {
    if (result) return std::move(*result);
    // An empty text has been reported already.
    if (errors_.empty() || errors_.back().path != path) error(path, result.error().message);
    return std::nullopt;
  }

  std::vector<std::string> builds(const json& value, const std::string& path) {
    std::vector<std::string> out;
    if (!value.is_array()) {
      error(path, fmt::format("expected a list of versions, found {}", shown(value)));
      return out;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      // A build id of digits only is a number to YAML.
      if (value[i].is_string() || value[i].is_number_integer()) {
        out.push_back(value[i].is_string() ? value[i].get<std::string>() : value[i].dump());
      } else {
        error(fmt::format("{}/{}", path, i), fmt::format("expected a version as text, found {}", shown(value[i])));
      }
    }
    return out;
  }

  void read_service(core::Plan& plan, const json& value, const std::string& path) {
    if (!object(value, path, {"service", "version", "one_of", "min_instances", "reason", "roles"})) return;
    core::FleetRequirement requirement;
    requirement.service = ServiceName(name(value, path, "service"));
    requirement.min_instances = integer(value, path, "min_instances", 0, 1'000'000).value_or(1);
    requirement.reason = text(value, path, "reason", false);
    if (value.contains("version") == value.contains("one_of")) {
      error(path, "give exactly one of 'version' (e.g. \">=2.3.0\") and 'one_of' (a list of build ids)");
      return;
    }
    const auto version =
        value.contains("version")
            ? parsed(path + "/version", core::VersionRequirement::range(text(value, path, "version", true)))
            : parsed(path + "/one_of", core::VersionRequirement::one_of(builds(value["one_of"], path + "/one_of")));
    if (!version) return;
    requirement.version = *version;
    if (const auto roles = value.find("roles"); roles != value.end())
      read_roles(plan, requirement, *roles, path + "/roles");
    plan.gate.fleet.push_back(std::move(requirement));
  }

  // role: version, or what else it tells.
  void read_roles(const core::Plan& plan, core::FleetRequirement& requirement, const json& roles,
                  const std::string& path) {
    using Tells = core::RoleMapping::Tells;
    if (!roles.is_object() || roles.empty()) {
      error(path,
            fmt::format("expected a mapping of role to version, application_name or nothing, found {}", shown(roles)));
      return;
    }
    for (const auto& [role, value] : roles.items()) {
      const auto at = child_path(path, role);
      const bool build = value.is_number_integer();
      const auto told = build ? value.dump() : text(roles, path, role, true);
      if (told.empty()) continue;
      core::RoleMapping mapping{.role = role, .tells = Tells::version, .version = {}};
      if (told == "application_name") {
        mapping.tells = Tells::application_name;
      } else if (told == "nothing") {
        mapping.tells = Tells::nothing;
      } else if (requirement.version.match(told) == core::VersionMatch::unparsable) {
        error(at, fmt::format("'{}' is no semantic version; write e.g. 2.3.0, or application_name where it stands "
                              "there (service@version), or nothing where it cannot be told",
                              told));
      } else {
        mapping.version = told;
      }
      for (const auto& other : plan.gate.fleet) {
        if (std::ranges::find(other.roles, role, &core::RoleMapping::role) != other.roles.end())
          error(at, fmt::format("role '{}' is of service {} already", role, other.service.str()));
      }
      requirement.roles.push_back(std::move(mapping));
    }
  }

  void read_phase(core::Plan& plan, const json& document, Phase phase) {
    const std::string key{to_string(phase)};
    const auto* entries = list(document, "", key);
    if (!entries) return;
    for (std::size_t i = 0; i < entries->size(); ++i) {
      Step step;
      step.phase = phase;
      step.path = fmt::format("/{}/{}", key, i);
      const auto& entry = (*entries)[i];
      if (phase == Phase::backfill ? read_backfill(plan, step, entry) : read_step(step, entry))
        plan.steps.push_back(std::move(step));
    }
  }

  bool read_step(Step& step, const json& entry) {
    if (!object(entry, step.path, {"id", "sql", "set_not_null", "undo", "statement_timeout", "allow"})) return false;
    step.id = StepId(name(entry, step.path, "id"));
    if (entry.contains("sql") == entry.contains("set_not_null")) {
      error(step.path, "give exactly one of 'sql' and 'set_not_null'");
    } else if (entry.contains("sql")) {
      step.sql = text(entry, step.path, "sql", true);
    } else {
      step.set_not_null = text(entry, step.path, "set_not_null", true);
      if (step.phase != Phase::contract) {
        error(step.path + "/set_not_null", "belongs to contract: until the old code is gone it may still write NULL");
      }
      if (entry.contains("undo")) error(step.path + "/undo", "set_not_null brings its own undo; leave this out");
    }
    step.statement_timeout = duration(entry, step.path, "statement_timeout");
    read_undo(step, entry, step.set_not_null.empty());
    if (const auto allow = entry.find("allow"); allow != entry.end()) read_allow(step, *allow);
    return true;
  }

  void read_undo(Step& step, const json& entry, bool required) {
    const auto path = step.path + "/undo";
    const auto undo = entry.find("undo");
    if (undo == entry.end()) {
      if (required) {
        error(path,
              "write the SQL that takes this step back when the plan is aborted, or undo: { none: <why nothing is "
              "needed> }");
      }
      return;
    }
    if (undo->is_object()) {
      if (object(*undo, path, {"none"})) step.no_undo = text(*undo, path, "none", true);
    } else if (undo->is_string() && *undo == "none") {
      error(path, "say why nothing has to be undone: undo: { none: <reason> }");
    } else {
      step.undo_sql = text(entry, step.path, "undo", true);
    }
  }

  void read_allow(Step& step, const json& allow) {
    const auto path = step.path + "/allow";
    if (!allow.is_object()) {
      error(path, fmt::format("expected a mapping of rule to reason, found {}", shown(allow)));
      return;
    }
    for (const auto& [rule, unused] : allow.items()) step.allow[rule] = text(allow, path, rule, true);
  }

  bool read_backfill(const core::Plan& plan, Step& step, const json& entry) {
    if (!object(entry, step.path,
                {"id", "table", "set", "sql", "where", "needs", "verify", "recheck", "on_error", "batch_rows", "walk",
                 "strides", "workers", "hours", "hold_while", "probe", "vacuum_every", "undo", "statement_timeout"})) {
      return false;
    }
    step.id = StepId(name(entry, step.path, "id"));
    core::Backfill backfill;
    backfill.table = text(entry, step.path, "table", true);
    backfill.where = text(entry, step.path, "where", false);
    backfill.verify = text(entry, step.path, "verify", false);
    backfill.batch_rows = integer(entry, step.path, "batch_rows", 1, 1'000'000);
    read_walk(backfill, step.path, entry);
    if (entry.contains("hours"))
      backfill.hours = parsed(step.path + "/hours", core::parse_hours(text(entry, step.path, "hours", true)));
    backfill.hold_while = text(entry, step.path, "hold_while", false);
    backfill.probe = text(entry, step.path, "probe", false);
    // Each vacuum reads every index.
    backfill.vacuum_every = integer(entry, step.path, "vacuum_every", 1'000, 1'000'000'000);
    if (backfill.verify == "zero_rows" && backfill.where.empty()) {
      error(step.path + "/verify", "zero_rows counts the rows that 'where' still selects, and there is no 'where'");
    }
    read_recheck(backfill, step.path + "/recheck", entry);
    read_change(backfill, step.path, entry);
    if (const auto policy = text(entry, step.path, "on_error", false); !policy.empty()) {
      const auto known = core::on_error_from(policy);
      if (!known) error(step.path + "/on_error", fmt::format("expected stop or skip, found {}", shown(policy)));
      backfill.on_error = known.value_or(core::OnError::stop);
    }
    if (const auto needs = entry.find("needs"); needs != entry.end())
      read_needs(plan, backfill, *needs, step.path + "/needs");
    step.statement_timeout = duration(entry, step.path, "statement_timeout");
    step.backfill = std::move(backfill);
    read_undo(step, entry, false);
    if (step.undo_sql.empty() && step.no_undo.empty())
      step.no_undo =
          "the plan names no undo for this backfill: rows keep what it wrote, unless the undo of expand removes the "
          "column";
    return true;
  }

  void read_recheck(core::Backfill& backfill, const std::string& path, const json& entry) {
    const auto recheck = entry.find("recheck");
    if (recheck == entry.end()) return;
    if (recheck->is_object()) {
      if (object(*recheck, path, {"none"})) backfill.recheck.none = text(*recheck, path, "none", true);
    } else if (recheck->is_string() && *recheck == "none") {
      error(path, "say why nothing has to be asked again before contract: recheck: { none: <reason> }");
    } else {
      backfill.recheck.query = text(entry, path.substr(0, path.rfind('/')), "recheck", true);
    }
  }

  // What is done to the rows: `set`, or a statement of the plan's own.
  void read_change(core::Backfill& backfill, const std::string& path, const json& entry) {
    if (entry.contains("sql")) {
      backfill.sql = text(entry, path, "sql", true);
      for (const char* key : {"set", "where", "walk", "strides"}) {
        if (entry.contains(key))
          error(path + "/" + key, "does not go with 'sql', which says itself what is done to the keys of a window");
      }
      return;
    }
    const auto set_path = path + "/set";
    const auto set = entry.find("set");
    if (set == entry.end() || !set->is_object() || set->empty()) {
      error(set_path,
            "expected a mapping of column to SQL expression, e.g. { display_name: name }, or instead 'sql' with "
            ":from and :to");
      return;
    }
    for (const auto& [column, unused] : set->items())
      backfill.set.emplace_back(column, text(*set, set_path, column, true));
  }

  void read_walk(core::Backfill& backfill, const std::string& path, const json& entry) {
    if (const auto walk = text(entry, path, "walk", false); !walk.empty()) {
      backfill.walk_by = core::walk_by_from(walk);
      if (!backfill.walk_by) error(path + "/walk", fmt::format("expected blocks or key, found {}", shown(walk)));
    }
    constexpr int kMostStrides = 64;
    backfill.strides = integer(entry, path, "strides", 1, kMostStrides);
    if (backfill.strides && !std::has_single_bit(static_cast<unsigned>(*backfill.strides)))
      error(path + "/strides",
            fmt::format("expected a power of two from 1 to {}, found {}", kMostStrides, *backfill.strides));
    backfill.workers = integer(entry, path, "workers", 1, core::kMostWorkers).value_or(1);
  }

  void read_needs(const core::Plan& plan, core::Backfill& backfill, const json& needs, const std::string& path) {
    if (!needs.is_object()) {
      error(path, fmt::format("expected a mapping of service to version, found {}", shown(needs)));
      return;
    }
    for (const auto& [service, value] : needs.items()) {
      const auto at = child_path(path, service);
      const auto version = value.is_array()
                               ? parsed(at, core::VersionRequirement::one_of(builds(value, at)))
                               : parsed(at, core::VersionRequirement::range(text(needs, path, service, true)));
      if (!version) continue;
      const auto declared = std::ranges::find(plan.gate.fleet, service, [](const auto& r) { return r.service.str(); });
      const bool known = declared != plan.gate.fleet.end();
      backfill.needs.push_back(
          {ServiceName(service), *version, known ? declared->min_instances : 1, known ? declared->reason : ""});
    }
  }

  void read_approvals(core::Plan& plan, const json& document) {
    const int least = defaults_.min_contract_approvals;
    plan.approvals = {{Phase::expand, 0}, {Phase::backfill, 0}, {Phase::contract, std::max(1, least)}};
    const auto found = document.find("approvals");
    if (found == document.end() || !object(*found, "/approvals", {"expand", "backfill", "contract"})) return;
    for (auto& [phase, count] : plan.approvals) {
      count = integer(*found, "/approvals", std::string(to_string(phase)), 0, 10).value_or(count);
    }
    if (plan.approvals[Phase::contract] < least) {
      error("/approvals/contract", fmt::format("the daemon's configuration asks for at least {}", least));
    }
  }

  void read_gate(core::Plan& plan, const json& document) {
    plan.gate.soak = defaults_.soak;
    plan.gate.drain_budget = defaults_.drain_budget;
    const auto found = document.find("gate");
    if (found == document.end() || !object(*found, "/gate", {"soak", "quarantine", "drain_budget", "terminate"}))
      return;
    const auto soak = duration(*found, "/gate", "soak");
    if (soak && *soak < defaults_.min_soak) {
      error("/gate/soak",
            fmt::format("the daemon's configuration asks for at least {}", format_duration(defaults_.min_soak)));
    }
    plan.gate.soak = soak.value_or(defaults_.soak);
    plan.gate.quarantine = duration(*found, "/gate", "quarantine").value_or(Milliseconds{0});
    plan.gate.drain_budget = duration(*found, "/gate", "drain_budget").value_or(defaults_.drain_budget);
    if (const auto terminate = found->find("terminate"); terminate != found->end()) {
      if (terminate->is_boolean()) {
        plan.gate.terminate = terminate->get<bool>();
      } else {
        error("/gate/terminate", fmt::format("expected true or false, found {}", shown(*terminate)));
      }
    }
  }

  const PlanDefaults& defaults_;
  std::vector<Error> errors_;
};

}  // namespace

std::expected<core::Plan, std::vector<Error>> plan_from_document(const json& document, const PlanDefaults& defaults) {
  return DocumentReader(defaults).read(document);
}

}  // namespace diastole::codec
