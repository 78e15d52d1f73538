// PostgreSQL's own programs as processes: started as a user they accept, watched and signalled through a pidfd, so that
// a recycled process id is never mistaken for them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "diastole/base/result.hpp"
#include "diastole/base/time.hpp"

namespace diastole::postgres {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int release();
  int fd_ = -1;
};

// Whom the server runs as when we are root.
struct ServerUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};
// None: as ourselves. unavailable: we are root and there is no user postgres.
[[nodiscard]] Result<std::optional<ServerUser>> server_user();

struct ServerCommand {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::filesystem::path output;  // stdout and stderr are appended
};

class ServerProcess {
 public:
  // A child in a session of its own (a terminal's Ctrl-C is ours to handle), with a clean environment and none of our
  // open files. A program that cannot be executed shows as exit status 127 and a line in the output.
  [[nodiscard]] static Result<ServerProcess> spawn(const ServerCommand& command, const std::optional<ServerUser>& user);
  // A process that somebody else has started; none where it is gone.
  [[nodiscard]] static std::optional<ServerProcess> find(pid_t pid);

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Whether it has ended within the time. Reaps a child.
  [[nodiscard]] bool wait(Milliseconds time);
  // Of a child for which wait was true: 0 is success, 128 + n ended by signal n.
  [[nodiscard]] int exit_status() const { return exit_status_; }

 private:
  ServerProcess(pid_t pid, FileDescriptor fd) : pid_(pid), fd_(std::move(fd)) {}

  pid_t pid_ = 0;
  FileDescriptor fd_;
  bool ended_ = false;
  int exit_status_ = -1;
};

[[nodiscard]] std::string system_error(int number);

}  // namespace diastole::postgres
