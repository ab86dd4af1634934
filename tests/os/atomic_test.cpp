#include <brood/detail/atomic.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace brood::detail {
namespace {

// What it stands for, seen from the outside.
static_assert(sizeof(Atomic<std::uint64_t>) == sizeof(std::atomic<std::uint64_t>));
static_assert(alignof(Atomic<std::uint64_t>) == alignof(std::atomic<std::uint64_t>));
static_assert(sizeof(Atomic<bool>) == sizeof(std::atomic<bool>));
static_assert(static_cast<int>(Order::relaxed) == static_cast<int>(std::memory_order_relaxed));
static_assert(static_cast<int>(Order::acquire) == static_cast<int>(std::memory_order_acquire));
static_assert(static_cast<int>(Order::release) == static_cast<int>(std::memory_order_release));
static_assert(static_cast<int>(Order::acq_rel) == static_cast<int>(std::memory_order_acq_rel));
static_assert(static_cast<int>(Order::seq_cst) == static_cast<int>(std::memory_order_seq_cst));

TEST(Atomic, EveryOperation) {
  Atomic<int> number{3};
  EXPECT_EQ(number.load(), 3);
  number.store(4);
  EXPECT_EQ(number.exchange(5), 4);
  EXPECT_EQ(number.fetch_add(2), 5);
  EXPECT_EQ(number.fetch_sub(1, std::memory_order_acq_rel), 7);
  int expected = 9;
  EXPECT_FALSE(number.compare_exchange_weak(expected, 1, Order::release));
  EXPECT_EQ(expected, 6);
  while (!number.compare_exchange_weak(expected, 1, Order::release)) {
  }
  EXPECT_EQ(number.load(std::memory_order_acquire), 1);

  Atomic<double> real{0};
  real.store(1.5, Order::relaxed);
  EXPECT_EQ(real.load(Order::relaxed), 1.5);
  Atomic<bool> flag{false};
  EXPECT_FALSE(flag.exchange(true));
  EXPECT_TRUE(flag.load());
  Atomic<const int*> pointer{nullptr};
  const int target = 1;
  pointer.store(&target, Order::release);
  EXPECT_EQ(pointer.load(Order::acquire), &target);
}

TEST(Atomic, ManyThreadsCountTogether) {
  constexpr int kThreads = 4, kRounds = 20'000;
  Atomic<std::uint32_t> added{0}, swapped{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kRounds; ++k) {
        added.fetch_add(1, Order::relaxed);
        std::uint32_t seen = swapped.load(Order::relaxed);
        while (!swapped.compare_exchange_weak(seen, seen + 1, Order::acq_rel)) {
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(added.load(), std::uint32_t{kThreads * kRounds});
  EXPECT_EQ(swapped.load(), std::uint32_t{kThreads * kRounds});
}

// What is written before a release is seen after an acquire.
TEST(Atomic, ReleaseAndAcquire) {
  for (int round = 0; round < 200; ++round) {
    int payload = 0;
    Atomic<bool> ready{false};
    std::thread writer([&] {
      payload = 42;
      ready.store(true, Order::release);
    });
    while (!ready.load(Order::acquire)) {
    }
    EXPECT_EQ(payload, 42);
    writer.join();
  }
}

}  // namespace
}  // namespace brood::detail
