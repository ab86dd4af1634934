// Thousands of starts under every method: descriptors, memory and processes stay as they are.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using MethodSoak = EveryMethod;
BROOD_EVERY_METHOD(MethodSoak);

bool long_tests() {
  const char* const text = std::getenv("BROOD_LONG_TESTS");
  return text != nullptr && std::string(text) == "1";
}

struct Use {
  int fds;
  std::size_t mappings;
  long resident_kib;
  std::size_t children;
};

Use current_use() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  std::size_t mappings = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++mappings;
  return {count_fds(), mappings, resident * (::sysconf(_SC_PAGESIZE) / 1024), children().size()};
}

// What the fork server has, seen from its child: descriptors and memory.
struct ServerUse {
  int fds;
  long resident_kib;
};
ServerUse server_use(pid_t server) {
  const std::string path = "/proc/" + std::to_string(server);
  ServerUse use{0, 0};
  DIR* const folder = ::opendir((path + "/fd").c_str());
  while (folder != nullptr && ::readdir(folder) != nullptr) ++use.fds;
  if (folder != nullptr) ::closedir(folder);
  long total = 0;
  std::ifstream(path + "/statm") >> total >> use.resident_kib;
  use.resident_kib *= ::sysconf(_SC_PAGESIZE) / 1024;
  return use;
}

TEST_P(MethodSoak, StartJoinCycles) {
  const bool spawns = GetParam() == StartMethod::spawn;
  const std::size_t cycles = long_tests() ? 10000 : scaled(spawns ? 300 : 1000);
  const auto cycle = [](std::size_t i) {
    Process process(
        options(i % 3 == 0),
        [](const std::string& text, std::size_t number) {
          ::_exit(static_cast<int>(number % 7) + (text.size() != 100 ? 100 : 0));
        },
        std::string(100, 'x'), i);
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), static_cast<int>(i % 7));
  };
  for (std::size_t i = 0; i < 50; ++i) cycle(i);
  const bool served = GetParam() == StartMethod::forkserver;
  const pid_t server = served ? fork_server_pid() : 0;
  const Use before = current_use();
  const ServerUse server_before = server_use(server);
  for (std::size_t i = 0; i < cycles; ++i) cycle(i);
  const Use after = current_use();
  EXPECT_EQ(after.fds, before.fds);
  EXPECT_EQ(after.children, before.children);
  EXPECT_LE(after.mappings, before.mappings + 2);
  if (!kSanitized) {
    EXPECT_LE(after.resident_kib, before.resident_kib + 1024);
  }
  EXPECT_TRUE(active_children().empty());
  if (!served) return;
  EXPECT_EQ(fork_server_pid(), server);
  EXPECT_EQ(server_use(server).fds, server_before.fds);
  if (!kSanitized) {
    EXPECT_LE(server_use(server).resident_kib, server_before.resident_kib + 512);
  }
}

// More than one page of exit records, in every order of ending.
TEST_P(MethodSoak, ManyAtOnce) {
  EXPECT_EQ(run([] {}), 0);
  const std::size_t count = GetParam() == StartMethod::spawn ? scaled(100) : scaled(300);
  const int fds = count_fds();
  {
    std::vector<Process> processes;
    for (std::size_t i = 0; i < count; ++i) {
      processes.emplace_back(
          options(),
          [](std::size_t number) {
            ::usleep(static_cast<useconds_t>(number * 7919 % 20000));
            ::_exit(static_cast<int>(number % 256));
          },
          i);
    }
    for (Process& process : processes) process.start();
    for (std::size_t i = count; i-- > 0;) {
      processes[i].join();
      EXPECT_EQ(processes[i].exitcode(), static_cast<int>(i % 256));
    }
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace brood
