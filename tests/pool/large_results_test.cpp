// Large results that are put together while they arrive.
#include <brood/detail/archive_arrival.hpp>

#include <array>
#include <fstream>
#include <thread>

#include "os/memory.hpp"
#include "pool/support.hpp"
#include "support/sanitizer.hpp"

namespace brood::pool_tests {
namespace {

struct Triple {
  std::array<char, 3> values{};
  bool operator==(const Triple&) const = default;
};

static_assert(detail::kArrivesInParts<std::vector<double>>);
static_assert(detail::kArrivesInParts<std::string>);
static_assert(detail::kArrivesInParts<std::vector<Triple>>);
static_assert(!detail::kArrivesInParts<std::vector<bool>>);
static_assert(!detail::kArrivesInParts<std::vector<std::string>>);
static_assert(!detail::kArrivesInParts<std::array<int, 3>>);
static_assert(!detail::kArrivesInParts<int>);

template <class T>
std::vector<std::byte> encoded(const T& value) {
  wire::Writer writer;
  wire::save(writer, value);
  std::vector<std::byte> bytes;
  writer.append_to(bytes);
  return bytes;
}

template <class T>
T in_parts(const std::vector<std::byte>& bytes, std::size_t step) {
  detail::PartReader<T> parts;
  T value{};
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::size_t size = std::min(step, bytes.size() - at);
    parts.add(value, at, bytes.size(), std::span(bytes).subspan(at, size));
  }
  return value;
}

TEST(LargeResults, WhereverTheyAreCut) {
  for (const std::size_t length : {0U, 1U, 239U, 240U, 241U, 5'000U}) {
    std::vector<double> numbers(length);
    std::iota(numbers.begin(), numbers.end(), 0.5);
    std::vector<Triple> triples(length, Triple{{'a', 'b', 'c'}});
    const std::string text(length, 'x');
    for (const std::size_t step : {1U, 2U, 3U, 7U, 8U, 100U, 8'192U, 8'193U, 100'000U}) {
      EXPECT_EQ(in_parts<std::vector<double>>(encoded(numbers), step), numbers) << length << " by " << step;
      EXPECT_EQ(in_parts<std::vector<Triple>>(encoded(triples), step), triples) << length << " by " << step;
      EXPECT_EQ(in_parts<std::string>(encoded(text), step), text) << length << " by " << step;
    }
  }
}

TEST(LargeResults, OffsetZeroBeginsAnew) {
  const std::vector<std::byte> first = encoded(std::vector<int>(1'000, 1));
  const std::vector<std::byte> second = encoded(std::vector<int>(300, 2));
  detail::PartReader<std::vector<int>> parts;
  std::vector<int> value;
  parts.add(value, 0, first.size(), std::span(first).first(1'234));
  parts.add(value, 0, second.size(), second);
  EXPECT_EQ(value, std::vector<int>(300, 2));
}

// No allocation that the bytes do not justify, no value that is not theirs.
TEST(LargeResults, WrongLengths) {
  std::vector<std::byte> bytes = encoded(std::vector<int>(1'000, 1));
  std::vector<int> value;
  for (const int change : {-1, 1, 100}) {
    std::vector<std::byte> other = bytes;
    other[1] = static_cast<std::byte>(static_cast<int>(other[1]) + change);
    detail::PartReader<std::vector<int>> parts;
    EXPECT_THROW(parts.add(value, 0, other.size(), other), ArchiveError) << change;
  }
  for (const std::size_t missing : {1U, 2U, 3U, 4U}) {
    detail::PartReader<std::vector<int>> parts;
    EXPECT_THROW(parts.add(value, 0, bytes.size() - missing, std::span(bytes).first(bytes.size() - missing)),
                 ArchiveError);
  }
  std::vector<std::byte> huge(9, std::byte{0xFF});
  detail::PartReader<std::vector<int>> parts;
  EXPECT_THROW(parts.add(value, 0, huge.size(), huge), ArchiveError);
  detail::PartReader<std::vector<int>> again;
  EXPECT_THROW(again.add(value, 0, 100'000, std::vector<std::byte>(9, std::byte{0xF5})), ArchiveError)
      << "no prefix begins so";
}

std::vector<double> ramp(std::size_t length) {
  std::vector<double> numbers(length);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  return numbers;
}
std::string letters(std::size_t length) { return std::string(length, 'z'); }

TEST(LargeResults, OfRealTasks) {
  Pool pool(2);
  for (const std::size_t length : {1'000U, 8'000U, 8'192U, 8'193U, 20'000U, 1'000'000U}) {
    EXPECT_EQ(pool.apply(ramp, length), ramp(length));
    EXPECT_EQ(pool.apply_async(ramp, length).get(), ramp(length));
    EXPECT_EQ(pool.apply(letters, 8 * length), letters(8 * length));
  }
  std::vector<AsyncResult<std::vector<double>>> answers;
  for (std::size_t i = 0; i < 20; ++i) answers.push_back(pool.apply_async(ramp, 50'000 + i));
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(answers[i].get(), ramp(50'000 + i));
}

// The worker is stopped while it writes, and killed: what came of the value is nobody's.
TEST(LargeResults, OfAWorkerThatDies) {
  Pool pool(1);
  for (int round = 0; round < 5; ++round) {
    auto answer = pool.apply_async(ramp, std::size_t{20'000'000});
    const pid_t worker = pool.pids().front();
    std::this_thread::sleep_for(round * 10ms);
    ::kill(worker, SIGKILL);
    try {
      EXPECT_EQ(answer.get().size(), 20'000'000U);  // it was faster
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.exitcode(), -SIGKILL);
    }
    EXPECT_EQ(pool.apply(ramp, std::size_t{30'000}), ramp(30'000));
  }
}

TEST(LargeResults, WithRetries) {
  const Shared<std::atomic<int>> tries;
  Pool pool(1);
  auto* const count = tries.get();
  const auto task = [count](std::size_t length) {
    if (count->fetch_add(1) < 2) ::raise(SIGKILL);
    return ramp(length);
  };
  EXPECT_EQ(pool.with(TaskOptions{.retries = 2}).apply(task, std::size_t{100'000}), ramp(100'000));
}

// No room for the value in this process: the task's error, and the pool goes on.
TEST(LargeResults, NoMemoryForTheValue) {
  if (brood::testing::kSanitized) {
    GTEST_SKIP() << "the sanitizers need more address space than the limit leaves";
  }
  EXPECT_EQ(run_in_child([] {
              const Shared<std::atomic<bool>> gate;
              Pool pool(1);
              auto answer = pool.apply_async(
                  [gate = gate.get()](std::size_t length) {
                    while (!gate->load()) std::this_thread::sleep_for(1ms);
                    return ramp(length);
                  },
                  std::size_t{40'000'000});
              std::uint64_t pages = 0;
              std::ifstream("/proc/self/statm") >> pages;
              rlimit limit{};
              ::getrlimit(RLIMIT_AS, &limit);
              rlimit less = limit;
              less.rlim_cur = pages * os::page_size() + (100U << 20U);
              ::setrlimit(RLIMIT_AS, &less);
              (*gate).store(true);
              try {
                (void)answer.get();
                return 1;
              } catch (const std::bad_alloc&) {
              }
              ::setrlimit(RLIMIT_AS, &limit);
              return pool.apply(ramp, std::size_t{100'000}) == ramp(100'000) ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace brood::pool_tests
