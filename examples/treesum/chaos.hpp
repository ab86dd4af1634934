// --chaos: kills a random worker of a pool every 50 ms.
#pragma once

#include <brood/pool.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

class Chaos {
 public:
  explicit Chaos(brood::Pool& pool);
  ~Chaos() { stop(); }
  Chaos(const Chaos&) = delete;
  Chaos& operator=(const Chaos&) = delete;

  // Tells that a file is finished. While none is, the kills become rarer: a file that takes longer to read than a
  // worker lives would otherwise never be finished.
  void file_finished() { finished_.fetch_add(1, std::memory_order_relaxed); }

  // No kill comes after this. Returns how many there were.
  std::uint64_t stop();

 private:
  void run();

  brood::Pool& pool_;
  std::atomic<std::uint64_t> finished_{0}, killed_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};
