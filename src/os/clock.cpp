#include "os/clock.hpp"

#include <time.h>

#include <cerrno>

namespace brood::os {

std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void sleep_until(Deadline deadline) noexcept {
  const timespec until{deadline.at_ns() / 1'000'000'000, deadline.at_ns() % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

}  // namespace brood::os
