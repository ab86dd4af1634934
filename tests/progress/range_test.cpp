// Loops over ranges.
#include <brood/progress.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/ranges.hpp"

namespace brood {
namespace {

// Nothing is to be seen here.
ProgressOptions silent() { return {.fd = -1}; }

TEST(ProgressRange, RefersToLvalues) {
  std::vector<int> items = {1, 2, 3};
  auto loop = progress(items, silent());
  for (int& item : loop) item *= 10;
  EXPECT_EQ(items, (std::vector<int>{10, 20, 30}));
  EXPECT_EQ(loop.bar().n(), 3u);
  EXPECT_EQ(loop.bar().total(), 3u);
}

TEST(ProgressRange, KeepsTemporaries) {
  std::vector<std::string> seen;
  for (const std::string& item : progress(std::vector<std::string>{"a", "b"}, silent())) seen.push_back(item);
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
  auto loop = progress(std::vector<std::unique_ptr<int>>(2), silent());
  for (std::unique_ptr<int>& item : loop) item = std::make_unique<int>(1);
  EXPECT_EQ(loop.bar().total(), 2u);
}

TEST(ProgressRange, CountsAnElementWhenTheLoopIsDoneWithIt) {
  std::vector<int> items(10);
  auto loop = progress(items, silent());
  std::uint64_t before = 0;
  for ([[maybe_unused]] int& item : loop) EXPECT_EQ(loop.bar().n(), before++);
  EXPECT_EQ(loop.bar().n(), 10u);

  auto broken = progress(items, silent());
  for (int& item : broken) {
    if (&item == &items[4]) break;
  }
  EXPECT_EQ(broken.bar().n(), 4u);
}

TEST(ProgressRange, TakesTheTotalFromTheSizeUnlessItIsGiven) {
  const std::list<int> list = {1, 2, 3, 4};
  EXPECT_EQ(progress(list, silent()).bar().total(), 4u);
  const int array[] = {1, 2, 3};
  EXPECT_EQ(progress(array, silent()).bar().total(), 3u);
  EXPECT_EQ(progress(std::span(array), silent()).bar().total(), 3u);
  EXPECT_EQ(progress(std::map<int, int>{{1, 2}}, silent()).bar().total(), 1u);
  EXPECT_EQ(progress(std::forward_list<int>{1, 2}, silent()).bar().total(), std::nullopt);
  EXPECT_EQ(progress(list, {.total = 9, .fd = -1}).bar().total(), 9u);
  EXPECT_EQ(progress(std::vector<int>(), silent()).bar().total(), 0u);
}

// The words of a text, which can be gone through once.
class Words {
 public:
  explicit Words(const char* text) : stream_(text) {}
  auto begin() { return std::istream_iterator<std::string>(stream_); }
  auto end() { return std::default_sentinel; }

 private:
  std::istringstream stream_;
};

TEST(ProgressRange, GoesThroughInputRangesWithSentinels) {
  std::string all;
  auto loop = progress(Words("a b c d"), silent());
  for (const std::string& word : loop) all += word;
  EXPECT_EQ(all, "abcd");
  EXPECT_EQ(loop.bar().n(), 4u);
  EXPECT_EQ(loop.bar().total(), std::nullopt);
}

#if BROOD_TEST_VIEWS
TEST(ProgressRange, GoesThroughViews) {
  EXPECT_EQ(progress(std::views::iota(0, 7), silent()).bar().total(), 7u);
  int sum = 0;
  for (const int i : progress(std::views::iota(1) | std::views::take_while([](int x) { return x < 5; }), silent())) {
    sum += i;
  }
  EXPECT_EQ(sum, 10);
}
#endif

TEST(ProgressRange, WorksWithProxiesAndConstRanges) {
  std::vector<bool> flags = {false, true};
  for (auto flag : progress(flags, silent())) flag = true;
  EXPECT_EQ(flags, (std::vector<bool>{true, true}));
  const std::vector<int> constant = {1, 2};
  for (auto& item : progress(constant, silent())) static_assert(std::is_same_v<decltype(item), const int&>);
}

TEST(ProgressRange, IsAnInputRange) {
  std::vector<int> items = {3, 1, 2};
  auto loop = progress(items, silent());
  static_assert(std::ranges::input_range<decltype(loop)>);
  std::vector<int> copy;
  std::ranges::copy(loop, std::back_inserter(copy));
  EXPECT_EQ(copy, items);
  EXPECT_EQ(loop.bar().n(), 3u);
}

TEST(ProgressRange, ExceptionsPassThrough) {
  std::vector<int> items(10);
  std::optional<std::uint64_t> done;
  try {
    auto loop = progress(items, silent());
    for (int& item : loop) {
      done = loop.bar().n();
      if (&item == &items[6]) throw std::runtime_error("item");
    }
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "item");
  }
  EXPECT_EQ(done, 6u);
}

TEST(ProgressRange, BadOptionsAreToldBeforeTheLoop) {
  std::vector<int> items(3);
  EXPECT_THROW(progress(items, {.bar_format = "{no}"}), std::invalid_argument);
}

}  // namespace
}  // namespace brood
