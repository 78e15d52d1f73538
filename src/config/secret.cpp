#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "diastole/config/config.hpp"

namespace diastole::config {
namespace {

constexpr std::size_t kLongestSecret = 64 * 1024;

std::unexpected<Error> unusable(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

// The error is errno's.
Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return unusable(fmt::format("cannot read {}: {}", path, std::generic_category().message(errno)));
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kLongestSecret)
      return unusable(fmt::format("{} is longer than 64 KiB: is it the right file?", path));
  }
}

Result<std::string> read_private(int fd, const std::string& path) {
  struct stat status{};
  if (fstat(fd, &status) != 0) {
    return unusable(fmt::format("cannot read {}: {}", path, std::generic_category().message(errno)));
  }
  if ((status.st_mode & S_IROTH) != 0) {
    return unusable(fmt::format("{} is readable by every user, run chmod o-rwx on it", path));
  }
  return read_all(fd, path);
}

}  // namespace

Result<Secret> Secret::from_file(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return unusable(fmt::format("cannot read {}: {}", path.string(), std::generic_category().message(errno)));
  }
  Result<std::string> text = read_private(fd, path.string());
  close(fd);
  if (!text) return std::unexpected(text.error());
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (text->empty()) return unusable(fmt::format("{} is empty", path.string()));
  return Secret(std::move(*text));
}

Result<Secret> Secret::from_environment(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') {
    return unusable(fmt::format("the environment variable {} is not set", variable));
  }
  return Secret(value);
}

}  // namespace diastole::config
