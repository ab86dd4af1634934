#include <brood/archive.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace brood::wire {
namespace {

struct A {
  int x;
  std::string y;
};
struct B {
  int other;
  std::string names;
};
struct C {
  std::string y;
  int x;
};
struct TreeA {
  int v;
  std::vector<TreeA> c;
};
struct TreeB {
  int v;
  std::vector<TreeB> c;
};
struct TreeC {
  long v;
  std::vector<TreeC> c;
};
struct Even;
struct Odd {
  std::vector<Even> next;
};
struct Even {
  int value;
  std::vector<Odd> next;
};
enum class E : int {};
class WithSerialize {
 public:
  template <class Archive>
  void serialize(Archive&) {}
};

// Equal structure, equal hash: names do not count.
static_assert(type_hash<A>() == type_hash<B>());
static_assert(type_hash<A>() == type_hash<std::pair<int, std::string>>());
static_assert(type_hash<const A&>() == type_hash<A>());
static_assert(type_hash<TreeA>() == type_hash<TreeB>());
static_assert(type_hash<long>() == type_hash<long long>());
static_assert(type_hash<E>() == type_hash<int>());
static_assert(type_hash<std::vector<int>>() == type_hash<std::deque<int>>());
static_assert(type_hash<std::map<int, int>>() == type_hash<std::unordered_map<int, int>>());
static_assert(type_hash<int[3]>() == type_hash<std::array<int, 3>>());
static_assert(type_hash<std::optional<A>>() == type_hash<std::unique_ptr<B>>());

// Another encoding, another hash.
static_assert(type_hash<A>() != type_hash<C>());
static_assert(type_hash<TreeA>() != type_hash<TreeC>());
static_assert(type_hash<Odd>() != type_hash<Even>());
static_assert(type_hash<int>() != type_hash<unsigned>());
static_assert(type_hash<int>() != type_hash<float>());
static_assert(type_hash<int>() != type_hash<long>());
static_assert(type_hash<bool>() != type_hash<char>());
static_assert(type_hash<std::vector<int>>() != type_hash<std::vector<long>>());
static_assert(type_hash<std::vector<int>>() != type_hash<std::set<int>>());
static_assert(type_hash<std::vector<bool>>() != type_hash<std::deque<bool>>());
static_assert(type_hash<std::array<int, 3>>() != type_hash<std::array<int, 4>>());
static_assert(type_hash<std::chrono::seconds>() != type_hash<std::chrono::milliseconds>());
static_assert(type_hash<std::tuple<int, int>>() != type_hash<std::tuple<int, int, int>>());
static_assert(type_hash<std::tuple<std::tuple<int>, int>>() != type_hash<std::tuple<std::tuple<int, int>>>());
static_assert(type_hash<WithSerialize>() != type_hash<std::tuple<>>());

// Both sides are built from the same source, but perhaps by different compilers: the value is part of the format.
TEST(TypeHash, IsStable) {
  EXPECT_EQ(type_hash<int>(), 171984970905887503U);
  EXPECT_EQ((type_hash<std::map<std::string, TreeA>>()), 13377024942929038586U);
}

}  // namespace
}  // namespace brood::wire
