#include "server_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string_view>
#include <system_error>
#include <utility>

// glibc 2.36 declares it without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace diastole::postgres {
namespace {

// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed, because another
// thread may have held the allocator's lock.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const ServerUser* user;
  int input;
  int output;
  pid_t parent;
};

[[noreturn]] void give_up(std::string_view what) {
  if (write(STDERR_FILENO, what.data(), what.size()) < 0) _exit(126);
  _exit(127);
}

[[noreturn]] void become(const ChildPlan& plan) {
  if (dup2(plan.input, STDIN_FILENO) < 0 || dup2(plan.output, STDOUT_FILENO) < 0 ||
      dup2(plan.output, STDERR_FILENO) < 0) {
    _exit(126);
  }
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  if (plan.user != nullptr && (setgroups(plan.user->groups.size(), plan.user->groups.data()) != 0 ||
                               setgid(plan.user->gid) != 0 || setuid(plan.user->uid) != 0)) {
    give_up("cannot become the server's user\n");
  }
  // A change of user clears it, hence not earlier.
  prctl(PR_SET_PDEATHSIG, SIGINT);
  if (getppid() != plan.parent) _exit(126);  // the parent died before it was set
  execve(plan.program, plan.arguments, plan.environment);
  give_up("cannot execute the program\n");
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

// initdb and postgres call each other by directory; nothing else of ours, PGDATA least of all, may influence them.
std::vector<std::string> clean_environment() {
  return {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/"};
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

int FileDescriptor::release() {
  return std::exchange(fd_, -1);
}

std::string system_error(int number) {
  return std::generic_category().message(number);
}

Result<std::optional<ServerUser>> server_user() {
  if (geteuid() != 0) return std::nullopt;
  ServerUser user;
  user.name = "postgres";
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(user.name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return fail(ErrorCode::unavailable,
                "PostgreSQL does not run as root and there is no user postgres to run it as; start as another user");
  }
  user.uid = entry.pw_uid;
  user.gid = entry.pw_gid;
  int count = 64;
  user.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(user.name.c_str(), user.gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    getgrouplist(user.name.c_str(), user.gid, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

Result<ServerProcess> ServerProcess::spawn(const ServerCommand& command, const std::optional<ServerUser>& user) {
  const FileDescriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const FileDescriptor output(open(command.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!input.valid() || !output.valid()) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot open {}: {}", command.output.string(), system_error(errno)));
  }
  // The server reads its whole directory after a crash, the log in it too.
  if (user && fchown(output.get(), user->uid, user->gid) != 0) {
    return fail(ErrorCode::unavailable, fmt::format("cannot give {} to {}", command.output.string(), user->name));
  }
  std::vector<std::string> arguments{command.program.string()};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  std::vector<std::string> environment = clean_environment();
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  const ChildPlan plan{.program = arguments.front().c_str(),
                       .arguments = argument_pointers.data(),
                       .environment = environment_pointers.data(),
                       .user = user ? &*user : nullptr,
                       .input = input.get(),
                       .output = output.get(),
                       .parent = getpid()};
  const pid_t pid = fork();
  if (pid < 0) return fail(ErrorCode::unavailable, fmt::format("cannot fork: {}", system_error(errno)));
  if (pid == 0) become(plan);
  FileDescriptor fd(pidfd_open(pid, 0));
  if (!fd.valid()) {
    const int number = errno;
    kill(pid, SIGKILL);  // not reaped yet, so the id is still its own
    waitpid(pid, nullptr, 0);
    return fail(ErrorCode::unavailable, fmt::format("cannot watch the child: {}", system_error(number)));
  }
  return ServerProcess(pid, std::move(fd));
}

std::optional<ServerProcess> ServerProcess::find(pid_t pid) {
  FileDescriptor fd(pidfd_open(pid, 0));
  if (!fd.valid()) return std::nullopt;
  return ServerProcess(pid, std::move(fd));
}

void ServerProcess::signal(int number) const {
  // Fails only when it has ended, which wait will tell.
  if (!ended_) pidfd_send_signal(fd_.get(), number, nullptr, 0);
}

bool ServerProcess::wait(Milliseconds time) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!ended_) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    const int count = poll(&ready, 1, static_cast<int>(std::max(left, Milliseconds{0}).count()));
    if (count > 0) {
      siginfo_t info{};
      // Fails for a process that is not our child: then there is nothing to reap.
      if (waitid(P_PIDFD, static_cast<id_t>(fd_.get()), &info, WEXITED) == 0) {
        exit_status_ = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
      }
      ended_ = true;
    } else if (left <= Milliseconds{0}) {
      return false;
    }
  }
  return true;
}

}  // namespace diastole::postgres
