#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) &&
              std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace

bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) {
  const timespec until{deadline.at_ns() / 1'000'000'000, deadline.at_ns() % 1'000'000'000};
  const long result = call_once(Call::futex, [&] {
    // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC; without FUTEX_PRIVATE_FLAG other processes can wake.
    return ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, deadline.is_never() ? nullptr : &until, nullptr,
                     FUTEX_BITSET_MATCH_ANY);
  });
  if (result == 0 || errno == EAGAIN || errno == EINTR) return true;
  if (errno == ETIMEDOUT) return false;
  throw_errno(errno, "futex", "FUTEX_WAIT_BITSET");
}

int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  const long woken = call(Call::futex, [&] {
    return ::syscall(SYS_futex, &word, FUTEX_WAKE, count < 0 ? INT_MAX : count, nullptr, nullptr, 0);
  });
  return woken < 0 ? 0 : static_cast<int>(woken);
}

}  // namespace brood::os
