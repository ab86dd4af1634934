// What reaches a process, under every start method: arguments, captures, functors, bound calls.
#include <bitset>
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;
using std::string_literals::operator""s;

using Arguments = EveryMethod;
BROOD_EVERY_METHOD(Arguments);

// The process ends with `code` unless `ok`.
void check(bool ok, int code) {
  if (!ok) ::_exit(code);
}

enum class Colour : std::uint8_t { red, green = 200 };

struct Plain {
  int number = 0;
  std::string text;
  std::vector<std::pair<int, double>> pairs;
  bool operator==(const Plain&) const = default;
};

class Account {
 public:
  Account() = default;
  Account(std::string owner, int balance) : owner_(std::move(owner)), balance_(balance) {}
  template <class A>
  void serialize(A& archive) {
    archive(owner_, balance_);
  }
  bool operator==(const Account&) const = default;

 private:
  std::string owner_;
  int balance_ = 0;
};

TEST_P(Arguments, Numbers) {
  const auto f = [](bool yes, char c, signed char s, unsigned short u, int i, long long big, float x, double y,
                    Colour colour, std::byte byte) {
    check(yes, 1);
    check(c == 'c' && s == -100 && u == 65535, 2);
    check(i == -5 && big == -(1LL << 62), 3);
    check(x == 1.5F && y == -1e300, 4);
    check(colour == Colour::green && byte == std::byte{7}, 5);
  };
  EXPECT_EQ(run(f, true, 'c', static_cast<signed char>(-100), static_cast<unsigned short>(65535), -5, -(1LL << 62),
                1.5F, -1e300, Colour::green, std::byte{7}),
            0);
}

TEST_P(Arguments, Containers) {
  const auto f = [](const std::vector<std::string>& strings, const std::map<std::string, std::vector<int>>& map,
                    const std::set<int>& set, const std::unordered_map<int, std::string>& hashed,
                    const std::deque<bool>& flags, const std::list<std::optional<int>>& optionals,
                    std::array<int, 3> array, std::stack<int> stack, std::queue<int> queue) {
    check(strings == std::vector{"a"s, ""s, std::string("\0x", 2)}, 1);
    check(map == std::map<std::string, std::vector<int>>{{"one", {1}}, {"none", {}}}, 2);
    check(set == std::set{3, 1, 2}, 3);
    check(hashed.size() == 2 && hashed.at(7) == "seven", 4);
    check(flags == std::deque{true, false}, 5);
    check(optionals == std::list<std::optional<int>>{1, std::nullopt}, 6);
    check(array == std::array{1, 2, 3} && stack.top() == 9 && queue.front() == 8, 7);
  };
  std::stack<int> stack;
  stack.push(9);
  std::queue<int> queue;
  queue.push(8);
  EXPECT_EQ(run(f, std::vector{"a"s, ""s, std::string("\0x", 2)},
                std::map<std::string, std::vector<int>>{{"one", {1}}, {"none", {}}}, std::set{3, 1, 2},
                std::unordered_map<int, std::string>{{7, "seven"}, {8, "eight"}}, std::deque{true, false},
                std::list<std::optional<int>>{1, std::nullopt}, std::array{1, 2, 3}, stack, queue),
            0);
}

TEST_P(Arguments, VocabularyAndOwnTypes) {
  const auto f = [](const std::variant<int, std::string>& variant, const std::tuple<int, std::string>& tuple,
                    std::complex<double> complex, std::bitset<9> bits, std::chrono::milliseconds duration,
                    const std::filesystem::path& path, const Plain& plain, const Account& account) {
    check(std::get<std::string>(variant) == "text", 1);
    check(tuple == std::tuple(1, "one"s), 2);
    check(complex == std::complex(1.0, 2.0) && bits == 0x155 && duration == 250ms, 3);
    check(path == "/a/b", 4);
    check(plain == Plain{.number = 3, .text = "three", .pairs = {{1, 0.5}}}, 5);
    check(account == Account("owner", 100), 6);
  };
  EXPECT_EQ(run(f, std::variant<int, std::string>("text"), std::tuple(1, "one"s), std::complex(1.0, 2.0),
                std::bitset<9>(0x155), 250ms, std::filesystem::path("/a/b"),
                Plain{.number = 3, .text = "three", .pairs = {{1, 0.5}}}, Account("owner", 100)),
            0);
}

TEST_P(Arguments, MoveOnly) {
  const auto f = [](std::unique_ptr<std::string> text, std::vector<std::unique_ptr<int>> numbers) {
    check(*text == "moved", 1);
    check(numbers.size() == 2 && *numbers[0] == 5 && numbers[1] == nullptr, 2);
  };
  std::vector<std::unique_ptr<int>> numbers;
  numbers.push_back(std::make_unique<int>(5));
  numbers.push_back(nullptr);
  EXPECT_EQ(run(f, std::make_unique<std::string>("moved"), std::move(numbers)), 0);
}

// Text that is only pointed at arrives as text, also when the function wants to point at it.
TEST_P(Arguments, TextThatIsPointedAt) {
  const auto f = [](const std::string& a, std::string_view b, const std::string& c) {
    check(a == "literal", 1);
    check(b == "view", 2);
    check(c == "pointer", 3);
  };
  const char* const pointer = "pointer";
  EXPECT_EQ(run(f, "literal", std::string_view("view"), pointer), 0);
}

// As large as is sent by reference to where it lies; a copy that lives only for a moment must not be referred to.
TEST_P(Arguments, LongTextThatIsPointedAt) {
  const auto f = [](std::string_view text) {
    check(text.size() == 3'000'000, 1);
    check(text.find_first_not_of('q') == std::string_view::npos, 2);
  };
  const std::string text(3'000'000, 'q');
  EXPECT_EQ(run(f, text.c_str()), 0);
  EXPECT_EQ(run(f, std::string_view(text)), 0);
}

// Around the size that no longer fits into one message, and in the largest sizes.
TEST_P(Arguments, OfEverySize) {
  const auto f = [](const std::vector<std::uint32_t>& numbers, std::size_t count) {
    check(numbers.size() == count, 1);
    for (std::size_t i = 0; i < count; ++i) check(numbers[i] == static_cast<std::uint32_t>(i * 2654435761U), 2);
  };
  const std::size_t large = (kSanitized ? std::size_t{4} << 20U : std::size_t{65} << 20U) / sizeof(std::uint32_t);
  const std::size_t in_message = std::size_t{32} * 1024 / sizeof(std::uint32_t);
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, in_message - 100, in_message - 1, in_message,
                                  in_message + 1, in_message * 2, in_message * 2 + 1, in_message * 7, large}) {
    std::vector<std::uint32_t> numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<std::uint32_t>(i * 2654435761U);
    EXPECT_EQ(run(f, std::move(numbers), count), 0) << count;
  }
}

// The letter's head and each size of text: every byte count around the limit occurs.
TEST_P(Arguments, EveryLengthAroundTheLimitOfAMessage) {
  const auto f = [](const std::string& text, std::size_t size) {
    check(text.size() == size && (size == 0 || (text.front() == 'a' && text.back() == 'z')), 1);
  };
  const std::size_t step = kSanitized || GetParam() == StartMethod::spawn ? 97 : 13;
  for (std::size_t size = 32 * 1024 - 700; size < 32 * 1024 + 20; size += step) {
    std::string text(size, '-');
    text.front() = 'a';
    text.back() = 'z';
    EXPECT_EQ(run(f, text, size), 0) << size;
  }
}

void free_function(int x) { check(x == 7, 1); }
int with_result(int) { return 55; }  // what it returns is not the exit code

TEST_P(Arguments, Functions) {
  EXPECT_EQ(run(free_function, 7), 0);
  EXPECT_EQ(run(&free_function, 8), 1);
  EXPECT_EQ(run(with_result, 1), 0);
}

struct Adder {
  int sum = 0;
  void add(int x, int expected) { check(sum + x == expected, 1); }
  void add_const(int x) const { check(sum == x, 2); }
};
struct Base {
  virtual ~Base() = default;
  virtual void speak(int expected) const { check(expected == 1, 3); }
};
struct Derived : Base {
  int value = 0;
  void speak(int expected) const override { check(expected == value, 4); }
  template <class A>
  void serialize(A& archive) {
    archive(value);
  }
};

TEST_P(Arguments, MemberFunctions) {
  EXPECT_EQ(run(&Adder::add, Adder{.sum = 5}, 2, 7), 0);
  EXPECT_EQ(run(&Adder::add_const, Adder{.sum = 5}, 5), 0);
  EXPECT_EQ(run(&Adder::add_const, Adder{.sum = 5}, 6), 2);
  Derived derived;
  derived.value = 9;
  EXPECT_EQ(run(&Base::speak, derived, 9), 0);  // a virtual one finds its way
}

struct Functor {
  std::string text;
  std::vector<int> numbers;
  void operator()(int x) { check(text == "functor" && numbers.at(1) == x, 1); }
  template <class A>
  void serialize(A& archive) {
    archive(text, numbers);
  }
};
struct AggregateFunctor {
  std::string text;
  void operator()() const { check(text == "aggregate", 1); }
};

TEST_P(Arguments, Functors) {
  EXPECT_EQ(run(Functor{.text = "functor", .numbers = {1, 2}}, 2), 0);
  EXPECT_EQ(run(AggregateFunctor{.text = "aggregate"}), 0);
}

TEST_P(Arguments, CapturingLambdas) {
  int a = 5;
  double b = 2.5;
  struct Point {
    int x, y;
  } const point{1, 2};
  EXPECT_EQ(run([a, b] { check(a == 5 && b == 2.5, 1); }), 0);
  EXPECT_EQ(run([point, copy = a](int c) mutable { check(point.x + point.y + ++copy == c, 1); }, 9), 0);
}

TEST_P(Arguments, Bind) {
  const auto f = [](const std::string& text, const std::vector<int>& numbers, int last) {
    check(text == "bound" && numbers == std::vector{1, 2} && last == 3, 1);
  };
  EXPECT_EQ(run(brood::bind(f, "bound", std::vector{1, 2}), 3), 0);
  EXPECT_EQ(run(brood::bind(f, "bound", std::vector{1, 2}, 3)), 0);
  EXPECT_EQ(run(brood::bind(brood::bind(f, "bound"), std::vector{1, 2}), 3), 0);
  EXPECT_EQ(run(brood::bind(&Adder::add, Adder{.sum = 1}), 2, 3), 0);
}

// Callables as arguments.
TEST_P(Arguments, FunctionsAsArguments) {
  const auto f = [](void (*function)(int), void (Adder::*member)(int) const, int Adder::*data) {
    function(7);
    (Adder{.sum = 3}.*member)(3);
    check(Adder{.sum = 4}.*data == 4, 5);
  };
  EXPECT_EQ(run(f, &free_function, &Adder::add_const, &Adder::sum), 0);
}

// Passed as rvalues, like a thread's: by value, by const reference, by rvalue reference.
TEST_P(Arguments, KindsOfParameters) {
  const auto f = [](std::string a, const std::string& b, std::string&& c) { check(a + b + std::move(c) == "abc", 1); };
  EXPECT_EQ(run(f, "a"s, "b"s, "c"s), 0);
}

// The parent's copies are gone when start() has returned.
TEST_P(Arguments, LeaveTheParentAtStart) {
  const auto counter = std::make_shared<int>(5);
  Process process(
      options(), [](const std::shared_ptr<int>& number) { check(*number == 5, 1); }, counter);
  EXPECT_EQ(counter.use_count(), 2);
  process.start();
  EXPECT_EQ(counter.use_count(), 1);
  process.join();
  EXPECT_EQ(process.exitcode(), 0);
}

// Destroyed in the child as well: whether the function returns or throws.
struct Announcer {
  Word* destroyed = nullptr;
  bool armed = false;
  Announcer() = default;
  explicit Announcer(Word* word) : destroyed(word) {}
  Announcer(Announcer&& other) noexcept : destroyed(std::exchange(other.destroyed, nullptr)), armed(other.armed) {}
  Announcer& operator=(Announcer&&) = delete;
  ~Announcer() {
    if (destroyed != nullptr && ::getpid() != main_pid) ++*destroyed;
  }
  template <class A>
  void serialize(A& archive) {
    auto address = reinterpret_cast<std::uintptr_t>(destroyed);
    archive(address);
    destroyed = reinterpret_cast<Word*>(address);
  }
  static inline const pid_t main_pid = ::getpid();
};

TEST_P(Arguments, AreDestroyedInTheChild) {
  for (const bool throws : {false, true}) {
    const Shared<Word> destroyed;
    written_to(2, [&] {
      run(
          [](const Announcer&, bool yes) {
            if (yes) throw 1;
          },
          Announcer(destroyed.get()), throws);
    });
    // The child of a plain fork that starts it may destroy its own copy too, but only before the end of start().
    EXPECT_GE(destroyed->load(), 1);
    EXPECT_LE(destroyed->load(), 2);
  }
}

}  // namespace
}  // namespace brood
