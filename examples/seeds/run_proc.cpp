// One child process that runs a function, and a parent that waits for it.
// Better here: any callable and any arguments, an exit code that names the signal, no zombie, no `if __name__`.
#include <brood/process.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>

void run_proc(const std::string& name) { std::printf("Run child process %s (%d)...\n", name.c_str(), getpid()); }

int main() {
  std::printf("Parent process %d.\n", getpid());
  brood::Process p(run_proc, "test");
  std::puts("Child process will start.");
  p.start();
  p.join();
  std::puts("Child process end.");
}
