// The load tool: keep-alive connections of one thread, each with one request in flight.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace diastole::bench {

struct LoadResult {
  std::int64_t requests = 0;
  std::chrono::duration<double> wall{};
  std::chrono::duration<double> processor{};  // of this thread alone
};

// Connected to 127.0.0.1 when it is made. Any failure, and any answer but a 200, throws.
class Load {
 public:
  Load(std::uint16_t port, std::size_t connections);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // `next` gives the whole text of a request, which it may keep and change for the next call.
  LoadResult run(const std::function<const std::string&()>& next, std::chrono::milliseconds time);

 private:
  void send(int socket, const std::string& text);
  // True once the answer is whole.
  bool receive(int socket, std::string& answer);

  int poll_ = -1;
  std::vector<int> sockets_;
  std::vector<std::string> answers_;  // of each, so far
};

// CLOCK_THREAD_CPUTIME_ID of the caller, and the time of the whole process.
[[nodiscard]] std::chrono::duration<double> thread_time();
[[nodiscard]] std::chrono::duration<double> process_time();

}  // namespace diastole::bench
