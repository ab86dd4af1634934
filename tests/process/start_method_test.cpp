#include <brood/process.hpp>

#include <string>
#include <vector>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

TEST(StartMethod, ForkUntilSomethingElseIsSaid) {
  // In a process of its own: the choice is the whole program's.
  EXPECT_EQ(run_in_child([] {
              if (get_start_method() != StartMethod::fork) return 1;
              set_start_method(StartMethod::spawn);
              if (get_start_method() != StartMethod::spawn) return 2;
              set_start_method(StartMethod::forkserver);
              if (get_start_method() != StartMethod::forkserver) return 3;
              set_start_method(StartMethod::fork);
              return get_start_method() == StartMethod::fork ? 0 : 4;
            }),
            0);
}

TEST(StartMethod, All) {
  EXPECT_EQ(get_all_start_methods(),
            (std::vector<StartMethod>{StartMethod::fork, StartMethod::forkserver, StartMethod::spawn}));
}

TEST(StartMethod, OneOfItsOwnGoesBeforeTheCommonOne) {
  EXPECT_EQ(run_in_child([] {
              set_start_method(StartMethod::spawn);
              int captured = 5;  // by reference, which only fork can do
              Process process(ProcessOptions{.start_method = StartMethod::fork}, [&] { ::_exit(captured); });
              process.start();
              process.join();
              return process.exitcode().value() - 5;
            }),
            0);
}

// init() in a process that brood did not begin notes the arguments and does nothing else, however often it is called.
TEST(StartMethod, InitReturns) {
  EXPECT_EQ(run_in_child([] {
              char name[] = "program", argument[] = "--brood-anything";
              char* arguments[] = {name, argument, nullptr};
              init(2, arguments);
              return exit_code_of_process([&] { init(2, arguments); });
            }),
            0);
}

// execve() may give a program no arguments at all.
TEST(StartMethod, InitWithoutArguments) {
  EXPECT_EQ(run_in_child([] {
              char* arguments[] = {nullptr};
              init(0, arguments);
              init(0, nullptr);
              Process process(ProcessOptions{.start_method = StartMethod::spawn}, [] { ::_exit(7); });
              process.start();
              process.join();
              return process.exitcode().value() - 7;
            }),
            0);
}

TEST(StartMethod, CpuCount) {
  EXPECT_GE(cpu_count(), 1U);
  EXPECT_EQ(exit_code_of_process([count = cpu_count()] { ::_exit(cpu_count() == count ? 0 : 1); }), 0);
}

}  // namespace
}  // namespace brood
