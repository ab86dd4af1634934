// A Pool that is destroyed while other threads are still in its calls: they get their answers, or Cancelled. (At the
// end of a program that happens to static pools.)
#include <memory>
#include <thread>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

template <class Call>
void destroy_during(Call call) {
  for (std::size_t i = 0; i < scaled(30); ++i) {
    Counters begun(1);
    auto pool = std::make_unique<Pool>(2);
    const auto task = [begun = begun.get()](int x) {
      begun->fetch_add(1);
      sleep_ms(1);
      return -x;
    };
    std::thread thread([&, &alive = *pool] {
      try {
        call(alive, task);
      } catch (const Cancelled&) {
      }
    });
    await(begun[0]);
    pool.reset();
    thread.join();
  }
}

TEST(Destruction, DuringApply) {
  destroy_during([](Pool& pool, auto task) { EXPECT_EQ(pool.apply(task, 3), -3); });
}

TEST(Destruction, DuringMap) {
  destroy_during(
      [](Pool& pool, auto task) { EXPECT_EQ(pool.with({.chunksize = 1}).map(task, numbers(10)).size(), 10U); });
}

TEST(Destruction, DuringJoin) {
  destroy_during([](Pool& pool, auto task) {
    pool.apply_async(task, 1);
    pool.close();
    pool.join();
  });
}

}  // namespace
}  // namespace brood::pool_tests
