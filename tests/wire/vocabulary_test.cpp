#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

template <class T>
void expect_number() {
  expect_round_trip(std::numeric_limits<T>::lowest());
  expect_round_trip(std::numeric_limits<T>::max());
  expect_round_trip(T{1});
}

TEST(Vocabulary, Numbers) {
  expect_number<char>();
  expect_number<signed char>();
  expect_number<unsigned char>();
  expect_number<wchar_t>();
  expect_number<char8_t>();
  expect_number<char16_t>();
  expect_number<char32_t>();
  expect_number<short>();
  expect_number<unsigned short>();
  expect_number<int>();
  expect_number<unsigned>();
  expect_number<long>();
  expect_number<unsigned long>();
  expect_number<long long>();
  expect_number<unsigned long long>();
  expect_number<float>();
  expect_number<double>();
  expect_number<long double>();
  expect_round_trip(true);
  expect_round_trip(false);
  __extension__ typedef __int128 Wide;
  expect_round_trip(static_cast<Wide>(-5));
  EXPECT_EQ(saved(1).size(), sizeof(int));
}

TEST(Vocabulary, NumbersAreLittleEndian) {
  const Bytes expected{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}};
  EXPECT_EQ(saved(0x01020304), expected);
}

TEST(Vocabulary, BoolIsChecked) {
  EXPECT_THROW(loaded<bool>(Bytes{std::byte{2}}), ArchiveError);
  EXPECT_THROW((loaded<std::array<bool, 2>>(Bytes{std::byte{1}, std::byte{255}})), ArchiveError);
  EXPECT_THROW((loaded<std::pair<int, bool>>(saved(std::pair<int, char>(1, 'x')))), ArchiveError);
}

enum class Color : std::uint8_t { red, green };
enum class Answer : bool { no, yes };
enum Plain { kOne, kTwo };

TEST(Vocabulary, Enums) {
  expect_round_trip(Color::green);
  expect_round_trip(Answer::yes);
  expect_round_trip(kTwo);
  expect_round_trip(std::byte{7});
  expect_round_trip(std::vector<Color>{Color::red, Color::green});
  EXPECT_EQ(saved(Color::green).size(), 1U);
  EXPECT_THROW(loaded<Answer>(Bytes{std::byte{2}}), ArchiveError);
}

TEST(Vocabulary, Tuples) {
  expect_round_trip(std::pair<int, std::string>(1, "a"));
  expect_round_trip(std::tuple<>());
  expect_round_trip(std::tuple<int, std::string, std::vector<double>>(1, "a", {2}));
  expect_round_trip(std::pair<const int, const std::string>(1, "a"));
  expect_round_trip(std::vector<std::tuple<>>(5));
  expect_load_into<std::tuple<int, std::string>>({1, "x"}, {2, "y"});
}

TEST(Vocabulary, Optionals) {
  expect_round_trip(std::optional<int>());
  expect_round_trip(std::optional<int>(3));
  expect_round_trip(std::optional<std::string>("a"));
  expect_round_trip(std::optional<std::optional<int>>(std::optional<int>()));
  expect_load_into<std::optional<std::string>>("x", std::nullopt);
  EXPECT_THROW(loaded<std::optional<int>>(Bytes(5, std::byte{2})), ArchiveError);
}

TEST(Vocabulary, Variants) {
  using Value = std::variant<std::monostate, int, std::string, std::vector<int>>;
  expect_round_trip(Value());
  expect_round_trip(Value(7));
  expect_round_trip(Value("a"));
  expect_round_trip(Value(std::vector<int>{1, 2}));
  expect_round_trip(std::variant<int, int>(std::in_place_index<1>, 5));
  expect_load_into<Value>(7, "b");
  EXPECT_THROW(loaded<Value>(Bytes{std::byte{4}}), ArchiveError);
}

struct ThrowsWhenMoved {
  int value = 0;
  ThrowsWhenMoved() = default;
  ThrowsWhenMoved(const ThrowsWhenMoved&) = default;
  ThrowsWhenMoved& operator=(const ThrowsWhenMoved&) = default;
  ThrowsWhenMoved(ThrowsWhenMoved&&) { throw 1; }
  ThrowsWhenMoved& operator=(ThrowsWhenMoved&&) = default;
  template <class A>
  void serialize(A& archive) {
    archive(value);
  }
};

TEST(Vocabulary, ValuelessVariant) {
  std::variant<std::string, ThrowsWhenMoved> value;
  EXPECT_ANY_THROW(value = ThrowsWhenMoved());
  ASSERT_TRUE(value.valueless_by_exception());
  EXPECT_THROW(saved(value), ArchiveError);
}

TEST(Vocabulary, SmartPointers) {
  const auto same = [](const auto& a, const auto& b) { return a && b ? *a == *b : !a && !b; };
  expect_round_trip(std::unique_ptr<int>(), same);
  expect_round_trip(std::make_unique<std::string>("a"), same);
  expect_round_trip(std::make_unique<const int>(3), same);
  expect_round_trip(std::shared_ptr<int>(), same);
  expect_round_trip(std::make_shared<std::vector<int>>(3, 4), same);
  expect_round_trip(std::make_shared<const int>(3), same);
  expect_load_into<std::shared_ptr<int>>(std::make_shared<int>(1), std::make_shared<int>(2), same);
}

TEST(Vocabulary, TimesAndMore) {
  expect_round_trip(std::chrono::milliseconds(-5));
  expect_round_trip(std::chrono::duration<double>(1.5));
  expect_round_trip(std::chrono::steady_clock::now());
  expect_round_trip(std::chrono::sys_days(std::chrono::days(19000)));
  expect_round_trip(std::complex<double>(1, -2));
  expect_round_trip(std::complex<float>(1, -2));
  expect_round_trip(std::complex<long double>(1, -2));
  expect_round_trip(std::vector<std::complex<double>>{{1, 2}, {3, 4}});
  expect_round_trip(std::filesystem::path("/tmp/a b"));
  expect_round_trip(std::filesystem::path());
  expect_round_trip(std::monostate());
  expect_round_trip(nullptr);
}

TEST(Vocabulary, Bitsets) {
  expect_round_trip(std::bitset<0>());
  expect_round_trip(std::bitset<1>(1));
  expect_round_trip(std::bitset<8>(0x5A));
  expect_round_trip(std::bitset<13>(0x1ABC));
  expect_round_trip(std::bitset<200>(0x1ABC) << 150);
  EXPECT_THROW(loaded<std::bitset<3>>(Bytes{std::byte{8}}), ArchiveError);
}

// The shape of std::expected, which this standard library does not have yet.
template <class E>
struct Unexpected {
  explicit Unexpected(E error) : value(std::move(error)) {}
  E value;
};

template <class T, class E>
class Expected {
 public:
  using value_type = T;
  using error_type = E;
  using unexpected_type = Unexpected<E>;
  template <class... A>
  explicit Expected(std::in_place_t, A&&... arguments)
      : state_(std::in_place_index<0>, std::forward<A>(arguments)...) {}
  explicit Expected(Unexpected<E> error) : state_(std::in_place_index<1>, std::move(error.value)) {}
  bool has_value() const { return state_.index() == 0; }
  const T& operator*() const { return std::get<0>(state_); }
  const E& error() const { return std::get<1>(state_); }
  bool operator==(const Expected&) const = default;

 private:
  std::variant<T, E> state_;
};

template <class E>
class Expected<void, E> {
 public:
  using value_type = void;
  using error_type = E;
  using unexpected_type = Unexpected<E>;
  Expected() = default;
  explicit Expected(Unexpected<E> error) : error_(std::move(error.value)) {}
  bool has_value() const { return !error_; }
  const E& error() const { return *error_; }
  bool operator==(const Expected&) const = default;

 private:
  std::optional<E> error_;
};

TEST(Vocabulary, ExpectedLike) {
  expect_round_trip(Expected<void, std::string>());
  expect_round_trip(Expected<void, std::string>(Unexpected(std::string("bad"))));
  using Result = Expected<std::string, int>;
  expect_round_trip(Result(std::in_place, "fine"));
  expect_round_trip(Result(Unexpected(7)));
}

}  // namespace
}  // namespace brood::wire
