#include "diastole/base/json_pointer.hpp"

#include <gtest/gtest.h>

namespace diastole {
namespace {

TEST(JsonPointerTest, EscapesWhatWouldEndOrBeginAToken) {
  EXPECT_EQ(pointer_token("name"), "name");
  EXPECT_EQ(pointer_token("a/b"), "a~1b");
  EXPECT_EQ(pointer_token("~1"), "~01");
  EXPECT_EQ(pointer_token("/~/"), "~1~0~1");
  EXPECT_EQ(pointer_token(""), "");
}

}  // namespace
}  // namespace diastole
