#include "progress/text.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace brood::bars {
namespace {

TEST(Text, CountsColumns) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("äöü█"), 4);
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\U0001F600"), 2);
  EXPECT_EQ(display_width("한국"), 4);
  EXPECT_EQ(display_width("a\u200Db"), 2);
  EXPECT_EQ(display_width("\x1b[32mab\x1b[0m"), 2);
  EXPECT_EQ(display_width("\xff\xfe"), 2);
  EXPECT_EQ(display_width("\xe6\x97"), 2);
}

TEST(Text, CutsBetweenCharacters) {
  EXPECT_EQ(cut_to_width("abc", 5), "abc");
  EXPECT_EQ(cut_to_width("abc", 2), "ab");
  EXPECT_EQ(cut_to_width("日本語", 5), "日本");
  EXPECT_EQ(cut_to_width("e\u0301x", 1), "e\u0301");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(Text, SwitchesColoursOffWhereItCuts) {
  EXPECT_EQ(cut_to_width("\x1b[32mabc\x1b[0m", 2), "\x1b[32mab\x1b[0m");
  EXPECT_EQ(cut_to_width("\x1b[32mab\x1b[0mcd", 3), "\x1b[32mab\x1b[0mc");
  EXPECT_EQ(cut_to_width("\x1b[32mab\x1b[0m", 2), "\x1b[32mab\x1b[0m");
}

TEST(Text, LeavesNothingThatMovesTheCursor) {
  EXPECT_EQ(single_line("a\nb\tc\rd\x7f", Colours::keep), "a b c d ");
  EXPECT_EQ(single_line("\x1b[2J\x1b[32mx\x1b[A", Colours::keep), "\x1b[32mx");
  EXPECT_EQ(single_line("\x1b[32mx\x1b[0m", Colours::remove), "x");
  EXPECT_EQ(single_line("\x1b"
                        "c",
                        Colours::keep),
            " c");
  EXPECT_EQ(single_line("\xc2\x9b"
                        "5A\x9b",
                        Colours::keep),
            " 5A ");
  EXPECT_EQ(single_line("é日", Colours::remove), "é日");
}

class Locale : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
      const char* const value = std::getenv(name);
      saved_.emplace_back(name, value == nullptr ? "" : value);
      ::unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : saved_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::pair<std::string, std::string>> saved_;
};

TEST_F(Locale, TheFirstVariableThatIsSetDecides) {
  EXPECT_FALSE(locale_is_utf8());
  ::setenv("LANG", "de_DE.UTF-8", 1);
  EXPECT_TRUE(locale_is_utf8());
  ::setenv("LC_CTYPE", "C", 1);
  EXPECT_FALSE(locale_is_utf8());
  ::setenv("LC_ALL", "en_GB.utf8", 1);
  EXPECT_TRUE(locale_is_utf8());
  ::setenv("LC_ALL", "", 1);
  EXPECT_FALSE(locale_is_utf8());
}

}  // namespace
}  // namespace brood::bars
