// Ten children started one after the other, then joined.
// Better here: Process objects are values that live in a vector, and one that goes out of scope joins by itself.
#include <brood/process.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

void run_proc(const std::string& name) { std::printf("Run child process %s (%d)...\n", name.c_str(), getpid()); }

int main() {
  std::printf("Parent process %d.\n", getpid());

  std::vector<brood::Process> process_list;
  for (int i = 0; i < 10; ++i) {
    brood::Process p(run_proc, "test");
    std::printf("%dth Child process will start.\n", i);
    p.start();
    process_list.push_back(std::move(p));
  }

  for (brood::Process& p : process_list) p.join();

  std::puts("Done.");
}
