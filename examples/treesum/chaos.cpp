#include "chaos.hpp"

#include <signal.h>

#include <chrono>
#include <random>
#include <vector>

using std::chrono::steady_clock;
using namespace std::chrono_literals;

Chaos::Chaos(brood::Pool& pool) : pool_(pool), thread_([this] { run(); }) {}

std::uint64_t Chaos::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return killed_;
}

void Chaos::run() {
  constexpr auto kPace = 50ms;
  std::minstd_rand random{std::random_device{}()};
  auto interval = kPace;
  std::uint64_t finished_before = 0;
  for (;;) {
    const auto next_kill = steady_clock::now() + interval;
    while (steady_clock::now() < next_kill) {
      if (stopping_) return;
      std::this_thread::sleep_for(5ms);
    }
    const std::vector<pid_t> pids = pool_.pids();
    if (!pids.empty() && kill(pids[random() % pids.size()], SIGKILL) == 0) ++killed_;

    const std::uint64_t finished = finished_;
    interval = finished == finished_before ? 2 * interval : kPace;
    finished_before = finished;
  }
}
