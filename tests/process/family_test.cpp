// Who is who: names, parents and children.
#include <brood/process.hpp>

#include <string>
#include <vector>

#include "process/support.hpp"

namespace brood {
namespace {

using namespace proc::testing;

TEST(Family, MainProcess) {
  const ProcessInfo self = current_process();
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_EQ(self.name, "MainProcess");
  EXPECT_FALSE(self.daemon);
  EXPECT_FALSE(parent_process().has_value());
  EXPECT_TRUE(active_children().empty());
}

TEST(Family, ChildKnowsItselfAndItsParent) {
  Pipe pipe;
  Process process(ProcessOptions{.name = "child", .daemon = true}, [&, parent = ::getpid()] {
    const ProcessInfo self = current_process();
    const auto above = parent_process();
    pipe.put_value(self.pid == ::getpid() && self.name == "child" && self.daemon && above && above->pid == parent &&
                   above->name == "MainProcess" && active_children().empty());
  });
  process.start();
  EXPECT_TRUE(pipe.get_value<bool>());
  process.join();
  EXPECT_EQ(current_process().name, "MainProcess");
}

// In a child the numbers begin anew.
TEST(Family, NamesOfGenerations) {
  Pipe pipe;
  Process first([&] {
    const Process unused([] {});
    Process second([&] {
      Process third([&] { pipe.put(current_process().name + " of " + parent_process()->name); });
      third.start();
    });
    second.start();
  });
  first.start();
  EXPECT_EQ(pipe.rest(), first.name() + ":2:1 of " + first.name() + ":2");
  EXPECT_EQ(first.name().rfind("Process-", 0), 0U);
}

// The number is the process's place, so a name of its own does not change those of its children.
TEST(Family, NamedProcessesCountToo) {
  Pipe pipe;
  const Process before([] {});
  Process named(ProcessOptions{.name = "reader"}, [&] { pipe.put(Process([] {}).name()); });
  const Process after([] {});
  named.start();
  const int number = std::stoi(before.name().substr(8));
  EXPECT_EQ(after.name(), "Process-" + std::to_string(number + 2));
  EXPECT_EQ(pipe.rest(), "Process-" + std::to_string(number + 1) + ":1");
}

TEST(Family, ActiveChildrenInOrderOfStart) {
  Pipe hold;
  std::vector<Process> processes;
  for (int i = 0; i < 4; ++i) {
    processes.emplace_back(ProcessOptions{.name = std::to_string(i)}, [&] { (void)hold.get_value<char>(); });
  }
  for (const int i : {2, 0, 3, 1}) processes[static_cast<std::size_t>(i)].start();
  std::string order;
  for (const ProcessInfo& child : active_children()) {
    order += child.name;
    EXPECT_GT(child.pid, 0);
  }
  EXPECT_EQ(order, "2031");
  processes[3].kill();
  EXPECT_TRUE(eventually([] { return active_children().size() == 3; }));
  EXPECT_EQ(processes[3].exitcode(), -SIGKILL);
  hold.put("xxx");
  for (Process& process : processes) process.join();
  EXPECT_TRUE(active_children().empty());
}

TEST(Family, ActiveChildrenReaps) {
  Process process([] {});
  process.start();
  const pid_t pid = process.pid();
  EXPECT_TRUE(eventually([] { return active_children().empty(); }));
  EXPECT_EQ(::kill(pid, 0), -1);  // not even a zombie
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Family, DaemonsMayHaveChildren) {
  Pipe pipe;
  Process daemon(ProcessOptions{.daemon = true}, [&] {
    Process child([&] { pipe.put("grandchild"); });
    child.start();
  });
  daemon.start();
  daemon.join();
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_EQ(pipe.rest(), "grandchild");
}

}  // namespace
}  // namespace brood
