// Starting a process and waiting for its end, by every method, beside the kernel's own cost of the same thing.
//
// The two are measured in turns, in one program: the cost depends on how much memory the program has, and on the
// moment.
#include <brood/process.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "bench.hpp"

extern char** environ;

namespace {

constexpr const char* kOnlyEnd = "--only-end";

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "start_bench: %s failed\n", what);
  std::exit(1);
}

void raw_fork() {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  check(pid > 0 && waitpid(pid, nullptr, 0) == pid, "fork");
}

// The same program, which ends at once.
void raw_spawn() {
  char name[] = "start_bench";
  std::string option = kOnlyEnd;
  char* const arguments[] = {name, option.data(), nullptr};
  pid_t pid = 0;
  check(posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ) == 0, "posix_spawn");
  check(waitpid(pid, nullptr, 0) == pid, "waitpid");
}

template <brood::StartMethod Method>
void brood_start() {
  brood::Process process(brood::ProcessOptions{.start_method = Method}, [] {});
  process.start();
  process.join();
  check(process.exitcode() == 0, "brood::Process");
}

// Medians of `ours` and `theirs`, taken in turns.
void compare(const std::string& key, void (*ours)(), const std::string& their_key, void (*theirs)(), int repeats) {
  ours();  // the fork server begins
  std::vector<double> our_seconds, their_seconds;
  for (int i = 0; i < repeats; ++i) {
    their_seconds.push_back(bench::seconds_of(theirs));
    our_seconds.push_back(bench::seconds_of(ours));
  }
  bench::report(key.c_str(), bench::median(our_seconds) * 1e6, "us");
  if (!their_key.empty()) bench::report(their_key.c_str(), bench::median(their_seconds) * 1e6, "us");
}

constexpr auto* kFork = brood_start<brood::StartMethod::fork>;
constexpr auto* kForkServer = brood_start<brood::StartMethod::forkserver>;
constexpr auto* kSpawn = brood_start<brood::StartMethod::spawn>;

void start_fork(bool quick) { compare("start_fork", kFork, "raw_fork", raw_fork, quick ? 50 : 500); }
void start_spawn(bool quick) { compare("start_spawn", kSpawn, "raw_spawn", raw_spawn, quick ? 20 : 200); }
void start_forkserver(bool quick) {
  compare("start_forkserver", kForkServer, "raw_fork_small", raw_fork, quick ? 50 : 500);
}

// All three from a parent that has so much memory in use.
void with_memory(std::size_t mebibytes, bool quick) {
  const std::string suffix = "_" + std::to_string(mebibytes);
  const std::vector<char> memory(mebibytes << 20, 'x');
  asm volatile("" : : "r"(memory.data()) : "memory");
  const int repeats = quick ? 5 : 40;
  compare("start_fork" + suffix, kFork, "raw_fork" + suffix, raw_fork, repeats);
  compare(
      "start_forkserver" + suffix, kForkServer, "", [] {}, repeats);
  compare("start_spawn" + suffix, kSpawn, "raw_spawn" + suffix, raw_spawn, repeats);
}

void start_256(bool quick) {
  compare("start_forkserver_256_before", kForkServer, "raw_fork_small_256", raw_fork, quick ? 20 : 200);
  with_memory(256, quick);
}
void start_1024(bool quick) {
  compare("start_forkserver_1024_before", kForkServer, "raw_fork_small_1024", raw_fork, quick ? 20 : 200);
  with_memory(1024, quick);
}

constexpr bench::Measure kMeasures[] = {
    {"start_fork", start_fork},   {"start_forkserver", start_forkserver},
    {"start_spawn", start_spawn}, {"start_256", start_256},
    {"start_1024", start_1024},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], kOnlyEnd) == 0) return 0;
  brood::init(argc, argv);
  return bench::main(argc, argv, kMeasures);
}
