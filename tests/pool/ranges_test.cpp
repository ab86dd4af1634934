// Every kind of input range.
#include <algorithm>
#include <array>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class Ranges : public ::testing::Test {
 protected:
  // map, map_async, imap and imap_unordered over what `make` makes.
  template <class Make>
  void expect_negated(Make make, const std::vector<int>& expected) {
    EXPECT_EQ(pool_.map(negate, make()), expected);
    EXPECT_EQ(pool_.with({.chunksize = 3}).map(negate, make()), expected);
    EXPECT_EQ(pool_.map_async(negate, make()).get(), expected);
    EXPECT_EQ(drain(pool_.imap(negate, make())), expected);
    EXPECT_EQ(drain(pool_.with({.window = 2}).imap(negate, make())), expected);
    auto unordered = drain(pool_.imap_unordered(negate, make()));
    std::sort(unordered.rbegin(), unordered.rend());
    EXPECT_EQ(unordered, expected);
    // Not only temporaries.
    auto range = make();
    EXPECT_EQ(pool_.map(negate, range), expected);
  }

  static std::vector<int> drain(ResultStream<int> stream) {
    std::vector<int> all;
    while (const auto value = stream.next()) all.push_back(*value);
    EXPECT_TRUE(stream.done());
    return all;
  }

  Pool pool_{2};
};

const std::vector<int> kMinus{-1, -2, -3, -4, -5};

TEST_F(Ranges, Containers) {
  expect_negated([] { return std::vector{1, 2, 3, 4, 5}; }, kMinus);
  expect_negated([] { return std::list{1, 2, 3, 4, 5}; }, kMinus);
  expect_negated([] { return std::forward_list{1, 2, 3, 4, 5}; }, kMinus);
  expect_negated([] { return std::set{5, 4, 3, 2, 1}; }, kMinus);
  expect_negated([] { return std::array{1, 2, 3, 4, 5}; }, kMinus);
  EXPECT_EQ(pool_.map(negate, std::initializer_list<int>{1, 2, 3, 4, 5}), kMinus);
}

TEST_F(Ranges, ArraysAndSpans) {
  int array[] = {1, 2, 3, 4, 5};
  const int constant[] = {1, 2, 3, 4, 5};
  EXPECT_EQ(pool_.map(negate, array), kMinus);
  EXPECT_EQ(pool_.map(negate, constant), kMinus);
  EXPECT_EQ(pool_.map_async(negate, array).get(), kMinus);
  EXPECT_EQ(drain(pool_.imap(negate, array)), kMinus);
  EXPECT_EQ(drain(pool_.imap_unordered(negate, constant)).size(), 5U);
  EXPECT_EQ(pool_.map(negate, std::span(array)), kMinus);
  const std::tuple<int, int> pairs[] = {{1, 2}, {3, 4}};
  EXPECT_EQ(pool_.starmap([](int a, int b) { return a * b; }, pairs), (std::vector{2, 12}));
}

TEST_F(Ranges, Constant) {
  const std::vector<int> constant = {1, 2, 3, 4, 5};
  EXPECT_EQ(pool_.map(negate, constant), kMinus);
  EXPECT_EQ(pool_.map_async(negate, constant).get(), kMinus);
  EXPECT_EQ(drain(pool_.imap(negate, constant)), kMinus);
  EXPECT_EQ(pool_.map(negate, std::as_const(constant)), kMinus);
}

TEST_F(Ranges, OfTextThatIsOnlyPointedAt) {
  const char* const words[] = {"one", "three"};
  EXPECT_EQ(pool_.map([](const std::string& word) { return word.size(); }, words), (std::vector<std::size_t>{3, 5}));
}

TEST_F(Ranges, Maps) {
  const std::map<std::string, int> map = {{"a", 1}, {"b", 2}};
  EXPECT_EQ(
      pool_.map([](const std::pair<const std::string, int>& x) { return x.first + std::to_string(x.second); }, map),
      (std::vector<std::string>{"a1", "b2"}));
  EXPECT_EQ(pool_.starmap([](const std::string& key, int value) { return key + std::to_string(value); }, map),
            (std::vector<std::string>{"a1", "b2"}));
}

TEST_F(Ranges, MadeWhenRead) {
  expect_negated([] { return Counted(5, [](int x) { return x + 1; }); }, kMinus);
}

#if BROOD_TEST_VIEWS
TEST_F(Ranges, Views) {
  const std::vector<int> source = {1, 2, 3, 4, 5};
  const std::map<std::string, int> map = {{"a", 1}, {"b", 2}};
  expect_negated([&] { return std::views::iota(1, 6); }, kMinus);
  expect_negated([&] { return std::views::all(source); }, kMinus);
  expect_negated([&] { return source | std::views::transform([](int x) { return x; }); }, kMinus);
  expect_negated([&] { return std::views::iota(1) | std::views::take(5); }, kMinus);
  expect_negated([&] { return std::views::iota(1) | std::views::take_while([](int x) { return x < 6; }); }, kMinus);
  expect_negated([&] { return source | std::views::reverse | std::views::reverse; }, kMinus);
  expect_negated([] { return std::views::empty<int>; }, {});
  EXPECT_EQ(pool_.map(negate, source | std::views::filter([](int x) { return x % 2 == 1; })),
            (std::vector{-1, -3, -5}));
  EXPECT_EQ(pool_.map(negate, map | std::views::values), (std::vector{-1, -2}));
  EXPECT_EQ(pool_.map(negate, std::views::single(1)), (std::vector{-1}));
  // Of a stream.
  auto stream = pool_.imap(negate, std::views::iota(0));
  std::vector<int> got;
  for (const int x : stream | std::views::transform([](int v) { return -v; }) | std::views::take(5)) got.push_back(x);
  EXPECT_EQ(got, numbers(5));
}

TEST_F(Ranges, ReadOnceOnly) {
  std::istringstream text("1 2 3 4 5");
  EXPECT_EQ(pool_.map(negate, std::ranges::istream_view<int>(text)), kMinus);
  std::istringstream more("1 2 3 4 5");
  EXPECT_EQ(drain(pool_.imap(negate, std::ranges::istream_view<int>(more))), kMinus);
  std::istringstream again("1 2 3 4 5");
  EXPECT_EQ(pool_.map_async(negate, std::ranges::istream_view<int>(again)).get(), kMinus);
}
#endif

// Elements that are not references: temporaries, proxies.
TEST_F(Ranges, Proxies) {
  const std::vector<bool> bits = {true, false, true};
  std::vector<bool> changeable = bits;
  const auto as_int = [](bool b) { return b ? 1 : 0; };
  EXPECT_EQ(pool_.map(as_int, bits), (std::vector{1, 0, 1}));
  EXPECT_EQ(pool_.map(as_int, changeable), (std::vector{1, 0, 1}));
  EXPECT_EQ(pool_.map_async(as_int, changeable).get(), (std::vector{1, 0, 1}));
  EXPECT_EQ(drain(pool_.imap(as_int, changeable)), (std::vector{1, 0, 1}));
  EXPECT_EQ(pool_.map(as_int, std::vector<bool>{true}), (std::vector{1}));
}

TEST_F(Ranges, Empty) {
  expect_negated([] { return std::vector<int>(); }, {});
  expect_negated([] { return std::forward_list<int>(); }, {});
  EXPECT_TRUE(pool_.starmap(negate, std::vector<std::tuple<int>>()).empty());
  EXPECT_TRUE(pool_.starmap_async(negate, std::vector<std::tuple<int>>()).get().empty());
  auto stream = pool_.imap(negate, std::vector<int>());
  EXPECT_EQ(stream.total(), 0U);
  EXPECT_FALSE(stream.next());
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.done());
  pool_.map([](int) {}, std::vector<int>());
  EXPECT_TRUE(pool_.map_async(negate, std::vector<int>()).ready());
}

// An input range by hand: an iterator that is moved only, elements that are moved only, a sentinel of its own.
class Countdown {
 public:
  explicit Countdown(int from) : left_(from) {}
  class Iterator {
   public:
    using value_type = std::unique_ptr<int>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;
    explicit Iterator(int* left) : left_(left) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;
    std::unique_ptr<int> operator*() const { return std::make_unique<int>(*left_); }
    Iterator& operator++() {
      --*left_;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return *left_ == 0; }

   private:
    int* left_;
  };
  Iterator begin() { return Iterator(&left_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  int left_;
};

TEST_F(Ranges, MovedOnly) {
  const auto unbox = [](std::unique_ptr<int> x) { return *x; };
  const std::vector<int> expected = {5, 4, 3, 2, 1};
  EXPECT_EQ(pool_.map(unbox, Countdown(5)), expected);
  EXPECT_EQ(pool_.map_async(unbox, Countdown(5)).get(), expected);
  EXPECT_EQ(drain(pool_.imap(unbox, Countdown(5))), expected);
  EXPECT_EQ(drain(pool_.with({.chunksize = 2, .window = 2}).imap(unbox, Countdown(5))), expected);
  Countdown lvalue(5);
  EXPECT_EQ(drain(pool_.imap(unbox, lvalue)), expected);
}

TEST_F(Ranges, ElementsAreReadOnceEach) {
  int reads = 0;
  const auto counted = Counted(1000, [&](int x) {
    ++reads;
    return x;
  });
  EXPECT_EQ(pool_.map(negate, counted).size(), 1000U);
  EXPECT_EQ(reads, 1000);
  EXPECT_EQ(pool_.map_async(negate, counted).get().size(), 1000U);
  EXPECT_EQ(reads, 2000);
  EXPECT_EQ(drain(pool_.imap(negate, counted)).size(), 1000U);
  EXPECT_EQ(reads, 3000);
}

TEST_F(Ranges, Infinite) {
  int next = 0;
  for (const int result : pool_.imap(negate, Endless(0))) {
    EXPECT_EQ(result, -next);
    if (++next == 5000) break;
  }
  auto unordered = pool_.imap_unordered(negate, Endless(0));
  std::set<int> seen;
  while (seen.size() < 5000) seen.insert(*unordered.next());
  EXPECT_LE(*seen.rbegin(), 0);
  EXPECT_FALSE(unordered.total());
}

// An lvalue is referred to, an rvalue moves into the stream.
TEST_F(Ranges, StreamKeepsATemporary) {
  auto stream =
      pool_.imap([](const std::string& x) { return x; }, std::vector<std::string>(500, std::string(100, 'x')));
  auto moved = std::move(stream);
  int count = 0;
  while (const auto text = moved.next()) {
    EXPECT_EQ(text->size(), 100U);
    ++count;
  }
  EXPECT_EQ(count, 500);
}

TEST_F(Ranges, LargeOnes) {
  const std::size_t count = scaled(1'000'000);
  const auto input = numbers(static_cast<int>(count));
  const auto results = pool_.map(negate, input);
  ASSERT_EQ(results.size(), count);
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(results[i], -static_cast<int>(i));
  const auto strings = pool_.map([](int x) { return std::to_string(x); }, numbers(static_cast<int>(count / 10)));
  for (std::size_t i = 0; i < strings.size(); ++i) ASSERT_EQ(strings[i], std::to_string(i));
}

}  // namespace
}  // namespace brood::pool_tests
