// A program of ours as a child process: its output collected, its end awaited, and gone with the test whatever happens.
#pragma once

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// glibc 2.36 declares it without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace diastole::test {

using std::chrono::milliseconds;

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  [[nodiscard]] int reader() const { return ends_[0]; }
  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_reader() { close_end(0); }
  void close_writer() { close_end(1); }

 private:
  void close_end(std::size_t end) {
    if (const int fd = std::exchange(ends_[end], -1); fd >= 0) close(fd);
  }
  std::array<int, 2> ends_{-1, -1};
};

struct Command {
  std::vector<std::string> arguments;         // the program's path first
  std::vector<std::string> environment = {};  // NAME=value, beside PATH
  std::string input = {};                     // at most a pipe's 64 KiB
};

class Process {
 public:
  explicit Process(Command command) {
    command.environment.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
    const auto arguments = pointers(command.arguments);
    const auto environment = pointers(command.environment);
    Pipe input;
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ == 0) {
      dup2(input.reader(), STDIN_FILENO);
      dup2(out_.writer(), STDOUT_FILENO);
      dup2(err_.writer(), STDERR_FILENO);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) execve(arguments.front(), arguments.data(), environment.data());
      _exit(127);
    }
    out_.close_writer();
    err_.close_writer();
    if (write(input.writer(), command.input.data(), command.input.size()) < 0) throw std::runtime_error("cannot write");
    pidfd_ = pidfd_open(pid_, 0);
    reader_ = std::jthread([this] { collect(); });
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    signal(SIGKILL);
    (void)wait(milliseconds{10'000});
    close(pidfd_);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const {
    if (!status_) kill(pid_, number);
  }

  // The exit status (128 + n: ended by signal n), with all output there; nothing where it still runs.
  [[nodiscard]] std::optional<int> wait(milliseconds time = milliseconds{20'000}) {
    if (status_) return status_;
    pollfd ended{.fd = pidfd_, .events = POLLIN, .revents = 0};
    if (poll(&ended, 1, static_cast<int>(time.count())) != 1) return std::nullopt;
    int status = 0;
    waitpid(pid_, &status, 0);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    reader_.join();
    return status_;
  }

  [[nodiscard]] std::string out() const { return text(out_text_); }
  [[nodiscard]] std::string err() const { return text(err_text_); }

  // Waits for a line of either output; throws with all of it where the line does not come.
  std::string await_line(const std::function<bool(const std::string&)>& wanted,
                         milliseconds time = milliseconds{20'000}) {
    std::unique_lock lock(mutex_);
    std::optional<std::string> found;
    const auto look = [&] {
      if (!(found = find_line(out_text_, wanted))) found = find_line(err_text_, wanted);
      return found || ended_;
    };
    if (!changed_.wait_for(lock, time, look) || !found) {
      throw std::runtime_error("the line did not come; there is:\n" + out_text_ + err_text_);
    }
    return *found;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& one : texts) out.push_back(one.data());
    out.push_back(nullptr);
    return out;
  }

  static std::optional<std::string> find_line(const std::string& text,
                                              const std::function<bool(const std::string&)>& wanted) {
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
      if (auto line = text.substr(begin, end - begin); wanted(line)) return line;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string text(const std::string& of) const {
    const std::scoped_lock lock(mutex_);
    return of;
  }

  void collect() {
    std::array<pollfd, 2> from{pollfd{out_.reader(), POLLIN, 0}, pollfd{err_.reader(), POLLIN, 0}};
    while (from[0].fd >= 0 || from[1].fd >= 0) {
      poll(from.data(), from.size(), -1);
      for (std::size_t i = 0; i < from.size(); ++i) {
        if (from[i].fd < 0 || from[i].revents == 0) continue;
        std::array<char, 4096> piece{};
        const auto size = read(from[i].fd, piece.data(), piece.size());
        const std::scoped_lock lock(mutex_);
        if (size > 0) (i == 0 ? out_text_ : err_text_).append(piece.data(), static_cast<std::size_t>(size));
        if (size <= 0) from[i].fd = -1;
      }
      changed_.notify_all();
    }
    const std::scoped_lock lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  pid_t pid_ = 0;
  int pidfd_ = -1;
  std::optional<int> status_;
  Pipe out_;
  Pipe err_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::string out_text_;
  std::string err_text_;
  bool ended_ = false;
  std::jthread reader_;
};

// Where the build put a program of ours: program("diastoled").
inline std::string program(const std::string& name) {
  return std::string(DIASTOLE_BINARY_DIR "/src/") + name;
}

}  // namespace diastole::test
