#include "progress/layout.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "progress/fill.hpp"

namespace brood::bars {
namespace {

std::string complaint(const char* bar_format) {
  try {
    Layout::parse(bar_format);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Layout, NamesWhatIsWrong) {
  EXPECT_NE(complaint("{l_bar}{baar}{r_bar}").find("unknown field \"baar\""), std::string::npos);
  EXPECT_NE(complaint("{postfix[0]}").find("\"postfix[0]\""), std::string::npos);
  EXPECT_NE(complaint("{}").find("unknown field \"\""), std::string::npos);
  EXPECT_NE(complaint("{n:.3f.}").find("{n:.3f.}"), std::string::npos);
  EXPECT_NE(complaint("{bar:3x}").find("\"3x\""), std::string::npos);
  EXPECT_NE(complaint("{bar:99999}").find("99999"), std::string::npos);
  EXPECT_NE(complaint("{desc!r}").find("!s"), std::string::npos);
  EXPECT_NE(complaint("{bar").find("no \"}\""), std::string::npos);
  EXPECT_NE(complaint("a}b").find("single \"}\""), std::string::npos);
  EXPECT_NE(complaint("{bar:{ncols}}").find("cannot hold a field"), std::string::npos);
  EXPECT_EQ(complaint("{{{n}}}"), "");
}

TEST(Layout, ReadsWidthAndCharactersOfTheBar) {
  EXPECT_EQ(BarSpec::parse("")->width, std::nullopt);
  EXPECT_EQ(BarSpec::parse("30")->width, 30);
  EXPECT_EQ(BarSpec::parse("-30b")->width, -30);
  EXPECT_EQ(BarSpec::parse("-30b")->charset, 'b');
  EXPECT_EQ(BarSpec::parse("+3U")->charset, 'u');
  EXPECT_EQ(BarSpec::parse("a")->width, std::nullopt);
  EXPECT_FALSE(BarSpec::parse("3 "));
  EXPECT_FALSE(BarSpec::parse("--3"));
}

TEST(Fill, KnowsColours) {
  EXPECT_EQ(colour_sequence(""), "");
  EXPECT_EQ(colour_sequence("green"), "\x1b[32m");
  EXPECT_EQ(colour_sequence("GREEN"), "\x1b[32m");
  EXPECT_EQ(colour_sequence("#00ff80"), "\x1b[38;2;0;255;128m");
  EXPECT_THROW(colour_sequence("greenish"), std::invalid_argument);
  EXPECT_THROW(colour_sequence("#00ff8g"), std::invalid_argument);
  EXPECT_THROW(colour_sequence("#-0ff80"), std::invalid_argument);
}

TEST(Fill, DrawsPartsOfACharacter) {
  EXPECT_EQ(Charset::blocks().draw(0.45, 10), "████▌     ");
  EXPECT_EQ(Charset::blocks().draw(1, 3), "███");
  EXPECT_EQ(Charset::blocks().draw(7, 3), "███");
  EXPECT_EQ(Charset::blocks().draw(0.5, 0), "");
  EXPECT_EQ(Charset::blocks().draw(0.5, -3), "");
  EXPECT_EQ(Charset::ascii().draw(0.45, 10), "####5     ");
  EXPECT_EQ(Charset::custom(" .oO").draw(0.5, 5), "OO.  ");
  EXPECT_THROW(Charset::custom("#"), std::invalid_argument);
  EXPECT_THROW(Charset::custom(" 日"), std::invalid_argument);
}

}  // namespace
}  // namespace brood::bars
