// A pool whose calls find no memory, or no thread: they throw it, or the tasks are answered; and the pool goes on.
#include <brood/pool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "pool/support.hpp"
#include "pool_memory/scarcity.hpp"

namespace brood::pool_tests {
namespace {

using brood::testing::scarcity;

// Longer than what needs no allocation.
std::string text_of(int x) { return std::string(100, 'x') + std::to_string(x); }
std::size_t size_of(const std::string& text) { return text.size(); }

// `call` with each of its allocations failing in turn, until none does. What it throws must be that.
template <class Call>
void fail_each(Pool& pool, long least, Call call) {
  long failing = 1;
  for (bool failed = true; failed; ++failing) {
    SCOPED_TRACE("allocation " + std::to_string(failing));
    scarcity.fail_at(failing);
    bool thrown = false;
    try {
      call(thrown);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    failed = scarcity.end();
    EXPECT_TRUE(failed || !thrown);
    EXPECT_EQ(pool.apply(negate, 3), -3);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(failing, least) << "hardly anything was tried";
  expect_works(pool);
}

TEST(EngineMemory, CallsThatWait) {
  Pool pool(2);
  const std::vector<int> input = numbers(300);
  fail_each(pool, 1, [&](bool&) { EXPECT_EQ(pool.apply(text_of, 7).size(), 101U); });
  fail_each(pool, 5, [&](bool&) { EXPECT_EQ(pool.map(text_of, input).size(), 300U); });
  fail_each(pool, 3, [&](bool&) { EXPECT_EQ(pool.apply(brood::bind(size_of, text_of(1))), 101U); });
}

TEST(EngineMemory, Streams) {
  Pool pool(2);
  const auto drain = [](auto stream) {
    std::size_t count = 0;
    while (stream.next()) ++count;
    return count;
  };
  const std::vector<int> input = numbers(100);
  fail_each(pool, 5, [&](bool&) { EXPECT_EQ(drain(pool.imap(text_of, input)), 100U); });
  fail_each(pool, 5, [&](bool&) { EXPECT_EQ(drain(pool.imap(size_of, pool.imap(text_of, input))), 100U); });
}

// Either it throws, or there is an answer.
TEST(EngineMemory, CallsThatDoNotWait) {
  Pool pool(2);
  const std::vector<int> input = numbers(300);
  fail_each(pool, 3, [&](bool&) {
    AsyncResult<std::string> answer = pool.apply_async(text_of, 7);
    scarcity.allocations_left = 0;
    EXPECT_EQ(answer.get().size(), 101U);
  });
  fail_each(pool, 5, [&](bool&) {
    AsyncResult<std::vector<std::string>> answer = pool.map_async(text_of, input);
    scarcity.allocations_left = 0;
    EXPECT_EQ(answer.get().size(), 300U);
  });
}

// While nobody waits, the service thread works: what fails there is tried again, or is the error of a task.
TEST(EngineMemory, OfTheServiceThread) {
  constexpr int kTasks = 40;
  long failing = 1;
  for (std::atomic<bool> failed{true}; failed; ++failing) {
    SCOPED_TRACE("allocation " + std::to_string(failing));
    Pool pool(2);
    std::atomic<int> answered{0};
    std::atomic<bool> armed{false};
    // Callbacks run in that thread.
    pool.apply_async(negate, 1).then([&](int) {
      scarcity.fail_at(failing);
      armed = true;
    });
    ASSERT_TRUE(eventually([&] { return armed.load(); }));
    for (int i = 0; i < kTasks; ++i) {
      pool.apply_async(text_of, i)
          .then([&](const std::string& text) { answered += text.size() > 100 ? 1 : 1000; })
          .on_error([&](const std::exception_ptr& error) {
            try {
              std::rethrow_exception(error);
            } catch (const std::bad_alloc&) {
              ++answered;
            } catch (...) {
              answered += 1000;
            }
          });
    }
    // Copying the text for a callback may fail as well, and what a callback throws is dropped.
    EXPECT_TRUE(eventually([&] { return answered >= kTasks - 1; })) << answered;
    std::atomic<bool> over{false};
    auto last = pool.apply_async(negate, 2);
    last.wait();
    last.then([&](int) {
      failed = scarcity.end();
      over = true;
    });
    ASSERT_TRUE(eventually([&] { return over.load(); }));
    EXPECT_LE(answered, kTasks);
    expect_works(pool);
    if (HasFailure() || failing > 400) break;
  }
  EXPECT_GT(failing, 10) << "hardly anything was tried";
}

TEST(EngineMemory, NoServiceThread) {
  Counters ran(1);
  Pool pool(2);
  const auto count = [ran = ran.get()](int x) {
    ran->fetch_add(1);
    return x;
  };
  scarcity.no_threads = true;
  for (int i = 0; i < 3; ++i) {
    const auto error = thrown_by<ProcessError>([&] { pool.apply_async(count, 1); });
    EXPECT_NE(std::string(error.what()).find("thread"), std::string::npos) << error.what();
    EXPECT_THROW(pool.map_async(count, numbers(5)), ProcessError);
  }
  EXPECT_EQ(pool.map(negate, numbers(3)), (std::vector{0, -1, -2}));
  scarcity.no_threads = false;
  EXPECT_EQ(ran[0], 0) << "what was refused runs all the same";
  EXPECT_EQ(pool.apply_async(count, 4).get(), 4);
  EXPECT_EQ(ran[0], 1);
  expect_works(pool);
}

}  // namespace
}  // namespace brood::pool_tests
