#include "os/stdio.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <string>

#include "os/fd.hpp"
#include "os/fork.hpp"
#include "os/support.hpp"
#include "support/scale.hpp"

namespace brood::os {
namespace {

using testing::exit_code_of;

// What a program writes to its standard output. `program` runs in a process of its own and returns like main().
template <class F>
std::string output_of(F&& program) {
  const Fd file(::memfd_create("output", MFD_CLOEXEC));
  ::fcntl(file.get(), F_SETFL, O_APPEND);  // two writers of a memfd do not take turns otherwise
  const pid_t pid = testing::fork_child([&]() -> int {
    ::dup2(file.get(), 1);
    static char buffer[4096];
    std::setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    std::exit(program());
  });
  EXPECT_EQ(exit_code_of(pid), 0);
  std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), ' ');
  ::lseek(file.get(), 0, SEEK_SET);
  read_all(file.get(), text.data(), text.size());
  return text;
}

template <class F>
void in_forked_process(F&& f) {
  const pid_t pid = fork_process();
  if (pid == 0) {
    f();
    exit_process(0);
  }
  EXPECT_EQ(exit_code_of(pid), 0);
}

// Starts a thread that lives until the end of the scope, so that the process is not single-threaded.
class OtherThread {
 public:
  template <class F>
  explicit OtherThread(F&& work) : thread_([this, work] { work(stop_); }) {}
  OtherThread(const OtherThread&) = delete;
  OtherThread& operator=(const OtherThread&) = delete;
  ~OtherThread() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void idle(const std::atomic<bool>& stop) {
  while (!stop) ::usleep(500);
}

TEST(Stdio, NothingLostNothingDoubled) {
  EXPECT_EQ(output_of([] {
              std::printf("before ");
              in_forked_process([] { std::printf("child "); });
              std::printf("after");
              return 0;
            }),
            "before child after");
}

TEST(Stdio, OtherStreamsOfASingleThread) {
  if (testing::has_threads_of_tools()) GTEST_SKIP() << "a sanitizer runs a thread of its own";
  EXPECT_EQ(output_of([] {
              std::FILE* const mine = ::fdopen(::dup(1), "w");
              std::fprintf(mine, "before ");
              in_forked_process([&] { std::fprintf(mine, "child "); });
              std::fprintf(mine, "after");
              std::fclose(mine);
              return 0;
            }),
            "before child after");
}

TEST(Stdio, ThreadedParent) {
  EXPECT_EQ(output_of([] {
              const OtherThread thread(idle);
              std::printf("before ");
              in_forked_process([] { std::printf("child "); });
              std::printf("after");
              return 0;
            }),
            "before child after");
}

// What the parent could not write is the parent's: the child forgets it.
TEST(Stdio, OtherStreamsOfAThreadedParent) {
  EXPECT_EQ(output_of([] {
              const OtherThread thread(idle);
              std::FILE* const mine = ::fdopen(::dup(1), "w");
              std::fprintf(mine, "parent ");
              in_forked_process([&] { std::fprintf(mine, "child "); });
              std::fclose(mine);
              return 0;
            }),
            "child parent ");
}

TEST(Stdio, StreamHeldByAnotherThread) {
  EXPECT_EQ(output_of([] {
              std::printf("parent ");
              std::atomic<bool> held{false};
              {
                const OtherThread holder([&](const std::atomic<bool>& stop) {
                  ::flockfile(stdout);
                  held = true;
                  idle(stop);
                  ::funlockfile(stdout);
                });
                while (!held) ::usleep(500);
                in_forked_process([] { std::printf("child "); });
              }
              return 0;
            }),
            "child parent ");
}

TEST(Stdio, UnsynchronizedCout) {
  EXPECT_EQ(output_of([] {
              std::ios::sync_with_stdio(false);
              std::cout << "before ";
              {
                const OtherThread thread(idle);
                in_forked_process([] { std::cout << "child "; });
              }
              std::cout << "after";
              return 0;
            }),
            "child before after");
}

TEST(Stdio, UnsynchronizedCoutOfASingleThread) {
  if (testing::has_threads_of_tools()) GTEST_SKIP() << "a sanitizer runs a thread of its own";
  EXPECT_EQ(output_of([] {
              std::ios::sync_with_stdio(false);
              std::cout << "before ";
              in_forked_process([] { std::cout << "child "; });
              std::cout << "after";
              return 0;
            }),
            "before child after");
}

TEST(Stdio, CoutSynchronizedAndRedirected) {
  EXPECT_EQ(output_of([] {
              std::cout << "a ";
              in_forked_process([] { std::cout << "b "; });
              std::stringbuf elsewhere;
              std::streambuf* const before = std::cout.rdbuf(&elsewhere);
              std::cout << "kept";
              in_forked_process([&] {
                if (elsewhere.str() != "kept") std::printf("lost");
              });
              std::cout.rdbuf(before);
              std::cout << "c";
              return 0;
            }),
            "a b c");
}

// A stream into memory is the program's data; the child keeps its copy.
TEST(Stdio, MemoryStreamSurvives) {
  EXPECT_EQ(output_of([] {
              const OtherThread thread(idle);
              char* text = nullptr;
              std::size_t size = 0;
              std::FILE* const memory = ::open_memstream(&text, &size);
              std::fprintf(memory, "abc");
              in_forked_process([&] {
                std::fprintf(memory, "def");
                std::fflush(memory);
                std::printf("%s ", text);
              });
              std::fclose(memory);
              std::printf("%s", text);
              std::free(text);
              return 0;
            }),
            "abcdef abc");
}

TEST(Stdio, ReadAheadInputIsNotThrownAway) {
  EXPECT_EQ(output_of([] {
              int ends[2];
              if (::pipe(ends) != 0) return 1;
              write_all(ends[1], "one\ntwo\n", 8);
              ::close(ends[1]);
              std::FILE* const input = ::fdopen(ends[0], "r");
              char line[16];
              if (std::fgets(line, sizeof line, input) == nullptr) return 2;
              in_forked_process([&] {
                if (std::fgets(line, sizeof line, input) != nullptr) std::printf("%s", line);
              });
              std::fclose(input);
              return 0;
            }),
            "two\n");
}

// A thread that prints all the time: whatever instant the fork hits, the child must come to its end.
TEST(Stdio, ForkWhileAnotherThreadPrints) {
  const std::size_t forks = brood::testing::scaled(200);
  const std::string text = output_of([&] {
    const OtherThread printer([](const std::atomic<bool>& stop) {
      while (!stop) std::printf("p\n");
    });
    for (std::size_t i = 0; i < forks; ++i) in_forked_process([] { std::printf("c\n"); });
    return 0;
  });
  std::size_t children = 0;
  for (const char c : text) children += c == 'c';
  EXPECT_EQ(children, forks);
}

}  // namespace
}  // namespace brood::os
