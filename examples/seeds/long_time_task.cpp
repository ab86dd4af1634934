// Five tasks of random length on four workers: the fifth starts when the first of the others ends.
// Better here: close and join are optional (the scope does both), and a failure in a task cannot pass unseen by get().
#include <brood/pool.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

void long_time_task(int name) {
  std::printf("Run task %d (%d)...\n", name, getpid());
  const auto start = std::chrono::steady_clock::now();
  std::random_device random;
  std::this_thread::sleep_for(std::chrono::duration<double>(std::uniform_real_distribution<double>(0, 3)(random)));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("Task %d runs %0.2f seconds.\n", name, seconds.count());
}

int main() {
  std::printf("Parent process %d.\n", getpid());
  brood::Pool p(4);
  for (int i = 0; i < 5; ++i) p.apply_async(long_time_task, i);
  std::puts("Waiting for all subprocesses done...");
  p.close();
  p.join();
  std::puts("All subprocesses done.");
}
