// Four messages on three workers, without blocking: the parent goes on at once, the fourth waits for a free worker.
// Better here: a worker's death or exception would be reported by join's scope or get(), never a silent hang.
#include <brood/pool.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

void func(const std::string& msg) {
  std::printf("msg: %s\n", msg.c_str());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  std::puts("end");
}

int main() {
  brood::Pool pool(3);
  for (int i = 0; i < 4; ++i) {
    const std::string msg = "hello " + std::to_string(i);
    pool.apply_async(func, msg);
  }

  std::puts("Mark~ Mark~ Mark~~~~~~~~~~~~~~~~~~~~~~");
  pool.close();

  pool.join();
  std::puts("Sub-process(es) done.");
}
