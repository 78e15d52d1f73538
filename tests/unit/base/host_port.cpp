#include "diastole/base/host_port.hpp"

#include <gtest/gtest.h>

namespace diastole {
namespace {

TEST(HostPortTest, ReadsNamesAndAddresses) {
  EXPECT_EQ(parse_host_port("app1.internal:8080"), (HostPort{"app1.internal", 8080}));
  EXPECT_EQ(parse_host_port("10.0.0.7:1"), (HostPort{"10.0.0.7", 1}));
  EXPECT_EQ(parse_host_port("[fd00::7]:65535"), (HostPort{"fd00::7", 65535}));
}

TEST(HostPortTest, WritesWhatItReads) {
  for (const char* text : {"app1:8080", "10.0.0.7:80", "[fd00::7]:8080"}) {
    EXPECT_EQ(to_string(parse_host_port(text).value()), text);
  }
}

TEST(HostPortTest, RefusesAnythingElse) {
  for (const char* text : {"", ":", "app1", "app1:", ":80", "app1:0", "app1:65536", "app1:-1", "app1:80x", "a b:80",
                           "fd00::7:80", "[app1]:80", "[]:80", "http://app1:80", "app1/x:80", "a\n:80"}) {
    EXPECT_FALSE(parse_host_port(text)) << text;
  }
}

}  // namespace
}  // namespace diastole
