// Which row of the terminal a bar has.
#include <brood/progress.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "progress/pseudo_terminal.hpp"

namespace brood {
namespace {

using namespace std::chrono_literals;
using testing::Emulator;
using testing::PseudoTerminal;
using Lines = std::vector<std::string>;

// A bar whose line tells nothing that changes by itself, and that is drawn with every update.
ProgressOptions plain(const PseudoTerminal& terminal, const char* desc, std::optional<std::uint64_t> total = 10) {
  return {
      .total = total, .desc = desc, .bar_format = "{desc} {n_fmt}/{total_fmt}", .mininterval = 0s, .fd = terminal.fd()};
}

ProgressOptions passing(const PseudoTerminal& terminal, const char* desc) {
  ProgressOptions options = plain(terminal, desc);
  options.leave = false;
  return options;
}

ProgressOptions at_row(const PseudoTerminal& terminal, const char* desc, int row) {
  ProgressOptions options = plain(terminal, desc);
  options.position = row;
  return options;
}

TEST(Rows, NestedBarsTakeTheNextRow) {
  PseudoTerminal terminal;
  {
    Progress outer(plain(terminal, "outer"));
    for (int i = 0; i < 2; ++i) {
      Progress middle(passing(terminal, "middle"));
      for (int j = 0; j < 2; ++j) {
        Progress inner(passing(terminal, "inner"));
        inner.update(3);
        EXPECT_EQ(terminal.lines(),
                  (Lines{"outer " + std::to_string(i) + "/10", "middle " + std::to_string(j) + "/10", "inner 3/10"}));
        inner.close();
        middle.update();
        EXPECT_EQ(terminal.lines().size(), 2u);
      }
      middle.close();
      outer.update();
    }
    EXPECT_EQ(terminal.lines(), Lines{"outer 2/10"});
  }
  EXPECT_EQ(terminal.lines(), Lines{"outer 2/10"});
  EXPECT_EQ(terminal.settled().cursor_row(), 1u);
}

TEST(Rows, NestedBarsThatStayGoAboveTheOthers) {
  PseudoTerminal terminal;
  {
    Progress outer(plain(terminal, "outer"));
    for (int i = 0; i < 3; ++i) {
      Progress inner(plain(terminal, "inner"));
      inner.update(static_cast<std::uint64_t>(i));
      inner.close();
      outer.update();
    }
    EXPECT_EQ(terminal.lines(), (Lines{"inner 0/10", "inner 1/10", "inner 2/10", "outer 3/10"}));
  }
  EXPECT_EQ(terminal.lines(), (Lines{"inner 0/10", "inner 1/10", "inner 2/10", "outer 3/10"}));
  EXPECT_EQ(terminal.settled().cursor_row(), 4u);
}

TEST(Rows, BarsMoveUpWhenOneAboveEnds) {
  PseudoTerminal terminal;
  Progress a(plain(terminal, "a"));
  Progress b(passing(terminal, "b"));
  Progress c(plain(terminal, "c"));
  b.close();
  EXPECT_EQ(terminal.lines(), (Lines{"a 0/10", "c 0/10"}));
  Progress d(plain(terminal, "d"));
  EXPECT_EQ(terminal.lines(), (Lines{"a 0/10", "c 0/10", "d 0/10"}));
  a.close();
  c.update();
  EXPECT_EQ(terminal.lines(), (Lines{"a 0/10", "c 1/10", "d 0/10"}));
}

TEST(Rows, BarsWithARowOfTheirOwnKeepIt) {
  PseudoTerminal terminal;
  {
    Progress second(at_row(terminal, "second", 2));
    EXPECT_EQ(terminal.lines(), (Lines{"", "", "second 0/10"}));
    Progress first(at_row(terminal, "first", 1));
    Progress zeroth(at_row(terminal, "zeroth", 0));
    first.update(5);
    first.close();
    second.update(7);
    EXPECT_EQ(terminal.lines(), (Lines{"zeroth 0/10", "first 5/10", "second 7/10"}));
    second.close();
    zeroth.update();
    EXPECT_EQ(terminal.lines(), (Lines{"zeroth 1/10", "first 5/10", "second 7/10"}));
  }
  const Emulator end = terminal.settled();
  EXPECT_EQ(end.lines(), (Lines{"zeroth 1/10", "first 5/10", "second 7/10"}));
  EXPECT_EQ(end.cursor_row(), 3u);
  EXPECT_EQ(end.cursor_column(), 0u);
}

TEST(Rows, ARowOfItsOwnIsTakenFromABarThatMayMoveAndFromOneThatHasEnded) {
  PseudoTerminal terminal;
  Progress outer(at_row(terminal, "outer", 0));
  Progress moving(plain(terminal, "moving"));
  Progress inner(at_row(terminal, "inner", 1));
  EXPECT_EQ(terminal.lines(), (Lines{"outer 0/10", "inner 0/10", "moving 0/10"}));
  inner.close();
  Progress again(at_row(terminal, "again", 1));
  EXPECT_EQ(terminal.lines(), (Lines{"inner 0/10", "outer 0/10", "again 0/10", "moving 0/10"}));
  Progress both(at_row(terminal, "both", 0));
  EXPECT_EQ(terminal.lines(), (Lines{"inner 0/10", "outer 0/10", "again 0/10", "moving 0/10", "both 0/10"}));
}

TEST(Rows, MoreBarsThanRowsAreHidden) {
  PseudoTerminal terminal(60, 4);
  std::vector<Progress> bars;
  for (int i = 0; i < 5; ++i) bars.emplace_back(passing(terminal, std::to_string(i).c_str()));
  EXPECT_EQ(terminal.lines(), (Lines{"0 0/10", "1 0/10", " ... (more hidden) ..."}));
  bars.erase(bars.begin());
  bars.erase(bars.begin());
  EXPECT_EQ(terminal.lines(), (Lines{"2 0/10", "3 0/10", "4 0/10"}));
}

TEST(Rows, EachTerminalHasItsOwn) {
  PseudoTerminal one;
  PseudoTerminal two;
  Progress a(plain(one, "a"));
  Progress b(plain(two, "b"));
  const int copy = ::dup(one.fd());
  ProgressOptions options = plain(one, "c");
  options.fd = copy;
  {
    Progress c(std::move(options));
    EXPECT_EQ(one.lines(), (Lines{"a 0/10", "c 0/10"}));
    EXPECT_EQ(two.lines(), Lines{"b 0/10"});
    b.write("to the other", one.fd());
    EXPECT_EQ(one.lines(), (Lines{"to the other", "a 0/10", "c 0/10"}));
  }
  ::close(copy);
  a.update();
  EXPECT_EQ(one.lines(), (Lines{"to the other", "c 0/10", "a 1/10"}));
}

}  // namespace
}  // namespace brood
