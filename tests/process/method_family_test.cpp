// Names, parents, children and grandchildren, under every start method and across them.
#include <algorithm>
#include <string>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Families = EveryMethod;
BROOD_EVERY_METHOD(Families);

TEST_P(Families, AChildKnowsItselfAndItsParent) {
  const Shared<Note> note;
  ProcessOptions named = options(true);
  named.name = "child";
  Process process(named, [note = note.get()] {
    const ProcessInfo self = current_process();
    const auto above = parent_process();
    note->write(self.name + (self.daemon ? " daemon " : " ") + std::to_string(self.pid == ::getpid()) + " of " +
                (above ? above->name + " " + std::to_string(above->pid) : "nobody") + " with " +
                std::to_string(active_children().size()));
  });
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(note->read(), "child daemon 1 of MainProcess " + std::to_string(::getpid()) + " with 0");
}

// Already where its arguments are loaded.
struct Curious {
  std::string name, parent;
  template <class A>
  void serialize(A& archive) {
    if constexpr (A::is_loading::value) {
      archive(name, parent);
      name = current_process().name;
      if (const auto above = parent_process()) parent = above->name;
    } else {
      archive(name, parent);
    }
  }
};

TEST_P(Families, AChildKnowsItselfWhileItIsLoaded) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  const Shared<Note> note;
  Process process(
      options(), [note = note.get()](const Curious& curious) { note->write(curious.name + " of " + curious.parent); },
      Curious{});
  process.start();
  process.join();
  EXPECT_EQ(note->read(), process.name() + " of MainProcess");
}

// Three generations; each method starts each.
TEST_P(Families, EachMethodInEach) {
  for (const StartMethod second : kEveryMethod) {
    for (const StartMethod third : kEveryMethod) {
      const Shared<Note> note;
      Process process(options(), [note = note.get(), second, third] {
        const Process unused([] {});
        Process child(ProcessOptions{.start_method = second}, [note, third] {
          Process grandchild(ProcessOptions{.start_method = third}, [note] {
            note->write(current_process().name + " of " + parent_process()->name);
            ::_exit(5);
          });
          grandchild.start();
          grandchild.join();
          ::_exit(grandchild.exitcode().value() + 1);
        });
        child.start();
        child.join();
        ::_exit(child.exitcode().value() + 1);
      });
      process.start();
      process.join();
      EXPECT_EQ(process.exitcode(), 7);
      EXPECT_EQ(note->read(), process.name() + ":2:1 of " + process.name() + ":2");
    }
  }
  EXPECT_TRUE(nothing_left());
}

TEST_P(Families, NamesCountInTheOrderOfConstruction) {
  const Shared<Note> note;
  const Process before(options(), [] {});
  ProcessOptions named = options();
  named.name = "reader";
  Process reader(named, [note = note.get()] { note->write(Process([] {}).name()); });
  const Process after(options(), [] {});
  const int number = std::stoi(before.name().substr(std::string("Process-").size()));
  EXPECT_EQ(after.name(), "Process-" + std::to_string(number + 2));
  reader.start();
  EXPECT_EQ(note->read(), "Process-" + std::to_string(number + 1) + ":1");
}

TEST_P(Families, ActiveChildren) {
  const Shared<Word> go;
  std::vector<Process> processes;
  for (int i = 0; i < 3; ++i) {
    ProcessOptions named = options();
    named.name = std::to_string(i);
    processes.emplace_back(named, [go = go.get()] { await(*go); });
  }
  for (const std::size_t i : {2U, 0U, 1U}) processes[i].start();
  const std::vector<ProcessInfo> children = active_children();
  ASSERT_EQ(children.size(), 3U);
  EXPECT_EQ(children[0].name + children[1].name + children[2].name, "201");
  EXPECT_EQ(children[0].pid, processes[2].pid());
  processes[1].kill();
  EXPECT_TRUE(eventually([] { return active_children().size() == 2; }));
  EXPECT_EQ(processes[1].exitcode(), -SIGKILL);
  *go = 1;
  EXPECT_TRUE(eventually([] { return active_children().empty(); }));
  EXPECT_EQ(processes[0].exitcode(), 0);
}

TEST_P(Families, DaemonsMayHaveChildren) {
  const Shared<Word> done;
  Process daemon(options(true), [done = done.get()] {
    for (const StartMethod method : kEveryMethod) {
      Process child(ProcessOptions{.daemon = true, .start_method = method}, [done] { ++*done; });
      child.start();
      child.join();
      if (child.exitcode() != 0) ::_exit(1);
    }
  });
  daemon.start();
  daemon.join();
  EXPECT_EQ(daemon.exitcode(), 0);
  EXPECT_EQ(*done, 3);
}

// The choice is the parent's at the moment of the start; a child's own choice is its own.
TEST_P(Families, AChildHasItsParentsChoice) {
  EXPECT_EQ(run_in_child([&] {
              for (const StartMethod choice : kEveryMethod) {
                set_start_method(choice);
                const int code = run([choice] {
                  if (get_start_method() != choice) ::_exit(1);
                  if (get_all_start_methods().size() != 3) ::_exit(2);
                  set_start_method(StartMethod::spawn);
                  Process inner([] { ::_exit(get_start_method() == StartMethod::spawn ? 0 : 3); });
                  inner.start();
                  inner.join();
                  ::_exit(inner.exitcode().value());
                });
                if (code != 0) return code;
                if (get_start_method() != choice) return 10;
              }
              return 0;
            }),
            0);
}

// A process that the program forked itself starts processes too, without touching what its parent has.
TEST_P(Families, InAPlainForkOfTheProgram) {
  const Shared<Word> go;
  Process outer(options(), [go = go.get()] { await(*go); });
  outer.start();
  EXPECT_EQ(run_in_child([&] {
              if (!active_children().empty()) return 1;
              for (const StartMethod method : kEveryMethod) {
                Process process(ProcessOptions{.start_method = method}, [] { ::_exit(6); });
                process.start();
                process.join();
                if (process.exitcode() != 6) return 2;
              }
              return 0;
            }),
            0);
  EXPECT_TRUE(outer.is_alive());
  *go = 1;
  outer.join();
  EXPECT_EQ(outer.exitcode(), 0);
}

// Deep families, whose every generation has to find the program again.
struct Chain {
  static void run(int left, std::uintptr_t note) {
    if (left == 0) return reinterpret_cast<Note*>(note)->write(current_process().name);
    Process next(run, left - 1, note);
    next.start();
    next.join();
    ::_exit(next.exitcode().value());
  }
};

TEST_P(Families, Deep) {
  const Shared<Note> note;
  EXPECT_EQ(run(
                [](StartMethod method, std::uintptr_t place) {
                  set_start_method(method);
                  Chain::run(6, place);
                },
                GetParam(), reinterpret_cast<std::uintptr_t>(note.get())),
            0);
  const std::string name = note->read();
  EXPECT_EQ(std::count(name.begin(), name.end(), ':'), 6) << name;
}

}  // namespace
}  // namespace brood
