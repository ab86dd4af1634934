// The bare limits: what the kernel and the memory allow when nothing stands in between.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "bench.hpp"

namespace {

void fail(const char* call) {
  std::perror(call);
  std::exit(1);
}

pid_t fork_or_fail() {
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  return pid;
}

void fork_wait(bool quick) {
  const double seconds = bench::median_seconds(quick ? 50 : 500, [] {
    const pid_t pid = fork_or_fail();
    if (pid == 0) _exit(0);
    waitpid(pid, nullptr, 0);
  });
  bench::report("fork_wait", seconds * 1e6, "us");
}

// A child that sleeps is killed, waited for, and replaced by a new one: what the replacement of a worker cannot avoid.
void kill_refork(bool quick) {
  const auto sleeper = [] {
    const pid_t pid = fork_or_fail();
    if (pid != 0) return pid;
    for (;;) pause();
  };
  pid_t pid = sleeper();
  std::vector<double> seconds;
  for (int i = 0; i < (quick ? 10 : 50); ++i) {
    usleep(5000);
    seconds.push_back(bench::seconds_of([&] {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      pid = sleeper();
    }));
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  bench::report("kill_refork", bench::median(seconds) * 1e6, "us");
}

struct Words {
  alignas(128) std::atomic<std::uint32_t> ping{0};
  alignas(128) std::atomic<std::uint32_t> pong{0};
};

// Without a pause instruction, which makes the round trip four times as long on some machines: this is the limit.
void wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  while (word.load(std::memory_order_acquire) != value) {
  }
}

// Two processes, one word each way, both spinning. There is no faster answer from another process.
void ping_pong(bool quick) {
  void* memory = mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  Words& words = *new (memory) Words;
  constexpr std::uint32_t kBatches = 11;
  const std::uint32_t trips = quick ? 10'000 : 100'000;

  const pid_t pid = fork_or_fail();
  if (pid == 0) {
    for (std::uint32_t i = 1; i <= kBatches * trips; ++i) {
      wait_for(words.ping, i);
      words.pong.store(i, std::memory_order_release);
    }
    _exit(0);
  }
  std::uint32_t i = 0;
  const double seconds = bench::median_seconds(kBatches, [&] {
    for (const std::uint32_t end = i + trips; i < end;) {
      words.ping.store(++i, std::memory_order_release);
      wait_for(words.pong, i);
    }
  });
  waitpid(pid, nullptr, 0);
  bench::report("ping_pong", seconds / trips * 1e6, "us");
}

void memcpy_64mib(bool quick) {
  constexpr std::size_t kBytes = 64 << 20;
  std::vector<char> from(kBytes, 'x'), to(kBytes, 'y');
  const double seconds = bench::median_seconds(quick ? 3 : 11, [&] {
    std::memcpy(to.data(), from.data(), kBytes);
    asm volatile("" : : "r"(to.data()) : "memory");
  });
  bench::report("memcpy", static_cast<double>(kBytes) / seconds, "B/s");
}

constexpr bench::Measure kMeasures[] = {
    {"fork_wait", fork_wait},
    {"kill_refork", kill_refork},
    {"ping_pong", ping_pong},
    {"memcpy", memcpy_64mib},
};

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, kMeasures); }
