#include "diastole/observability/systemd.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace diastole::observability {
namespace {

// Listens as systemd would, on an abstract socket.
class SystemdTest : public ::testing::Test {
 protected:
  SystemdTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const std::string name = "diastole-test-" + std::to_string(getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), size) != 0) throw std::runtime_error("bind");
    setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  ~SystemdTest() override {
    close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }

  // A datagram is there as soon as it is sent.
  std::string received() {
    std::array<char, 256> buffer{};
    const ssize_t size = recv(socket_, buffer.data(), buffer.size(), 0);
    return size < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(size));
  }

 private:
  int socket_;
};

TEST_F(SystemdTest, IsToldOfLifeAndDeath) {
  systemd::ready();
  EXPECT_EQ(received(), "READY=1");
  systemd::watchdog();
  EXPECT_EQ(received(), "WATCHDOG=1");
  systemd::stopping();
  EXPECT_EQ(received(), "STOPPING=1");
}

TEST_F(SystemdTest, AStatusIsOneLine) {
  systemd::status("2 plans\nREADY=1");
  EXPECT_EQ(received(), "STATUS=2 plans READY=1");
}

TEST_F(SystemdTest, NothingIsSentWithoutIt) {
  unsetenv("NOTIFY_SOCKET");
  systemd::ready();
  EXPECT_EQ(received(), "nothing");
}

TEST_F(SystemdTest, TheWatchdogIsFedTwiceInItsTime) {
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt);
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(systemd::watchdog_interval(), Milliseconds(15'000));
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(systemd::watchdog_interval(), std::nullopt) << "it is meant for another process";
}

}  // namespace
}  // namespace diastole::observability
