#include <brood/process.hpp>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

TEST(StartMethod, OnlyForkSoFar) {
  EXPECT_EQ(get_start_method(), StartMethod::fork);
  EXPECT_EQ(get_all_start_methods(), std::vector<StartMethod>{StartMethod::fork});
  set_start_method(StartMethod::fork);
  for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
    EXPECT_NE(misuse_of([&] { set_start_method(method); }).find("fork only"), std::string::npos);
    EXPECT_NE(misuse_of([&] { Process(ProcessOptions{.start_method = method}, [] {}); }).find("fork only"),
              std::string::npos);
  }
  EXPECT_EQ(get_start_method(), StartMethod::fork);
  Process process(ProcessOptions{.start_method = StartMethod::fork}, [] {});
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(StartMethod, InitReturns) {
  char name[] = "program", argument[] = "--brood-anything";
  char* arguments[] = {name, argument, nullptr};
  init(2, arguments);
  init(0, nullptr);
  EXPECT_EQ(exit_code_of_process([&] { init(2, arguments); }), 0);
}

TEST(StartMethod, CpuCount) {
  EXPECT_GE(cpu_count(), 1U);
  EXPECT_EQ(exit_code_of_process([count = cpu_count()] { ::_exit(cpu_count() == count ? 0 : 1); }), 0);
}

}  // namespace
}  // namespace brood
