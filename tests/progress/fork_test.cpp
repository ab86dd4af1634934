// Bars and forks.
#include <brood/progress.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "progress/pseudo_terminal.hpp"

namespace brood {
namespace {

using namespace std::chrono_literals;
using testing::PseudoTerminal;
using Lines = std::vector<std::string>;

ProgressOptions plain(const PseudoTerminal& terminal, const char* desc) {
  return {
      .total = 10, .desc = desc, .bar_format = "{desc} {n_fmt}/{total_fmt}", .mininterval = 0s, .fd = terminal.fd()};
}

template <class F>
int status_of_child(F&& f) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    f();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

TEST(Fork, TheChildsCopyDrawsNothing) {
  PseudoTerminal terminal;
  auto bar = std::make_unique<Progress>(plain(terminal, "parent"));
  bar->update(2);
  EXPECT_EQ(status_of_child([&] {
              bar->update(5);
              if (bar->n() != 7) ::_exit(1);
              bar->set_description("child");
              bar->set_postfix("child");
              bar->update_to(9);
              bar->tick();
              bar->refresh();
              bar->reset(5);
              bar->close();
              bar.reset();
            }),
            0);
  EXPECT_EQ(terminal.lines(), Lines{"parent 2/10"});
  bar->update();
  EXPECT_EQ(terminal.lines(), Lines{"parent 3/10"});
}

TEST(Fork, TheChildMayWriteLines) {
  PseudoTerminal terminal;
  Progress a(plain(terminal, "a"));
  Progress b(plain(terminal, "b"));
  EXPECT_EQ(status_of_child([&] { b.write("from the child\n"); }), 0);
  std::this_thread::sleep_for(300ms);
  a.update();
  EXPECT_EQ(terminal.lines(), (Lines{"from the child", "a 1/10", "b 0/10"}));
}

TEST(Fork, TheChildMayHaveBarsOfItsOwn) {
  PseudoTerminal parents;
  PseudoTerminal childs;
  Progress bar(plain(parents, "parent"));
  EXPECT_EQ(status_of_child([&] {
              Progress own(plain(childs, "own"));
              own.update(4);
              own.write("line");
            }),
            0);
  EXPECT_EQ(childs.lines(), (Lines{"line", "own 4/10"}));
  EXPECT_EQ(parents.lines(), Lines{"parent 0/10"});
}

// Another thread of the parent holds the renderer's lock, for its terminal accepts nothing.
TEST(Fork, NeverWaitsForALockThatTheChildHasNot) {
  PseudoTerminal stopped;
  PseudoTerminal childs;
  Progress bar(plain(stopped, "parent"));
  ASSERT_EQ(::tcflow(stopped.fd(), TCOOFF), 0);
  std::thread writer([&] { bar.write(std::string(100, 'x')); });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(status_of_child([&] {
              bar.update(1000);
              Progress own(plain(childs, "own"));
              own.update(1);
              bar.close();
            }),
            0);
  EXPECT_EQ(childs.lines(), Lines{"own 1/10"});
  ASSERT_EQ(::tcflow(stopped.fd(), TCOON), 0);
  writer.join();
}

TEST(Exit, LeavesTheCursorBelowOpenBars) {
  PseudoTerminal terminal;
  EXPECT_EQ(status_of_child([&] {
              static Progress a(plain(terminal, "a"));
              static auto* const b = new Progress(plain(terminal, "b"));  // never closed
              b->update(3);
              a.update(2);
              std::exit(0);
            }),
            0);
  const testing::Emulator end = terminal.settled();
  EXPECT_EQ(end.cursor_column(), 0u);
  EXPECT_GE(end.cursor_row(), 2u);
  const Lines lines = end.lines();
  EXPECT_EQ(end.cursor_row(), lines.size());
  EXPECT_NE(std::find(lines.begin(), lines.end(), "a 2/10"), lines.end());
  EXPECT_NE(std::find(lines.begin(), lines.end(), "b 3/10"), lines.end());
}

}  // namespace
}  // namespace brood
