// The table of configuration keys, and what a file is read into before its secrets are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diastole/config/config.hpp"

namespace diastole::config {

// Exactly one of the two.
struct SecretSource {
  std::string file;
  std::string env;
};

struct Draft {
  struct Target {
    std::string name;
    SecretSource dsn;
    std::string disk = {};
    std::string replicas = {};
    std::string tools = {};
    int line = 0;
  };
  struct Service {
    std::string name;
    Config::Service value;   // what needs no parsing is here already
    std::string fixed = {};  // as the file says it, as those that follow
    std::string file_sd = {};
    std::string dns_a = {};
    std::string ca_file = {};
    std::string cert_file = {};
    std::string key_file = {};
    int line = 0;
  };
  struct TokenEntry {
    std::string name;
    std::string role;
    SecretSource token;
    int line = 0;
  };
  Config config;
  SecretSource state;
  std::vector<Target> targets;
  std::vector<Service> services;
  std::vector<TokenEntry> tokens;
  std::string kubernetes_token_file = Config::Kubernetes{}.token_file;
  std::string kubernetes_ca_file = Config::Kubernetes{}.ca_file;
};

// Where a value is kept. For keys of targets, services and tokens: in the last one.
using Place = std::variant<std::string& (*)(Draft&), int& (*)(Draft&), bool& (*)(Draft&), Milliseconds& (*)(Draft&)>;

struct Key {
  std::string_view path;  // "*" stands for a name of the user's choice, "[]" for the items of a list
  Place place;
  std::string_view help;
  std::int64_t min = 0;  // of numbers and, in milliseconds, of durations
  std::int64_t max = 0;
  std::string_view choices = {};  // of texts, separated by spaces; empty: any
  std::string_view example = {};  // what the example file says where there is no default
  bool optional = false;          // it says so in a comment
};

[[nodiscard]] std::span<const Key> keys();
// Empty where there is none: the file must say it, or the key beside it.
[[nodiscard]] std::string default_text(const Key& key);
// integer, duration, true or false, text.
[[nodiscard]] std::string_view type_name(const Key& key);
// 1 to 64; 10ms to 10s; ci, operator or viewer. Empty where anything goes.
[[nodiscard]] std::string range_text(const Key& key);
// The value as the file would say it.
[[nodiscard]] std::string value_text(const Key& key, Draft& draft);
// Stores a scalar. The error says what is wrong and what would be right.
[[nodiscard]] Result<void> store(const Key& key, const std::string& scalar, Draft& draft);

}  // namespace diastole::config
