// Maps whose arguments and results always have the same sizes: they travel without lengths, many at once. Nothing of
// what is promised for a single task may be different.
#include <brood/progress.hpp>

#include <array>
#include <list>
#include <thread>
#include <tuple>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

enum class Color : std::uint8_t { red, green, blue };

struct Padded {  // its memory is not its encoding
  char letter = 0;
  std::int64_t number = 0;
  bool operator==(const Padded&) const = default;
};

struct Wide {
  std::array<double, 32> values{};
  bool operator==(const Wide&) const = default;
};

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}
template <class T, class F>
auto each(const std::vector<T>& range, F f) {
  std::vector<std::decay_t<decltype(f(range[0]))>> all;
  for (const T& item : range) all.push_back(f(item));
  return all;
}

int twice(int x) { return 2 * x; }
bool is_even(int x) { return x % 2 == 0; }
Padded padded(int x) { return {static_cast<char>('a' + x % 26), -std::int64_t{x}}; }
std::int64_t number_of(const Padded& x) { return x.number + x.letter; }
Wide wide(const Wide& x) {
  Wide result = x;
  for (double& value : result.values) value += 1;
  return result;
}
Color next(Color color) { return static_cast<Color>((static_cast<int>(color) + 1) % 3); }
std::string text_of(int x) { return std::string(static_cast<std::size_t>(x % 50), 'x'); }
std::size_t length_of(const std::string& x) { return x.size(); }

TEST(Blocks, ValuesOfEveryKind) {
  Pool pool(2);
  for (const int count : {0, 1, 2, 7, 8, 9, 1'000, 100'000}) {
    const auto range = numbers(count);
    EXPECT_EQ(pool.map(twice, range), each(range, twice)) << count;
    EXPECT_EQ(pool.map(is_even, range), each(range, is_even)) << count;
    EXPECT_EQ(pool.map(padded, range), each(range, padded)) << count;
    const auto pads = each(range, padded);
    EXPECT_EQ(pool.map(number_of, pads), each(pads, number_of)) << count;
  }
  const std::vector<Color> colors(1'000, Color::blue);
  EXPECT_EQ(pool.map(next, colors), std::vector<Color>(1'000, Color::red));
  std::vector<Wide> wides(3'000);
  for (std::size_t i = 0; i < wides.size(); ++i) wides[i].values[i % 32] = static_cast<double>(i);
  EXPECT_EQ(pool.map(wide, wides), each(wides, wide));
}

// One side has a fixed size, the other one has not.
TEST(Blocks, OneSideOnly) {
  Pool pool(2);
  const auto range = numbers(5'000);
  const auto texts = pool.map(text_of, range);
  EXPECT_EQ(texts, each(range, text_of));
  EXPECT_EQ(pool.map(length_of, texts), each(texts, length_of));
}

TEST(Blocks, RangesOfEveryKind) {
  Pool pool(2);
  const auto range = numbers(3'000);
  const auto expected = each(range, twice);
  EXPECT_EQ(pool.map(twice, std::list<int>(range.begin(), range.end())), expected);
  const std::array<int, 3> few{1, 2, 3};
  EXPECT_EQ(pool.map(twice, few), (std::vector<int>{2, 4, 6}));
  const std::vector<bool> bits{true, false, true};
  EXPECT_EQ(pool.map([](bool bit) { return !bit; }, bits), (std::vector<bool>{false, true, false}));
  // Another type than the function takes: it converts in the worker.
  const std::vector<short> shorts{1, 2, 3};
  EXPECT_EQ(pool.map(twice, shorts), (std::vector<int>{2, 4, 6}));
  std::vector<std::tuple<int, double>> pairs;
  for (int i = 0; i < 2'000; ++i) pairs.emplace_back(i, 0.5);
  const auto sums = pool.starmap([](int a, double b) { return a + b; }, pairs);
  ASSERT_EQ(sums.size(), pairs.size());
  for (int i = 0; i < 2'000; ++i) ASSERT_EQ(sums[static_cast<std::size_t>(i)], i + 0.5);
}

TEST(Blocks, WithoutAResult) {
  const Shared<std::atomic<std::uint64_t>> sum;
  Pool pool(2);
  auto* const at = sum.get();
  pool.map([at](int x) { at->fetch_add(static_cast<std::uint64_t>(x)); }, numbers(10'001));
  EXPECT_EQ((*sum).load(), 50'005'000U);
}

TEST(Blocks, AsyncAndManyThreads) {
  Pool pool(2);
  const auto range = numbers(30'000);
  const auto expected = each(range, twice);
  std::vector<AsyncResult<std::vector<int>>> answers;
  for (int i = 0; i < 4; ++i) answers.push_back(pool.map_async(twice, range));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_EQ(pool.map(twice, range), expected); });
  for (auto& thread : threads) thread.join();
  for (auto& answer : answers) EXPECT_EQ(answer.get(), expected);
}

// The error is that of its own item, also when others of its block came before and after it.
TEST(Blocks, TheFirstErrorByIndex) {
  Pool pool(2);
  for (const int bad : {0, 1, 4'999, 5'000, 19'999}) {
    const auto task = [bad](int x) {
      if (x >= bad && (x - bad) % 7 == 0) throw std::out_of_range(std::to_string(x));
      return x;
    };
    for (const std::size_t chunksize : {0U, 1U, 3U, 1'000U}) {
      try {
        pool.with(TaskOptions{.chunksize = chunksize}).map(task, numbers(20'000));
        ADD_FAILURE() << "no error";
      } catch (const std::out_of_range& error) {
        EXPECT_EQ(error.what(), std::to_string(bad));
      }
    }
    EXPECT_EQ(pool.map(twice, numbers(10)), each(numbers(10), twice));
  }
}

TEST(Blocks, EveryAnswerCountsOnce) {
  const Shared<std::atomic<std::uint32_t>> runs(20'000);
  Pool pool(2);
  auto* const at = runs.get();
  const auto values = pool.map(
      [at](int x) {
        at[x].fetch_add(1);
        return x;
      },
      numbers(20'000));
  EXPECT_EQ(values, numbers(20'000));
  for (const auto& count : runs) ASSERT_EQ(count.load(), 1U);
}

// A task that kills its worker takes no other with it: those before it are answered, those behind it run elsewhere, and
// none of them runs twice.
TEST(Blocks, ADeathIsThatOfOneTask) {
  for (const std::size_t chunksize : {0U, 5U, 4'000U}) {
    const Shared<std::atomic<std::uint32_t>> runs(20'000);
    Pool pool(2);
    auto* const at = runs.get();
    const auto task = [at](int x) {
      at[x].fetch_add(1);
      if (x == 12'345) ::raise(SIGKILL);
      return x;
    };
    try {
      pool.with(TaskOptions{.chunksize = chunksize}).map(task, numbers(20'000));
      ADD_FAILURE() << "no error";
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.task_index(), 12'345U);
      EXPECT_EQ(error.exitcode(), -SIGKILL);
    }
    for (const auto& count : runs) ASSERT_LE(count.load(), 1U);
    for (int i = 0; i < 12'345; ++i) ASSERT_EQ(at[i].load(), 1U) << i;
  }
}

TEST(Blocks, Retries) {
  const Shared<std::atomic<std::uint32_t>> runs(5'000);
  Pool pool(2);
  auto* const at = runs.get();
  const auto task = [at](int x) {
    if (at[x].fetch_add(1) == 0 && x % 1'000 == 500) ::raise(SIGKILL);
    return x;
  };
  EXPECT_EQ(pool.with(TaskOptions{.retries = 1}).map(task, numbers(5'000)), numbers(5'000));
  for (int i = 0; i < 5'000; ++i) ASSERT_EQ(at[i].load(), i % 1'000 == 500 ? 2U : 1U) << i;
}

// A slow task in the middle of a block: what waits behind it goes to the idle worker, what was done before is kept.
TEST(Blocks, NothingWaitsBehindASlowTask) {
  const Shared<std::atomic<bool>> others_done;
  const Shared<std::atomic<int>> done;
  Pool pool(2);
  auto* const open = others_done.get();
  auto* const count = done.get();
  const auto task = [open, count](int x) {
    if (x == 100) {  // returns only when all the others are done
      while (!open->load()) std::this_thread::sleep_for(100us);
      return x;
    }
    if (count->fetch_add(1) + 1 == 1'999) open->store(true);
    return x;
  };
  EXPECT_EQ(pool.with(TaskOptions{.chunksize = 500}).map(task, numbers(2'000)), numbers(2'000));
}

TEST(Blocks, OutputIsNotLost) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), STDOUT_FILENO);
    Pool pool(1);
    const auto task = [](int x) {
      std::printf("%d;", x);
      if (x == 50) ::raise(SIGKILL);
      return x;
    };
    try {
      pool.with(TaskOptions{.chunksize = 200}).map(task, numbers(51));
    } catch (const WorkerDied&) {
      return 0;
    }
    return 1;
  });
  std::string expected;
  for (int i = 0; i < 50; ++i) expected += std::to_string(i) + ";";
  EXPECT_EQ(pipe.rest(), expected);
  EXPECT_EQ(exit_code_of(pid), 0);
}

TEST(Blocks, ForksInTasks) {
  Pool pool(2);
  const auto values = pool.map(
      [](int x) {
        if (x % 100 == 0 && ::fork() == 0) return -1;  // the child returns into the pool, which is not its own
        return x;
      },
      numbers(500));
  EXPECT_EQ(values, numbers(500));
}

TEST(Blocks, ProgressCountsEveryItem) {
  Pool pool(2);
  Progress bar({.total = 10'000, .disable = true});
  pool.with(TaskOptions{.progress = &bar}).map(twice, numbers(10'000));
  EXPECT_EQ(bar.n(), 10'000U);
}

}  // namespace
}  // namespace brood::pool_tests
