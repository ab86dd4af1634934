// What a handle and the room's own state are worth in a child, whichever way it was forked.
#include <brood/process.hpp>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "process/support.hpp"
#include "support/scale.hpp"

namespace brood {
namespace {

using namespace proc::testing;

// 0 when every use of the inherited handle is refused as it should be.
int check_inherited(Process& process, pid_t pid, bool is_closed_too) {
  int number = 0;
  for (const auto& use :
       {std::function<void()>([&] { process.join(); }), std::function<void()>([&] { process.join_for(1ms); }),
        std::function<void()>([&] { process.terminate(); }), std::function<void()>([&] { process.kill(); }),
        std::function<void()>([&] { (void)process.is_alive(); }),
        std::function<void()>([&] { (void)process.exitcode(); }), std::function<void()>([&] { process.close(); }),
        std::function<void()>([&] { (void)process.sentinel(); }), std::function<void()>([&] { process.start(); })}) {
    ++number;
    if (misuse_of(use).find("not the parent") == std::string::npos) return number;
  }
  if (process.name().empty() || process.daemon()) return 20;
  if (process.pid() != pid) return 21;
  if (!active_children().empty()) return 22;
  return is_closed_too ? 0 : 23;
}

TEST(Inherited, HandleInAChildOfFork) {
  Process process(run_for_ever);
  process.start();
  EXPECT_EQ(run_in_child([&] {
              const int code = check_inherited(process, process.pid(), true);
              const Process end = std::move(process);  // its destructor neither waits nor kills
              return code;
            }),
            0);
  EXPECT_TRUE(process.is_alive());
  process.kill();
}

TEST(Inherited, HandleInAnotherProcess) {
  Process process(run_for_ever);
  process.start();
  EXPECT_EQ(exit_code_of_process([&] { ::_exit(check_inherited(process, process.pid(), true)); }), 0);
  EXPECT_TRUE(process.is_alive());
  process.kill();
}

TEST(Inherited, NotYetStarted) {
  Process process([] {});
  EXPECT_EQ(run_in_child([&] {
              return misuse_of([&] { process.start(); }).find("not the parent") == std::string::npos ? 1 : 0;
            }),
            0);
  process.start();
}

// The handle of a process inside that process, and in what it forks.
TEST(Inherited, OwnHandle) {
  Process* self = nullptr;
  Process process([&] {
    if (!self->is_alive() || self->pid() != ::getpid()) ::_exit(1);
    if (misuse_of([&] { self->join(); }).find("not the parent") == std::string::npos) ::_exit(2);
    ::_exit(run_in_child([&] {
      return misuse_of([&] { (void)self->is_alive(); }).find("not the parent") == std::string::npos ? 3 : 0;
    }));
  });
  self = &process;
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Inherited, StaticHandleAndStdExit) {
  EXPECT_EQ(run_in_child([]() -> int {
              static Process process(ProcessOptions{.name = "static"}, [] {
                std::atexit([] {
                  if (current_process().name != "static") ::_exit(1);
                });
                std::exit(0);
              });
              static Process daemon(ProcessOptions{.daemon = true}, run_for_ever);
              daemon.start();
              process.start();
              process.join();
              if (process.exitcode() != 0) ::_exit(2);
              if (!daemon.is_alive()) ::_exit(3);  // the child's exit must not have touched it
              std::exit(0);
            }),
            0);
}

// Descriptors of its parent's other children are of no use to a child.
TEST(Inherited, SiblingsDescriptorsAreClosed) {
  Pipe pipe;
  const int base = exit_code_of_process([&] { pipe.put_value(count_fds()); });
  ASSERT_EQ(base, 0);
  const int alone = pipe.get_value<int>();
  std::vector<Process> siblings;
  for (int i = 0; i < 5; ++i) siblings.emplace_back(ProcessOptions{.daemon = true}, run_for_ever);
  for (Process& sibling : siblings) {
    std::thread([&] { sibling.start(); }).join();
  }
  exit_code_of_process([&] { pipe.put_value(count_fds()); });
  EXPECT_EQ(pipe.get_value<int>(), alone);
}

// Forks hit every instant of the room's own locking; the child must be able to use all of it.
TEST(Inherited, ForkWhileOtherThreadsAreInside) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) (void)active_children();
  });
  threads.emplace_back([&] {
    while (!stop) {
      Process process([] {});
      (void)process.is_alive();
    }
  });
  threads.emplace_back([&] {
    while (!stop) exit_code_of_process([] {});
  });
  const auto use_everything = [] {
    if (!active_children().empty()) return 1;
    if (exit_code_of_process([] { ::_exit(6); }) != 6) return 2;
    return active_children().empty() ? 0 : 3;
  };
  for (std::size_t i = 0; i < testing::scaled(100); ++i) {
    EXPECT_EQ(run_in_child(use_everything), 0);
    EXPECT_EQ(exit_code_of_process([&] { ::_exit(use_everything()); }), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace brood
