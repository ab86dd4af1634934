// Many processes, one after the other and many at once: nothing grows.
#include <brood/process.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

bool long_tests() {
  const char* const text = std::getenv("BROOD_LONG_TESTS");
  return text != nullptr && std::string(text) == "1";
}

struct Use {
  int fds;
  long resident_kib;
  std::size_t mappings;
};

Use current_use() {
  long total_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  std::size_t mappings = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++mappings;
  return {count_fds(), resident_pages * (::sysconf(_SC_PAGESIZE) / 1024), mappings};
}

TEST(ProcessSoak, StartJoinCycles) {
  const int cycles = long_tests() ? 10000 : 300;
  const auto run = [](int i) {
    Process process(
        ProcessOptions{.daemon = i % 3 == 0}, [i](const std::string& text) { ::_exit(i % 7 + (text.size() != 100)); },
        std::string(100, 'x'));
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), i % 7);
  };
  for (int i = 0; i < 50; ++i) run(i);
  const Use before = current_use();
  for (int i = 0; i < cycles; ++i) run(i);
  const Use after = current_use();
  EXPECT_EQ(after.fds, before.fds);
  EXPECT_LE(after.mappings, before.mappings + 1);
  EXPECT_LE(after.resident_kib, before.resident_kib + 1024);
  EXPECT_FALSE(has_children());
  EXPECT_TRUE(active_children().empty());
}

// More than one page of exit records, in every order of ending.
TEST(ProcessSoak, ManyAtOnce) {
  const std::size_t count = long_tests() ? 400 : 300;
  keep_records_open();
  const int fds = count_fds();
  {
    std::vector<Process> processes;
    for (std::size_t i = 0; i < count; ++i) {
      processes.emplace_back([i] {
        ::usleep(static_cast<useconds_t>(i * 7919 % 20000));
        ::_exit(static_cast<int>(i % 256));
      });
    }
    for (Process& process : processes) process.start();
    for (std::size_t i = count; i-- > 0;) {
      processes[i].join();
      EXPECT_EQ(processes[i].exitcode(), static_cast<int>(i % 256));
    }
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_FALSE(has_children());
}

// A chain of generations: each process starts the next.
TEST(ProcessSoak, DeepFamily) {
  struct Chain {
    static void run(int left, const Pipe* pipe) {
      if (left == 0) {
        pipe->put(current_process().name);
        return;
      }
      Process next(run, left - 1, pipe);
      next.start();
      next.join();
      if (next.exitcode() != 0) ::_exit(1);
    }
  };
  Pipe pipe;
  EXPECT_EQ(exit_code_of_process([&] { Chain::run(15, &pipe); }), 0);
  const std::string name = pipe.rest();
  EXPECT_EQ(std::count(name.begin(), name.end(), ':'), 15);
}

}  // namespace
}  // namespace brood
