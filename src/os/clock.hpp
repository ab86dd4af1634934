// Monotonic time, and the moment at which a wait is given up.
//
// Thread safety: values. Across fork: the clock is the same in every process of the machine, so a deadline may be sent.
#pragma once

#include <chrono>
#include <cstdint>

namespace brood::os {

// Nanoseconds of CLOCK_MONOTONIC.
std::int64_t now_ns() noexcept;

class Deadline {
 public:
  static Deadline never() noexcept { return Deadline(INT64_MAX); }
  static Deadline at(std::int64_t ns) noexcept { return Deadline(ns); }
  // Zero and negative durations have passed at once; one that is too long to count is never().
  static Deadline after(std::chrono::nanoseconds duration) noexcept {
    const std::int64_t now = now_ns();
    return Deadline(duration.count() >= INT64_MAX - now ? INT64_MAX : now + duration.count());
  }

  bool is_never() const noexcept { return at_ns_ == INT64_MAX; }
  bool passed() const noexcept { return !is_never() && now_ns() >= at_ns_; }
  // INT64_MAX for never(), otherwise at least 0.
  std::int64_t remaining_ns() const noexcept {
    if (is_never()) return INT64_MAX;
    const std::int64_t now = now_ns();
    return now >= at_ns_ ? 0 : at_ns_ - now;
  }
  std::int64_t at_ns() const noexcept { return at_ns_; }

 private:
  explicit Deadline(std::int64_t at_ns) noexcept : at_ns_(at_ns) {}

  std::int64_t at_ns_;
};

// Sleeps until the deadline, whatever signals arrive. Never with never().
void sleep_until(Deadline deadline) noexcept;

}  // namespace brood::os
