// Calls that do not wait, while a stream's consumer pauses: the service thread looks now and then, and must not take it
// for quiet when somebody was there in between.
#include <gtest/gtest.h>

#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

TEST(Unattended, WhatWaitsBehindALongTaskIsTakenBack) {
  Pool pool(2);
  // A stream that has something open and nothing to do.
  auto stream = pool.with({.window = 2})
                    .imap(
                        [](int x) {
                          sleep_ms(1);
                          return x;
                        },
                        numbers(1000));
  EXPECT_EQ(stream.next(), 0);
  for (std::size_t round = 0; round < scaled(150); ++round) {
    const Counters ended(1);
    ::usleep(static_cast<useconds_t>(round * 37 % 4000));  // at another point of its looking each time
    const auto list = pool.with({.chunksize = 10})
                          .map_async(
                              [ended = ended.get()](int x) {
                                // The first one ends when all others have.
                                while (x == 0 && *ended < 9) ::usleep(100);
                                ended->fetch_add(1);
                              },
                              numbers(10));
    ASSERT_TRUE(eventually([&] { return ended[0] == 10; }));
  }
}

}  // namespace
}  // namespace brood::pool_tests
