#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "diastole/sql/analysis.hpp"
#include "rules.hpp"

namespace diastole::sql {
namespace {

TEST(ReferenceTest, TheReadmeHoldsEveryRule) {
  std::ifstream file(std::string(DIASTOLE_SOURCE_DIR) + "/README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  const std::string begin = "<!-- rules:begin -->\n\n";
  const std::size_t from = readme.find(begin);
  const std::size_t to = readme.find("\n<!-- rules:end -->");
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  EXPECT_EQ(readme.substr(from + begin.size(), to - from - begin.size()), rules_reference())
      << "write it anew with diastole rules";
}

TEST(ReferenceTest, RowsAreWhole) {
  const std::string reference = rules_reference();
  EXPECT_NE(reference.find("| `concurrent-index-corruption` | refused | refused |"), std::string::npos);
  EXPECT_NE(reference.find("| 14 to before 14.4 |"), std::string::npos);
  EXPECT_NE(reference.find("| `ban-drop-column` | refused |  | old code still reads and writes _table_._column_ | "
                           "contract: ALTER TABLE _table_ DROP COLUMN _column_ |  |"),
            std::string::npos);
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(reference, '\n')), all_rules().size() + 2);
}

}  // namespace
}  // namespace diastole::sql
