// Ctrl-C at the end of a pool's scope, where no call can report it.
#include <vector>

#include "pool/processes.hpp"
#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

TEST(InterruptAtScopeEnd, EndsTheProgramAsIfBroodWereNotThere) {
  Pipe ready;
  Pipe output;
  const pid_t pid = fork_child([&] {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_DFL);
    ::dup2(output.writer.get(), 1);
    ::dup2(output.writer.get(), 2);
    {
      Pool pool(2);
      const auto result = pool.map_async([](int) { sleep_ms(600'000); }, numbers(4));
      for (const pid_t worker : pool.pids()) ready.put_value(worker);
    }
    return 0;
  });
  const std::vector<pid_t> workers{ready.get_value<pid_t>(), ready.get_value<pid_t>()};
  // One that comes too early meets no waiting call and ends the program all the same.
  sleep_ms(30);
  ::kill(-pid, SIGINT);
  EXPECT_EQ(exit_code_of(pid), -SIGINT);
  EXPECT_EQ(output.rest(), "");
  for (const pid_t worker : workers) EXPECT_TRUE(eventually([&] { return !is_running(worker); }));
}

}  // namespace
}  // namespace brood::pool_tests
