// The same job with its size on the command line: `long_time_task_close_pool 20 30` runs thirty tasks on twenty
// workers. Better here: tasks start when they are submitted, not at close(), and resize() changes a running pool.
#include <brood/pool.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

void long_time_task(int name) {
  std::printf("Run task %d (%d)...\n", name, getpid());
  std::random_device random;
  const auto length = std::chrono::milliseconds(random() % 3000);
  std::this_thread::sleep_for(length);
  std::printf("Task %d runs %0.2f seconds.\n", name, std::chrono::duration<double>(length).count());
}

int main(int argc, char** argv) {
  const int processes = argc > 1 ? std::atoi(argv[1]) : 4;
  const int tasks = argc > 2 ? std::atoi(argv[2]) : 5;
  if (processes < 1 || tasks < 0) {
    std::fputs("usage: long_time_task_close_pool [PROCESSES [TASKS]]\n", stderr);
    return 2;
  }
  std::printf("Parent process %d.\n", getpid());
  brood::Pool p(static_cast<unsigned>(processes));
  for (int i = 0; i < tasks; ++i) p.apply_async(long_time_task, i);
  std::puts("Waiting for all subprocesses done...");
  p.close();
  std::puts("close pool...");
  p.join();
  std::puts("All subprocesses done.");
}
