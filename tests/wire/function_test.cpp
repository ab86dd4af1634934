// Callables named to another process: a fresh one, with other addresses and without the libraries of this one.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "wire/function/other_process.hpp"

namespace brood::wire::testing {
namespace {

// The other process: this program, started afresh, with this one test.
TEST(FunctionChild, Answers) {
  const char* const fds = std::getenv(kChild);
  if (fds == nullptr) GTEST_SKIP() << "only in the other process of these tests";
  int in = -1, out = -1;
  ASSERT_EQ(std::sscanf(fds, "%d,%d", &in, &out), 2);
  for (;;) {
    Parcel parcel;
    try {
      parcel = read_from<Parcel>(in);
    } catch (const std::runtime_error&) {
      ::_exit(0);
    }
    Reply reply;
    try {
      reply.text = call_defined(parcel.definition, parcel.args);
      reply.good = true;
    } catch (const std::exception& error) {
      reply.text = error.what();
    }
    write_to(out, reply);
  }
}

class Functions : public ::testing::Test {
 protected:
  // f(args...) over there; has to be what it is here.
  template <class R, class F, class... Args>
  void expect_same(F f, const Args&... args) {
    const Reply reply = other.call(definition_of<Args...>(f), encoded(args...));
    ASSERT_TRUE(reply.good) << reply.text;
    F copy = f;
    EXPECT_EQ(decoded<R>(reply.text), detail::invoke(copy, args...));
  }

  OtherProcess other;
};

int triple(int x) { return 3 * x; }
int triple_quietly(int x) noexcept { return 3 * x; }
static std::string twice(const std::string& text) { return text + text; }
template <class T>
T negative(T x) {
  return -x;
}
int of_many(int a, double b, const std::string& c, std::vector<int> d) {
  return a + static_cast<int>(b) + static_cast<int>(c.size()) + std::accumulate(d.begin(), d.end(), 0);
}

TEST_F(Functions, FunctionPointers) {
  expect_same<int>(&triple, 14);
  expect_same<int>(&triple_quietly, 14);
  expect_same<std::string>(&twice, std::string("ab"));
  expect_same<int>(&negative<int>, 5);
  expect_same<double>(&negative<double>, 2.5);
  expect_same<int>(&of_many, 1, 2.5, std::string("three"), std::vector{4, 5});
}

TEST_F(Functions, FunctionsOfOtherLibraries) {
  expect_same<int>(static_cast<int (*)(int)>(&::toupper), 'a');
  expect_same<long>(&std::labs, -5L);
}

struct Adder {
  int by = 0;
  std::string note;
  int operator()(int x) const { return x + by + static_cast<int>(note.size()); }
};
class Hidden {
 public:
  Hidden() = default;
  explicit Hidden(int by) : by_(by) {}
  int operator()(int x) const { return x - by_; }
  template <class A>
  void serialize(A& archive) {
    archive(by_);
  }

 private:
  int by_ = 0;
};

TEST_F(Functions, Functors) {
  expect_same<int>(Adder{.by = 5, .note = "abc"}, 10);
  expect_same<int>(Hidden(4), 10);
  expect_same<int>(std::plus<int>(), 1, 2);
  expect_same<bool>(std::less<>(), 1, 2);
}

TEST_F(Functions, Lambdas) {
  expect_same<int>([](int x) { return x + 1; }, 1);
  int a = 5;  // not const: a constant would not be captured
  const double b = 0.5;
  expect_same<double>([a, b](int x) { return a * x + b; }, 3);
  const std::array<char, 100> text{'h', 'i'};
  expect_same<std::string>([text](int n) { return std::string(text.data(), static_cast<std::size_t>(n)); }, 2);
  expect_same<std::string>([](auto x) { return std::to_string(x); }, 12L);
}

// Lambdas with one signature, made in one place, some with one body.
TEST_F(Functions, LambdasAreNotMixedUp) {
  const auto first = [](int x) { return x + 1; };
  const auto second = [](int x) { return x + 2; };
  const auto like_first = [](int x) { return x + 1; };
  int two = 2, three = 3;
  const auto by_two = [two](int x) { return x * two; };
  const auto by_three = [three](int x) { return x * three; };
  for (int x = 0; x < 5; ++x) {
    expect_same<int>(first, x);
    expect_same<int>(second, x);
    expect_same<int>(like_first, x);
    expect_same<int>(by_two, x);
    expect_same<int>(by_three, x);
  }
}

TEST_F(Functions, Bound) {
  expect_same<int>(brood::bind(&of_many, 1, 2.0, "text"), std::vector{1, 2});
  expect_same<int>(brood::bind(brood::bind(&of_many, 1), 2.0), std::string("x"), std::vector{1});
  expect_same<int>(brood::bind([](const std::vector<int>& v, int i) { return v[static_cast<std::size_t>(i)]; },
                               std::vector{7, 8, 9}),
                   1);
  expect_same<int>(brood::bind(Adder{.by = 1, .note = "n"}, 5));
}

struct Base {
  int number = 1;
  virtual ~Base() = default;
  virtual int who() const { return 10 + number; }
  int plain(int x) { return number + x; }
  template <class A>
  void serialize(A& archive) {
    archive(number);
  }
};
// Aligned as Derived is: UBSan of GCC 12 checks the address of a base as if it were that of the whole object.
struct alignas(8) Second {
  int other = 50;
  int from_second() const { return other; }
};
struct Derived : Base, Second {
  int who() const override { return 20 + number; }
  int only_here(int x) const { return x + other; }
  template <class A>
  void serialize(A& archive) {
    archive(number, other);
  }
};

TEST_F(Functions, MemberFunctions) {
  Derived derived;
  derived.number = 7;
  derived.other = 70;
  const auto call = [&]<class... Args>(auto member, int expected, const Args&... args) {
    const Reply reply = other.call(definition_of<Derived, Args...>(member), encoded(derived, args...));
    ASSERT_TRUE(reply.good) << reply.text;
    EXPECT_EQ(decoded<int>(reply.text), expected);
  };
  call(&Base::plain, 12, 5);
  call(&Derived::only_here, 75, 5);
  call(&Base::who, 27);  // virtual: the object decides
  call(&Derived::who, 27);
  call(static_cast<int (Derived::*)() const>(&Second::from_second), 70);  // a base that is not at the object's start
  call(&Base::number, 7);
  call(static_cast<int Derived::*>(&Second::other), 70);
}

TEST_F(Functions, ErrorsOfTheCallPass) {
  const Reply reply =
      other.call(definition_of<int>([](int) -> int { throw std::out_of_range("too far"); }), encoded(1));
  EXPECT_FALSE(reply.good);
  EXPECT_EQ(reply.text, "too far");
}

TEST_F(Functions, WrongArgumentsAreAnError) {
  for (const std::string& args : {std::string(), std::string("ab"), std::string(100, 'x')}) {
    const Reply reply = other.call(definition_of<int>(&triple), args);
    EXPECT_FALSE(reply.good);
  }
}

TEST_F(Functions, AnotherSignatureIsRefused) {
  std::string definition = definition_of<int>(&triple);
  const std::string signature = encoded(detail::RecordOf<int (*)(int), false, int>::record.signature);
  const std::size_t at = definition.find(signature);
  ASSERT_NE(at, std::string::npos);
  definition[at] = static_cast<char>(definition[at] ^ 1);
  const Reply reply = other.call(definition, encoded(1));
  EXPECT_FALSE(reply.good);
  EXPECT_EQ(reply.text, "another signature");
}

// The signature says which callable is called with which arguments.
TEST(FunctionRecords, SignaturesDiffer) {
  using detail::RecordOf;
  const auto lambda = [](int x) { return x; };
  using L = decltype(lambda);
  const std::vector<std::uint64_t> all{RecordOf<int (*)(int), false, int>::signature(),
                                       RecordOf<int (*)(int), true, std::tuple<int>>::signature(),
                                       RecordOf<int (*)(int), false, short>::signature(),
                                       RecordOf<long (*)(int), false, int>::signature(),
                                       RecordOf<L, false, int>::signature(),
                                       RecordOf<L, false, short>::signature(),
                                       RecordOf<Adder, false, int>::signature(),
                                       RecordOf<Hidden, false, int>::signature()};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) EXPECT_NE(all[i], all[k]) << i << " and " << k;
  }
}

TEST(FunctionRecords, NoCallableIsNoFunction) {
  int (*const null)(int) = nullptr;
  EXPECT_THROW(definition_of<int>(null), ProcessError);
}

}  // namespace
}  // namespace brood::wire::testing
