#include <any>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

struct Point {
  int x = 0, y = 0;
  bool operator==(const Point&) const = default;
};
struct Padded {
  char a;
  double b;
  bool c;
  bool operator==(const Padded&) const = default;
};
struct Rich {
  int number;
  std::string text;
  double numbers[16];
  std::map<std::string, int> map;
  bool operator==(const Rich&) const = default;
};
struct Nested {
  Point points[2];
  Padded padded;
  std::optional<Rich> rich;
  std::vector<Point> more;
  bool operator==(const Nested&) const = default;
};
struct Empty {
  bool operator==(const Empty&) const = default;
};
struct HoldsEmpty {
  Empty a;
  int b;
  Empty c;
  bool operator==(const HoldsEmpty&) const = default;
};

TEST(Aggregates, Plain) {
  expect_round_trip(Point{1, 2});
  expect_round_trip(Padded{'a', 1.5, true});
  expect_round_trip(Rich{1, "twenty characters...", {1, 2, 3}, {{"a", 1}, {"b", 2}, {"c", 3}}});
  expect_round_trip(Nested{{{1, 2}, {3, 4}}, {'b', 2.5, false}, Rich{}, {{5, 6}}});
  expect_round_trip(std::vector<Padded>{{'a', 1, true}, {'b', 2, false}});
  expect_round_trip(std::vector<Point>(100, Point{1, 2}));
  expect_load_into(Nested{{}, {}, Rich{}, {{1, 2}, {3, 4}}}, Nested{{}, {}, std::nullopt, {{5, 6}}});
}

TEST(Aggregates, PaddingIsNotSent) {
  EXPECT_EQ(saved(Padded{'a', 1, true}).size(), 1U + 8U + 1U);
  EXPECT_EQ(saved(Point{1, 2}).size(), sizeof(Point));
}

TEST(Aggregates, Empty) {
  expect_round_trip(Empty{});
  expect_round_trip(HoldsEmpty{{}, 5, {}});
  expect_round_trip(std::vector<Empty>(9));
}

// What members a type has, not only how many: everything that makes counting hard.
struct TakesAnything {
  std::any any;
};
struct Awkward {
  std::optional<int> optional;
  std::variant<std::string, int> variant;
  std::string text;
  int numbers[3];
  char name[2][4];
  std::array<int, 2> array;
  Point point;
  std::unique_ptr<int> pointer;
  const int constant;
  Empty empty;
};
static_assert(detail::kMembers<TakesAnything> == 1);
static_assert(detail::kMembers<Awkward> == 10);
static_assert(detail::kMembers<Empty> == 0);
static_assert(detail::kMembers<Nested> == 4);
static_assert(Archivable<Rich> && Archivable<Nested>);
static_assert(!Archivable<TakesAnything>);

// Constructed from an int and in no other way. Its default constructor is private.
class Closed {
 public:
  explicit Closed(int value) : value_(value) {}
  bool operator==(const Closed&) const = default;

 private:
  friend class brood::Access;
  Closed() = default;
  template <class A>
  void serialize(A& archive) {
    archive(value_);
  }
  int value_ = 0;
};

// No default constructor, although each of them can be made from parts.
struct NoDefault {
  Closed first;
  std::optional<int> second;
  std::variant<int, std::string> third;
  std::string fourth;
  std::vector<Closed> fifth;
  Point sixth;
  bool operator==(const NoDefault&) const = default;
};
static_assert(detail::kMembers<NoDefault> == 6);

struct Constant {
  const int number;
  const std::string text;
  bool operator==(const Constant&) const = default;
};

struct Fixed {
  const int a;
  double b;
  bool operator==(const Fixed&) const = default;
};

// Default constructible, but not member by member.
struct Defaulted {
  int first = 1;
  Closed second = Closed(2);
  std::string third = "3";
  bool operator==(const Defaulted&) const = default;
};
struct DefaultedFirst {
  Closed first = Closed(1);
  bool operator==(const DefaultedFirst&) const = default;
};
static_assert(detail::kMembers<Defaulted> == 3);
static_assert(detail::kMembers<DefaultedFirst> == 1);

TEST(Aggregates, MembersWithDefaultValues) {
  expect_round_trip(Defaulted{4, Closed(5), "6"});
  expect_round_trip(DefaultedFirst{Closed(7)});
}

TEST(Aggregates, WithoutDefaultConstructor) {
  const NoDefault value{Closed(1), 2, "three", "four", {Closed(5), Closed(55)}, {6, 7}};
  expect_round_trip(value);
  expect_round_trip(std::vector<NoDefault>{value, value});
  expect_round_trip(std::optional<NoDefault>(value));
  expect_round_trip(std::array<NoDefault, 2>{value, value});
  expect_round_trip(std::map<std::string, NoDefault>{{"a", value}});
  expect_round_trip(std::variant<int, NoDefault>(value));
  expect_round_trip(std::pair<int, NoDefault>(1, value));
}

TEST(Aggregates, ConstMembers) {
  expect_round_trip(Constant{1, "a"});
  expect_round_trip(std::vector<Constant>{{1, "a"}, {2, "b"}});
  expect_load_into(Fixed{1, 2}, Fixed{3, 4});
  expect_load_into(std::pair<int, Fixed>{0, {1, 2}}, std::pair<int, Fixed>{1, {3, 4}});
}

struct MoveOnly {
  std::unique_ptr<int> pointer;
  std::string text;
};

TEST(Aggregates, MoveOnly) {
  const auto copy = loaded<MoveOnly>(saved(MoveOnly{std::make_unique<int>(4), "a"}));
  EXPECT_EQ(*copy.pointer, 4);
  EXPECT_EQ(copy.text, "a");
  std::vector<MoveOnly> many;
  many.push_back({std::make_unique<int>(1), "b"});
  EXPECT_EQ(*loaded<std::vector<MoveOnly>>(saved(many)).at(0).pointer, 1);
}

struct Largest {
  char m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16;
  int m17, m18, m19, m20, m21, m22, m23, m24, m25, m26, m27, m28, m29, m30, m31;
  std::string m32;
  bool operator==(const Largest&) const = default;
};
struct TooLarge {
  char m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16;
  int m17, m18, m19, m20, m21, m22, m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33;
};

TEST(Aggregates, ThirtyTwoMembers) {
  Largest value{};
  value.m1 = 'a';
  value.m31 = 31;
  value.m32 = "32";
  expect_round_trip(value);
  static_assert(detail::kMembers<Largest> == 32);
  static_assert(!Archivable<TooLarge>);
}

struct LargeBulk {
  double numbers[20'000];
};

TEST(Aggregates, LargeBulk) {
  auto value = std::make_unique<LargeBulk>();
  for (int i = 0; i < 20'000; ++i) value->numbers[i] = i;
  EXPECT_EQ((*loaded<std::unique_ptr<LargeBulk>>(saved(value))).numbers[19'999], 19'999);
}

// Functions of the user's with the names of ours, found by argument-dependent lookup.
namespace user {
struct Thing {
  std::vector<std::string> words;
  bool flag = false;
  bool operator==(const Thing&) const = default;
};
template <class A, class T>
void save(A&, const T&) = delete;
template <class A, class T>
void load_into(A&, T&) = delete;
template <class A, class T>
std::byte* encode(A, const T&) = delete;
template <class A, class T>
void fill_one(A&, T&) = delete;
template <class... T>
void with_members(T&&...) = delete;
class Holder {
 public:
  std::vector<Thing> things{{{"a", "b"}, true}};
  std::pair<int, Thing> pair;
  bool operator==(const Holder&) const = default;
  template <class A>
  void serialize(A& archive) {
    archive(things, pair);
  }
};
}  // namespace user

TEST(Aggregates, FunctionsOfTheUserAreNotCalled) { expect_round_trip(user::Holder()); }

}  // namespace
}  // namespace brood::wire
