// A type with something of every kind, for tests that feed damaged bytes to every decoder there is.
#pragma once

#include <brood/archive.hpp>

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace brood::wire {

struct Numbers {
  bool flag;
  char letter;
  std::int16_t small;
  double real;
  long double longest;
  std::byte byte;
  enum class Color : std::uint8_t { red, green } color;
};

struct Block {
  std::int32_t x, y;
  double values[2];
};

struct Tree {
  std::string name;
  std::vector<Tree> children;
  std::unique_ptr<Tree> twin;
};

struct Value : std::variant<std::nullptr_t, bool, std::string, std::vector<Value>, std::map<std::string, Value>> {
  using variant::variant;
};

class Account {
 public:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}

 private:
  friend class brood::Access;
  Account() = default;
  template <class A>
  void serialize(A& archive) {
    archive(owner_, history_, related_);
  }
  std::string owner_;
  std::vector<double> history_{1.5, 2.5};
  std::vector<Account> related_;
};

struct Constant {
  const int number;
  const Account account;
};

struct Containers {
  std::string text;
  std::u16string wide;
  std::vector<double> reals;
  std::vector<Block> blocks;
  std::vector<bool> bits;
  std::vector<std::string> words;
  std::deque<bool> deque;
  std::list<std::pair<int, std::string>> list;
  std::forward_list<int> forward;
  std::set<std::string> set;
  std::multiset<int> multiset;
  std::unordered_set<int> hashed;
  std::map<int, std::vector<std::byte>> map;
  std::unordered_map<std::string, std::optional<double>> hash_map;
  std::array<std::string, 2> array;
  std::stack<int> stack;
  std::priority_queue<int> heap;
};

struct Everything {
  Numbers numbers;
  Containers containers;
  std::tuple<int, std::string, bool> tuple;
  std::optional<std::vector<Numbers>> optional;
  std::shared_ptr<int> pointer;
  std::variant<std::monostate, int, std::string, Block> variant;
  std::bitset<11> bitset;
  std::complex<double> complex;
  std::chrono::milliseconds duration;
  std::chrono::steady_clock::time_point time;
  std::filesystem::path path;
  Tree tree;
  Value value;
  std::vector<Constant> constants;
};

inline Everything make_everything() {
  Everything all{};
  all.numbers = {true, 'x', -2, 1.5, 2.5L, std::byte{9}, Numbers::Color::green};
  Containers& c = all.containers;
  c.text = "some text that is too long for a small string";
  c.wide = u"wide";
  c.reals = {1, 2, 3};
  c.blocks = {{1, 2, {3, 4}}, {5, 6, {7, 8}}};
  c.bits = {true, false, true, true, false, false, false, true, true};
  c.words = {"one", "", "three"};
  c.deque = {true, false};
  c.list = {{1, "a"}, {2, "b"}};
  c.forward = {1, 2, 3};
  c.set = {"a", "b"};
  c.multiset = {1, 1, 2};
  c.hashed = {1, 2, 3};
  c.map = {{1, {std::byte{1}}}, {2, {}}};
  c.hash_map = {{"a", 1.5}, {"b", std::nullopt}};
  c.array = {"x", "y"};
  c.stack.push(1);
  for (const int i : {3, 1, 2}) c.heap.push(i);
  all.tuple = {1, "two", true};
  all.optional.emplace(2, all.numbers);
  all.pointer = std::make_shared<int>(7);
  all.variant = Block{1, 2, {3, 4}};
  all.bitset = 0x5A5;
  all.complex = {1, -1};
  all.duration = std::chrono::milliseconds(5);
  all.path = "/tmp/file";
  all.tree.name = "root";
  all.tree.children.resize(2);
  all.tree.children[0].twin = std::make_unique<Tree>();
  all.value = std::map<std::string, Value>{{"k", Value(std::vector<Value>{Value(true), Value("text")})}};
  all.constants.push_back({1, Account("me")});
  return all;
}

}  // namespace brood::wire
