// The blocking form: apply returns when its task has ended, so "Mark" is the last but one line.
// Better here: the seed calls apply_async by mistake and wonders why "Mark" comes first; apply is what it wanted.
#include <brood/pool.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

void func(const std::string& msg) {
  std::printf("msg: %s\n", msg.c_str());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  std::puts("end");
  std::fflush(stdout);
}

int main() {
  brood::Pool pool(3);
  for (int i = 0; i < 4; ++i) {
    const std::string msg = "hello " + std::to_string(i);
    pool.apply(func, msg);
  }

  std::puts("Mark~ Mark~ Mark~~~~~~~~~~~~~~~~~~~~~~");
  pool.close();
  pool.join();
  std::puts("Sub-process(es) done.");
}
