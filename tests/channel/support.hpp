// What the tests of the channel share.
#pragma once

#include <cstdint>
#include <random>

#include "channel/link.hpp"
#include "os/support.hpp"
#include "support/scale.hpp"

namespace brood::channel::testing {

using brood::testing::scaled;
using os::testing::exit_code_of;
using os::testing::fork_child;
using os::testing::run_in_child;

// Numbers below a bound, the same ones in every run.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}
  std::uint32_t operator()(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }

 private:
  std::minstd_rand random_;
};

inline void sleep_us(std::uint32_t time_us) { ::usleep(time_us); }

// Somewhere between nothing and many microseconds, so that the two sides meet in all kinds of moments.
class Delays {
 public:
  explicit Delays(std::uint32_t seed) : dice_(seed + 1) {}
  void operator()() {
    const std::uint32_t kind = dice_(10);
    if (kind < 4) return;
    if (kind == 9 && dice_(16) == 0) return sleep_us(dice_(60));
    for (std::uint32_t i = dice_(1U << kind); i > 0; --i) asm volatile("" ::: "memory");
  }

 private:
  Dice dice_;
};

}  // namespace brood::channel::testing
