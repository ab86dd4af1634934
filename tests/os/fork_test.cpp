#include "os/fork.hpp"

#include <pthread.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <mutex>
#include <string>

#include "os/fd.hpp"
#include "os/lifeline.hpp"
#include "os/pidfd.hpp"
#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::exit_code_of;
using testing::Fault;
using testing::fork_child;
using testing::run_in_child;

struct Pipe {
  Pipe() {
    Lifeline ends = make_lifeline();
    reader = std::move(ends.reader);
    writer = std::move(ends.writer);
  }
  Fd reader, writer;
};

// Forks a parent that forks a child with `in_child`, and returns descriptors of both. The child never ends by itself.
struct Family {
  template <class F>
  explicit Family(F&& start) {
    Pipe pids;
    parent_pid = fork_child([&] {
      const pid_t child = start();
      write_all(pids.writer.get(), &child, sizeof child);
      for (;;) ::pause();
      return 0;
    });
    pid_t child = 0;
    EXPECT_EQ(read_all(pids.reader.get(), &child, sizeof child), sizeof child);
    child_pidfd = open_pidfd(child);
  }
  void kill_parent() {
    ::kill(parent_pid, SIGKILL);
    EXPECT_EQ(exit_code_of(parent_pid), -SIGKILL);
  }
  bool child_is_gone(Deadline deadline) const { return wait_readable(child_pidfd.get(), deadline); }

  pid_t parent_pid = 0;
  Fd child_pidfd;
};

[[noreturn]] void run_for_ever() {
  for (;;) ::pause();
}

TEST(Fork, ChildAndParent) {
  const pid_t mine = process_id();
  const pid_t child = fork_process();
  if (child == 0) exit_process(parent_process_id() == mine && is_parent(mine) && !is_parent(1) ? 3 : 4);
  EXPECT_GT(child, 0);
  EXPECT_EQ(exit_code_of(child), 3);
}

TEST(Fork, GenerationDiffersInEveryChild) {
  const std::uint64_t mine = fork_generation();
  EXPECT_EQ(run_in_child([&] {
              const std::uint64_t first = fork_generation();
              if (first == mine) return 1;
              const int code =
                  run_in_child([&] { return fork_generation() == mine || fork_generation() == first ? 2 : 0; });
              return fork_generation() == first ? code : 3;
            }),
            0);
  EXPECT_EQ(fork_generation(), mine);
}

TEST(Fork, Threads) {
  if (testing::has_threads_of_tools()) GTEST_SKIP() << "a sanitizer runs a thread of its own";
  EXPECT_EQ(thread_id(), process_id());
  EXPECT_TRUE(is_main_thread());
  std::thread([] {
    EXPECT_FALSE(is_main_thread());
    EXPECT_FALSE(is_single_threaded());
    EXPECT_EQ(run_in_child([] { return is_main_thread() && is_single_threaded() ? 0 : 1; }), 0);
  }).join();
  EXPECT_TRUE(testing::eventually([] { return is_single_threaded(); }));
}

TEST(Fork, Faults) {
  {
    const Fault fault(Call::fork, EAGAIN);
    EXPECT_EQ(testing::error_of([] { fork_process(); }), EAGAIN);
  }
  for (const int error : {EINTR, ENOMEM}) {
    const Fault fault(Call::prctl, error, 1, 100);
    if (error == EINTR) continue;
    EXPECT_EQ(testing::error_of([] { set_process_name("x"); }), error);
    EXPECT_EQ(testing::error_of([] { die_with_parent(::getppid()); }), error);
  }
  const Fault fault(Call::pipe, EMFILE);
  EXPECT_EQ(testing::error_of([] { make_lifeline(); }), EMFILE);
}

TEST(Fork, ProcessName) {
  EXPECT_EQ(run_in_child([] {
              set_process_name("brood-name-that-is-long");
              char name[16] = {};
              ::prctl(PR_GET_NAME, name);
              return std::string(name) == "brood-name-that" ? 0 : 1;
            }),
            0);
}

TEST(Fork, AtForkHandlersRunAround) {
  EXPECT_EQ(run_in_child([] {
              static int prepared = 0, in_parent = 0, in_child = 0;
              at_fork([] { ++prepared; }, [] { ++in_parent; }, [] { ++in_child; });
              at_fork(nullptr, nullptr, nullptr);
              const int code = run_in_child([] { return 10 * prepared + in_child; });
              return code == 11 && prepared == 1 && in_parent == 1 && in_child == 0 ? 0 : 1;
            }),
            0);
}

TEST(Fork, AtExitKnowsTheCode) {
  Pipe pipe;
  const auto handler = [](int code, void* fd) { write_all(*static_cast<int*>(fd), &code, sizeof code); };
  int fd = pipe.writer.get();
  EXPECT_EQ(run_in_child([&]() -> int {
              at_exit(handler, &fd);
              std::exit(9);
            }),
            9);
  int code = 0;
  EXPECT_EQ(read_all(pipe.reader.get(), &code, sizeof code), sizeof code);
  EXPECT_EQ(code, 9);
  EXPECT_EQ(run_in_child([&]() -> int {
              at_exit(handler, &fd);
              ::_exit(8);
            }),
            8);
  pipe.writer.reset();
  EXPECT_EQ(read_all(pipe.reader.get(), &code, sizeof code), 0U);
}

TEST(DieWithParent, WhenTheParentIsKilled) {
  Family family([] {
    const pid_t parent = ::getpid();
    return fork_child([&]() -> int {
      die_with_parent(parent);
      run_for_ever();
    });
  });
  EXPECT_FALSE(family.child_is_gone(Deadline::after(std::chrono::milliseconds(20))));
  family.kill_parent();
  EXPECT_TRUE(family.child_is_gone(Deadline::never()));
}

TEST(DieWithParent, ParentAlreadyGone) {
  EXPECT_EQ(run_in_child([] {
              die_with_parent(1 << 22);  // no pid is that large
              return 0;
            }),
            128 + SIGKILL);
}

TEST(Lifeline, CloseOnExec) {
  const Lifeline line = make_lifeline();
  EXPECT_TRUE(testing::is_close_on_exec(line.reader.get()));
  EXPECT_TRUE(testing::is_close_on_exec(line.writer.get()));
}

pid_t fork_tied_child(Fd& writer, bool stopped) {
  Lifeline line = make_lifeline();
  const pid_t child = fork_child([&]() -> int {
    line.writer.reset();
    die_at_hangup(line.reader.get());
    if (stopped) ::raise(SIGSTOP);
    run_for_ever();
  });
  writer = std::move(line.writer);
  return child;
}

// The thread that forked is gone long before the parent; a stopped child could not run a watcher of its own.
TEST(Lifeline, ChildOfAThreadDiesWithTheProcess) {
  for (const bool stopped : {false, true}) {
    Family family([&] {
      static Fd writer;
      pid_t child = 0;
      std::thread([&] { child = fork_tied_child(writer, stopped); }).join();
      return child;
    });
    EXPECT_FALSE(family.child_is_gone(Deadline::after(std::chrono::milliseconds(20))));
    family.kill_parent();
    EXPECT_TRUE(family.child_is_gone(Deadline::never()));
  }
}

TEST(Lifeline, ParentAlreadyGone) {
  EXPECT_EQ(run_in_child([] {
              Lifeline line = make_lifeline();
              line.writer.reset();
              die_at_hangup(line.reader.get());
              return 0;
            }),
            128 + SIGKILL);
}

TEST(Lifeline, Faults) {
  EXPECT_EQ(run_in_child([] {
              const Lifeline line = make_lifeline();
              for (int nth = 1; nth <= 4; ++nth) {
                const Fault fault(Call::fcntl, ENOMEM, nth);
                if (testing::error_of([&] { die_at_hangup(line.reader.get()); }) != ENOMEM) return nth;
              }
              const Fault fault(Call::fcntl, EINTR, 1, 3);
              die_at_hangup(line.reader.get());
              ::_exit(0);  // the scope would close the writer
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace brood::os
