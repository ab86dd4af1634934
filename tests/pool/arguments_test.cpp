// How a task's arguments reach it: by every kind of reference, and bound ones that are callables themselves.
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class Arguments : public ::testing::Test {
 protected:
  Pool pool_{1};
};

std::string both(std::string& kept, std::string&& given) {
  const std::string taken = std::move(given);
  kept += "!";
  return kept + taken;
}
int mixed(int& a, int&& b, const int& c, int d, int& e) { return a + 10 * b + 100 * c + 1000 * d + 10000 * e; }

TEST_F(Arguments, SomeByLvalueSomeByRvalue) {
  const std::vector<std::tuple<std::string, std::string>> pairs = {{"a", "b"}, {"c", "d"}};
  const std::vector<std::string> expected = {"a!b", "c!d"};
  EXPECT_EQ(pool_.apply(both, std::string("a"), std::string("b")), "a!b");
  EXPECT_EQ(pool_.apply_async(both, "a", "b").get(), "a!b");
  EXPECT_EQ(pool_.starmap(both, pairs), expected);
  EXPECT_EQ(pool_.apply(mixed, 1, 2, 3, 4, 5), 54321);
  EXPECT_EQ(pool_.apply([](std::string&& given, std::string& kept) { return both(kept, std::move(given)); }, "b", "a"),
            "a!b");
}

TEST_F(Arguments, WhatCanBeMovedIsMoved) {
  struct Overloads {
    int operator()(std::string&&, int) const { return 1; }
    int operator()(std::string&, int) const { return 2; }
  };
  EXPECT_EQ(pool_.apply(Overloads{}, "text", 1), 1);
  struct OnlyHere {
    int operator()(std::string&, int&) const { return 2; }
    int operator()(std::string&&, int&) const { return 3; }
  };
  EXPECT_EQ(pool_.apply(OnlyHere{}, "text", 1), 2) << "all lvalues come before a mixture";
}

int add(int a, int b) { return a + b; }
struct Scale {
  int by = 1;
  int times(int x) const { return x * by; }
};

TEST_F(Arguments, BoundToACallable) {
  const auto apply_to = [](auto& f, int x) { return f(x); };
  const auto add_five = brood::bind(add, 5);
  EXPECT_EQ(pool_.apply(brood::bind(apply_to, add_five), 3), 8);
  const std::string long_text(100, 'x');
  const auto length_and =
      brood::bind([](const std::string& text, int x) { return static_cast<int>(text.size()) + x; }, long_text);
  const auto twice_of = [](auto& f, auto& g, int x) { return f(x) * g(x); };
  EXPECT_EQ(pool_.map(brood::bind(twice_of, add_five, length_and), std::vector{1, 2}), (std::vector{6 * 101, 7 * 102}));
  EXPECT_EQ(pool_.apply(brood::bind(apply_to, brood::bind(apply_to, add_five)), 3), 8) << "two deep";
}

TEST_F(Arguments, BoundToAFunction) {
  const auto fold = [](int (*f)(int, int), int x) { return f(x, x); };
  EXPECT_EQ(pool_.apply(brood::bind(fold, add), 4), 8);
  EXPECT_EQ(pool_.apply(brood::bind(fold, &add), 4), 8);
  const auto call = [](int (Scale::*f)(int) const, const Scale& scale) { return (scale.*f)(7); };
  EXPECT_EQ(pool_.apply(brood::bind(call, &Scale::times), Scale{3}), 21);
  const auto get = [](int Scale::*member, const Scale& scale) { return scale.*member; };
  EXPECT_EQ(pool_.apply(brood::bind(get, &Scale::by), Scale{3}), 3);
}

}  // namespace
}  // namespace brood::pool_tests
