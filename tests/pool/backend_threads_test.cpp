// The whole engine with workers that are threads of this process.
#include "pool/backend_threads.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <numeric>
#include <stdexcept>

#include "support/scale.hpp"

namespace brood::engine::testing {
namespace {

using brood::testing::scaled;
using namespace std::chrono_literals;

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

int twice(int x) { return 2 * x; }
std::string longer(const std::string& text) { return text + "!"; }
int fails_at_7(int x) {
  if (x == 7) throw std::out_of_range("seven");
  return x;
}

void expect_works(ThreadPool& pool, int count = 1000) {
  const std::vector<int> in = numbers(count);
  const std::vector<int> out = pool.map(twice, in);
  ASSERT_EQ(out.size(), in.size());
  for (std::size_t i = 0; i < in.size(); ++i) ASSERT_EQ(out[i], 2 * in[i]);
}

TEST(ThreadWorkers, MapAndApply) {
  ThreadPool pool(3);
  expect_works(pool);
  EXPECT_EQ(pool.apply(twice, 21), 42);
  EXPECT_EQ(pool.apply(longer, std::string("text")), "text!");
  EXPECT_THROW(pool.map(fails_at_7, numbers(20), 3), std::out_of_range);
  EXPECT_EQ(pool.map(fails_at_7, numbers(7)).size(), 7U);
}

TEST(ThreadWorkers, LargeArgumentsAndResults) {
  ThreadPool pool(2);
  for (const std::size_t size : {1'000U, 60'000U, 100'000U, 131'000U, 1'000'000U, 20'000'000U}) {
    const std::string text(size, 'x');
    const std::string answer = pool.apply(longer, text);
    ASSERT_EQ(answer.size(), size + 1);
    EXPECT_EQ(answer.back(), '!');
  }
}

// Large and not so large ones in turn: what one leaves unreleased, the next may have to wait for.
TEST(ThreadWorkers, SizesInTurn) {
  ThreadPool pool(1);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < scaled(600); ++i)
    texts.emplace_back(i % 3 == 0 ? 100'000U : i % 3 == 1 ? 60'000U : 40U, 'x');
  for (int round = 0; round < 3; ++round) {
    const auto out = pool.map(longer, texts, 1);
    ASSERT_EQ(out.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(out[i].size(), texts[i].size() + 1);
  }
  for (const std::string& text : texts) ASSERT_EQ(pool.apply(longer, text).size(), text.size() + 1);
}

TEST(ThreadWorkers, ManyCallers) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < 6; ++i) {
    callers.emplace_back([&pool, i] {
      for (std::size_t round = 0; round < scaled(30); ++round) {
        if ((i + round) % 3 == 0) {
          expect_works(pool, 200);
        } else if ((i + round) % 3 == 1) {
          for (int k = 0; k < 50; ++k) ASSERT_EQ(pool.apply(twice, k), 2 * k);
        } else {
          ASSERT_THROW(pool.map(fails_at_7, numbers(100), 1), std::out_of_range);
        }
        if (round % 5 == 0) pool.engine().stats();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadWorkers, SmallRings) {
  ThreadScript script;
  script.sizes = {.tasks = 65'536, .results = 4'096};
  ThreadPool pool(2, script);
  expect_works(pool, 5'000);
  EXPECT_EQ(pool.apply(longer, std::string(500'000, 'x')).size(), 500'001U);
}

// --- starts --------------------------------------------------------------------------------------------------------

TEST(ThreadWorkers, SlowToStart) {
  ThreadScript script;
  script.start_delay = 50ms;
  ThreadPool pool(2, script);
  expect_works(pool);
}

TEST(ThreadWorkers, TheFirstStartsFail) {
  ThreadScript script;
  script.start_errors = {EAGAIN, ENOMEM, EMFILE, 0, EAGAIN};
  ThreadPool pool(2, script);
  expect_works(pool);
  EXPECT_EQ(pool.engine().pids().size(), 2U);
  EXPECT_GE(ThreadBackend::starts.load(), 6U);
}

// --- deaths at chosen points ---------------------------------------------------------------------------------------

enum class Point { before_ready, before_take, after_take, after_commit, in_a_large_result, damaged };

class ThreadDeath : public ::testing::TestWithParam<Point> {};

std::string encoded(int value) {
  wire::Writer writer;
  wire::save(writer, value);
  return writer.take_string();
}

int decoded(const std::string& item) {
  wire::Reader reader(std::as_bytes(std::span(item.data(), item.size())));
  return wire::load<int>(reader);
}

// Works until it has come to the point, then it is no more.
void work_until(Point point, FakeWorker& worker) {
  if (point == Point::before_ready) return;
  for (std::size_t done = 0;;) {
    const auto frame = worker.next_tasks();
    if (worker.stopped) return;
    worker.ring();
    if (!frame) {
      std::this_thread::sleep_for(100us);
      continue;
    }
    for (const std::string& item : frame->items) {
      const bool now = ++done > 2;
      if (now && point == Point::before_take) return;
      if (!worker.take()) {
        worker.decline(static_cast<std::uint32_t>(&frame->items.back() - &item) + 1);
        break;
      }
      if (now && point == Point::after_take) return;
      if (now && point == Point::damaged) return worker.put(RecordStatus::value, worker.sequence() + 5, "");
      if (now && point == Point::in_a_large_result) {
        worker.put_word(wire::pack_record(RecordStatus::value, worker.sequence(), 1'000'000));
        const std::string some(1000, 'x');
        return worker.put_bytes(some.data(), some.size());
      }
      worker.answer(encoded(2 * decoded(item)));
      worker.ring();
      if (now && point == Point::after_commit) return;
    }
    worker.release();
  }
}

TEST_P(ThreadDeath, OnlyTheTaskItWasAtIsLost) {
  const bool loses =
      GetParam() != Point::before_ready && GetParam() != Point::before_take && GetParam() != Point::after_commit;
  for (const unsigned retries : {0U, 1U}) {
    ThreadScript script;
    script.play = [](unsigned start, FakeWorker& worker, int& code) {
      if (start != 1) return false;
      work_until(GetParam(), worker);
      code = -9;
      return true;
    };
    ThreadPool pool(1, script);
    try {
      const std::vector<int> out = pool.map(twice, numbers(50), 5, retries);
      EXPECT_TRUE(!loses || retries > 0);
      for (int i = 0; i < 50; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 2 * i);
    } catch (const WorkerDied& died) {
      EXPECT_TRUE(loses && retries == 0) << died.what();
      EXPECT_EQ(died.exitcode(), -9);
    }
    expect_works(pool);
    EXPECT_EQ(pool.engine().stats().restarts, 1U);
  }
}

std::string name_of(const ::testing::TestParamInfo<Point>& test) {
  constexpr const char* kNames[] = {"BeforeReady", "BeforeTake",     "AfterTake",
                                    "AfterCommit", "InALargeResult", "Damaged"};
  return kNames[static_cast<int>(test.param)];
}

INSTANTIATE_TEST_SUITE_P(Points, ThreadDeath,
                         ::testing::Values(Point::before_ready, Point::before_take, Point::after_take,
                                           Point::after_commit, Point::in_a_large_result, Point::damaged),
                         name_of);

// Every worker dies after a few tasks, again and again.
TEST(ThreadWorkers, AllOfThemDieAllTheTime) {
  ThreadScript script;
  script.play = [](unsigned start, FakeWorker& worker, int& code) {
    work_until(start % 3 == 0 ? Point::after_take : start % 3 == 1 ? Point::after_commit : Point::before_take, worker);
    code = worker.stopped ? 0 : -9;
    return true;
  };
  ThreadPool pool(3, script);
  for (int round = 0; round < 5; ++round) {
    const std::vector<int> out = pool.map(twice, numbers(60), 3, 1000);
    for (int i = 0; i < 60; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 2 * i);
  }
}

}  // namespace
}  // namespace brood::engine::testing
