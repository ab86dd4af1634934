// A process as a class of its own, with run() overridden and data in its members.
// Better here: forgetting to call the base constructor is not possible, and the destructor joins.
#include <brood/process.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

class MyProcess : public brood::Process {
 public:
  explicit MyProcess(int seconds) : seconds_(seconds) {}

  void run() override {
    std::printf("父进程pid: %d, 子进程pid: %d\n", getppid(), getpid());
    std::this_thread::sleep_for(std::chrono::seconds(seconds_));
  }

 private:
  int seconds_;
};

int main() {
  std::printf("主进程pid: %d\n", getpid());
  MyProcess p(3);
  p.start();
  p.join();
}
