// A child and its parent see each other's process ids.
// Better here: arguments are just arguments, with no tuple and no trailing comma.
#include <brood/process.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

void f(int seconds) {
  const int pid = getpid();
  const int ppid = getppid();
  std::printf("父进程pid: %d, 子进程pid: %d\n", ppid, pid);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
}

int main() {
  std::printf("主进程pid: %d\n", getpid());
  brood::Process p(f, 3);
  p.start();
  p.join();
}
