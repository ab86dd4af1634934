// Arguments and results of every kind and size.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class Values : public ::testing::Test {
 protected:
  // There and back, by each way of getting a result.
  template <class T>
  void expect_returns(const T& value) {
    const auto echo = [](const T& x) { return x; };
    EXPECT_EQ(pool_.apply(echo, value), value);
    EXPECT_EQ(pool_.apply_async(echo, value).get(), value);
    const std::vector<T> three(3, value);
    EXPECT_EQ(pool_.map(echo, three), three);
    EXPECT_EQ(pool_.map_async(echo, three).get(), three);
    std::size_t count = 0;
    for (const auto& result : pool_.imap(echo, three)) {
      EXPECT_EQ(result, value);
      ++count;
    }
    EXPECT_EQ(count, three.size());
  }

  Pool pool_{2};
};

enum class Colour : std::uint8_t { red, green };
struct Point {
  int x = 0;
  double y = 0;
  std::string label;
  bool operator==(const Point&) const = default;
};
struct Tree {
  Point point;
  std::vector<Tree> children;
  std::optional<Point> extra;
  bool operator==(const Tree&) const = default;
};

TEST_F(Values, OfEveryKind) {
  expect_returns(true);
  expect_returns('c');
  expect_returns(-1.5e300);
  expect_returns(std::uint64_t{1} << 63U);
  expect_returns(Colour::green);
  expect_returns(std::string("text"));
  expect_returns(std::string("with\0zero", 9));
  expect_returns(std::vector<std::string>{"", "a", std::string(1000, 'b')});
  expect_returns(std::vector<bool>{true, false, true});
  expect_returns(std::map<std::string, std::vector<int>>{{"a", {1, 2}}, {"", {}}});
  expect_returns(std::set<int>{3, 1, 2});
  expect_returns(std::unordered_map<int, std::string>{{1, "x"}});
  expect_returns(std::deque<double>{1, 2});
  expect_returns(std::tuple<int, std::string, std::tuple<double>>{1, "two", {3}});
  expect_returns(std::pair<const int, bool>{1, true});
  expect_returns(std::array<int, 4>{1, 2, 3, 4});
  expect_returns(std::optional<std::string>());
  expect_returns(std::optional<std::string>("there"));
  expect_returns(std::variant<int, std::string, Point>(Point{1, 2, "three"}));
  expect_returns(std::chrono::nanoseconds(7));
  expect_returns(std::filesystem::path("/tmp/x"));
  expect_returns(Point{1, 2.5, "label"});
  expect_returns(Tree{{1, 2, "root"}, {Tree{{3, 4, "leaf"}, {}, {}}}, Point{5, 6, "extra"}});
  expect_returns(std::tuple<>());
}

TEST_F(Values, TextThatIsOnlyPointedAt) {
  const auto shout = [](const std::string& text) { return text + "!"; };
  const char* const pointer = "pointer";
  char array[] = "array";
  char* const changeable = array;
  const std::string_view view = std::string_view("a view of text").substr(2, 4);
  EXPECT_EQ(pool_.apply(shout, "literal"), "literal!");
  EXPECT_EQ(pool_.apply(shout, pointer), "pointer!");
  EXPECT_EQ(pool_.apply(shout, array), "array!");
  EXPECT_EQ(pool_.apply(shout, changeable), "array!");
  EXPECT_EQ(pool_.apply(shout, view), "view!");
  EXPECT_EQ(pool_.apply_async(shout, "literal").get(), "literal!");
  EXPECT_EQ(pool_.map(shout, std::vector<const char*>{"a", "b"}), (std::vector<std::string>{"a!", "b!"}));
  EXPECT_EQ(pool_.map(shout, std::vector<std::string_view>{"a", "b"}), (std::vector<std::string>{"a!", "b!"}));
  EXPECT_EQ(pool_.map_async(shout, std::array<const char*, 1>{"a"}).get(), (std::vector<std::string>{"a!"}));
  // A task may ask for views: they live as long as the task.
  EXPECT_EQ(pool_.apply([](std::string_view text) { return text.size(); }, "four"), 4U);
  // What a task returns as text in memory of its own arrives as a string.
  EXPECT_EQ(pool_.apply([] { return "literal"; }), "literal");
  EXPECT_EQ(pool_.apply([](std::string_view text) { return text.substr(1); }, "xyz"), "yz");
  EXPECT_EQ(pool_.map([](int x) { return x > 0 ? "positive" : "not"; }, std::vector{1, 0}),
            (std::vector<std::string>{"positive", "not"}));
}

TEST_F(Values, MoveOnly) {
  const auto boxed = [](int x) { return std::make_unique<int>(x); };
  const auto unboxed = [](std::unique_ptr<int> box) { return *box; };
  EXPECT_EQ(*pool_.apply(boxed, 5), 5);
  EXPECT_EQ(pool_.apply(unboxed, std::make_unique<int>(6)), 6);
  auto answer = pool_.apply_async(boxed, 7);
  EXPECT_EQ(*answer.get(), 7);
  auto all = pool_.map(boxed, std::vector{1, 2, 3});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(*all[2], 3);
  EXPECT_EQ(pool_.map(unboxed, all), (std::vector{1, 2, 3}));
  EXPECT_EQ(*pool_.map_async(boxed, std::vector{1, 2, 3}).get()[1], 2);
  int sum = 0;
  for (auto& box : pool_.imap(boxed, std::vector{1, 2, 3})) sum += *box;
  auto stream = pool_.imap_unordered(boxed, std::vector{4});
  const std::unique_ptr<int> last = std::move(*stream.next());
  EXPECT_EQ(sum + *last, 10);
}

struct Ticket {
  explicit Ticket(int number) : number_(std::make_unique<int>(number)) {}
  int number() const { return *number_; }

 private:
  friend class brood::Access;
  Ticket() = default;
  template <class A>
  void serialize(A& archive) {
    archive(number_);
  }
  std::unique_ptr<int> number_;
};

TEST_F(Values, WithoutADefaultConstructor) {
  static_assert(!std::is_default_constructible_v<Ticket> && !std::is_copy_constructible_v<Ticket>);
  const auto print = [](int x) { return Ticket(x); };
  EXPECT_EQ(pool_.apply(print, 5).number(), 5);
  EXPECT_EQ(pool_.apply_async(print, 6).get().number(), 6);
  const std::vector<Ticket> tickets = pool_.map(print, std::vector{1, 2});
  EXPECT_EQ(tickets.at(1).number(), 2);
  EXPECT_EQ(pool_.map([](const Ticket& t) { return t.number(); }, tickets), (std::vector{1, 2}));
  EXPECT_EQ(pool_.map_async(print, std::vector{1, 2}).get().at(0).number(), 1);
  auto stream = pool_.imap(print, std::vector{3});
  EXPECT_EQ(stream.next()->number(), 3);
}

TEST_F(Values, Nothing) {
  Counters calls;
  Pool pool(2);
  const auto count = [calls = calls.get()](int by) { *calls += by; };
  pool.apply(count, 1);
  pool.apply_async(count, 1).get();
  pool.map(count, std::vector{1, 1, 1});
  pool.map_async(count, std::vector{1, 1}).get();
  pool.starmap(count, std::vector{std::tuple(1)});
  pool.starmap_async(count, std::vector{std::tuple(1)}).get();
  int seen = 0;
  for ([[maybe_unused]] auto& nothing : pool.imap(count, std::vector{1, 1})) ++seen;
  auto stream = pool.imap_unordered(count, std::vector{1, 1});
  while (stream.next()) ++seen;
  EXPECT_EQ(seen, 4);
  EXPECT_EQ(*calls, 13);
}

TEST_F(Values, Booleans) {
  const auto even = [](int x) { return x % 2 == 0; };
  EXPECT_TRUE(pool_.apply(even, 2));
  const std::vector<bool> all = pool_.map(even, numbers(1000));
  ASSERT_EQ(all.size(), 1000U);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i % 2 == 0);
  EXPECT_EQ(pool_.map_async(even, numbers(3)).get(), (std::vector<bool>{true, false, true}));
  std::vector<bool> streamed;
  for (const bool b : pool_.imap(even, numbers(3))) streamed.push_back(b);
  EXPECT_EQ(streamed, (std::vector<bool>{true, false, true}));
}

// A result is in both directions as large as the argument. The ring has 128 KiB.
std::vector<double> halves(const std::vector<double>& all) {
  std::vector<double> result(all);
  for (double& x : result) x /= 2;
  return result;
}

TEST_F(Values, OfEverySizeAroundTheRings) {
  for (std::size_t kib = 1; kib <= 4096; kib *= 2) {
    for (const std::size_t size : {kib * 1024 - 8, kib * 1024, kib * 1024 + 8}) {
      const std::string text(size, static_cast<char>('a' + size % 26));
      EXPECT_EQ(pool_.apply([](std::string&& x) { return std::move(x); }, text), text) << size;
    }
  }
}

TEST_F(Values, LargerThanTheRingsInBothDirectionsAtOnce) {
  std::vector<std::vector<double>> large;
  for (int i = 0; i < 8; ++i) large.emplace_back(scaled(400'000), i);
  const auto expected = [&] {
    auto all = large;
    for (auto& one : all) one = halves(one);
    return all;
  }();
  EXPECT_EQ(pool_.map(halves, large), expected);
  EXPECT_EQ(pool_.with({.chunksize = 4}).map(halves, large), expected);
  EXPECT_EQ(pool_.map_async(halves, large).get(), expected);
  std::size_t i = 0;
  for (const auto& result : pool_.imap(halves, large)) EXPECT_EQ(result, expected[i++]);
  EXPECT_EQ(i, large.size());
}

TEST_F(Values, LargeAndSmallMixed) {
  std::vector<std::string> mixed;
  for (std::size_t i = 0; i < 400; ++i) mixed.emplace_back(i % 7 == 0 ? i * 1000 : i, 'x');
  const auto echo = [](const std::string& x) { return x; };
  EXPECT_EQ(pool_.map(echo, mixed), mixed);
  EXPECT_EQ(pool_.with({.chunksize = 16}).map(echo, mixed), mixed);
  std::vector<AsyncResult<std::string>> answers;
  for (const auto& text : mixed) answers.push_back(pool_.apply_async(echo, text));
  for (std::size_t i = 0; i < mixed.size(); ++i) EXPECT_EQ(answers[i].get(), mixed[i]);
}

TEST_F(Values, ManySmallPiecesThatAreLargeTogether) {
  std::map<std::string, std::vector<std::string>> map;
  for (int i = 0; i < 3000; ++i) map[std::to_string(i)] = std::vector<std::string>(20, std::to_string(i));
  EXPECT_EQ(pool_.apply([](const decltype(map)& x) { return x; }, map), map);
}

// The argument is read from where it is while other threads' tasks go on; afterwards it is the caller's again.
TEST_F(Values, LargeArgumentIsTheCallersAgainAfterwards) {
  std::vector<int> data(1'000'000, 1);
  for (int round = 0; round < 4; ++round) {
    EXPECT_EQ(pool_.apply([](const std::vector<int>& x) { return std::accumulate(x.begin(), x.end(), 0); }, data),
              (round + 1) * 1'000'000);
    for (int& x : data) ++x;
  }
  auto answer = pool_.apply_async([](const std::vector<int>& x) { return x.back(); }, data);
  data.assign(data.size(), -1);  // what was submitted was copied
  EXPECT_EQ(answer.get(), 5);
}

TEST_F(Values, SoakHundredsOfMegabytes) {
  std::vector<std::uint64_t> large(scaled(300) * 1024 * 1024 / sizeof(std::uint64_t));
  std::iota(large.begin(), large.end(), 0);
  const auto back = pool_.apply(
      [](std::vector<std::uint64_t>&& x) {
        for (auto& one : x) one = ~one;
        return std::move(x);
      },
      large);
  ASSERT_EQ(back.size(), large.size());
  EXPECT_TRUE(std::equal(back.begin(), back.end(), large.begin(), [](auto a, auto b) { return a == ~b; }));
}

}  // namespace
}  // namespace brood::pool_tests
