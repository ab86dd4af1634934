// Memory and threads that run out when a test says so, for one thread at a time.
#pragma once

namespace brood::testing {

struct Scarcity {
  long allocations_left = 0;  // counts down while it is positive; the allocation that reaches zero fails
  bool has_failed = false;
  bool no_threads = false;  // none can be started

  void fail_at(long allocation) noexcept {
    allocations_left = allocation;
    has_failed = false;
  }
  // Whether it has failed.
  bool end() noexcept {
    allocations_left = 0;
    return has_failed;
  }
};
inline constinit thread_local Scarcity scarcity{};

}  // namespace brood::testing
