// A thread that kills a pool's workers at random moments.
#pragma once

#include <atomic>
#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {

class Killer {
 public:
  // Pauses up to `longest_pause_us` between two kills.
  explicit Killer(Pool& pool, int longest_pause_us = 4000)
      : thread_([this, &pool, longest_pause_us] { run(pool, longest_pause_us); }) {}
  ~Killer() { stop(); }

  // How many were killed.
  int stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return kills_;
  }

 private:
  void run(Pool& pool, int longest_pause_us) {
    std::minstd_rand random(static_cast<unsigned>(os::now_ns()));
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(longest_pause_us)));
      const std::vector<pid_t> pids = pool.pids();
      if (pids.empty()) continue;
      const pid_t pid = pids[random() % pids.size()];
      EXPECT_GT(pid, 0);
      if (pid > 0 && ::kill(pid, SIGKILL) == 0) ++kills_;
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> kills_{0};
  std::thread thread_;
};

// With BROOD_LONG_TESTS in the environment a test of chaos goes on for 90 s.
class ChaosClock {
 public:
  bool over() const { return !is_long_ || os::now_ns() > end_ns_; }

 private:
  const bool is_long_ = std::getenv("BROOD_LONG_TESTS") != nullptr;
  const std::int64_t end_ns_ = os::now_ns() + 90'000'000'000;
};

}  // namespace brood::pool_tests
