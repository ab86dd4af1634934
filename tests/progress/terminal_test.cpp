// What a person sees on a terminal.
#include <brood/progress.hpp>

#include <gtest/gtest.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "os/syscall.hpp"
#include "progress/pseudo_terminal.hpp"
#include "support/scale.hpp"

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

TEST(Terminal, ShowsTheBarFromBeginningToEnd) {
  PseudoTerminal terminal(60);
  Progress bar({.total = 100, .desc = "hash", .mininterval = 0s, .fd = terminal.fd(), .ascii = false});
  EXPECT_EQ(terminal.lines(), Lines{"hash:   0%|                        | 0/100 [00:00<?, ?it/s]"});
  bar.update(50);
  ASSERT_EQ(terminal.lines().size(), 1u);
  EXPECT_TRUE(terminal.lines()[0].starts_with("hash:  50%|█████")) << terminal.lines()[0];
  bar.update(50);
  bar.close();
  const Emulator end = terminal.settled();
  ASSERT_EQ(end.lines().size(), 1u);
  EXPECT_EQ(end.lines()[0].substr(0, 11), "hash: 100%|");
  EXPECT_LE(bars::display_width(end.lines()[0]), 59);
  EXPECT_EQ(end.cursor_row(), 1u);
  EXPECT_EQ(end.cursor_column(), 0u);
}

TEST(Terminal, DrawsAsciiWhereTheOptionSaysSo) {
  PseudoTerminal terminal(60);
  Progress bar({.total = 8, .bar_format = "{bar:8}|", .mininterval = 0s, .fd = terminal.fd(), .ascii = true});
  bar.update(4);
  EXPECT_EQ(terminal.lines(), Lines{"####    |"});
}

TEST(Terminal, ABarThatDoesNotStayLeavesNothing) {
  PseudoTerminal terminal;
  {
    Progress bar(passing(terminal, "a"));
    bar.update();
    EXPECT_EQ(terminal.lines(), Lines{"a 1/10"});
  }
  const Emulator end = terminal.settled();
  EXPECT_EQ(end.lines(), Lines{});
  EXPECT_EQ(end.cursor_row(), 0u);
  EXPECT_EQ(end.cursor_column(), 0u);
}

TEST(Terminal, LinesAppearAboveTheBars) {
  PseudoTerminal terminal(40);
  Progress a(plain(terminal, "a"));
  Progress b(plain(terminal, "b"));
  a.write("one");
  b.write("two\n");
  Progress::write_line("three\nfour", terminal.fd());
  a.write("");
  const std::string longer(100, 'x');
  a.write(longer);
  EXPECT_EQ(terminal.lines(), (Lines{"one", "two", "three", "four", "", longer.substr(0, 40), longer.substr(0, 40),
                                     longer.substr(0, 20), "a 0/10", "b 0/10"}));
}

TEST(Terminal, LinesOfManyThreadsAreWhole) {
  constexpr int kThreads = 8;
  const int lines_each = static_cast<int>(testing::scaled(200));
  PseudoTerminal terminal(120, 30);
  std::vector<Progress> bars;
  for (int i = 0; i < kThreads; ++i) bars.emplace_back(plain(terminal, ("bar" + std::to_string(i)).c_str(), 1000));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Progress& bar = bars[static_cast<std::size_t>(t)];
      for (int i = 0; i < lines_each; ++i) {
        bar.write("thread " + std::to_string(t) + " line " + std::to_string(i) + " " + std::string(80, '.') + "end");
        bar.update();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Progress& bar : bars) bar.refresh();
  Lines lines = terminal.lines();
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kThreads * (lines_each + 1)));
  for (std::size_t i = 0; i < kThreads; ++i) {
    EXPECT_EQ(lines[static_cast<std::size_t>(kThreads * lines_each) + i],
              "bar" + std::to_string(i) + " " + std::to_string(lines_each) + "/1000");
  }
  lines.resize(static_cast<std::size_t>(kThreads * lines_each));
  const std::set<std::string> seen(lines.begin(), lines.end());
  EXPECT_EQ(seen.size(), lines.size());
  for (const std::string& line : seen) EXPECT_TRUE(line.starts_with("thread ") && line.ends_with("...end")) << line;
}

TEST(Terminal, EveryDrawingIsOneWrite) {
  static std::atomic<int> writes{0};
  PseudoTerminal terminal;
  Progress a(plain(terminal, "a"));
  Progress b(plain(terminal, "b"));
  os::fault_injector = [](os::Call call) noexcept {
    if (call == os::Call::write) ++writes;
    return 0;
  };
  a.update();
  EXPECT_EQ(writes, 1);
  b.write("line");
  EXPECT_EQ(writes, 2);
  b.close();
  EXPECT_EQ(writes, 3);
  os::fault_injector = nullptr;
}

TEST(Terminal, FollowsTheWidth) {
  PseudoTerminal terminal(80);
  Progress a({.total = 10, .desc = "a", .mininterval = 0s, .fd = terminal.fd()});
  Progress b({.total = 10, .desc = "b", .mininterval = 0s, .fd = terminal.fd()});
  a.write("above");
  for (const int columns : {60, 45, 100, 30, 25, 120}) {
    terminal.resize(columns, 24);
    a.update();
    const Lines lines = terminal.lines();
    ASSERT_EQ(lines.size(), 3u) << columns;
    EXPECT_EQ(lines[0], "above");
    for (const char* name : {"a", "b"}) {
      const std::string& line = lines[*name == 'a' ? 1 : 2];
      EXPECT_TRUE(line.starts_with(name + std::string(": "))) << line;
      EXPECT_EQ(bars::display_width(line), columns - 1) << line;
    }
  }
}

TEST(Terminal, AFixedWidthIsNeverMoreThanTheTerminals) {
  PseudoTerminal terminal(50);
  Progress wide({.total = 10, .mininterval = 0s, .fd = terminal.fd(), .ncols = 200});
  EXPECT_EQ(bars::display_width(terminal.lines().at(0)), 49);
  Progress narrow({.total = 10, .fd = terminal.fd(), .ncols = 45});
  EXPECT_EQ(bars::display_width(terminal.lines().at(1)), 45);
  Progress still({.total = 10, .mininterval = 0s, .fd = terminal.fd(), .dynamic_ncols = false});
  terminal.resize(70, 24);
  wide.update();
  EXPECT_EQ(bars::display_width(terminal.lines().at(0)), 69);
  EXPECT_EQ(bars::display_width(terminal.lines().at(2)), 49);
}

TEST(Terminal, TextThatWouldMoveTheCursorIsMadeHarmless) {
  PseudoTerminal terminal(60);
  Progress bar({.total = 10, .desc = "日本\n語\x1b[2J", .bar_format = "{desc} {n}{postfix}", .fd = terminal.fd()});
  bar.set_postfix("a\r\nb\t");
  EXPECT_EQ(terminal.lines(), Lines{"日本 語 0, a  b"});
  bar.set_description(std::string(200, 'x'));
  EXPECT_EQ(terminal.lines(), Lines{std::string(59, 'x')});
}

TEST(Terminal, ShowsChangedTextsAtOnceButNoStormOfThem) {
  PseudoTerminal terminal;
  Progress bar({.total = 10, .bar_format = "{desc} {n}{postfix}", .mininterval = 1h, .fd = terminal.fd()});
  bar.set_description("phase 1");
  EXPECT_EQ(terminal.lines(), Lines{"phase 1 0"});
  bar.set_postfix({{"loss", 0.123456}, {"step", 7}, {"name", "x"}, {"ok", true}});
  EXPECT_EQ(terminal.lines(), Lines{"phase 1 0, loss=0.123, step=7, name=x, ok=true"});
  const std::size_t before = terminal.raw().size();
  for (int i = 0; i < 1000; ++i) bar.set_postfix(std::to_string(i));
  EXPECT_LT(terminal.raw().size() - before, 1000u);
  bar.refresh();
  EXPECT_EQ(terminal.lines(), Lines{"phase 1 0, 999"});
}

TEST(Terminal, WhatTheProgramPrintsItselfStays) {
  PseudoTerminal terminal;
  const auto print = [&](std::string_view text) {
    EXPECT_EQ(::write(terminal.fd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  };
  Progress a(plain(terminal, "a"));
  Progress b(plain(terminal, "b"));
  print("longer than the bar\n");
  std::this_thread::sleep_for(300ms);
  a.update();
  const Lines lines = terminal.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "longer than the bar");
  EXPECT_EQ(lines[1], "a 1/10");
  EXPECT_EQ(lines[2], "b 0/10");
}

TEST(Terminal, AnExceptionLeavesACleanTerminal) {
  PseudoTerminal terminal;
  std::vector<int> items(10);
  try {
    Progress other(plain(terminal, "other"));
    for (int& item : progress(items, plain(terminal, "loop", std::nullopt))) {
      if (&item == &items[4]) throw std::runtime_error("item");
    }
  } catch (const std::runtime_error&) {
  }
  const Emulator end = terminal.settled();
  EXPECT_EQ(end.lines(), (Lines{"loop 4/10", "other 0/10"}));
  EXPECT_EQ(end.cursor_row(), 2u);
  EXPECT_EQ(end.cursor_column(), 0u);
}

TEST(Terminal, AStoppedTerminalStopsNoUpdate) {
  PseudoTerminal terminal;
  Progress bar(plain(terminal, "a", 1000000));
  ASSERT_EQ(::tcflow(terminal.fd(), TCOOFF), 0);
  for (int i = 0; i < 1000; ++i) bar.update();
  bar.refresh();
  bar.set_description("b");
  ASSERT_EQ(::tcflow(terminal.fd(), TCOON), 0);
  bar.update();
  EXPECT_EQ(terminal.lines(), Lines{"b 1001/1000000"});
}

TEST(Terminal, BeginsAnewWithAnotherTotal) {
  PseudoTerminal terminal;
  Progress bar(plain(terminal, "a"));
  bar.update(7);
  bar.reset();
  EXPECT_EQ(terminal.lines(), Lines{"a 0/10"});
  bar.reset(20);
  bar.update(2);
  EXPECT_EQ(terminal.lines(), Lines{"a 2/20"});
  bar.set_total(std::nullopt);
  bar.update_to(5);
  EXPECT_EQ(terminal.lines(), Lines{"a 5/?"});
  bar.update_to(1);
  EXPECT_EQ(terminal.lines(), Lines{"a 1/?"});
}

TEST(Terminal, NothingIsDrawnByDisabledDelayedOrClosedBars) {
  PseudoTerminal terminal;
  ProgressOptions options = plain(terminal, "disabled");
  options.disable = true;
  Progress disabled(std::move(options));
  disabled.update(3);
  disabled.refresh();
  EXPECT_EQ(disabled.n(), 3u);
  {
    ProgressOptions later = plain(terminal, "later");
    later.delay = 1h;
    Progress delayed(std::move(later));
    delayed.update(3);
  }
  Progress closed(passing(terminal, "closed"));
  closed.close();
  closed.close();
  closed.update(4);
  closed.refresh();
  closed.set_description("still closed");
  EXPECT_EQ(closed.n(), 4u);
  EXPECT_EQ(terminal.lines(), Lines{});
}

TEST(Terminal, ABarThatMovedIsTheSameBar) {
  PseudoTerminal terminal;
  Progress a(plain(terminal, "a"));
  Progress b(std::move(a));
  b.update(2);
  a = Progress(plain(terminal, "c"));
  a.update(3);
  EXPECT_EQ(terminal.lines(), (Lines{"a 2/10", "c 3/10"}));
  b = std::move(a);
  EXPECT_EQ(terminal.lines(), (Lines{"a 2/10", "c 3/10"}));
  EXPECT_EQ(b.n(), 3u);
  a.update();
  a.set_postfix("nothing");
  a.close();
}

}  // namespace
}  // namespace brood
