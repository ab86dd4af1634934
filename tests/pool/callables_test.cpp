// Every verb with every kind of callable.
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class Callables : public ::testing::Test {
 protected:
  // Calls f with each verb; it has to give what it gives here.
  template <class F>
  void expect_every_verb(F f) {
    const std::vector<int> input = {3, -1, 4, 1, -5, 9, 2, 6};
    std::vector<std::tuple<int>> tuples;
    std::vector<std::decay_t<decltype(f(1))>> expected;
    for (const int x : input) {
      tuples.emplace_back(x);
      F fresh = f;
      expected.push_back(fresh(x));
    }
    EXPECT_EQ(pool_.apply(f, input[0]), expected[0]);
    EXPECT_EQ(pool_.apply_async(f, input[0]).get(), expected[0]);
    EXPECT_EQ(pool_.map(f, input), expected);
    EXPECT_EQ(pool_.map_async(f, input).get(), expected);
    EXPECT_EQ(pool_.starmap(f, tuples), expected);
    EXPECT_EQ(pool_.starmap_async(f, tuples).get(), expected);
    EXPECT_EQ(collect(pool_.imap(f, input)), expected);
    EXPECT_EQ(collect(pool_.with({.window = 2}).imap(f, input)), expected);
    auto unordered = collect(pool_.imap_unordered(f, input));
    std::sort(unordered.begin(), unordered.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(unordered, expected);
  }

  template <class Stream>
  static auto collect(Stream stream) {
    std::vector<typename Stream::value_type> all;
    for (auto& value : stream) all.push_back(std::move(value));
    return all;
  }

  Pool pool_{2};
};

int square(int x) { return x * x; }
int square_noexcept(int x) noexcept { return x * x; }
template <class T>
T square_of(T x) {
  return x * x;
}
struct Holder {
  static int square(int x) { return x * x; }
};

TEST_F(Callables, Functions) {
  expect_every_verb(square);
  expect_every_verb(&square);
  expect_every_verb(square_noexcept);
  expect_every_verb(square_of<int>);
  expect_every_verb(&Holder::square);
  int (*chosen)(int) = pool_.size() > 0 ? square : negate;
  expect_every_verb(chosen);
}

TEST_F(Callables, FunctionsOfOneTypeAreToldApart) {
  // The record is of the type; which function it is travels beside it.
  int (*const both[])(int) = {square, negate};
  for (int round = 0; round < 3; ++round) {
    for (auto* const f : both) EXPECT_EQ(pool_.apply(f, 3), f(3));
  }
}

TEST_F(Callables, LambdasWithoutCaptures) {
  expect_every_verb([](int x) { return x + 1; });
  expect_every_verb([](auto x) { return x + 1; });
  expect_every_verb([](const int& x) -> const int& { return x; });
  expect_every_verb([](long x) { return x; });
  expect_every_verb([](int x) noexcept { return x; });
}

TEST_F(Callables, ArgumentsByEveryKindOfReference) {
  const std::vector<int> input = {1, 2};
  EXPECT_EQ(pool_.map([](int&& x) { return x; }, input), input);
  EXPECT_EQ(pool_.map([](int& x) { return x++; }, input), input);
  EXPECT_EQ(pool_.starmap([](int&& x, int y, const int& z) { return x + y + z; }, std::vector{std::tuple(1, 2, 3)}),
            (std::vector{6}));
  EXPECT_EQ(pool_.apply([](std::string& out, const std::string& in) { return out += in; }, "a", "b"), "ab");
  EXPECT_EQ(pool_.apply([](std::string&& text) { return std::move(text); }, "c"), "c");
}

TEST_F(Callables, LambdasThatCaptureByValue) {
  int offset = 1000;
  double scale = 0.5;
  struct Plain {
    int a, b;
    char text[8];
  };
  const Plain plain{1, 2, "plain"};
  expect_every_verb([offset](int x) { return x + offset; });
  expect_every_verb([offset, scale, plain](int x) { return x * scale + offset + plain.a + plain.text[0]; });
  // Its own copy in each worker.
  expect_every_verb([count = 0](int x) mutable { return count * 0 + x; });
}

TEST_F(Callables, EachSubmissionHasItsOwnCaptures) {
  std::vector<AsyncResult<int>> answers;
  for (int i = 0; i < 300; ++i) answers.push_back(pool_.apply_async([i](int x) { return 1000 * x + i; }, i));
  for (int i = 0; i < 300; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)].get(), 1001 * i);
}

struct Stateless {
  int operator()(int x) const { return x - 1; }
};
struct Overloaded {
  int operator()(int x) const { return x; }
  std::string operator()(const std::string& x) const { return x + x; }
};
struct Aggregate {
  std::string prefix;
  std::map<int, std::string> names;
  std::string operator()(int x) const {
    const auto found = names.find(x);
    return prefix + (found == names.end() ? std::to_string(x) : found->second);
  }
};
class Serialized {
 public:
  Serialized() = default;
  explicit Serialized(std::vector<int> weights) : weights_(std::move(weights)) {}
  int operator()(int x) { return ++calls_, std::accumulate(weights_.begin(), weights_.end(), x); }
  template <class A>
  void serialize(A& archive) {
    archive(weights_);
  }

 private:
  std::vector<int> weights_;
  int calls_ = 0;
};

TEST_F(Callables, Functors) {
  expect_every_verb(Stateless{});
  expect_every_verb(Overloaded{});
  expect_every_verb(std::negate<int>{});
  expect_every_verb(std::negate<>{});
  expect_every_verb(Aggregate{"number ", {{3, "three"}, {9, "nine"}}});
  expect_every_verb(Serialized({10, 20, 30}));
  EXPECT_EQ(pool_.apply(Overloaded{}, "ab"), "abab");
  EXPECT_EQ(pool_.apply(Aggregate{}, 5), "5");
}

TEST_F(Callables, ConstAndRvalueCallables) {
  const Serialized constant({1});
  EXPECT_EQ(pool_.apply(constant, 1), 2);
  EXPECT_EQ(pool_.apply(Serialized({2}), 1), 3);
  const auto lambda = [](int x) { return x; };
  EXPECT_EQ(pool_.map(lambda, std::vector{1, 2}), (std::vector{1, 2}));
}

struct Account {
  int balance = 0;
  std::string owner;
  int after(int change) const { return balance + change; }
  int after_noexcept(int change) const noexcept { return balance + change; }
  std::string named(const std::string& title) { return title + " " + owner; }
};
// Virtual calls go by the table of the object that arrives.
struct Shape {
  virtual ~Shape() = default;
  virtual double area() const { return 0; }
  template <class A>
  void serialize(A&) {}
};
struct Square : Shape {
  double side = 0;
  double area() const override { return side * side; }
  template <class A>
  void serialize(A& archive) {
    archive(side);
  }
};

TEST_F(Callables, Members) {
  const Account account{.balance = 100, .owner = "Ada"};
  EXPECT_EQ(pool_.apply(&Account::after, account, 5), 105);
  EXPECT_EQ(pool_.apply(&Account::after_noexcept, account, -5), 95);
  EXPECT_EQ(pool_.apply(&Account::named, account, "Countess"), "Countess Ada");
  EXPECT_EQ(pool_.apply(&Account::balance, account), 100);
  EXPECT_EQ(pool_.map(&Account::owner, std::vector{account, Account{1, "Bob"}}),
            (std::vector<std::string>{"Ada", "Bob"}));
  EXPECT_EQ(pool_.starmap(&Account::after, std::vector{std::tuple(account, 1), std::tuple(account, 2)}),
            (std::vector{101, 102}));
  Square square;
  square.side = 3;
  EXPECT_EQ(pool_.apply(&Square::area, square), 9);
  EXPECT_EQ(pool_.apply(&Shape::area, square), 9);
  EXPECT_EQ(pool_.apply(&std::string::size, std::string("four")), 4U);
}

int join_lengths(const std::vector<std::string>& words, const std::string& separator, int x) {
  return x + static_cast<int>(words.size() + separator.size());
}

TEST_F(Callables, Bound) {
  expect_every_verb(brood::bind(square));
  expect_every_verb(brood::bind(join_lengths, std::vector<std::string>{"a", "b"}, "literal"));
  expect_every_verb(brood::bind(std::plus<>{}, 5));
  expect_every_verb(brood::bind(Aggregate{"bound ", {}}));
  expect_every_verb(brood::bind(&Account::after, Account{.balance = 7, .owner = ""}));
  expect_every_verb(brood::bind([](const std::map<std::string, int>& map, int x) { return map.at("x") + x; },
                                std::map<std::string, int>{{"x", 40}}));
}

TEST_F(Callables, BoundInBound) {
  const auto inner = brood::bind(join_lengths, std::vector<std::string>{"a"});
  expect_every_verb(brood::bind(inner, "separator"));
  expect_every_verb(brood::bind(brood::bind(brood::bind(join_lengths), std::vector<std::string>{}), ""));
}

TEST_F(Callables, BoundToNothingElse) {
  EXPECT_EQ(pool_.apply(brood::bind(square, 5)), 25);
  EXPECT_EQ(pool_.apply_async(brood::bind(join_lengths, std::vector<std::string>(3), "", 1)).get(), 4);
}

// The workers keep what they were told; a number may come to stand for something else.
TEST_F(Callables, ManyOfThem) {
  const std::size_t rounds = scaled(3000);
  for (std::size_t i = 0; i < rounds; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_EQ(pool_.apply(brood::bind(std::plus<>{}, text), std::string("!")), text + "!");
  }
}

TEST_F(Callables, BoundArgumentsOfEverySize) {
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 32'000U, 60'000U}) {
    const auto task = brood::bind([](const std::string& text, int x) { return static_cast<int>(text.size()) + x; },
                                  std::string(size, 'x'));
    EXPECT_EQ(pool_.map(task, std::vector{1, 2, 3}),
              (std::vector{static_cast<int>(size) + 1, static_cast<int>(size) + 2, static_cast<int>(size) + 3}));
  }
}

}  // namespace
}  // namespace brood::pool_tests
