// Parents that are killed, and whether anybody of their family survives.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>

#include <optional>
#include <set>

#include "pool/support.hpp"

namespace brood::pool_tests {

// While it lives, whoever loses its parent becomes a child of this process, which can then tell when all are gone.
class Orphans : public ::testing::Test {
 protected:
  Orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~Orphans() override { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }

  // Runs `f` in a child that is killed once it has written a byte (or `delay_us` later, or at once when it writes
  // none); then all its family has to end.
  template <class F>
  void expect_none_survives(F f, int delay_us = 0, int signal = SIGKILL) {
    const std::set<pid_t> others = descendants_of(::getpid());  // a fork server, which stays
    Pipe pipe;
    const pid_t parent = fork_child([&] {
      f(pipe);
      for (;;) ::pause();
      return 0;
    });
    if (delay_us == 0) {
      char byte = 0;
      ASSERT_EQ(os::read_some(pipe.reader.get(), &byte, 1), 1U);
    } else {
      ::usleep(static_cast<useconds_t>(delay_us));
    }
    const std::set<pid_t> theirs = descendants_of(parent);
    ::kill(parent, signal);
    std::set<pid_t> left;
    const auto all_gone = [&] {
      // Reaps those who were handed to this process.
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      left = descendants_of(::getpid());
      std::erase_if(left, [&](pid_t pid) { return others.contains(pid); });
      return left.empty();
    };
    EXPECT_TRUE(eventually(all_gone)) << left.size() << " survive";
    for (const pid_t pid : theirs) EXPECT_FALSE(is_running(pid));
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
  }
};

// The parent of the workers; 0 while they are being replaced.
inline pid_t template_of(Pool& pool) {
  const auto pids = pool.pids();
  const auto stat = pids.empty() ? std::nullopt : stat_of(pids.front());
  return stat && is_running(stat->parent) && stat->parent != ::getpid() ? stat->parent : 0;
}

}  // namespace brood::pool_tests
